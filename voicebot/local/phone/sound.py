"""Sound in and out of files, always as the telephone has it: µ-law, 8 kHz, one channel."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import audioop
import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from voicebot.local.phone.playout import SAMPLE_RATE

#: Bytes of one 20 ms frame.
FRAME_BYTES: Final = 160
#: Length of one frame, in milliseconds.
FRAME_MS: Final = 20
#: µ-law bytes per millisecond.
BYTES_PER_MS: Final = SAMPLE_RATE // 1000
#: Digital silence, as filler for what was not played.
SILENT_BYTE: Final = b"\xff"
#: Root mean square (of 16 bits) from which a frame counts as sound: about -46 dB below full scale.
LOUD_RMS: Final = 160
_FULL_SCALE: Final = 32767


class SoundError(ValueError):
    """A file that holds no sound we can read."""


def read_sound(source: Path | bytes) -> bytes:
    """WAV, FLAC, OGG, MP3 ... as µ-law at 8 kHz, mixed to one channel; raises `SoundError` naming the file."""
    name = str(source) if isinstance(source, Path) else f"{len(source)} bytes of audio"
    if isinstance(source, Path) and not source.is_file():
        raise SoundError(f"{name}: there is no such file")
    try:
        opened = source if isinstance(source, Path) else io.BytesIO(source)
        samples, rate = soundfile.read(opened, dtype="float32", always_2d=True)
    except (soundfile.SoundFileError, OSError) as error:
        raise SoundError(f"{name}: not a readable sound file ({error}); use WAV, FLAC, OGG or MP3") from error
    return _encode(samples.mean(axis=1), rate)


def from_pcm(pcm: bytes, rate: int) -> bytes:
    """Signed 16-bit little-endian mono sound at `rate` samples per second as µ-law at 8 kHz."""
    return _encode(np.frombuffer(pcm, dtype="<i2").astype(np.float32) / np.float32(_FULL_SCALE), rate)


def _encode(mono: NDArray[np.float32], rate: int) -> bytes:
    if rate != SAMPLE_RATE:
        mono = soxr.resample(mono, rate, SAMPLE_RATE)
    linear = (np.clip(mono, -1.0, 1.0) * _FULL_SCALE).astype("<i2").tobytes()
    return audioop.lin2ulaw(linear, 2)


def write_stereo(path: Path, left: bytes, right: bytes) -> None:
    """Write two µ-law channels as a 16-bit stereo WAV at 8 kHz, the shorter one padded with silence."""
    length = max(len(left), len(right))
    channels: Sequence[bytes] = [side.ljust(length, SILENT_BYTE) for side in (left, right)]
    linear = [np.frombuffer(audioop.ulaw2lin(side, 2), dtype="<i2") for side in channels]
    soundfile.write(path, np.stack(linear, axis=1), SAMPLE_RATE, subtype="PCM_16", format="WAV")


def is_loud(audio: bytes) -> bool:
    """Whether a piece of µ-law is sound rather than silence or comfort noise."""
    return bool(audio) and audioop.rms(audioop.ulaw2lin(audio, 2), 2) >= LOUD_RMS


def silence(length_ms: float) -> bytes:
    """So many milliseconds of digital silence."""
    return SILENT_BYTE * round(length_ms * BYTES_PER_MS)
