"""Sound as numbers: where a voice begins and ends, cutting, lengthening, noise, and µ-law files."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

RATE = 8_000
PER_MS = RATE // 1_000

HOP_MS, WINDOW_MS = 10, 20
SOFTEST_DB = 33.0
"""What is so much below the louder parts of a clip (95th percentile) is silence."""
LOUD_PERCENTILE = 95
QUIETEST = 1e-12
SHORTEST_SILENCE_MS = 100
"""Shorter silences are part of the speech (eot-bench counts the same way)."""
LEAD_MS, TRAIL_MS = 10, 40
"""Kept of a recording around its voice."""
FADE_MS = 5
CROSSFADE_MS = 15

type Sound = NDArray[np.float32]
type Span = tuple[int, int]


def silence(ms: int) -> Sound:
    """Return digital silence; the noise of the line is laid under the whole call later."""
    return np.zeros(ms * PER_MS, np.float32)


def length_ms(sound: Sound) -> int:
    """Return whole milliseconds."""
    return len(sound) // PER_MS


def voiced(sound: Sound) -> list[Span]:
    """Return where there is voice, in ms: runs with silences shorter than 100 ms inside."""
    hop, window = HOP_MS * PER_MS, WINDOW_MS * PER_MS
    starts = range(0, max(1, len(sound) - window + 1), hop)
    levels = 10 * np.log10(np.maximum([float(np.mean(sound[at : at + window] ** 2)) for at in starts], QUIETEST))
    loud = np.flatnonzero(levels > np.percentile(levels, LOUD_PERCENTILE) - SOFTEST_DB)
    spans: list[Span] = []
    for at in loud:
        start, end = int(at) * HOP_MS, int(at) * HOP_MS + WINDOW_MS
        if spans and start - spans[-1][1] < SHORTEST_SILENCE_MS:
            spans[-1] = (spans[-1][0], end)
        else:
            spans.append((start, end))
    return spans


def trim(sound: Sound) -> Sound:
    """Cut off what is before and after the voice, with soft edges."""
    spans = voiced(sound)
    start = max(0, (spans[0][0] - LEAD_MS) * PER_MS)
    return soften(sound[start : (spans[-1][1] + TRAIL_MS) * PER_MS])


def soften(sound: Sound) -> Sound:
    """Fade both edges over 5 ms, so that a cut is no click."""
    ramp = np.linspace(0, 1, FADE_MS * PER_MS, dtype=np.float32)
    soft = sound.copy()
    soft[: len(ramp)] *= ramp
    soft[-len(ramp) :] *= ramp[::-1]
    return soft


def lengthen(sound: Sound, span: Span, times: int) -> Sound:
    """Repeat a steady part, given in ms, so that a vowel or nasal is drawn out."""
    start, end = span[0] * PER_MS, span[1] * PER_MS
    result = sound[:end]
    for _ in range(times):
        result = _join(result, sound[start:end])
    return _join(result, sound[end - CROSSFADE_MS * PER_MS :])


def _join(first: Sound, second: Sound) -> Sound:
    ramp = np.linspace(0, 1, CROSSFADE_MS * PER_MS, dtype=np.float32)
    middle = first[-len(ramp) :] * (1 - ramp) + second[: len(ramp)] * ramp
    return np.concatenate([first[: -len(ramp)], middle, second[len(ramp) :]])


def pink(rng: np.random.Generator, samples: int) -> Sound:
    """Return noise of RMS 1 whose power falls by 3 dB an octave."""
    spectrum = np.fft.rfft(rng.normal(0, 1, samples))
    spectrum /= np.sqrt(np.maximum(np.arange(len(spectrum)), 1))
    return _unit(np.fft.irfft(spectrum, samples).astype(np.float32))


def babble(rng: np.random.Generator, voices: Sequence[Sound], samples: int) -> Sound:
    """Return the voices on top of each other, each from a place of its own and over again, at RMS 1."""
    tracks = [np.roll(np.resize(voice, samples), int(rng.integers(samples))) for voice in voices]
    return _unit(np.sum([_unit(track) for track in tracks], axis=0, dtype=np.float32))


def _unit(sound: Sound) -> Sound:
    return (sound / rms(sound)).astype(np.float32)


def rms(sound: Sound) -> float:
    """Return the root of the mean square."""
    return float(np.sqrt(np.mean(sound.astype(np.float64) ** 2)))


def read(path: Path) -> Sound:
    """Read a mono file at 8 kHz; SystemExit says what else it is."""
    samples, rate = soundfile.read(path, dtype="float32")
    if rate != RATE or samples.ndim != 1:
        raise SystemExit(f"{path}: expected mono at {RATE} Hz; found {samples.shape} at {rate} Hz")
    return np.asarray(samples, np.float32)


def write(path: Path, sound: Sound) -> None:
    """Write a µ-law WAV (ITU-T G.711)."""
    soundfile.write(path, np.clip(sound, -1, 1), RATE, subtype="ULAW", format="WAV")
