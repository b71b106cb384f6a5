"""Telephone audio: µ-law frames, silence, holes in the stream, and speech activity without a model."""

from array import array
from dataclasses import dataclass, field

import audioop

from voicebot.core.events import SpeechStarted, SpeechStopped

SAMPLE_RATE = 8_000
BYTES_PER_MS = SAMPLE_RATE // 1_000
SILENCE = b"\xff"
"""µ-law zero."""
FRAME_MS = 20
FRAME = FRAME_MS * BYTES_PER_MS
"""Bytes of one frame, the step in which levels are taken and speech is decided."""
DIGITAL_SILENCE_RMS = 8
"""Silence made by the carrier, or by us in a hole, says nothing about the noise of the line."""
HUM_FILTER = -0.8
"""Weight of the sample before the last: leaves 1 to 3 kHz, where voices stand out of hum, traffic and hiss."""
_SPAN = 2 * 2
"""Bytes between a linear sample and the one it is filtered with."""
DEMAND_RISES, DEMAND_FALLS = 1.01, 0.998
"""Per frame of unbroken sound, and of silence."""


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
    """The noise of the line: the least level of the last two seconds, for speech dips to it more often than that.

    Half a second of sound that hardly changes is no speech, however loud: it is the noise from now on.
    """

    BUCKET_FRAMES = 12
    BUCKETS = 8
    STEADY_FRAMES = 25
    STEADY_RATIO = 1.6
    """Loudest to softest frame of a steady noise (4 dB); speech has ten times that in half a second."""

    __slots__ = ("_current", "_frames", "_past", "_past_least", "_recent", "level")

    def __init__(self) -> None:
        self._past: list[int] = []
        self._recent = array("H")
        self._current: int | None = None
        self._past_least: int | None = None  # asked for with every frame
        self._frames = 0
        self.level = 0
        """0 as long as nothing is known."""

    def follow(self, rms: int) -> None:
        """Take the level of a frame that is not digital silence."""
        self._recent.append(rms)
        if len(self._recent) > self.STEADY_FRAMES:
            del self._recent[0]
        if self._current is None or rms < self._current:
            self._current = rms
            if self._past_least is None or rms < self._past_least:
                self.level = rms
        self._frames += 1
        if self._frames >= self.BUCKET_FRAMES:
            self._turn_page(self._current)

    def _turn_page(self, least: int) -> None:
        softest = min(self._recent)
        steady = len(self._recent) == self.STEADY_FRAMES and max(self._recent) < softest * self.STEADY_RATIO
        if steady and softest > self.level:
            self._past.clear()
            least = softest
        self._past.append(least)
        del self._past[: -self.BUCKETS]
        self._past_least = self.level = min(self._past)
        self._current, self._frames = None, 0


@dataclass(slots=True)
class SpeechDetector:
    """Speech or silence from the levels of 20 ms frames, against a noise floor that follows the line.

    Payloads come in order and may be cut anywhere; what is found does not depend on it. A frame costs about two
    microseconds, less when several come in one payload.
    """

    onset_ms: int = 60
    """Sound for so long is speech."""
    hangover_ms: int = 200
    """Silence for so long is the end of speech."""
    ratio: float = 2.2
    """Speech begins when it is so much louder (RMS) than the floor: 7 dB."""
    stay_ratio: float = 1.4
    """Speech goes on as long as it is so much louder than the floor, 3 dB: words end softly."""
    least_rms: float = 26.0
    """Nothing below this begins speech, of 32,768: 62 dB below full scale."""
    patience_ms: int = 5_000
    """Sound without a pause for so long may be other people's voices: from here on it must get louder to count."""
    most_demand: float = 4.0
    """By so much at most (12 dB); it takes three seconds to get there and ten to be forgotten in silence."""
    speaking: bool = False
    levels: list[int] = field(default_factory=list[int])
    """The levels of the frames in the last payload, as `frame_levels` gives them."""
    _floor: _Floor = field(default_factory=_Floor)
    _rest: bytes = b""
    _frames: int = 0
    _loud: int = 0
    _quiet: int = 0
    _spoken: int = 0
    _demand: float = 1.0

    @property
    def position_ms(self) -> int:
        """How much of the track's audio has been judged: the audio clock, from the first byte."""
        return self._frames * FRAME_MS

    def feed(self, payload: bytes) -> SpeechStarted | SpeechStopped | None:
        """Take one payload of raw µ-law; return the change it brings, if any.

        Of a payload so long that speech stops and begins again within, only what is different afterwards is told;
        `feed_all` tells everything.
        """
        before = self.speaking
        changes = self.feed_all(payload)
        return changes[-1] if changes and self.speaking != before else None

    def feed_all(self, payload: bytes) -> tuple[SpeechStarted | SpeechStopped, ...]:
        """Take one payload of raw µ-law; return every change within it, in order."""
        if self._rest:
            payload = self._rest + payload
        self.levels = frame_levels(payload)
        whole = len(self.levels) * FRAME
        self._rest = payload[whole:] if whole != len(payload) else b""
        if len(self.levels) == 1:
            change = self._judge(self.levels[0])
            return () if change is None else (change,)
        return tuple(change for level in self.levels if (change := self._judge(level)) is not None)

    def stall(self, silent_ms: int) -> SpeechStopped:
        """End the speech because no audio has come for `silent_ms`."""
        self.speaking = False
        return SpeechStopped(silent_ms, at_ms=self.position_ms - self._quiet * FRAME_MS)

    def _judge(self, rms: int) -> SpeechStarted | SpeechStopped | None:
        self._frames += 1
        if rms > DIGITAL_SILENCE_RMS:
            self._floor.follow(rms)
        floor = max(self._floor.level * self._demand, self.least_rms / self.ratio)
        if self.speaking:
            return self._go_on(loud=rms > floor * self.stay_ratio)
        return self._wait(loud=rms > floor * self.ratio)

    def _wait(self, *, loud: bool) -> SpeechStarted | None:
        if self._demand > 1.0:
            self._demand = max(1.0, self._demand * DEMAND_FALLS)
        self._loud = self._loud + 1 if loud else 0
        if self._loud * FRAME_MS < self.onset_ms:
            return None
        started = SpeechStarted(at_ms=(self._frames - self._loud) * FRAME_MS)
        self.speaking = True
        self._loud = self._quiet = self._spoken = 0
        return started

    def _go_on(self, *, loud: bool) -> SpeechStopped | None:
        self._quiet = 0 if loud else self._quiet + 1
        self._spoken += 1
        if self._spoken * FRAME_MS > self.patience_ms:
            self._demand = min(self.most_demand, self._demand * DEMAND_RISES)
        silent_ms = self._quiet * FRAME_MS
        if silent_ms < self.hangover_ms:
            return None
        self.speaking = False
        return SpeechStopped(silent_ms, at_ms=self.position_ms - silent_ms)


def frame_levels(payload: bytes) -> list[int]:
    """Return the RMS, of 32,768, of each whole 20 ms frame of raw µ-law, without its hum and hiss."""
    if len(payload) < FRAME:
        return []
    samples = audioop.ulaw2lin(payload, 2)
    before = audioop.mul(samples[:-_SPAN], 2, HUM_FILTER)
    heard = audioop.add(samples[_SPAN:], before, 2)
    if len(payload) < 2 * FRAME:
        return [audioop.rms(heard[: 2 * FRAME - _SPAN], 2)]
    # The two samples at the seam of two frames belong to neither, so that it does not matter how the audio was cut.
    return [
        audioop.rms(heard[at : at + 2 * FRAME - _SPAN], 2)
        for at in range(0, len(payload) // FRAME * FRAME * 2, 2 * FRAME)
    ]
