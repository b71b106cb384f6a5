"""What a call was before this process: read from the store, so that it goes on as if nothing had happened."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any

from pydantic import JsonValue, TypeAdapter

from voicebot.call.identity import Identity
from voicebot.call.inputs import Leaving
from voicebot.config import NumberSettings
from voicebot.core.events import Track
from voicebot.core.transcript import Line, Role
from voicebot.store import UnendedCall

_LEAVING: TypeAdapter[Leaving | None] = TypeAdapter(Leaving | None)
_MS = timedelta(milliseconds=1)
MAX_ANSWERS = 2_000
"""Answers of one call over which `call.ended` sums up how soon they were heard, the newest."""


@dataclass(slots=True)
class Counts:
    """The call in numbers."""

    turns: int = 0
    utterances: int = 0
    interruptions: int = 0
    no_inputs: int = 0
    refused_replies: int = 0
    missed_replies: int = 0
    retracted: int = 0
    resumptions: int = 0
    lost_streams: int = 0
    answered_ms: list[int] = field(default_factory=list[int])
    """How long each caller waited for an answer to be heard."""

    def answered(self, ms: int) -> None:
        """Note an answer."""
        self.answered_ms.append(ms)
        del self.answered_ms[:-MAX_ANSWERS]

    def no_reply(self, *, refused: bool) -> None:
        """Count an event without a usable reply."""
        if refused:
            self.refused_replies += 1
        else:
            self.missed_replies += 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """What a call has become by the application's replies and by the carrier, besides its state."""

    options: NumberSettings
    """With everything that `configure` and `listen` have changed."""
    parameters: Mapping[str, str]
    leaving: Leaving | None = None
    dialing: bool = False

    def kept(self) -> dict[str, JsonValue]:
        """Return it for the store."""
        changed = self.options.model_dump(mode="json", include={"stt", "voice", "turns"})
        leaving: dict[str, JsonValue] | None = asdict(self.leaving) if self.leaving else None
        return {"options": changed, "parameters": dict(self.parameters), "leaving": leaving, "dialing": self.dialing}

    @classmethod
    def read(cls, kept: Mapping[str, Any], options: NumberSettings) -> "Course":
        """Return what `kept` has returned, over the number's `options` of today; raises ValueError for what it has not."""
        leaving = _LEAVING.validate_python(kept.get("leaving"))
        changed = options.model_dump() | kept.get("options", {})
        return cls(
            options=NumberSettings.model_validate(changed),
            parameters=kept.get("parameters", {}),
            leaving=leaving,
            dialing=bool(kept.get("dialing")),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """A call as it stood."""

    identity: Identity
    course: Course
    state: JsonValue
    counts: Counts
    lines: tuple[Line, ...]
    sequence: int
    numbers: Mapping[Track, int]
    """The last turn of each side."""
    revision: int
    """Versions of the turn after the last that were told."""
    seen_at: datetime
    """Its last sign of life."""
    ended: str | None
    """Why it has ended, where that was told and not kept."""

    @property
    def parameters(self) -> Mapping[str, str]:
        """What the application gave along."""
        return self.course.parameters


def past_of(call: UnendedCall, options: NumberSettings) -> Past:
    """Return the past of a call that has no end; raises ValueError for a row that no service of ours has written."""
    summary, course = call.record.summary, Course.read(call.course, options)
    identity = Identity(
        id=summary.id,
        carrier_id=call.carrier_id,
        from_=summary.from_number,
        to=summary.to_number,
        direction=summary.direction,
        started_at=summary.started_at,
        carrier=call.record.parameters,
        parameters=course.parameters,
    )
    told = [json.loads(event.body) for event in call.newest if event.body]
    turns = _turns(call, told)
    numbers: dict[Track, int] = {}
    for track, number, _, _ in turns:
        numbers[track] = max(number, numbers.get(track, 0))
    count = max([len(turns), *(event["call"]["turns"] for event in told)])
    if summary.mode == "bot":
        numbers["caller"] = count
    return Past(
        identity=identity,
        course=course,
        state=call.record.state,
        counts=_counts(call, count),
        lines=tuple(_lines(call, turns, told)),
        sequence=call.sequence,
        numbers=numbers,
        revision=_revision(told, count + 1),
        seen_at=call.newest[-1].created_at if call.newest else summary.started_at,
        ended=next((event["data"]["reason"] for event in told if event["type"] == "call.ended"), None)
        or ("lost" if "call.ended" in call.counts else None),
    )


def _turns(call: UnendedCall, told: list[dict[str, Any]]) -> list[tuple[Track, int, str, datetime | None]]:
    """Return (track, number, text, end) of all turns: those kept, and those that were told just before they could be."""
    kept = {(turn.track, turn.number): (turn.text, turn.ended_at) for turn in call.record.turns}
    for event in told:
        if event["type"] in {"turn.completed", "transcript.final"}:
            turn = event["data"]["turn"]
            key = (event["data"].get("track", "caller"), turn["number"])
            kept.setdefault(key, (turn["text"], datetime.fromisoformat(turn["ended_at"] or event["created_at"])))
    return [(track, number, *rest) for (track, number), rest in kept.items()]


def _counts(call: UnendedCall, turns: int) -> Counts:
    utterances = call.record.utterances
    answered = [ms for turn in call.record.turns if turn.latency and (ms := turn.latency.get("audio_heard_ms"))]
    return Counts(
        turns=turns,
        utterances=len(utterances),
        interruptions=sum(one.interrupted for one in utterances),
        no_inputs=call.counts.get("no_input", 0),
        retracted=call.counts.get("turn.retracted", 0),
        lost_streams=call.counts.get("call.resumed", 0),
        answered_ms=answered,
    )


def _lines(
    call: UnendedCall, turns: list[tuple[Track, int, str, datetime | None]], told: list[dict[str, Any]]
) -> Iterator[Line]:
    """Yield what was said in the order in which it ended; keys alone have no time and stay behind the turn before."""
    started = last = call.record.summary.started_at
    found: list[tuple[datetime, Role, str]] = []
    for track, _, text, ended_at in turns:
        last = ended_at or last
        found.append((last, "user" if track == "caller" else "agent", text))
    spoken = {(one.text, one.ms) for one in call.record.utterances}
    found += [(one.started_at + one.ms * _MS, "assistant", one.heard) for one in call.record.utterances]
    found += [(aside.at, "user", aside.text) for aside in call.record.asides]
    for event in told:
        data = event["data"]
        if event["type"].startswith("speech.") and (data["text"], data["ms"]) not in spoken:
            found.append((datetime.fromisoformat(event["created_at"]), "assistant", data["heard"]))
    for at, role, text in sorted(found, key=lambda one: one[0]):
        if text.strip():
            yield Line(role, text.strip(), (at - started) // _MS)


def _revision(told: list[dict[str, Any]], number: int) -> int:
    versions = (event["data"] for event in told if event["type"] == "turn.provisional")
    return max((data["revision"] for data in versions if data["turn"]["number"] == number), default=0)
