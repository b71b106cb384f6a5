"""The vocabulary: what happens on a call, as frozen values, one union type per arrow."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from msgspec import Struct

from voicebot.core.entries import Entry

type Track = Literal["caller", "agent"]
"""Whose voice: `caller` is the carrier's inbound track, `agent` its outbound track (Twilio, `<Stream track>`)."""


class Token(Struct, frozen=True, omit_defaults=True, gc=False):
    """A piece of recognised text, often less than a word; a leading space belongs to the text (Soniox, tokens).

    `start_ms` and `end_ms` count from the first audio byte of the media stream; translations carry neither.
    """

    text: str
    start_ms: int | None = None
    end_ms: int | None = None
    confidence: float | None = None
    speaker: str | None = None
    language: str | None = None
    source_language: str | None = None
    translation: bool = False


# --- recogniser -> call ---------------------------------------------------------------------------


class Heard(Struct, frozen=True, omit_defaults=True):
    """Newly settled tokens (each arrives once) and the tentative tail, which replaces the one before it."""

    settled: tuple[Token, ...] = ()
    tentative: tuple[Token, ...] = ()


class Endpoint(Struct, frozen=True, omit_defaults=True):
    """The recogniser believes that the utterance is over (`<end>`); all its tokens were settled before."""


class Finalized(Struct, frozen=True, omit_defaults=True):
    """The answer to one `finalize` (`<fin>`): all audio received before the request is settled."""


class Finished(Struct, frozen=True, omit_defaults=True):
    """The recogniser has settled everything after end of audio; nothing follows."""


class SttFailed(Struct, frozen=True, omit_defaults=True):
    """The recogniser is given up: no session could be kept or opened; `code` is Soniox's, 0 without one.

    `recovering` says that it is tried again in the background; without it nothing follows.
    """

    code: int
    kind: str
    message: str
    recovering: bool = False


class SttRecovered(Struct, frozen=True, omit_defaults=True):
    """The recogniser that was given up works again; nothing was heard for `deaf_ms`."""

    deaf_ms: int


type SttEvent = Heard | Endpoint | Finalized | Finished | SttFailed | SttRecovered


# --- carrier -> call ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StreamStarted:
    """The carrier's `start` message: who streams what."""

    stream_id: str
    call_id: str
    account_id: str
    tracks: tuple[Track, ...]
    encoding: str
    sample_rate: int
    channels: int
    parameters: Mapping[str, str] = field(default_factory=dict[str, str])


class Media(Struct, frozen=True):  # there are fifty a second: a struct is as frozen, and made ten times faster
    """Audio of one track: raw µ-law, 8 kHz; `timestamp_ms` counts from the start of the stream."""

    track: Track
    timestamp_ms: int
    payload: bytes


class Digit(Struct, frozen=True, omit_defaults=True):
    """One key: ``0``-``9``, ``*``, ``#`` or ``A``-``D``."""

    digit: str


@dataclass(frozen=True, slots=True)
class MarkReached:
    """The carrier echoed one of our marks: everything before it was played, or cleared (Twilio, mark message)."""

    name: str


@dataclass(frozen=True, slots=True)
class StreamStopped:
    """No more media: `stop`, a closed socket, or the watchdog; `reason` says which."""

    reason: str


@dataclass(frozen=True, slots=True)
class Ignored:
    """A message that is legal but means nothing to us (`connected`, unknown events)."""

    event: str


type CarrierEvent = StreamStarted | Media | Digit | MarkReached | StreamStopped | Ignored


# --- what else the turn machine hears --------------------------------------------------------------


class SpeechStarted(Struct, frozen=True, omit_defaults=True):
    """Local speech activity: sound above the noise floor began.

    `at_ms` is where, on the audio clock of its track (from the first audio byte); None where only the wall clock knows.
    """

    at_ms: int | None = None


class SpeechStopped(Struct, frozen=True, omit_defaults=True):
    """Local speech activity: silence; `silent_ms` of it have passed when this is said (the hangover).

    `at_ms` is where the sound ended, on the audio clock of its track.
    """

    silent_ms: int
    at_ms: int | None = None


class BotStarted(Struct, frozen=True, omit_defaults=True):
    """The caller begins to hear the bot; `text` is what it says, to know its echo."""

    interruptible: bool = True
    text: str = ""


class BotStopped(Struct, frozen=True, omit_defaults=True):
    """The caller has heard the last of what was queued, or it was cleared."""


class FloorGiven(Struct, frozen=True, omit_defaults=True):
    """The bot has nothing more to say or to think about: the caller is waited for."""


class TurnRequested(Struct, frozen=True, omit_defaults=True):
    """Somebody asks to end the caller's turn now."""


class HungUp(Struct, frozen=True, omit_defaults=True):
    """The call's media is over: flush."""


class Tick(Struct, frozen=True, omit_defaults=True):
    """Time has passed; sent when the machine asked to be woken."""


type TurnInput = (
    Heard
    | Endpoint
    | Finalized
    | Finished
    | SttFailed
    | SpeechStarted
    | SpeechStopped
    | BotStarted
    | BotStopped
    | FloorGiven
    | Digit
    | TurnRequested
    | HungUp
    | Tick
)


# --- turn machine -> call --------------------------------------------------------------------------

type TurnReason = Literal["endpoint", "finalize", "digits", "max_turn", "command", "hangup"]


class Turn(Struct, frozen=True, omit_defaults=True):
    """One caller turn: the settled words of one utterance, and why it ended.

    `started_ms` and `ended_ms` count from the first audio byte of the media stream and come from the first and last
    spoken token; they are None where the recogniser gave no times.
    """

    number: int
    text: str
    reason: TurnReason
    tokens: tuple[Token, ...] = ()
    digits: str = ""
    translation: str = ""
    entry: Entry | None = None
    """What was expected, as read from the words (and, for digits, the keys)."""
    settled_at: float | None = None
    """When the last word was settled, in seconds on the clock of the turn machine."""
    started_ms: int | None = None
    ended_ms: int | None = None


class AskFinalize(Struct, frozen=True, omit_defaults=True):
    """Send `finalize` to the recogniser."""


class TurnCompleted(Struct, frozen=True, omit_defaults=True):
    """A turn is over: tell the application.

    `revision` counts from 1 the versions of this turn that were told. A version that was told provisionally, and whose
    words stand, is confirmed with the same number; `confirms` says so.
    """

    turn: Turn
    revision: int = 1
    confirms: bool = False


class TurnProvisional(Struct, frozen=True, omit_defaults=True):
    """The words of a turn are settled, its end is not sure yet: a head start for the application."""

    turn: Turn
    revision: int


class TurnRetracted(Struct, frozen=True, omit_defaults=True):
    """The caller goes on: this version of the turn is not what was said."""

    number: int
    revision: int
    text: str


class NotATurn(Struct, frozen=True, omit_defaults=True):
    """Words that ask for no answer, said while the bot spoke: a sign of listening, or the bot's own voice coming back."""

    kind: Literal["backchannel", "echo"]
    text: str
    tokens: tuple[Token, ...] = ()


class ResumeSpeech(Struct, frozen=True, omit_defaults=True):
    """What stopped the bot was no speech: it may say the unheard rest."""


type DigitsReason = Literal["count", "finish_key", "timeout", "hangup"]


class DigitsCompleted(Struct, frozen=True, omit_defaults=True):
    """Keys were collected without words, up to the policy's count, its finish key, a pause or the end of the call."""

    digits: str
    reason: DigitsReason


class BargeIn(Struct, frozen=True, omit_defaults=True):
    """The caller speaks over the bot: stop it."""

    cause: Literal["speech", "words", "digit"]


class NoInput(Struct, frozen=True, omit_defaults=True):
    """Neither side has spoken for the policy's time; `count` in a row."""

    count: int


type TurnEffect = (
    AskFinalize
    | TurnProvisional
    | TurnRetracted
    | TurnCompleted
    | NotATurn
    | DigitsCompleted
    | BargeIn
    | ResumeSpeech
    | NoInput
)
