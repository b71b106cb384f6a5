"""When somebody was audible: runs of sound, and the questions a scenario asks about them."""

from dataclasses import dataclass
from typing import Final

#: Gaps shorter than this belong to the same run, in milliseconds.
SAME_RUN_MS: Final = 100.0


@dataclass(slots=True)
class Run:
    """One stretch of sound: from, to and how much of it was loud, in milliseconds."""

    start: float
    end: float
    loud_ms: float


class SpeechLog:
    """What one side of the call sounded like over time, fed frame by frame in order."""

    def __init__(self) -> None:
        self.runs: list[Run] = []
        self._cut = False

    def add(self, at_ms: float, length_ms: float) -> None:
        """Note that a loud frame of `length_ms` began at `at_ms`."""
        last = self.runs[-1] if self.runs else None
        if last is not None and at_ms - last.end < SAME_RUN_MS and not self._cut:
            last.end = at_ms + length_ms
            last.loud_ms += length_ms
        else:
            self.runs.append(Run(at_ms, at_ms + length_ms, length_ms))
        self._cut = False

    def cut(self) -> None:
        """Let what comes next be a new run, however soon it comes."""
        self._cut = True

    def speaking(self, now_ms: float, hangover_ms: float) -> bool:
        """Whether the last sound is less than `hangover_ms` ago."""
        return bool(self.runs) and now_ms - self.runs[-1].end < hangover_ms

    def loud_ms(self, since_ms: float = 0.0) -> float:
        """How much sound there was since a moment; a run cut by that moment counts in proportion."""
        total = 0.0
        for run in self.runs:
            span = run.end - run.start
            share = (run.end - max(run.start, since_ms)) / span
            total += run.loud_ms * max(0.0, share)
        return total

    def first_after(self, at_ms: float) -> float | None:
        """When the first run beginning at or after a moment began."""
        return next((run.start for run in self.runs if run.start >= at_ms), None)

    def last_end(self) -> float | None:
        """When the last sound ended."""
        return self.runs[-1].end if self.runs else None

    def spoke_at(self, at_ms: float) -> bool:
        """Whether a run covers this moment."""
        return any(run.start <= at_ms <= run.end for run in self.runs)

    def fell_silent(self, at_ms: float, gap_ms: float, now_ms: float) -> float | None:
        """When, after a moment, the first silence of at least `gap_ms` began; None while there is none yet."""
        silent_from = at_ms
        for run in self.runs:
            if run.end <= at_ms:
                continue
            if run.start - silent_from >= gap_ms:
                return silent_from
            silent_from = run.end
        return silent_from if now_ms - silent_from >= gap_ms else None
