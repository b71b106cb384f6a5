"""What whoever watches the calls is told, as frozen values."""

from dataclasses import dataclass

from voicebot.core.events import Track, Turn
from voicebot.core.playback import Spoken


@dataclass(frozen=True, slots=True)
class CallOpened:
    """A call is known; its media stream may still be to come."""

    call: str
    from_: str
    to: str
    direction: str
    """`inbound`, or `outbound` when the service dialled."""
    mode: str


@dataclass(frozen=True, slots=True)
class StreamOpened:
    """The call's media flows."""

    call: str
    stream: str


@dataclass(frozen=True, slots=True)
class CallResumed:
    """The call goes on on another stream: `why` is `stream_lost` or `restart`, `gap_ms` how long it had none, if known."""

    call: str
    why: str
    gap_ms: int | None


@dataclass(frozen=True, slots=True)
class Partial:
    """The words of the open utterance: settled so far, and the tentative tail."""

    call: str
    track: Track
    settled: str
    tentative: str


@dataclass(frozen=True, slots=True)
class TurnEnded:
    """A caller turn (or, in transcription, an utterance of either side) is complete."""

    call: str
    track: Track
    turn: Turn


@dataclass(frozen=True, slots=True)
class TurnOffered:
    """The words of a turn are settled and were told to the application, its end is not sure yet."""

    call: str
    turn: Turn
    revision: int


@dataclass(frozen=True, slots=True)
class TurnTakenBack:
    """The caller went on after a provisional turn."""

    call: str
    number: int
    revision: int


@dataclass(frozen=True, slots=True)
class Overheard:
    """Words that ask for no answer: a sign of listening (`backchannel`), or the bot's own voice (`echo`)."""

    call: str
    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class BotResumed:
    """What stopped the bot was no speech; it goes on."""

    call: str


@dataclass(frozen=True, slots=True)
class DigitPressed:
    """The caller pressed a key; which one is not said before redaction exists."""

    call: str


@dataclass(frozen=True, slots=True)
class WebhookAttempt:
    """One attempt to tell the application of the event with this `sequence`; `event` is its type."""

    call: str
    sequence: int
    event: str
    attempt: int
    status: int | None
    error: str | None
    ms: int


@dataclass(frozen=True, slots=True)
class ReplyTaken:
    """The application answered; `actions` are the kinds to be performed, `dropped` why they will not be."""

    call: str
    sequence: int
    actions: tuple[str, ...]
    dropped: str | None = None


@dataclass(frozen=True, slots=True)
class ReplyMissing:
    """No usable answer came: the deadline, a refusal, or a dead endpoint."""

    call: str
    sequence: int
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class BotSays:
    """The bot begins to speak."""

    call: str
    utterance: int
    text: str


@dataclass(frozen=True, slots=True)
class BotSaid:
    """What became of something the bot said."""

    call: str
    spoken: Spoken


@dataclass(frozen=True, slots=True)
class Latency:
    """The latency account of a turn, in milliseconds."""

    call: str
    turn: int
    parts: dict[str, int]


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something failed and the call goes on."""

    call: str
    what: str


@dataclass(frozen=True, slots=True)
class CallClosed:
    """The call is over."""

    call: str
    reason: str
    duration_ms: int
    turns: int


type LiveEvent = (
    CallOpened
    | StreamOpened
    | CallResumed
    | Partial
    | TurnEnded
    | TurnOffered
    | TurnTakenBack
    | Overheard
    | BotResumed
    | DigitPressed
    | WebhookAttempt
    | ReplyTaken
    | ReplyMissing
    | BotSays
    | BotSaid
    | Latency
    | Trouble
    | CallClosed
)
