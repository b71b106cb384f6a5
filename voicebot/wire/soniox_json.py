"""What both Soniox protocols need to read JSON that somebody else wrote."""

import json
from typing import Any

from voicebot.errors import PeerProtocolError
from voicebot.text import whole
from voicebot.wire.soniox_errors import PEER

LARGEST = 1e12
"""JSON has no infinity, but Python reads 1e999 as one; nothing we are told is as large as this."""


def wrong(field: str, expected: str, value: object) -> PeerProtocolError:
    """Say that `field` has the wrong type; the value itself may be speech, so only its type is named."""
    return PeerProtocolError(PEER, f"{field}: expected {expected}, got {type(value).__name__}")


def read_object(message: str) -> dict[str, Any]:
    """Read one JSON object; raises PeerProtocolError."""
    try:
        frame = json.loads(message)
    except (ValueError, RecursionError) as error:
        reason = error.msg if isinstance(error, json.JSONDecodeError) else type(error).__name__
        raise PeerProtocolError(PEER, f"message of {len(message)} characters is not JSON: {reason}") from None
    if not isinstance(frame, dict):
        raise wrong("message", "an object", frame)
    return frame


def flag(frame: dict[str, Any], field: str, where: str = "") -> bool:
    """Read a boolean that is false when absent."""
    value = frame.get(field)
    if value is None:
        return False
    if not isinstance(value, bool):
        raise wrong(where + field, "true or false", value)
    return value


def text(frame: dict[str, Any], field: str, where: str = "") -> str | None:
    """Read a string that may be absent; halves of characters, which JSON can spell, are replaced: nothing else takes them."""
    value = frame.get(field)
    if value is None or (isinstance(value, str) and value.isascii()):
        return value
    if not isinstance(value, str):
        raise wrong(where + field, "a string", value)
    return whole(value)


def integer(frame: dict[str, Any], field: str, where: str = "") -> int | None:
    """Read an integer that may be absent; true and false are none."""
    value: object = frame.get(field)
    if value is None or (isinstance(value, int) and not isinstance(value, bool) and -LARGEST < value < LARGEST):
        return value
    raise wrong(where + field, "an integer", value)


def number(value: object, field: str) -> float:
    """Take a finite number that must be there; true and false are none."""
    if isinstance(value, int | float) and not isinstance(value, bool) and -LARGEST < value < LARGEST:
        return value
    raise wrong(field, "a number", value)


def entries(frame: dict[str, Any], field: str, where: str = "") -> list[Any]:
    """Read a list that is empty when absent."""
    value = frame.get(field)
    if value is None:
        return []
    if not isinstance(value, list):
        raise wrong(where + field, "a list", value)
    return value
