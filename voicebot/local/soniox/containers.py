"""Decodes audio files while they are still arriving: WAV as a stream, FLAC, OGG, MP3 and AIFF from a growing buffer."""

import io
from typing import override

import numpy as np
import soundfile

from voicebot.local.engines.base import Samples
from voicebot.local.soniox.audio import WIDE_RATE, AudioDecoder, RawDecoder, Resampler, mix, nothing
from voicebot.local.soniox.refusals import DECODE_ERROR, TOO_LONG, Refused, invalid
from voicebot.local.soniox.wav import read_header

MAX_BYTES = 32 * 1024 * 1024
"""Largest compressed file: it is kept whole in memory and opened again as it grows."""
SNIFF_BYTES = 12
GIVE_UP_BYTES = 256 * 1024
"""A file of a known kind that still cannot be opened after this much is broken."""
STEP_BYTES = 4096
STEP_PART = 32
"""It is opened again when it has grown by a 32nd (at least 4 KiB), which keeps the work in proportion to its length."""
BLOCKS_PER_SECOND = 4
HOLD_BACK_PART = 20
"""The last 50 ms of an unfinished file stay undecoded: a cut frame decodes differently once the rest is there."""

SIGNATURES: tuple[tuple[bytes, int, str], ...] = (
    (b"RIFF", 0, "wav"),
    (b"fLaC", 0, "flac"),
    (b"OggS", 0, "ogg"),
    (b"FORM", 0, "aiff"),
    (b"ID3", 0, "mp3"),
    (b"#!AMR", 0, "amr"),
    (b"\x30\x26\xb2\x75", 0, "asf"),
    (b"\x1a\x45\xdf\xa3", 0, "webm"),
    (b"ftyp", 4, "mp4"),
)
MP3_SYNC = frozenset({0xFA, 0xFB, 0xF2, 0xF3, 0xE2, 0xE3})
"""Second byte of an MPEG layer III frame; runs of 0xFF, which are µ-law silence, must not look like MP3."""
AAC_SYNC = frozenset({0xF0, 0xF1, 0xF8, 0xF9})
DECODABLE = frozenset({"wav", "flac", "ogg", "aiff", "mp3"})


def sniff(head: bytes) -> str | None:
    """The kind of file that starts with `head` (at least 12 bytes); None when no container is recognised."""
    for signature, at, kind in SIGNATURES:
        if head[at : at + len(signature)] == signature:
            return kind
    if head[0] == 0xFF and head[1] in MP3_SYNC:  # noqa: PLR2004 - the sync byte of every MPEG audio frame
        return "mp3"
    if head[0] == 0xFF and head[1] in AAC_SYNC:  # noqa: PLR2004 - as above
        return "aac"
    return None


class ContainerDecoder(AudioDecoder):
    """Waits for the first bytes, then hands everything to the decoder of what they are."""

    rate = WIDE_RATE

    def __init__(self) -> None:
        self._head = b""
        self._inner: WavDecoder | GrowingFile | None = None
        self.recognised = False

    @override
    def feed(self, data: bytes) -> Samples:
        if self._inner is None:
            self._head += data
            if len(self._head) > MAX_BYTES:
                raise Refused(TOO_LONG)
            if len(self._head) < SNIFF_BYTES:
                return nothing()
            self._inner, data = _decoder(sniff(self._head)), self._head
            self.recognised = self._inner is not None
        return nothing() if self._inner is None else self._inner.feed(data)

    @override
    def finish(self) -> Samples:
        if self._inner is None:
            if self._head:
                raise Refused(DECODE_ERROR)
            return nothing()
        return self._inner.finish()


def _decoder(kind: str | None) -> "WavDecoder | GrowingFile | None":
    if kind is None:
        return None
    if kind not in DECODABLE:
        raise Refused(
            invalid(f"Audio decode error: the local server cannot decode {kind}, only {', '.join(sorted(DECODABLE))}.")
        )
    return WavDecoder() if kind == "wav" else GrowingFile()


class WavDecoder:
    """A WAV header, then raw samples; sizes in the header are ignored, as a live stream cannot know them."""

    def __init__(self) -> None:
        self._head = b""
        self._raw: RawDecoder | None = None

    def feed(self, data: bytes) -> Samples:
        """Decode what is there, at 16 kHz."""
        if self._raw is None:
            self._head += data
            header = read_header(self._head)
            if header is None:
                return nothing()
            self._raw, data = RawDecoder(header.audio, WIDE_RATE), self._head[header.data_at :]
            self._head = b""
        return self._raw.feed(data)

    def finish(self) -> Samples:
        """Decode the rest, at 16 kHz."""
        if self._raw is None:
            raise Refused(DECODE_ERROR)
        return self._raw.finish()


class GrowingFile:
    """A compressed file read through libsndfile, which wants whole files: opened again whenever enough has come."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._tried = 0
        self._done = 0
        self._resampler: Resampler | None = None

    def feed(self, data: bytes) -> Samples:
        """Decode what is there, at 16 kHz."""
        self._data += data
        if len(self._data) > MAX_BYTES:
            raise Refused(TOO_LONG)
        if len(self._data) - self._tried < max(STEP_BYTES, len(self._data) // STEP_PART):
            return nothing()
        return self._decode(last=False)

    def finish(self) -> Samples:
        """Decode the rest, at 16 kHz."""
        rest = self._decode(last=True)
        return rest if self._resampler is None else np.concatenate([rest, self._resampler.finish()])

    def _decode(self, *, last: bool) -> Samples:
        self._tried = len(self._data)
        try:
            with soundfile.SoundFile(io.BytesIO(self._data)) as file:
                fresh, rate, channels = self._read(file, last=last), file.samplerate, file.channels
        except soundfile.LibsndfileError as broken:
            if last or len(self._data) > GIVE_UP_BYTES:
                raise Refused(DECODE_ERROR) from broken
            return nothing()
        if self._resampler is None:
            self._resampler = Resampler(rate, WIDE_RATE)
        return self._resampler.feed(mix(fresh.reshape(-1), channels))

    def _read(self, file: soundfile.SoundFile, *, last: bool) -> Samples:
        """Everything not read before; an error after the first block only means that the file is cut there."""
        file.seek(self._done)
        blocks: list[Samples] = []
        try:
            while len(block := file.read(file.samplerate // BLOCKS_PER_SECOND, dtype="float32", always_2d=True)):
                blocks.append(block)
        except soundfile.LibsndfileError:
            if not self._done and not blocks:
                raise
        fresh = np.concatenate(blocks) if blocks else np.zeros((0, file.channels), dtype=np.float32)
        if not last:
            fresh = fresh[: max(0, len(fresh) - file.samplerate // HOLD_BACK_PART)]
        self._done += len(fresh)
        return fresh
