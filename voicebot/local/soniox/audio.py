"""Turns the bytes a client sends into mono float32 samples at 8 or 16 kHz, as they come."""

from typing import Protocol, override

import audioop
import numpy as np
import soxr
from numpy.typing import NDArray

from voicebot.local.engines.base import Samples
from voicebot.local.soniox.formats import AudioFormat, SampleFormat

NARROW_RATE, WIDE_RATE = 8_000, 16_000
"""What the engines take: telephone audio stays as it is, everything else becomes 16 kHz."""


class AudioDecoder(Protocol):
    """One stream's decoder; blocking, so it runs where engines run."""

    rate: int
    """Samples per second of what comes out."""

    recognised: bool
    """Whether the format of the audio is known by now (always for raw formats)."""

    def feed(self, data: bytes) -> Samples:
        """Decode what can be decoded; raises Refused when it never can be."""
        ...

    def finish(self) -> Samples:
        """Decode the rest: the stream is over."""
        ...


class Resampler:
    """One stream's change of rate; the identity when both rates are equal."""

    def __init__(self, source_rate: int, rate: int) -> None:
        self._stream = None if source_rate == rate else soxr.ResampleStream(source_rate, rate, 1, dtype="float32")

    def feed(self, samples: Samples) -> Samples:
        """The next samples at the new rate; a few milliseconds stay inside until more come."""
        return samples if self._stream is None else self._stream.resample_chunk(samples)

    def finish(self) -> Samples:
        """What was still inside."""
        return nothing() if self._stream is None else self._stream.resample_chunk(nothing(), last=True)


class RawDecoder(AudioDecoder):
    """Raw samples: cut at sample borders, converted, mixed to one channel, resampled to `rate` when need be."""

    recognised = True

    def __init__(self, audio: AudioFormat, rate: int | None = None) -> None:
        if audio.sample is None:
            raise ValueError(f"{audio.name} is a container, not a raw format")
        self.rate = rate or (NARROW_RATE if audio.rate == NARROW_RATE else WIDE_RATE)
        self._sample = audio.sample
        self._channels = audio.channels
        self._frame_bytes = audio.frame_bytes
        self._rest = b""
        self._resampler = Resampler(audio.rate, self.rate)

    @override
    def feed(self, data: bytes) -> Samples:
        data = self._rest + data if self._rest else data
        usable = len(data) - len(data) % self._frame_bytes
        self._rest = data[usable:]
        return self._resampler.feed(mix(to_float(data[:usable], self._sample), self._channels))

    @override
    def finish(self) -> Samples:
        return self._resampler.finish()


def nothing() -> Samples:
    """No samples."""
    return np.zeros(0, dtype=np.float32)


def mix(samples: Samples, channels: int) -> Samples:
    """Interleaved channels averaged to one."""
    if channels == 1:
        return samples
    return np.asarray(samples.reshape(-1, channels).mean(axis=1), dtype=np.float32)


def to_float(data: bytes, sample: SampleFormat) -> Samples:
    """Whole raw samples as float32 in -1..1; values that are not numbers become silence."""
    match sample.encoding:
        case "mulaw":
            return _scaled(np.frombuffer(audioop.ulaw2lin(data, 2), dtype=np.int16), 16)
        case "alaw":
            return _scaled(np.frombuffer(audioop.alaw2lin(data, 2), dtype=np.int16), 16)
        case "float":
            floats = np.frombuffer(data, dtype=_type("f", sample)).astype(np.float32)
            return np.clip(np.nan_to_num(floats), -1.0, 1.0)
        case "signed" | "unsigned":
            return _integers(data, sample)


def _integers(data: bytes, sample: SampleFormat) -> Samples:
    width = sample.width
    if width == 3:  # noqa: PLR2004 - no such machine type: three bytes are read as the upper three of four
        padded = np.zeros((len(data) // 3, 4), dtype=np.uint8)
        padded[:, slice(0, 3) if sample.big_endian else slice(1, 4)] = np.frombuffer(data, dtype=np.uint8).reshape(
            -1, 3
        )
        data, width = padded.tobytes(), 4
    wide = SampleFormat(sample.encoding, width, sample.big_endian)
    if sample.encoding == "signed":
        return _scaled(np.frombuffer(data, dtype=_type("i", wide)), 8 * width)
    centred = np.frombuffer(data, dtype=_type("u", wide)).astype(np.int64) - (1 << (8 * width - 1))
    return _scaled(centred, 8 * width)


def _type(kind: str, sample: SampleFormat) -> str:
    return f"{'>' if sample.big_endian else '<'}{kind}{sample.width}"


def _scaled(values: NDArray[np.signedinteger], bits: int) -> Samples:
    return np.asarray(values / float(1 << (bits - 1)), dtype=np.float32)
