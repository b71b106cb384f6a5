"""Reads a reply that arrives in pieces into actions, as soon as each is complete."""

from collections.abc import Iterator
from dataclasses import dataclass

from pydantic import JsonValue

from voicebot.core.actions import Action
from voicebot.core.handover import PUBLIC, HandoverPolicy
from voicebot.errors import ReplyRefused
from voicebot.wire.webhook_order import UNSET, Order, Unset
from voicebot.wire.webhook_strict import bare_json, read_action
from voicebot.wire.webhook_units import Lines, Messages, Unit


@dataclass(frozen=True, slots=True)
class Part:
    """What a piece of the reply has completed; behind a `refusal`, which comes after the actions, nothing is read."""

    actions: tuple[Action, ...] = ()
    state: JsonValue | Unset = UNSET
    refusal: ReplyRefused | None = None


class ReplyStream:
    """One streamed reply of at most `max_bytes`; however its bytes are cut, the same actions come out.

    Each unit is checked by itself and against those before it, so a fault further on does not undo what came before.
    A sentence whose last piece says `more` ends with the stream.
    """

    def __init__(self, units: Lines | Messages, *, max_bytes: int, handover: HandoverPolicy) -> None:
        self._units = units
        self._max_bytes = max_bytes
        self._left = max_bytes
        self._order = Order(streamed=True, handover=handover)
        self._refusal: ReplyRefused | None = None

    def push(self, data: bytes) -> Part:
        """Take the next bytes and return what they complete."""
        if self._refusal is not None:
            return Part(refusal=self._refusal)
        part = self._part(self._units.push(data[: self._left]))
        self._left -= len(data)
        if self._left < 0 and self._refusal is None:
            self._refusal = ReplyRefused("$", f"is larger than {self._max_bytes} bytes")
        return Part(part.actions, part.state, self._refusal)

    def end(self) -> Part:
        """Return what the regular end of the reply completes; after a broken connection it is not called."""
        return self._part(self._units.end())

    def _part(self, units: Iterator[Unit]) -> Part:
        actions: list[Action] = []
        state: JsonValue | Unset = UNSET
        if self._refusal is None:
            try:
                for root, unit in units:
                    value = bare_json(root, unit)
                    if isinstance(value, dict) and value.keys() == {"state"}:
                        state = value["state"]
                    else:
                        named = value if isinstance(value, dict) else ()
                        actions.append(self._order.add(root, read_action(root, unit), named))
            except ReplyRefused as refusal:
                self._refusal = refusal
        return Part(tuple(actions), state, self._refusal)


def open_stream(content_type: str | None, *, max_bytes: int, handover: HandoverPolicy = PUBLIC) -> ReplyStream | None:
    """Return a reader for a reply of this content type, None if the type is read as a whole."""
    match media_type(content_type):
        case "application/x-ndjson":
            return ReplyStream(Lines(), max_bytes=max_bytes, handover=handover)
        case "text/event-stream":
            return ReplyStream(Messages(), max_bytes=max_bytes, handover=handover)
        case _:
            return None


def media_type(content_type: str | None) -> str:
    """Return the type without its parameters, in small letters; empty without one."""
    return (content_type or "").partition(";")[0].strip().lower()
