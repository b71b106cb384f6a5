"""What happens during a call, as small values for whoever watches and for the report's timeline."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Dialled:
    """The caller dialled; times of all events count from here, in milliseconds."""

    at_ms: float
    url: str
    call_sid: str


@dataclass(frozen=True, slots=True)
class Requested:
    """An HTTP request was made to the service; status 0 means that no answer came."""

    at_ms: float
    purpose: str
    method: str
    url: str
    status: int
    took_ms: float


@dataclass(frozen=True, slots=True)
class Answered:
    """A verb answered the call; the caller hears and is heard from here."""

    at_ms: float


@dataclass(frozen=True, slots=True)
class VerbStarted:
    """A TwiML verb is followed."""

    at_ms: float
    verb: str
    detail: str


@dataclass(frozen=True, slots=True)
class StreamOpened:
    """A media stream's socket is open."""

    at_ms: float
    stream_sid: str
    url: str


@dataclass(frozen=True, slots=True)
class StreamClosed:
    """A media stream has ended."""

    at_ms: float
    stream_sid: str
    code: int | None
    reason: str


@dataclass(frozen=True, slots=True)
class CallerSpeaks:
    """The caller begins to say something."""

    at_ms: float
    label: str


@dataclass(frozen=True, slots=True)
class CallerQuiet:
    """The caller has finished."""

    at_ms: float
    label: str


@dataclass(frozen=True, slots=True)
class BotSpeaks:
    """The caller begins to hear something."""

    at_ms: float


@dataclass(frozen=True, slots=True)
class BotQuiet:
    """The caller has heard nothing for a while."""

    at_ms: float


@dataclass(frozen=True, slots=True)
class MarkEchoed:
    """A mark went back to the service: its audio has played, or was cleared."""

    at_ms: float
    name: str
    cleared: bool


@dataclass(frozen=True, slots=True)
class Cleared:
    """The service emptied the buffer, throwing away so much audio."""

    at_ms: float
    dropped_ms: float


@dataclass(frozen=True, slots=True)
class Digit:
    """The caller pressed a key."""

    at_ms: float
    digit: str


@dataclass(frozen=True, slots=True)
class Transferred:
    """`<Dial>` has an outcome."""

    at_ms: float
    number: str
    status: str


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something Twilio would log, with its code."""

    at_ms: float
    code: int
    message: str


@dataclass(frozen=True, slots=True)
class Checked:
    """An expectation of the scenario was judged."""

    at_ms: float
    what: str
    passed: bool


@dataclass(frozen=True, slots=True)
class Ended:
    """The call is over."""

    at_ms: float
    reason: str


type PhoneEvent = (
    Dialled
    | Requested
    | Answered
    | VerbStarted
    | StreamOpened
    | StreamClosed
    | CallerSpeaks
    | CallerQuiet
    | BotSpeaks
    | BotQuiet
    | MarkEchoed
    | Cleared
    | Digit
    | Transferred
    | Trouble
    | Checked
    | Ended
)


def as_entry(event: PhoneEvent) -> dict[str, Any]:
    """One line of the report's timeline: the event's name and fields, times rounded to whole milliseconds."""
    fields = {name: round(value) if isinstance(value, float) else value for name, value in asdict(event).items()}
    return {"at_ms": fields.pop("at_ms"), "event": type(event).__name__, **fields}
