"""The timeline of one recorded call, as frozen values, one union for its lines."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from voicebot.core.events import Track, TurnEffect, TurnInput
from voicebot.core.policy import TurnPolicy

VERSION = 1
"""Of the format; a reader refuses newer ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The first line: whose call, and under which policy it began."""

    call: str
    from_number: str = ""
    to_number: str = ""
    mode: str = "bot"
    started_at: str = ""
    """UTC, ISO 8601."""
    tracks: tuple[Track, ...] = ("caller",)
    policy: TurnPolicy = field(default_factory=TurnPolicy)
    stt: Mapping[str, object] = field(default_factory=dict[str, object])
    """The recogniser's options, as they are sent."""
    version: int = VERSION

    @property
    def languages(self) -> tuple[str, ...]:
        """Return what the caller was expected to speak."""
        match self.stt.get("language_hints"):
            case [*hints]:
                return tuple(str(hint) for hint in hints)
            case _:
                return ()


@dataclass(frozen=True, slots=True)
class Leg:
    """Audio began: `zero_ms` is where the audio clock of this track lies on the recording's clock."""

    t_ms: float
    number: int
    track: Track
    zero_ms: float
    stream: str = ""


@dataclass(frozen=True, slots=True)
class Audio:
    """A stretch of raw µ-law (8 kHz, mono); `at_ms` is where it begins on the audio clock of its track."""

    t_ms: float
    track: Track
    at_ms: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class BotAudio:
    """Raw µ-law that was sent to the caller; `at_ms` is when the caller begins to hear it, on the recording's clock."""

    t_ms: float
    at_ms: float
    payload: bytes


@dataclass(frozen=True, slots=True)
class BotCleared:
    """The bot was silenced: what it has sent and the caller has not heard by now is not heard."""

    t_ms: float


@dataclass(frozen=True, slots=True)
class Input:
    """What the turn machine was told."""

    t_ms: float
    track: Track
    event: TurnInput


@dataclass(frozen=True, slots=True)
class Effect:
    """What the turn machine decided."""

    t_ms: float
    track: Track
    effect: TurnEffect


@dataclass(frozen=True, slots=True)
class PolicyChanged:
    """From here on another policy holds (`listen`)."""

    t_ms: float
    track: Track
    policy: TurnPolicy


@dataclass(frozen=True, slots=True)
class Posted:
    """A webhook was handed over for delivery."""

    t_ms: float
    kind: str
    sequence: int


@dataclass(frozen=True, slots=True)
class Replied:
    """The application answered: its first byte and its end on the recording's clock, and what it asked for."""

    t_ms: float
    sequence: int
    actions: tuple[str, ...] = ()
    first_byte_ms: float | None = None
    done_ms: float | None = None


@dataclass(frozen=True, slots=True)
class End:
    """The last line: why nothing follows."""

    t_ms: float
    reason: str


type Line = Head | Leg | Audio | BotAudio | BotCleared | Input | Effect | PolicyChanged | Posted | Replied | End


@dataclass(frozen=True, slots=True)
class Recording:
    """A recorded call; `t_ms` of its lines counts from the head and never decreases."""

    head: Head
    lines: tuple[Line, ...]
    cut: bool = False
    """The last line was cut off: the service, or the disk, failed."""

    def of(self, track: Track) -> Iterator[Leg | Audio | Input | Effect | PolicyChanged]:
        """Yield what belongs to one track, in order."""
        for line in self.lines:
            match line:
                case Leg() | Audio() | Input() | Effect() | PolicyChanged() if line.track == track:
                    yield line
                case _:
                    pass
