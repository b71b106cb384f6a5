"""What a caller truly said and when: labels in the shape of eot-bench, with the utterances beside the silences."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

LEAST_HOLD_MS = 200
"""Shorter pauses are not counted (eot-bench)."""


@dataclass(frozen=True, slots=True)
class Silence:
    """A silence of the caller: a pause inside a turn (`hold`), or its end (`eot`)."""

    start_ms: float
    end_ms: float
    kind: Literal["hold", "eot"]


@dataclass(frozen=True, slots=True)
class Utterance:
    """One true turn, or a sign of listening (`backchannel`) that is none."""

    start_ms: float
    end_ms: float
    text: str = ""
    kind: Literal["turn", "backchannel"] = "turn"


@dataclass(frozen=True, slots=True)
class Labels:
    """The truth about one track of one call; times count from the start of its audio file."""

    id: str
    silences: tuple[Silence, ...]
    utterances: tuple[Utterance, ...]
    kind: str = ""
    """What it is an example of."""
    offset_ms: float = 0.0
    """Where the file begins on the audio clock of the stream."""

    def holds(self) -> Iterator[tuple[int, Silence]]:
        """Yield the pauses that count, each with the number of its utterance."""
        for silence in self.silences:
            if silence.kind == "hold" and silence.end_ms - silence.start_ms >= LEAST_HOLD_MS:
                for number, utterance in enumerate(self.utterances):
                    if utterance.start_ms <= silence.start_ms < utterance.end_ms and utterance.kind == "turn":
                        yield number, silence


def utterances_between(silences: tuple[Silence, ...]) -> tuple[Utterance, ...]:
    """Return the turns that the ends of turn in `silences` leave, for labels that name none."""
    ends = [silence for silence in silences if silence.kind == "eot"]
    starts = [0.0, *(silence.end_ms for silence in ends)]
    return tuple(Utterance(start, end.start_ms) for start, end in zip(starts, ends, strict=False))
