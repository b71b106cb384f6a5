"""Reads a WAV header from the first bytes of a stream, and writes the header of a stream of unknown length."""

import struct
from dataclasses import dataclass

from voicebot.local.soniox.formats import AudioFormat, Encoding, SampleFormat
from voicebot.local.soniox.refusals import DECODE_ERROR, Refused, invalid

RIFF_BYTES = 12
CHUNK = struct.Struct("<4sI")
FMT = struct.Struct("<HHIIHH")
EXTENSIBLE = 0xFFFE
SUBFORMAT_AT = 24
MAX_HEADER_BYTES = 1 << 20
"""Chunks before the samples (pictures, cue lists) larger than this are taken for a broken file."""
UNKNOWN_SIZE = 0xFFFFFFFF
TAGS: dict[int, Encoding] = {1: "signed", 3: "float", 6: "alaw", 7: "mulaw"}
PCM_TAG = 1


@dataclass(frozen=True, slots=True)
class WavHeader:
    """How the samples are written and at which byte they start."""

    audio: AudioFormat
    data_at: int


def read_header(head: bytes) -> WavHeader | None:
    """The header in `head`, None while more bytes are needed; raises Refused when it is no WAV we can decode."""
    if len(head) < RIFF_BYTES:
        return None
    if head[8:12] != b"WAVE":
        raise Refused(DECODE_ERROR)
    audio: AudioFormat | None = None
    at = RIFF_BYTES
    while at + CHUNK.size <= len(head):
        name, size = CHUNK.unpack_from(head, at)
        at += CHUNK.size
        if name == b"data":
            if audio is None:
                raise Refused(DECODE_ERROR)
            return WavHeader(audio, at)
        if size > MAX_HEADER_BYTES:
            raise Refused(DECODE_ERROR)
        if name == b"fmt " and at + size <= len(head):
            audio = _format(head[at : at + size])
        at += size + size % 2
    return None


def _format(chunk: bytes) -> AudioFormat:
    if len(chunk) < FMT.size:
        raise Refused(DECODE_ERROR)
    tag, channels, rate, _, _, bits = FMT.unpack_from(chunk)
    if tag == EXTENSIBLE and len(chunk) >= SUBFORMAT_AT + 2:
        tag = int.from_bytes(chunk[SUBFORMAT_AT : SUBFORMAT_AT + 2], "little")
    encoding = TAGS.get(tag)
    if encoding is None or not channels or not rate or bits not in _widths(encoding):
        raise Refused(invalid(f"Audio decode error: WAV format tag {tag} with {bits} bits is not supported."))
    if encoding == "signed" and bits == 8:  # noqa: PLR2004 - one-byte samples are unsigned in WAV
        encoding = "unsigned"
    return AudioFormat("wav", SampleFormat(encoding, bits // 8), rate, channels)


def _widths(encoding: Encoding) -> tuple[int, ...]:
    match encoding:
        case "mulaw" | "alaw":
            return (8,)
        case "float":
            return (32, 64)
        case "signed" | "unsigned":
            return (8, 16, 24, 32)


def stream_header(rate: int) -> bytes:
    """The header of a 16-bit mono WAV whose length is not known yet."""
    fmt = FMT.pack(PCM_TAG, 1, rate, rate * 2, 2, 16)
    riff = CHUNK.pack(b"RIFF", UNKNOWN_SIZE) + b"WAVE"
    return riff + CHUNK.pack(b"fmt ", len(fmt)) + fmt + CHUNK.pack(b"data", UNKNOWN_SIZE)
