"""The file format of recorded calls: one JSON object per line, out and in."""

import base64
import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any, cast, get_args

import msgspec
from pydantic import TypeAdapter, ValidationError

from voicebot.core.events import Track, TurnEffect, TurnInput
from voicebot.core.policy import TurnPolicy
from voicebot.core.recording import (
    VERSION,
    Audio,
    BotAudio,
    BotCleared,
    Effect,
    End,
    Head,
    Input,
    Leg,
    Line,
    PolicyChanged,
    Posted,
    Recording,
    Replied,
)
from voicebot.errors import VoicebotError

_SHOWN = 60
"""So much of a wrong line is in the error."""


class RecordingError(VoicebotError):
    """A recording cannot be read; says in which line and why."""


def _snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def _members(union: Any) -> Iterator[type[Any]]:
    """Yield the classes of a union, however it is nested."""
    union = getattr(union, "__value__", union)
    for member in get_args(union) or (union,):
        if isinstance(member, type):
            yield member
        else:
            yield from _members(member)


def _kinds(union: Any) -> dict[str, type[Any]]:
    return {_snake(member.__name__): member for member in _members(union)}


_INPUTS = _kinds(TurnInput)
_EFFECTS = _kinds(TurnEffect)
_POLICY = TypeAdapter(TurnPolicy)


def encode(line: Line) -> str:
    """Return the line as JSON with its line break; what has its default is left out."""
    return json.dumps(_fields(line), ensure_ascii=False, separators=(",", ":")) + "\n"


def decode(text: str) -> Line:
    """Return what a line holds; raises RecordingError for anything that `encode` does not write."""
    try:
        value = json.loads(text)
        read = _READERS[value["type"]]
        return read(value)
    except (
        *(ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError),
        msgspec.ValidationError,
    ) as error:
        raise RecordingError(f"no line of a recording: {_reason(error)}: {text[:_SHOWN].rstrip()!r}") from None


def read(lines: Iterable[str]) -> Recording:
    """Return the recording in `lines`; a cut last line is left out, any other fault raises RecordingError."""
    found: list[Line] = []
    fault: RecordingError | None = None
    for number, text in enumerate(lines, 1):
        if fault:
            raise fault
        try:
            found.append(decode(text))
        except RecordingError as error:
            fault = RecordingError(f"line {number}: {error}")
    head = found[0] if found else None
    if not isinstance(head, Head):
        raise fault or RecordingError("a recording begins with a line of type head; is this one?")
    if head.version > VERSION:
        raise RecordingError(f"format version {head.version}: this program reads up to {VERSION}; use a newer one")
    return Recording(head, tuple(found[1:]), cut=fault is not None)


# --- out ------------------------------------------------------------------------------------------


def _fields(line: Line) -> dict[str, Any]:  # noqa: C901, PLR0911 - one arm per kind of line
    match line:
        case Head():
            return _head_fields(line)
        case Leg(number=number, track=track, zero_ms=zero, stream=stream):
            return _timed("leg", line.t_ms, leg=number, track=track, zero_ms=round(zero, 3), stream=stream)
        case Audio(track=track, at_ms=at, payload=payload):
            return _timed("audio", line.t_ms, track=track, at_ms=at, ulaw=base64.b64encode(payload).decode())
        case BotAudio(at_ms=heard_at, payload=payload):
            return _timed("bot_audio", line.t_ms, at_ms=round(heard_at, 3), ulaw=base64.b64encode(payload).decode())
        case BotCleared():
            return _timed("bot_cleared", line.t_ms)
        case Input(track=track, event=event):
            return _timed("input", line.t_ms, track=track, **_named(event))
        case Effect(track=track, effect=effect):
            return _timed("effect", line.t_ms, track=track, **_named(effect))
        case PolicyChanged(track=track, policy=policy):
            return _timed("policy", line.t_ms, track=track, policy=_dump_policy(policy))
        case Posted(kind=kind, sequence=sequence):
            return _timed("event", line.t_ms, kind=kind, sequence=sequence)
        case Replied():
            return _replied_fields(line)
        case End(reason=reason):
            return _timed("end", line.t_ms, reason=reason)


def _timed(kind: str, t_ms: float, /, **fields: Any) -> dict[str, Any]:
    return {"type": kind, "t_ms": round(t_ms, 3), **fields}


def _named(value: TurnInput | TurnEffect) -> dict[str, Any]:
    return {"name": _snake(type(value).__name__), "event": msgspec.to_builtins(value)}


def _head_fields(head: Head) -> dict[str, Any]:
    return {
        "type": "head",
        "t_ms": 0,
        "version": head.version,
        "call": head.call,
        "from": head.from_number,
        "to": head.to_number,
        "mode": head.mode,
        "started_at": head.started_at,
        "tracks": list(head.tracks),
        "policy": _dump_policy(head.policy),
        "stt": dict(head.stt),
    }


def _dump_policy(policy: TurnPolicy) -> Any:
    # Whole, so that a recording keeps its meaning when a default changes.
    return _POLICY.dump_python(policy, mode="json")


def _replied_fields(line: Replied) -> dict[str, Any]:
    times = {"first_byte_ms": line.first_byte_ms, "done_ms": line.done_ms}
    rounded = {name: round(at, 3) for name, at in times.items() if at is not None}
    return _timed("reply", line.t_ms, sequence=line.sequence, actions=list(line.actions), **rounded)


# --- in -------------------------------------------------------------------------------------------


def _reason(error: Exception) -> str:
    match error:
        case ValidationError():
            fault = error.errors(include_url=False, include_input=False)[0]
            return f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}"
        case KeyError():
            return f"{error} is missing or unknown"
        case _:
            return str(error)


def _read_head(value: dict[str, Any]) -> Head:
    head = Head(call=str(value["call"]), version=int(value["version"]))
    if head.version > VERSION:
        return head
    return replace(
        head,
        from_number=value.get("from", ""),
        to_number=value.get("to", ""),
        mode=value.get("mode", "bot"),
        started_at=value.get("started_at", ""),
        tracks=tuple(_track({"track": track}) for track in value.get("tracks", ("caller",))),
        policy=_POLICY.validate_python(value.get("policy", {})),
        stt=value.get("stt", {}),
    )


def _read_leg(value: dict[str, Any]) -> Leg:
    return Leg(_t(value), int(value["leg"]), _track(value), float(value["zero_ms"]), value.get("stream", ""))


def _read_audio(value: dict[str, Any]) -> Audio:
    return Audio(_t(value), _track(value), int(value["at_ms"]), base64.b64decode(value["ulaw"], validate=True))


def _read_bot_audio(value: dict[str, Any]) -> BotAudio:
    return BotAudio(_t(value), float(value["at_ms"]), base64.b64decode(value["ulaw"], validate=True))


def _read_bot_cleared(value: dict[str, Any]) -> BotCleared:
    return BotCleared(_t(value))


def _read_input(value: dict[str, Any]) -> Input:
    return Input(_t(value), _track(value), msgspec.convert(value.get("event", {}), _INPUTS[value["name"]]))


def _read_effect(value: dict[str, Any]) -> Effect:
    return Effect(_t(value), _track(value), msgspec.convert(value.get("event", {}), _EFFECTS[value["name"]]))


def _read_policy(value: dict[str, Any]) -> PolicyChanged:
    return PolicyChanged(_t(value), _track(value), _POLICY.validate_python(value["policy"]))


def _read_posted(value: dict[str, Any]) -> Posted:
    return Posted(_t(value), str(value["kind"]), int(value["sequence"]))


def _read_replied(value: dict[str, Any]) -> Replied:
    times = (value.get("first_byte_ms"), value.get("done_ms"))
    return Replied(_t(value), int(value["sequence"]), tuple(value.get("actions", ())), *times)


def _read_end(value: dict[str, Any]) -> End:
    return End(_t(value), str(value["reason"]))


_READERS: dict[str, Callable[[dict[str, Any]], Line]] = {
    "head": _read_head,
    "leg": _read_leg,
    "audio": _read_audio,
    "bot_audio": _read_bot_audio,
    "bot_cleared": _read_bot_cleared,
    "input": _read_input,
    "effect": _read_effect,
    "policy": _read_policy,
    "event": _read_posted,
    "reply": _read_replied,
    "end": _read_end,
}


def _t(value: dict[str, Any]) -> float:
    return float(value["t_ms"])


def _track(value: dict[str, Any]) -> Track:
    if value["track"] not in get_args(Track.__value__):
        raise ValueError(f"track: {value['track']!r} is neither caller nor agent")
    return cast("Track", value["track"])
