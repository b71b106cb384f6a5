"""Turns an audio file into what a telephone hears: raw µ-law, 8 kHz, mono."""

import io
import struct
from collections.abc import Iterator

import audioop
import numpy as np
import soundfile
import soxr

from voicebot.errors import PeerProtocolError

PEER = "audio"
SAMPLE_RATE = 8_000
MAX_CHANNELS = 16
MAX_SAMPLE_RATE = 384_000
BLOCK_FRAMES = 65_536
"""Decoded at a time, because a small file can hold much silence."""
WAVE_FORMAT_MULAW = 7
FORMAT_BYTES = 16
"""The part of a WAV file's `fmt ` chunk that all encodings have."""


def to_telephone(data: bytes, max_seconds: float, name: str) -> bytes:
    """Convert; µ-law WAV files of the right rate are taken as they are; raises PeerProtocolError, `name` in its text."""
    raw = _telephone_wav(data)
    if raw is None:
        raw = _decode(data, max_seconds, name)
    if len(raw) > max_seconds * SAMPLE_RATE:
        raise _too_long(name, max_seconds)
    if not raw:
        raise PeerProtocolError(PEER, f"{name}: no audio in it")
    return raw


def _telephone_wav(data: bytes) -> bytes | None:
    """Return the samples of a WAV file that needs no conversion."""
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        return None
    right = False
    position = 12
    while position + 8 <= len(data):
        kind, size = struct.unpack_from("<4sI", data, position)
        body = data[position + 8 : position + 8 + size]
        if kind == b"fmt " and len(body) >= FORMAT_BYTES:
            right = struct.unpack_from("<HHI", body) == (WAVE_FORMAT_MULAW, 1, SAMPLE_RATE)
        if kind == b"data":
            return body if right else None
        position += 8 + size + size % 2
    return None


def _decode(data: bytes, max_seconds: float, name: str) -> bytes:
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as file:
            if file.channels > MAX_CHANNELS or not 0 < file.samplerate <= MAX_SAMPLE_RATE:
                raise PeerProtocolError(PEER, f"{name}: {file.channels} channels at {file.samplerate} Hz")
            return b"".join(_convert(file, max_seconds, name))
    except soundfile.LibsndfileError as error:
        raise PeerProtocolError(
            PEER, f"{name}: cannot be read as wav, mp3, flac, ogg, aiff or au: {error.error_string}"
        ) from error


def _convert(file: soundfile.SoundFile, max_seconds: float, name: str) -> Iterator[bytes]:
    resampler = soxr.ResampleStream(file.samplerate, SAMPLE_RATE, 1, dtype="float32")
    frames = 0
    while True:
        block = file.read(BLOCK_FRAMES, dtype="float32", always_2d=True)
        frames += len(block)
        if frames > max_seconds * file.samplerate:
            raise _too_long(name, max_seconds)
        last = len(block) < BLOCK_FRAMES
        samples = resampler.resample_chunk(np.ascontiguousarray(block.mean(axis=1)), last=last)
        linear = (np.clip(np.nan_to_num(samples), -1, 1) * 32_767).astype("<i2")
        yield audioop.lin2ulaw(linear.tobytes(), 2)
        if last:
            return


def _too_long(name: str, max_seconds: float) -> PeerProtocolError:
    return PeerProtocolError(PEER, f"{name}: longer than {max_seconds:g} s")
