"""Calls that never took place: their events, as the service would send them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from pydantic import JsonValue, TypeAdapter

from voicebot.errors import LocalProtocolError
from voicebot.wire.webhook_data import (
    CallDegradedData,
    CallEndedData,
    CallInfo,
    CallRecoveredData,
    CallResumedData,
    CallStartedData,
    DigitsCompletedData,
    EntryData,
    LatencyData,
    LatencySummary,
    Message,
    Model,
    NoInputData,
    SpeechData,
    SpokenData,
    Totals,
    TranscriptFinalData,
    TranscriptLine,
    TransferFailedData,
    TurnCompletedData,
    TurnData,
    TurnProvisionalData,
    TurnRetractedData,
    Word,
)
from voicebot.wire.webhook_events import WANTS_REPLY, Event

CALL_PREFIX = "CAprobe"
"""Every call of the probe is named so: an application can tell its test calls by it."""
EVENT_PREFIX = "evt_probe"
CALLER, CALLED = "+15550100", "+15550101"
WORD_MS = 300
DEFAULT_TEXT = "I would like to order two pizzas."

_EVENT: TypeAdapter[Event] = TypeAdapter(Event)


@dataclass(slots=True)
class ProbeCall:
    """One call under way: counts its events and carries the state and the messages, as the service does."""

    name: str
    began_at: datetime
    parameters: dict[str, str] = field(default_factory=lambda: {"probe": "1"})
    messages: tuple[Message, ...] | None = ()
    state: JsonValue = None
    sequence: int = 0
    turns: int = 0

    def event(self, data: Model, kind: str) -> Event:
        """Return the next event of the call."""
        self.sequence += 1
        head = {
            "type": kind,
            "id": f"{EVENT_PREFIX}_{self.name}_{self.sequence}",
            "sequence": self.sequence,
            "created_at": self.began_at + timedelta(seconds=self.sequence),
            "call": self._info(),
            "data": data,
        }
        return _EVENT.validate_python(head | ({"messages": self.messages} if kind in WANTS_REPLY else {}))

    def example(self, kind: str) -> Event:
        """Return the next event, an ordinary one of its kind; LocalProtocolError if the contract has no such kind."""
        make = EXAMPLES.get(kind)
        if make is None:
            raise LocalProtocolError(f"the probe has no example of the event {kind}")
        return self.event(make(self), kind)

    def started(self) -> Event:
        """Return the event that begins the call."""
        return self.example("call.started")

    def turn(self, text: str = DEFAULT_TEXT, **changes: Any) -> Event:
        """Return the next turn of the caller; `changes` are fields of TurnCompletedData."""
        self.turns += 1
        return self.event(TurnCompletedData(turn=turn_of(self, text), **changes), "turn.completed")

    def _info(self) -> CallInfo:
        return CallInfo(
            id=CALL_PREFIX + self.name,
            from_=CALLER,
            to=CALLED,
            direction="inbound",
            started_at=self.began_at,
            parameters=self.parameters,
            turns=self.turns,
            state=self.state,
        )


def turn_of(call: ProbeCall, text: str, number: int | None = None) -> TurnData:
    """Return a turn with these words, spoken at an even pace."""
    words = text.split()
    return TurnData(
        number=number or max(call.turns, 1),
        text=text,
        languages=("en",),
        confidence=0.97,
        started_at=call.began_at + timedelta(seconds=1),
        ended_at=call.began_at + timedelta(seconds=1, milliseconds=WORD_MS * len(words)),
        reason="endpoint",
        words=tuple(
            Word(text=word, start_ms=place * WORD_MS, end_ms=(place + 1) * WORD_MS, confidence=0.97, language="en")
            for place, word in enumerate(words)
        ),
    )


def _spoken(*, interrupted: bool) -> tuple[SpokenData, ...]:
    text = "Hello, this is the pizzeria. Please tell me your order."
    cut = 28 if interrupted else len(text)
    return (SpokenData(text=text, heard=text[:cut], unheard=text[cut:], ms=1_840, interrupted=interrupted),)


def _completed(call: ProbeCall) -> TurnCompletedData:
    call.turns += 1
    call.messages = (*(call.messages or ()), Message(role="user", content=DEFAULT_TEXT))
    entry = EntryData(kind="digits", value="2", complete=True)
    turn = turn_of(call, DEFAULT_TEXT).model_copy(update={"entry": entry})
    steps = LatencyData(settled_ms=330, decided_ms=420, sent_ms=424, reply_began_ms=459, replied_ms=461)
    return TurnCompletedData(turn=turn, spoken=_spoken(interrupted=True), latency=steps)


def provisional(call: ProbeCall, text: str, revision: int = 1) -> TurnProvisionalData:
    """Return the turn that comes next, of which nobody knows yet whether it has ended."""
    turn = turn_of(call, text, call.turns + 1).model_copy(update={"reason": "finalize"})
    return TurnProvisionalData(turn=turn, revision=revision)


def _ended(call: ProbeCall) -> CallEndedData:
    lines = (
        TranscriptLine(role="assistant", text="Hello, this is the pizzeria.", at=call.began_at),
        TranscriptLine(role="user", text=DEFAULT_TEXT, at=call.began_at),
    )
    latency = LatencySummary(turns=call.turns, p50_ms=861, p95_ms=912, max_ms=912)
    totals = Totals(turns=call.turns, utterances=2, interruptions=1, latency=latency)
    return CallEndedData(reason="caller_hangup", duration_ms=40_300, totals=totals, transcript=lines)


EXAMPLES: dict[str, Callable[[ProbeCall], Model]] = {
    "call.started": lambda _: CallStartedData(carrier={"FromCountry": "US", "CallerName": "PROBE"}),
    "speech.interrupted": lambda _: SpeechData(
        text="Hello, please wait.", heard="Hello,", unheard=" please wait.", ms=700
    ),
    "turn.completed": _completed,
    "speech.finished": lambda _: SpeechData(text="Anything else?", heard="Anything else?", ms=900),
    "call.resumed": lambda _: CallResumedData(why="stream_lost", gap_ms=300, spoken=_spoken(interrupted=True)),
    "turn.provisional": lambda call: provisional(call, "And a salad."),
    "turn.retracted": lambda call: TurnRetractedData(number=call.turns + 1, revision=1, text="and a salad"),
    "digits.completed": lambda _: DigitsCompletedData(digits="8001", reason="count", spoken=_spoken(interrupted=False)),
    "no_input": lambda _: NoInputData(count=1),
    "transfer.failed": lambda _: TransferFailedData(to="+15550199", status="no-answer"),
    "call.degraded": lambda _: CallDegradedData(
        what="recognition", kind="service_unavailable", code=503, message="Cannot continue request.", recovering=True
    ),
    "call.recovered": lambda _: CallRecoveredData(what="recognition", ms=15_200),
    "transcript.final": lambda call: TranscriptFinalData(turn=turn_of(call, "How can I help you?"), track="agent"),
    "call.ended": _ended,
}
"""An ordinary event of every kind, in an order in which a call may have them."""
