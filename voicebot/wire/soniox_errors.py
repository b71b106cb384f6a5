"""Soniox's error frames: what they say, and whether trying again can help."""

import re
from dataclasses import dataclass
from enum import Enum

from voicebot.text import whole

PEER = "soniox"


class Retry(Enum):
    """What to do after an error (reference: Soniox, API errors and real-time error handling)."""

    NOW = "now"
    """The server gave the request up and expects a new one at once."""
    BACKOFF = "backoff"
    """A new request after a growing wait."""
    NEW_SESSION = "new session"
    """This session has reached its limit, of age or of patience; a new one may be opened at once."""
    NEVER = "never"
    """The request itself, the key or the balance is wrong; only a person can help."""


RETRIES = {
    400: Retry.NEVER,
    401: Retry.NEVER,
    402: Retry.NEVER,
    403: Retry.NEVER,
    408: Retry.NEW_SESSION,
    413: Retry.NEW_SESSION,
    429: Retry.BACKOFF,
    500: Retry.BACKOFF,
    503: Retry.NOW,
}
# Error types say more than their code; the text of a message may change at any time and is never looked at.
RETRIES_BY_KIND = {
    "max_concurrent_streams_reached": Retry.BACKOFF,
    "max_concurrent_connections_reached": Retry.BACKOFF,
}
ADVICE = {
    400: "correct the request: model, languages, context or audio format",
    401: "check the API key (SONIOX_API_KEY) and that it belongs to the region of the URL",
    402: "add funds or raise the budget in the Soniox console",
    403: "give the API key the permission in the Soniox console",
    408: "send audio in real time, or a keepalive at least every 20 s",
    413: "open a new session",
    429: "raise the concurrency or rate limit in the Soniox console, or try again later",
    500: "try again later",
    503: "try again",
}


@dataclass(frozen=True, slots=True)
class ErrorFrame:
    """An error frame; the socket is closed after it, with a close code that says nothing.

    `kind` is Soniox's `error_type`; servers before 2026 send none, then it is derived from the code.
    """

    code: int
    kind: str
    message: str
    request_id: str
    retry: Retry

    @property
    def advice(self) -> str:
        """What a person can do about it; empty for an unknown code."""
        return ADVICE.get(self.code, "")


def refuses_account(code: int) -> bool:
    """Say whether `code` refuses the key or its account: another account may be served, the same request is not wrong."""
    return code in {401, 402, 403}


def retry_class(code: int, kind: str = "") -> Retry:
    """Return what to do after the error `code`; unknown 4xx codes are never retried, everything else is after a wait."""
    if known := RETRIES_BY_KIND.get(kind) or RETRIES.get(code):
        return known
    return Retry.NEVER if 400 <= code < 500 else Retry.BACKOFF  # noqa: PLR2004 - the classes of HTTP status codes


def has_error(frame: dict[str, object]) -> bool:
    """Say whether `frame` is an error frame; null counts as absent."""
    return frame.get("error_code") is not None or frame.get("error_message") is not None


def read_error(frame: dict[str, object]) -> ErrorFrame:
    """Read an error frame as leniently as possible: an odd error is still an error, never a protocol fault of its own."""
    code = frame.get("error_code")
    number = int(code) if isinstance(code, int | str) and re.fullmatch(r"[0-9]{1,9}", str(code)) else 0
    kind = _text(frame.get("error_type")) or (f"error_{number}" if number else "unknown_error")
    message = _text(frame.get("error_message")) or "no message"
    return ErrorFrame(number, kind, message, _text(frame.get("request_id")), retry_class(number, kind))


def _text(value: object) -> str:
    return whole(value) if isinstance(value, str) else ""
