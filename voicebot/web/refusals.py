"""Counts and logs what is refused, without letting strangers fill the log."""

import time
from collections.abc import Callable

import structlog

from voicebot.metrics import Metrics

LINES_PER_SECOND = 5
"""Lines of one kind (event, door and reason) in a second; what is left out is told by the next line."""
KINDS = 1_000
"""Kinds kept apart; the reasons are ours and few, so that this is never reached."""


class Refusals:
    """Every refusal is in the metrics; of a flood the log has a few lines a second and the number of the others."""

    def __init__(self, metrics: Metrics, clock: Callable[[], float] = time.monotonic) -> None:
        self._metrics, self._clock = metrics, clock
        self._log = structlog.get_logger()
        self._seconds: dict[tuple[str, str, str], tuple[int, int, int]] = {}

    def note(
        self, door: str, why: str, *, event: str = "door.refused", level: str = "warning", **details: object
    ) -> None:
        """Count one, and log it unless there were too many of its kind in this second."""
        self._metrics.refused.labels(door, why).inc()
        kind, now = (event, door, why), int(self._clock())
        second, told, left_out = self._seconds.get(kind, (now, 0, 0))
        if second != now:
            second, told = now, 0
        if told >= LINES_PER_SECOND:
            self._seconds[kind] = (second, told, left_out + 1)
            return
        if len(self._seconds) >= KINDS:
            self._seconds.clear()
        self._seconds[kind] = (second, told + 1, 0)
        more = {"left_out": left_out} if left_out else {}
        getattr(self._log, level)(event, door=door, why=why, **details, **more)
