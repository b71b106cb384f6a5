"""The sound of a recorded call as a stereo WAV file, any part of which can be had by itself."""

import struct
from collections.abc import Iterable
from dataclasses import dataclass, field

import audioop

from voicebot.core.audio import BYTES_PER_MS, SAMPLE_RATE, SILENCE
from voicebot.core.events import Track
from voicebot.core.recording import Audio, BotAudio, BotCleared, Head, Leg, Line

PCM, WIDTH, CHANNELS = 1, 2, 2
_FRAME = WIDTH * CHANNELS
HEADER_BYTES = 44
MAX_MS = 12 * 3_600_000
"""Sound further from the start than this is left out: twelve hours are 1.4 GB of file, near the limit of WAV."""


@dataclass(slots=True)
class _Side:
    """One ear: raw µ-law from the call's start."""

    sound: bytearray = field(default_factory=bytearray)

    def put(self, at_ms: float, payload: bytes) -> None:
        """Lay sound at its time; a hole before it is silence, what was there is replaced."""
        at = max(0, round(at_ms)) * BYTES_PER_MS
        if at > MAX_MS * BYTES_PER_MS:
            return
        if at > len(self.sound):
            self.sound.extend(SILENCE * (at - len(self.sound)))
        self.sound[at : at + len(payload)] = payload

    def cut(self, at_ms: float) -> None:
        """Take away what lies after a time."""
        del self.sound[max(0, round(at_ms)) * BYTES_PER_MS :]


class StereoSound:
    """The sound of one recording, from the head of the recording on: the caller left, the other side right."""

    def __init__(self, lines: Iterable[Line]) -> None:
        self._sides: dict[Track, _Side] = {"caller": _Side(), "agent": _Side()}
        zeros: dict[Track, float] = {}
        for line in lines:
            match line:
                case Head():
                    self.call = line.call
                case Leg(track=track, zero_ms=zero):
                    zeros[track] = zero
                case Audio(track=track, at_ms=at, payload=payload):
                    self._sides[track].put(zeros.get(track, 0.0) + at, payload)
                case BotAudio(at_ms=at, payload=payload):
                    self._sides["agent"].put(at, payload)
                case BotCleared(t_ms=now):
                    self._sides["agent"].cut(now)
                case _:
                    pass
        self._samples = max(len(side.sound) for side in self._sides.values())

    call = ""
    """Whose sound it is."""

    @property
    def silent(self) -> bool:
        """There is no sound: the recording holds none."""
        return not self._samples

    @property
    def size(self) -> int:
        """Bytes of the whole file."""
        return HEADER_BYTES + self._samples * _FRAME

    def part(self, start: int, stop: int) -> bytes:
        """Return the bytes of the file from `start` up to `stop`."""
        stop = min(stop, self.size)
        out = self._header()[start:stop] if start < HEADER_BYTES else b""
        begin, end = max(start, HEADER_BYTES) - HEADER_BYTES, stop - HEADER_BYTES
        if end <= begin:
            return out
        first, last = begin // _FRAME, -(-end // _FRAME)
        return out + self._frames(first, last)[begin - first * _FRAME : end - first * _FRAME]

    def _frames(self, first: int, last: int) -> bytes:
        left, right = (
            audioop.ulaw2lin(bytes(side.sound[first:last]).ljust(last - first, SILENCE), WIDTH)
            for side in self._sides.values()
        )
        return audioop.add(audioop.tostereo(left, WIDTH, 1, 0), audioop.tostereo(right, WIDTH, 0, 1), WIDTH)

    def _header(self) -> bytes:
        data = self._samples * _FRAME
        form = struct.pack("<HHIIHH", PCM, CHANNELS, SAMPLE_RATE, SAMPLE_RATE * _FRAME, _FRAME, 8 * WIDTH)
        return b"".join(
            (
                b"RIFF" + struct.pack("<I", HEADER_BYTES - 8 + data) + b"WAVE",
                b"fmt " + struct.pack("<I", len(form)) + form,
                b"data" + struct.pack("<I", data),
            )
        )
