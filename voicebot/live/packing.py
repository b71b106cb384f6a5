"""Events while they are kept: as bytes, half of what they take as objects."""

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any, get_type_hints

import msgspec

from voicebot.core.events import Token
from voicebot.wire.live_events import LiveEvent, TurnEnded, TurnOffered

type Kind = type[LiveEvent]
type Packed = tuple[float, tuple[Any, ...], tuple[tuple[Any, ...], ...]]

_encode = msgspec.msgpack.encode
_VALUES: dict[Kind, tuple[str, ...]] = {
    kind: tuple(field.name for field in fields(kind))[1:] for kind in LiveEvent.__value__.__args__
}
"""What every event has besides the call, which comes first."""


def _decoder(kind: Kind) -> Callable[[bytes], Packed]:
    hints = get_type_hints(kind)
    values: Any = tuple.__class_getitem__(tuple(hints[name] for name in _VALUES[kind]))
    packed: Any = tuple[float, values, tuple[tuple[Any, ...], ...]]
    return msgspec.msgpack.Decoder[Packed](packed).decode


_decode = {kind: _decoder(kind) for kind in _VALUES}


def pack(event: LiveEvent, at: float) -> bytes:
    """Return everything but the kind and the call; the tokens of a turn without the names of their fields."""
    tokens: list[tuple[Any, ...]] = []
    match event:
        case TurnEnded(turn=turn) | TurnOffered(turn=turn) if turn.tokens:
            tokens = [msgspec.structs.astuple(token) for token in turn.tokens]
            event = replace(event, turn=msgspec.structs.replace(turn, tokens=()))
        case _:
            pass
    return _encode((at, [getattr(event, name) for name in _VALUES[type(event)]], tokens))


def unpack(kind: Kind, call: str, packed: bytes) -> tuple[LiveEvent, float]:
    """Return what was packed."""
    at, values, tokens = _decode[kind](packed)
    event = kind(call, *values)
    match event:
        case TurnEnded(turn=turn) | TurnOffered(turn=turn) if tokens:
            whole = tuple([Token(*parts) for parts in tokens])
            event = replace(event, turn=msgspec.structs.replace(turn, tokens=whole))
        case _:
            pass
    return event, at
