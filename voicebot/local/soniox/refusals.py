"""Every refusal the two protocols know, and the error frame each becomes (Soniox, "Error codes")."""

from dataclasses import dataclass
from typing import Any

MORE_INFO = "https://soniox.com/docs/api-reference/errors#"


@dataclass(frozen=True, slots=True)
class Refusal:
    """One error as a client sees it: numeric code, stable type, text that may change."""

    code: int
    kind: str
    text: str


class Refused(Exception):  # noqa: N818 - carries a Refusal to the one place that sends it
    """A client's message is refused; `refusal` says what to answer."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.text)
        self.refusal = refusal


def first_refusal(group: BaseExceptionGroup[Refused]) -> Refusal:
    """What to answer when several tasks of one connection were refused at once."""
    error = group.exceptions[0]
    return first_refusal(error) if isinstance(error, BaseExceptionGroup) else error.refusal


def invalid(text: str) -> Refusal:
    """A 400 for a request that has to be changed before it is tried again."""
    return Refusal(400, "invalid_request", text)


MISSING_KEY = Refusal(401, "unauthenticated", "Missing API key.")
WRONG_KEY = Refusal(
    401, "unauthenticated", "Incorrect API key provided. The local server was started with another key."
)
LEGACY_KEY = Refusal(
    401, "unauthenticated", "The API key must be sent in the WebSocket handshake, not in the start request."
)
TWO_KEYS = invalid("The API key must be provided in exactly one place: header, subprotocol or start request.")
START_NOT_TEXT = invalid("Start request must be a text message.")
START_MALFORMED = invalid("Start request is malformed.")
START_TIMEOUT = Refusal(408, "request_timeout", "Start request timeout")
CONTROL_MALFORMED = invalid("Control request is malformed.")
CONTROL_TYPE = invalid("Control request invalid type.")
IDLE = Refusal(408, "request_timeout", "Request timeout.")
DECODE_TIMEOUT = Refusal(408, "request_timeout", "Audio data decode timeout")
DECODE_ERROR = invalid("Audio decode error")
TOO_LONG = invalid("Audio is too long.")
INTERNAL = Refusal(500, "internal_error", "The server had an error processing your request.")
TTS_STARVED = Refusal(408, "request_timeout", "Request timeout: the stream received no text.")
TTS_TOO_LONG = Refusal(413, "max_audio_duration_reached", "The maximum audio duration of a stream has been reached.")

BY_CODE = {
    400: START_MALFORMED,
    401: WRONG_KEY,
    402: Refusal(402, "organization_balance_exhausted", "Organization balance exhausted."),
    403: Refusal(403, "permission_denied", "The API key lacks the permission for this request."),
    408: IDLE,
    413: Refusal(413, "max_duration_reached", "The maximum duration of a stream has been reached."),
    429: Refusal(429, "limit_exceeded", "Rate limit for your organization has been exceeded."),
    500: INTERNAL,
    503: Refusal(
        503,
        "service_unavailable",
        "Cannot continue request (code 11). Please restart the request. Refer to https://soniox.com/url/cannot-continue-request",
    ),
}
"""What a fault or a script means when it names only a code."""


def by_code(code: int) -> Refusal:
    """The usual refusal of a code; a generic one for codes the real service was never seen to use."""
    return BY_CODE.get(code, Refusal(code, "internal_error", f"Error {code}."))


def error_fields(refusal: Refusal, request_id: str) -> dict[str, Any]:
    """The error keys of a frame; normal frames must not carry any of them, not even as null."""
    return {
        "error_code": refusal.code,
        "error_type": refusal.kind,
        "error_message": refusal.text,
        "more_info": MORE_INFO + refusal.kind.replace("_", "-"),
        "request_id": request_id,
    }
