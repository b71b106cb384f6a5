"""The notebook of a call: everything worth keeping goes through here, to the watcher and into the report."""

from collections.abc import Callable
from dataclasses import dataclass, field

from voicebot.local.phone.clock import Clock
from voicebot.local.phone.codes import WARNINGS
from voicebot.local.phone.events import Cleared, MarkEchoed, PhoneEvent, Requested, Trouble, VerbStarted
from voicebot.local.phone.report import (
    DialSeen,
    EndReason,
    Failure,
    HttpExchange,
    MarkSeen,
    Note,
    StreamReport,
    VerbFollowed,
)


@dataclass(slots=True)
class Journal:
    """What has happened so far, in order."""

    clock: Clock
    observe: Callable[[PhoneEvent], None] | None = None
    timeline: list[PhoneEvent] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    verbs: list[VerbFollowed] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    played: list[str] = field(default_factory=list)
    dialled: list[DialSeen] = field(default_factory=list)
    requests: list[HttpExchange] = field(default_factory=list)
    streams: list[StreamReport] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    answered_ms: float | None = None
    ended: EndReason | None = None
    ended_detail: str = ""

    def add(self, event: PhoneEvent) -> None:
        """Keep an event and show it to the watcher."""
        self.timeline.append(event)
        if self.observe is not None:
            self.observe(event)

    def trouble(self, code: int, message: str) -> None:
        """Keep something Twilio would log under a code."""
        now = self.clock.now()
        level = "warning" if code in WARNINGS else "error"
        self.notes.append(Note(at_ms=round(now), code=code, level=level, message=message))
        self.add(Trouble(now, code, message))

    def verb(self, verb: str, detail: str) -> None:
        """Keep that a verb is followed."""
        now = self.clock.now()
        self.verbs.append(VerbFollowed(at_ms=round(now), verb=verb, detail=detail))
        self.add(VerbStarted(now, verb, detail))

    def request(self, exchange: HttpExchange) -> None:
        """Keep a finished HTTP request."""
        self.requests.append(exchange)
        self.add(
            Requested(
                at_ms=float(exchange.at_ms),
                purpose=exchange.purpose,
                method=exchange.method,
                url=exchange.url,
                status=exchange.status,
                took_ms=float(exchange.took_ms),
            ),
        )

    def mark_echoed(self, mark: MarkSeen, *, cleared: bool) -> None:
        """Keep that a mark goes back."""
        now = self.clock.now()
        mark.echoed_ms, mark.cleared = round(now), cleared
        self.add(MarkEchoed(now, mark.name, cleared))

    def cleared(self, stream: StreamReport, dropped_ms: float) -> None:
        """Keep that the service emptied the buffer."""
        now = self.clock.now()
        stream.clears.append(round(now))
        self.add(Cleared(now, dropped_ms))

    def end(self, reason: EndReason, detail: str) -> None:
        """Keep why the call ended; the first reason counts."""
        if self.ended is None:
            self.ended, self.ended_detail = reason, detail

    def echoed_marks(self) -> list[MarkSeen]:
        """The marks that went back so far."""
        return [mark for stream in self.streams for mark in stream.marks if mark.echoed_ms is not None]

    def accept(self, code: int) -> bool:
        """Take an error code as expected; False when it has not occurred."""
        found = [note for note in self.notes if note.code == code]
        for note in found:
            note.expected = True
        return bool(found)
