"""What reaches a call's mailbox, as one union."""

from dataclasses import dataclass
from typing import Literal

from msgspec import Struct

from voicebot.core.actions import Action, HangUp, Redirect, SendDigits, Transfer
from voicebot.core.events import (
    Digit,
    MarkReached,
    SpeechStarted,
    SpeechStopped,
    StreamStopped,
    SttEvent,
    Tick,
    Track,
    TurnRequested,
)
from voicebot.courier import Outcome


@dataclass(frozen=True, slots=True)
class CarrierSay:
    """Let the carrier speak, because our own voice cannot; a new stream follows."""

    text: str
    language: str
    type: Literal["carrier_say"] = "carrier_say"


type Leaving = HangUp | Transfer | Redirect | SendDigits | CarrierSay
"""Actions that end the media stream; the carrier then asks what follows."""


class FromTrack(Struct, frozen=True):  # there are a dozen a second
    """The recogniser or the speech detector of one track of one leg."""

    leg: int
    track: Track
    event: SttEvent | SpeechStarted | SpeechStopped


@dataclass(frozen=True, slots=True)
class LegClosed:
    """The media stream of leg `number` is over; what was lost on it is counted."""

    number: int
    stopped: StreamStopped
    dropped_ms: int
    disordered: int


@dataclass(frozen=True, slots=True)
class BotBegan:
    """The first audio of an utterance was sent; it belongs to the reply to event `sequence`."""

    utterance: int
    text: str
    sequence: int


@dataclass(frozen=True, slots=True)
class Performed:
    """The speaker has carried out everything that one reply asked for."""


@dataclass(frozen=True, slots=True)
class NotSpoken:
    """An utterance could not be spoken."""

    why: str


@dataclass(frozen=True, slots=True)
class Dialed:
    """A transfer has come to its end; `status` is the carrier's word, `returned` that the caller is back with the bot."""

    to: str
    status: str
    failed: bool
    returned: bool


@dataclass(frozen=True, slots=True)
class HandedOver:
    """The carrier has been told where a redirected call goes on."""


@dataclass(frozen=True, slots=True)
class CarrierEnded:
    """The carrier says that the call is over."""

    status: str


@dataclass(frozen=True, slots=True)
class CarrierAsks:
    """The carrier asks what follows a stream that nobody meant to end; the route answers it."""


@dataclass(frozen=True, slots=True)
class Commanded:
    """Somebody outside the application wants actions performed; `interrupt` stops what is being said."""

    actions: tuple[Action, ...]
    interrupt: bool


@dataclass(frozen=True, slots=True)
class ShutDown:
    """The service stops."""


type CallInput = (
    FromTrack
    | Digit
    | MarkReached
    | TurnRequested
    | LegClosed
    | BotBegan
    | Performed
    | NotSpoken
    | Outcome
    | Dialed
    | HandedOver
    | CarrierEnded
    | CarrierAsks
    | Commanded
    | ShutDown
    | Tick
)
