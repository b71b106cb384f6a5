"""How hard pressed this process is: how late its event loop runs, how much of a core it takes, how much memory it holds."""

import asyncio
import math
import os
import sys
import time
from collections import deque
from pathlib import Path

import structlog

from voicebot.config import LimitSettings
from voicebot.core.batching import Batching
from voicebot.metrics import Metrics

TICK_S = 0.1
"""How often the event loop is measured."""
SECOND = 10
"""Ticks between two looks at what costs more: the gauges, and the memory."""
QUANTILES = (0.5, 0.95, 0.99, 1.0)
JUDGED = 0.95
"""Half a second of ten may be late: a collection of garbage or one slow disk is no overload, a full second is."""
LAG_RELIEVED = 0.5
LAG_BUSY_S = 0.02
"""An event loop that is a frame late has no time for each one, however little of a core this process gets."""
MEMORY_RELIEVED = 0.95
"""Memory that calls give back does not all go back to the system, so relief cannot wait for much."""
MEBIBYTE = 1_048_576
STATM = Path("/proc/self/statm")


class LagWindow:
    """The lags of the last ticks.

    A loop that stands still takes no measurements, so one wake-up that is late stands for every tick that was due
    meanwhile, each with the lag that it would have seen; otherwise the worst times would count least (the "coordinated
    omission" of load generators, HdrHistogram's correction for it).
    """

    def __init__(self, size: int) -> None:
        self._lags: deque[float] = deque(maxlen=size)
        self._wakes = 0

    @property
    def whole(self) -> bool:
        """A window has gone by since the first wake-up; what was late while the service was loading is forgotten."""
        return self._wakes > (self._lags.maxlen or 0)

    def late(self, lag_s: float) -> None:
        """Note a wake-up that came `lag_s` after its time."""
        self._wakes += 1
        self._lags.append(lag_s)
        for _ in range(min(int(lag_s / TICK_S), self._lags.maxlen or 0)):
            lag_s -= TICK_S
            self._lags.append(lag_s)

    def quantiles(self, *wanted: float) -> tuple[float, ...]:
        """Return the quantiles by nearest rank, in seconds; 0 before the first wake-up."""
        ordered = sorted(self._lags) or [0.0]
        return tuple(ordered[max(0, math.ceil(share * len(ordered)) - 1)] for share in wanted)


class Pressure:
    """Says whether further calls would hurt those that run; with hysteresis, so that it does not flap.

    `batching` is told how busy the process is, so that batches follow.
    """

    def __init__(self, limits: LimitSettings, metrics: Metrics, batching: Batching) -> None:
        self._limits, self._metrics, self._batching = limits, metrics, batching
        self._window = LagWindow(max(1, round(limits.lag_window_s / TICK_S)))
        self.lag = ""
        """Why the event loop's lag forbids further calls; empty when it does not."""
        self.memory = ""
        """Why the memory forbids further calls; empty when it does not."""
        for why in ("overloaded", "memory"):
            metrics.overloaded.labels(why).set(0)

    async def run(self) -> None:
        """Measure until cancelled."""
        now, beat = asyncio.get_running_loop().time, 0
        since, spent_s = now(), time.process_time()
        due = since + TICK_S
        while True:
            await asyncio.sleep(due - now())
            woke, spent_before_s, spent_s = now(), spent_s, time.process_time()
            lag_s = max(0.0, woke - due)
            self.tick(lag_s)
            self.spent(spent_s - spent_before_s, lag_s, woke - since)
            beat = (beat + 1) % SECOND
            if not beat:
                self._look()
            since, due = woke, max(due + TICK_S, woke)

    def tick(self, lag_s: float) -> None:
        """Take a measurement: the event loop was `lag_s` late."""
        self._metrics.loop_lag.observe(lag_s)
        self._window.late(lag_s)
        if not self._limits.max_lag_ms or not self._window.whole:
            return
        [judged] = self._window.quantiles(JUDGED)
        limit = self._limits.max_lag_ms / 1_000
        over = judged > (limit * LAG_RELIEVED if self.lag else limit)
        text = f"loop lag {judged * 1_000:.0f} ms" if over else ""
        self._told("overloaded", self.lag, text, limit=f"{self._limits.max_lag_ms} ms")
        self.lag = text

    def spent(self, cpu_s: float, lag_s: float, elapsed_s: float) -> None:
        """Take a measurement: of `elapsed_s` the process has worked for `cpu_s`, and the event loop was so late at its end."""
        if elapsed_s > 0:
            self._batching.note(max(cpu_s / elapsed_s, lag_s / LAG_BUSY_S), elapsed_s)

    def _look(self) -> None:
        self._metrics.batch.set(self._batching.ms / 1_000)
        for share, lag in zip(QUANTILES, self._window.quantiles(*QUANTILES), strict=True):
            self._metrics.loop_lag_window.labels(f"{share:g}").set(lag)
        if self._limits.max_memory_mb:
            self.weigh(resident_bytes())

    def weigh(self, resident: int) -> None:
        """Take a measurement: the process holds `resident` bytes."""
        megabytes, limit = resident / MEBIBYTE, self._limits.max_memory_mb
        over = megabytes > (limit * MEMORY_RELIEVED if self.memory else limit)
        text = f"{megabytes:.0f} MiB in use" if over else ""
        self._told("memory", self.memory, text, limit=f"{limit} MiB")
        self.memory = text

    def _told(self, why: str, before: str, text: str, *, limit: str) -> None:
        if bool(before) == bool(text):
            return
        self._metrics.overloaded.labels(why).set(bool(text))
        log = structlog.get_logger()
        if text:
            log.warning("service.overloaded", why=why, what=text, limit=limit)
        else:
            log.info("service.relieved", why=why, limit=limit)


def resident_bytes() -> int:
    """Return the memory that the process holds; its peak where the system tells no more, 0 where it tells nothing."""
    if STATM.exists():
        return int(STATM.read_bytes().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    try:
        import resource  # noqa: PLC0415 - not there on Windows
    except ImportError:
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1_024
