"""What the local Soniox server asks of an engine: hear a segment, notice speech, speak a sentence."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

type Samples = NDArray[np.float32]
"""Mono audio as float32 in -1..1; the rate is always said beside it."""


@dataclass(frozen=True, slots=True)
class HeardWord:
    """One recognised word without surrounding space, with the recogniser's own certainty from 0 to 1."""

    text: str
    confidence: float


class Recogniser(Protocol):
    """Turns one whole segment of speech into words; safe to call from several threads at once."""

    finals_only: bool
    """True when one decode costs so much that growing segments must not be decoded again and again."""

    def decode(self, samples: Samples, rate: int) -> tuple[HeardWord, ...]:
        """Recognise a segment sampled at `rate` Hz (8000 or 16000); an empty tuple when it holds no words."""
        ...


class SpeechGate(Protocol):
    """Watches one audio stream, frame by frame; keeps state, so one gate belongs to one stream."""

    def probability(self, frame: Samples) -> float:
        """Probability from 0 to 1 that this 32 ms frame holds speech."""
        ...


class Voice(Protocol):
    """Speaks one sentence; safe to call from several threads at once."""

    rate: int
    """Samples per second of what `speak` returns."""

    languages: frozenset[str]
    """Two-letter codes this voice can speak; an empty set means any."""

    def speak(self, text: str, *, language: str, speed: float) -> bytes:
        """Synthesise `text` as signed 16-bit little-endian mono PCM at `rate`; empty when there is nothing to say."""
        ...


@dataclass(frozen=True, slots=True)
class Hearing:
    """The two engines that recognition needs: a shared recogniser and a maker of gates, one per stream."""

    recogniser: Recogniser
    open_gate: Callable[[int], SpeechGate]


@dataclass(frozen=True, slots=True)
class Engines:
    """Everything loaded for one server; `hearing` is missing when a script answers instead."""

    hearing: Hearing | None
    voice: Voice
