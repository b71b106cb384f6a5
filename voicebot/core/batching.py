"""How much audio is collected before it goes up: one frame while there is time for each, more the busier the process is."""

from math import exp

from voicebot.core.audio import FRAME_MS

BUSY, IDLE = 0.4, 0.25
"""Shares of the time. A frame more in every batch saves up to a quarter of the work, so they lie further apart than that:
the batch that has just grown must not look idle, nor the one that has just shrunk busy."""
FULL, EASED = 0.85, 0.6
"""The same for the upper half of the way: a caller who waits for longer batches is worse off, unless he would wait for the
process."""
MEMORY_S = 1.0
"""What was measured counts for about so long."""
STEP_S = 1.0
"""A longer or shorter batch must show what it brings before the next step."""


class Batching:
    """The length of batches in force, for every stream of the process; it begins with one frame and never exceeds its limit."""

    def __init__(self, limit_ms: int) -> None:
        self._limit_ms = limit_ms
        self._half_ms = -(-limit_ms // (2 * FRAME_MS)) * FRAME_MS
        self._busy = self._held_s = 0.0
        self.ms = min(FRAME_MS, limit_ms)
        """Length of a batch."""

    @classmethod
    def fixed(cls, ms: int) -> "Batching":
        """Return one whose batches have this length for good, as long as nobody notes anything."""
        batching = cls(ms)
        batching.ms = ms
        return batching

    @property
    def frames(self) -> int:
        """Whole frames of a batch."""
        return max(1, self.ms // FRAME_MS)

    def note(self, busy: float, elapsed_s: float) -> None:
        """Note that so much of the last `elapsed_s` was spent working, 1 for all of it; a step follows where it must."""
        self._busy += (min(max(busy, 0.0), 1.0) - self._busy) * (1 - exp(-elapsed_s / MEMORY_S))
        self._held_s += elapsed_s
        if self._held_s < STEP_S:
            return
        steps = -(-self.ms // FRAME_MS)
        if self._busy > (BUSY if self.ms < self._half_ms else FULL):
            steps += 1 if self.ms < self._half_ms else 2
        elif self._busy < (IDLE if self.ms <= self._half_ms else EASED):
            steps -= 1
        ms = min(max(steps, 1) * FRAME_MS, self._limit_ms)
        if ms != self.ms:
            self.ms, self._held_s = ms, 0.0
