"""Opaque cursors: where a list goes on, as a word that fits into a URL."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from datetime import UTC, datetime

from voicebot.store.records import InvalidCursor

MAX_CHARS = 500
"""Longer words are no cursors of ours."""
MAX_ID = 2**63 - 1
"""Largest number of a row that a database can have."""

type Key = datetime | str | int


def to_cursor(keys: Sequence[Key]) -> str:
    """Return the cursor that stands for the sort keys of the last row."""
    plain = [key.isoformat() if isinstance(key, datetime) else key for key in keys]
    return urlsafe_b64encode(json.dumps(plain, separators=(",", ":")).encode()).decode().rstrip("=")


def from_cursor(cursor: str, *kinds: type[Key]) -> tuple[Key, ...]:
    """Return the sort keys in `cursor`, each of its kind; raises InvalidCursor."""
    try:
        keys = json.loads(urlsafe_b64decode(cursor[:MAX_CHARS] + "=" * (-len(cursor) % 4)))
        return tuple(_key(key, kind) for key, kind in zip(keys, kinds, strict=True))
    except (ValueError, TypeError, OverflowError, RecursionError):
        raise InvalidCursor("the cursor is none of this list; leave it out to begin at the first page") from None


def _key(key: object, kind: type[Key]) -> Key:
    if kind is datetime and isinstance(key, str):
        instant = datetime.fromisoformat(key)
        if instant.tzinfo is None:
            raise ValueError("no time zone")
        return instant.astimezone(UTC)
    if type(key) is not kind or not isinstance(key, (str, int)):
        raise ValueError("another kind")
    if isinstance(key, int) and not 0 <= key <= MAX_ID:
        raise ValueError("no row's number")
    return key
