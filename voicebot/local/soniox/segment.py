"""One stretch of speech between two silences: its frames, which of them hold voice, and its words in time."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from voicebot.local.engines.base import HeardWord, Samples

FRAME_MS = 32
TRAIL_FRAMES = 8
"""Silence kept after the last voiced frame when decoding (256 ms): enough for a breathy end, no more to invent words in."""
TAIL_FRAMES = 6
"""The end of a voice is its last 192 ms."""
LOUD_PERCENTILE, FLOOR_PERCENTILE = 90, 5
SOFTEST_DB = 30.0
"""Where the voice ends: nothing softer than this below its louder frames is voice,"""
OVER_FLOOR_DB = 4.0
"""nor anything this close to the noise of the line."""
QUIETEST = 1e-10
"""Energy of digital silence, so that it has a logarithm."""
CUT_WINDOW_FRAMES = 94
"""An overlong segment is cut in the quietest frame of its last 3 s."""


@dataclass(frozen=True, slots=True)
class TimedWord:
    """
    A recognised word with its place in the stream, in ms from the first byte of audio.

    The recogniser gives no times: `start_ms` and `end_ms` are interpolated over the voiced part of the segment in
    proportion to the number of characters, so a long pause inside a segment shifts them.
    """

    text: str
    confidence: float
    start_ms: int
    end_ms: int


class Segment:
    """Frames from a little before the onset; `first` is the number of its first frame in the stream."""

    def __init__(self, first: int, frames: Sequence[Samples], chances: Sequence[float], floor: float) -> None:
        self.first = first
        self._floor = floor
        self._frames = list(frames)
        self._chances = list(chances)

    def add(self, frame: Samples, chance: float) -> None:
        """Append the next frame and its probability of speech."""
        self._frames.append(frame)
        self._chances.append(chance)

    def __len__(self) -> int:
        return len(self._frames)

    @property
    def voiced(self) -> int:
        """How many frames hold voice."""
        return sum(chance >= self._floor for chance in self._chances)

    @property
    def last_voiced(self) -> int:
        """Number in the stream of the last voiced frame."""
        return self.first + self._voiced_places()[-1]

    def audio(self) -> Samples:
        """What to decode: everything up to shortly after the last voiced frame."""
        places = self._voiced_places()
        return np.concatenate(self._frames[: places[-1] + 1 + TRAIL_FRAMES])

    def fall_db(self) -> float:
        """
        How far the voice has faded at its end, in dB below the louder frames of the segment.

        The gate stays open a little after the voice, so the end is sought in the energy of the frames.
        """
        levels = 10 * np.log10(np.maximum([float(np.mean(frame**2)) for frame in self._frames], QUIETEST))
        loud, floor = np.percentile(levels, (LOUD_PERCENTILE, FLOOR_PERCENTILE))
        sounding = np.flatnonzero(levels > max(loud - SOFTEST_DB, floor + OVER_FLOOR_DB))
        end = int(sounding[-1]) + 1 if len(sounding) else len(levels)
        return float(loud - levels[max(0, end - TAIL_FRAMES) : end].mean())

    def place(self, words: Sequence[HeardWord]) -> tuple[TimedWord, ...]:
        """Spread words over the voiced part (see TimedWord)."""
        places = self._voiced_places()
        start, end = (self.first + places[0]) * FRAME_MS, (self.first + places[-1] + 1) * FRAME_MS
        return spread(words, start, end)

    def cut(self) -> "tuple[Segment, Segment]":
        """Split in the quietest frame near the end: the part to settle now, and the part that goes on."""
        window = self._chances[-CUT_WINDOW_FRAMES:]
        at = len(self._frames) - len(window) + int(np.argmin(window))
        at = min(max(at, 1), len(self._frames) - 1)
        before = Segment(self.first, self._frames[:at], self._chances[:at], self._floor)
        after = Segment(self.first + at, self._frames[at:], self._chances[at:], self._floor)
        return before, after

    def _voiced_places(self) -> list[int]:
        return [place for place, chance in enumerate(self._chances) if chance >= self._floor] or [0]


def spread(words: Sequence[HeardWord], start_ms: int, end_ms: int) -> tuple[TimedWord, ...]:
    """Words over a span of time, each as wide as its share of the characters."""
    total = sum(len(word.text) + 1 for word in words) or 1
    timed = []
    seen = 0
    for word in words:
        begin = start_ms + (end_ms - start_ms) * seen // total
        seen += len(word.text) + 1
        timed.append(TimedWord(word.text, word.confidence, begin, start_ms + (end_ms - start_ms) * seen // total))
    return tuple(timed)
