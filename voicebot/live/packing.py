"""Events of turns while they are kept: their words as bytes, an eighth of what they take as objects."""

from dataclasses import replace

import msgspec

from voicebot.core.events import Token
from voicebot.wire.live_events import LiveEvent, TurnEnded, TurnOffered

_encode, _decode = msgspec.msgpack.encode, msgspec.msgpack.decode


def pack(event: LiveEvent) -> tuple[LiveEvent, bytes]:
    """Return the event without the tokens of its turn, and these; nothing where there are none."""
    match event:
        case TurnEnded(turn=turn) | TurnOffered(turn=turn) if turn.tokens:
            tokens = _encode([msgspec.structs.astuple(token) for token in turn.tokens])
            return replace(event, turn=msgspec.structs.replace(turn, tokens=())), tokens
        case _:
            return event, b""


def unpack(event: LiveEvent, tokens: bytes) -> LiveEvent:
    """Return what was packed."""
    match event:
        case TurnEnded(turn=turn) | TurnOffered(turn=turn) if tokens:
            whole = tuple([Token(*fields) for fields in _decode(tokens)])
            return replace(event, turn=msgspec.structs.replace(turn, tokens=whole))
        case _:
            return event
