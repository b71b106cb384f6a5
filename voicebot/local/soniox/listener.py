"""Listens to one stream: the speech gate opens segments, growing segments are decoded again, silence settles and ends them."""

from collections import deque
from dataclasses import dataclass

import numpy as np

from voicebot.local.engines.base import Hearing, Samples
from voicebot.local.soniox.audio import nothing
from voicebot.local.soniox.endpoint import EndpointSettings, endpoint_silence_ms, outlook
from voicebot.local.soniox.segment import FRAME_MS, TRAIL_FRAMES, Segment, TimedWord

ONSET_CHANCE = 0.5
ONSET_FRAMES = 2
"""64 ms of speech open a segment."""
VOICE_CHANCE = 0.35
"""Inside a segment less is enough to count as voice, so that quiet word ends do not flicker."""
LEAD_FRAMES = 10
"""320 ms before the onset belong to the segment: soft first sounds come before the gate notices."""
FEWEST_VOICED = 3
"""A segment with less voice than 96 ms is a click and is never decoded."""
FIRST_PARTIAL_FRAMES = 8
"""A new segment is decoded for the first time 256 ms after the gate opened."""
PARTIAL_FRAMES = 12
"""A growing segment is decoded again after every 384 ms,"""
PARTIAL_PART = 12
"""or every twelfth of its length when that is more: decoding a long segment takes long."""
BEHIND_STEP_MS = 100
"""It gets rarer by its own length again for every so much audio that had to wait (partial words are dropped first),"""
MOST_BEHIND = 8
"""but at most eight times."""
SETTLE_MS = 512
"""After this silence a segment's words are final; `<end>` follows later unless speech goes on."""
LONGEST_FRAMES = 468
"""Segments are cut at 15 s: recognition gets slow and large beyond."""
REMEMBERED_WORDS = 16
"""The last words of an utterance tell whether it is finished, even of a long number."""


@dataclass(frozen=True, slots=True)
class Sketch:
    """Words heard so far that may still change: all of them, every time."""

    words: tuple[TimedWord, ...]
    total_ms: int


@dataclass(frozen=True, slots=True)
class Settled:
    """Words that will not change any more; `upto_ms` is the audio they cover."""

    words: tuple[TimedWord, ...]
    upto_ms: int


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The utterance is over."""

    at_ms: int


type Finding = Sketch | Settled | Endpoint


class Listener:
    """
    One stream at 8 or 16 kHz. Blocking: call it where engines run, one call at a time.

    `endpoint` says how soon an utterance ends, None for no endpoints. Time is counted in audio, so a file may be fed
    faster than it was spoken.
    """

    def __init__(self, hearing: Hearing, rate: int, endpoint: EndpointSettings | None) -> None:
        self._recogniser = hearing.recogniser
        self._gate = hearing.open_gate(rate)
        self._rate = rate
        self._frame_samples = rate * FRAME_MS // 1000
        self._endpoint_settings = endpoint
        self._settle_ms = SETTLE_MS if endpoint is None else min(SETTLE_MS, endpoint_silence_ms(endpoint))
        self._rest = nothing()
        self._lead: deque[tuple[Samples, float]] = deque(maxlen=LEAD_FRAMES)
        self._count = 0
        self._segment: Segment | None = None
        self._words: tuple[TimedWord, ...] = ()
        self._decoded_at = 0
        self._last_voiced = 0
        self._open = False
        self._said: deque[str] = deque(maxlen=REMEMBERED_WORDS)
        self._fall_db = 0.0

    @property
    def heard_ms(self) -> int:
        """Audio taken in so far."""
        return (self._count * self._frame_samples + len(self._rest)) * 1000 // self._rate

    def hear(self, samples: Samples, *, behind_ms: int = 0) -> list[Finding]:
        """Take in the next samples; `behind_ms` of audio had to wait, which makes partial words rarer."""
        audio = np.concatenate([self._rest, samples]) if len(self._rest) else samples
        findings: list[Finding] = []
        whole = len(audio) - len(audio) % self._frame_samples
        self._rest = audio[whole:]
        for at in range(0, whole, self._frame_samples):
            findings += self._step(audio[at : at + self._frame_samples], behind_ms)
        return findings

    def flush(self) -> list[Finding]:
        """Settle everything heard so far (finalize, end of audio); a click too short to decode stays open."""
        segment = self._segment
        if segment is None or segment.voiced < FEWEST_VOICED:
            return []
        return self._settle(segment)

    def _step(self, frame: Samples, behind_ms: int) -> list[Finding]:
        chance = self._gate.probability(frame)
        self._count += 1
        if self._segment is None:
            self._wait(frame, chance)
        else:
            self._segment.add(frame, chance)
        if self._segment is not None:
            if chance >= VOICE_CHANCE:
                self._last_voiced = self._count
            return self._follow(self._segment, behind_ms)
        return self._endpoint()

    def _wait(self, frame: Samples, chance: float) -> None:
        self._lead.append((frame, chance))
        onset = [old for _, old in self._lead][-ONSET_FRAMES:]
        if len(onset) == ONSET_FRAMES and min(onset) >= ONSET_CHANCE:
            frames, chances = zip(*self._lead, strict=True)
            self._segment = Segment(self._count - len(frames), frames, chances, VOICE_CHANCE)
            self._decoded_at = self._count - (PARTIAL_FRAMES - FIRST_PARTIAL_FRAMES)
            self._words = ()
            self._lead.clear()

    def _follow(self, segment: Segment, behind_ms: int) -> list[Finding]:
        silence = self._count - self._last_voiced
        if silence * FRAME_MS >= self._settle_ms:
            return self._close(segment)
        if len(segment) >= LONGEST_FRAMES:
            return self._cut(segment)
        pause_reached = silence == TRAIL_FRAMES
        every = max(PARTIAL_FRAMES, len(segment) // PARTIAL_PART) * min(1 + behind_ms // BEHIND_STEP_MS, MOST_BEHIND)
        grown = silence < TRAIL_FRAMES and self._count - self._decoded_at >= every
        if pause_reached or (grown and not self._recogniser.finals_only):
            return self._sketch(segment)
        return []

    def _sketch(self, segment: Segment) -> list[Finding]:
        if segment.voiced < FEWEST_VOICED:
            return []
        self._decode(segment)
        return [Sketch(self._words, self._count * FRAME_MS)]

    def _close(self, segment: Segment) -> list[Finding]:
        if segment.voiced < FEWEST_VOICED:
            self._segment = None
            return self._endpoint()
        return self._settle(segment) + self._endpoint()

    def _settle(self, segment: Segment) -> list[Finding]:
        if self._decoded_at - self._last_voiced < TRAIL_FRAMES:
            self._decode(segment)
        words, self._segment = self._keep(segment), None
        return [Settled(words, self._count * FRAME_MS)]

    def _cut(self, segment: Segment) -> list[Finding]:
        before, after = segment.cut()
        self._decode(before)
        words, self._segment = self._keep(before), after
        return [Settled(words, after.first * FRAME_MS)]

    def _keep(self, segment: Segment) -> tuple[TimedWord, ...]:
        """Take the words of a segment that is settled, and remember how the utterance stands."""
        words, self._words = self._words, ()
        if words:
            self._open = True
            self._said.extend(word.text for word in words)
            self._fall_db = segment.fall_db()
        return words

    def _decode(self, segment: Segment) -> None:
        self._words = segment.place(self._recogniser.decode(segment.audio(), self._rate))
        self._decoded_at = self._count

    def _endpoint(self) -> list[Finding]:
        if self._endpoint_settings is None or not self._open:
            return []
        wait_ms = endpoint_silence_ms(self._endpoint_settings, outlook(self._said, self._fall_db))
        if (self._count - self._last_voiced) * FRAME_MS < wait_ms:
            return []
        self._open = False
        self._said.clear()
        return [Endpoint(self._count * FRAME_MS)]
