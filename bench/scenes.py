"""Telephone lines for measuring: recorded speech with pauses between, at a level, in a noise, and where it sounds."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import audioop
import numpy as np
import soundfile
from numpy.typing import NDArray

type Samples = NDArray[np.float64]
type Spans = tuple[tuple[int, int], ...]
"""(first, last) millisecond of sounds, in order."""

SHIPPED = Path(__file__).parents[1] / "voicebot" / "local" / "speech"
RATE, FRAME = 8_000, 160
LEVEL_DB = -24.0
"""RMS of speech on an ordinary line, against full scale."""
SOUND_DB, DIM_DB = -30.0, 20.0
"""A frame sounds when it is no softer than this against the loud frames of its clip, and stands out of the room by that."""
JOIN_MS, LEAST_MS = 250, 60
PAUSE_MS = (900, 1_700, 1_300)
VOICES = 6
"""People talking at once in babble."""


@dataclass(frozen=True, slots=True)
class Scene:
    """One line: its µ-law bytes, and where speech sounds on it."""

    name: str
    audio: bytes
    spoken: Spans


def clips(folder: Path, pattern: str = "*.wav") -> list[Samples]:
    """Return the recordings of a folder, 8 kHz, at the usual level of speech."""
    found = sorted(folder.rglob(pattern))
    return [_levelled(soundfile.read(path, dtype="int16")[0].astype(np.float64)) for path in found]


def sounds(samples: Samples) -> Spans:
    """Return where a clean recording sounds, by the energy of its 10 ms pieces; short pauses belong to the speech."""
    pieces = samples[: len(samples) // 80 * 80].reshape(-1, 80)
    level = 10 * np.log10(np.mean(pieces**2, axis=1) + 1)
    loud = level > max(np.percentile(level, 95) + SOUND_DB, min(np.min(level) + DIM_DB, np.percentile(level, 95) - 20))
    spans: list[tuple[int, int]] = []
    for start, end in _runs(loud):
        if spans and start - spans[-1][1] < JOIN_MS:
            spans[-1] = (spans[-1][0], end)
        else:
            spans.append((start, end))
    return tuple(span for span in spans if span[1] - span[0] >= LEAST_MS)


def scene(
    name: str, spoken: Sequence[Samples], *, gain_db: float = 0.0, noise: Callable[[int], Samples] | None = None
) -> Scene:
    """Lay recordings out with pauses between, over a noise that is there all the time."""
    parts: list[Samples] = [np.zeros(2 * RATE)]
    spans: list[tuple[int, int]] = []
    at = 2_000
    for index, clip in enumerate(spoken):
        spans += [(at + start, at + end) for start, end in sounds(clip)]
        pause = np.zeros(PAUSE_MS[index % len(PAUSE_MS)] * 8)
        parts += [clip, pause]
        at += (len(clip) + len(pause)) // 8
    line = np.concatenate(parts)
    if noise is not None:
        line += noise(len(line))
    return Scene(name, ulaw(line * 10 ** (gain_db / 20)), tuple(spans))


def coloured(kind: str, below_db: float, seed: int = 1) -> Callable[[int], Samples]:
    """Return a maker of white or pink noise, so far below the usual level of speech."""
    rng = np.random.default_rng(seed)

    def make(count: int) -> Samples:
        samples = rng.standard_normal(count)
        if kind == "pink":
            spectrum = np.fft.rfft(samples)
            samples = np.fft.irfft(spectrum / np.sqrt(np.maximum(1, np.arange(len(spectrum)))), count)
        return _levelled(samples, LEVEL_DB - below_db)

    return make


def babble(spoken: Sequence[Samples], below_db: float) -> Callable[[int], Samples]:
    """Return a maker of many voices at once, so far below the usual level of speech."""

    def make(count: int) -> Samples:
        pool = np.concatenate(list(spoken))
        voices = [np.resize(np.roll(pool, -index * len(pool) // VOICES - 4_001), count) for index in range(VOICES)]
        return _levelled(np.sum(voices, axis=0), LEVEL_DB - below_db)

    return make


def ulaw(samples: Samples) -> bytes:
    """Return samples as the carrier would send them."""
    return audioop.lin2ulaw(np.clip(samples, -32_768, 32_767).astype("<i2").tobytes(), 2)


def _levelled(samples: Samples, level_db: float = LEVEL_DB) -> Samples:
    loud = samples[np.abs(samples) > np.max(np.abs(samples)) / 100]
    return samples * float(32_768 * 10 ** (level_db / 20) / np.sqrt(np.mean(loud**2)))


def _runs(loud: NDArray[np.bool_]) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate([[False], loud, [False]]).astype(int)))
    return [(int(start) * 10, int(end) * 10) for start, end in edges.reshape(-1, 2)]
