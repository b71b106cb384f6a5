"""Telephone audio: µ-law frames, silence, holes in the stream, and speech activity without a model."""

from collections import deque
from dataclasses import dataclass, field

import audioop

from voicebot.core.events import SpeechStarted, SpeechStopped

SAMPLE_RATE = 8_000
BYTES_PER_MS = SAMPLE_RATE // 1_000
SILENCE = b"\xff"
"""µ-law zero."""
DIGITAL_SILENCE_RMS = 8
"""Silence made by the carrier, or by us in a hole, says nothing about the noise of the line."""
PRE_EMPHASIS = 0.7


def duration_ms(payload: bytes) -> int:
    """Return how long `payload` (raw µ-law, 8 kHz mono) sounds, in whole milliseconds."""
    return len(payload) // BYTES_PER_MS


def silence(ms: int) -> bytes:
    """Return `ms` milliseconds of µ-law silence."""
    return SILENCE * (ms * BYTES_PER_MS)


@dataclass(slots=True)
class Timeline:
    """Turns media messages of one track into one gapless run of audio.

    The carrier may leave out silence, so holes are seen in `timestamp` alone; its steps are not exact (19.97 ms on
    average), so only the distance to the message before counts (Twilio Media Streams, media message).
    """

    max_gap_ms: int
    """Longest hole that is filled; a step back by more than this is a new clock, not a late message."""
    slack_ms: int = 10
    """A hole shorter than this is the carrier's rounding."""
    filled_ms: int = 0
    dropped: int = 0
    """Messages that came twice or late."""
    _expected_ms: int | None = None
    _last_ms: int = -1

    def place(self, timestamp_ms: int, payload: bytes) -> bytes:
        """Return the audio to pass on for this message: the hole before it as silence, then itself; or nothing."""
        if self._last_ms - self.max_gap_ms <= timestamp_ms <= self._last_ms:
            self.dropped += 1
            return b""
        if timestamp_ms < self._last_ms:
            self._expected_ms = None
        gap = 0 if self._expected_ms is None else timestamp_ms - self._expected_ms
        self._last_ms = timestamp_ms
        self._expected_ms = timestamp_ms + duration_ms(payload)
        if gap < self.slack_ms:
            return payload
        gap = min(gap, self.max_gap_ms)
        self.filled_ms += gap
        return silence(gap) + payload


class _Floor:
    """The least energy of the last two seconds: speech dips to the noise of the line more often than that."""

    BUCKET_MS = 250
    BUCKETS = 8

    __slots__ = ("_bytes", "_current", "_least", "_past")

    def __init__(self) -> None:
        self._past: deque[int] = deque(maxlen=self.BUCKETS)
        self._current: int | None = None
        self._bytes = 0
        self._least: int | None = None  # of the past, asked for with every frame

    def follow(self, rms: int, size: int) -> int:
        """Take the energy of `size` bytes; return the floor, 0 while there is none."""
        if rms > DIGITAL_SILENCE_RMS:
            self._current = rms if self._current is None else min(self._current, rms)
            self._bytes += size
        floor = self._current if self._least is None else self._least
        if floor is None or self._current is None:
            return floor or 0
        floor = min(floor, self._current)
        if self._bytes >= self.BUCKET_MS * BYTES_PER_MS:
            self._past.append(self._current)
            self._least = min(self._past)
            self._current, self._bytes = None, 0
        return floor


@dataclass(slots=True)
class SpeechDetector:
    """Speech or silence from the energy of the frames, against a noise floor that follows the line.

    `feed` is called with every payload in order; it costs a few microseconds. Low frequencies, where cars and mains
    hum, count less (first difference, as in most speech front ends).
    """

    onset_ms: int = 60
    """Sound for so long is speech."""
    hangover_ms: int = 200
    """Silence for so long is the end of speech."""
    ratio: float = 2.5
    """Speech begins when it is so much louder (RMS) than the floor: 8 dB."""
    stay_ratio: float = 1.6
    """Speech goes on as long as it is so much louder than the floor, 4 dB: words end softly."""
    least_rms: float = 70.0
    """Nothing below this is speech, of 32,768."""
    speaking: bool = False
    _floor: _Floor = field(default_factory=_Floor)
    _loud_bytes: int = 0
    _quiet_bytes: int = 0

    def feed(self, payload: bytes) -> SpeechStarted | SpeechStopped | None:
        """Take one payload of raw µ-law; return the change it brings, if any."""
        if not payload:
            return None
        size, rms = len(payload), _energy(payload)
        ratio = self.stay_ratio if self.speaking else self.ratio
        if rms > max(self.least_rms, self._floor.follow(rms, size) * ratio):
            self._loud_bytes, self._quiet_bytes = self._loud_bytes + size, 0
        else:
            self._loud_bytes, self._quiet_bytes = 0, self._quiet_bytes + size
        if not self.speaking and self._loud_bytes >= self.onset_ms * BYTES_PER_MS:
            self.speaking = True
            return SpeechStarted()
        if self.speaking and self._quiet_bytes >= self.hangover_ms * BYTES_PER_MS:
            self.speaking = False
            return SpeechStopped(self._quiet_bytes // BYTES_PER_MS)
        return None


def _energy(payload: bytes) -> int:
    """Return the RMS of the differences between neighbouring samples, of 32,768."""
    samples = audioop.ulaw2lin(payload, 2)
    before = audioop.mul(samples[:-2], 2, -PRE_EMPHASIS)
    return audioop.rms(audioop.add(samples[2:], before, 2), 2)
