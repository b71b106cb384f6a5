"""The call's clock: milliseconds since dialling, faster than real time if asked."""

import asyncio
from collections.abc import Coroutine
from typing import Any, Final

_MS: Final = 1000.0


class Clock:
    """Counts call time from its making; everything a call does in time goes by it, so nothing drifts apart."""

    def __init__(self, pace: float = 1.0) -> None:
        if pace <= 0:
            raise ValueError(f"pace is {pace:g}; it must be above 0, and 1.0 is real time")
        self._loop = asyncio.get_running_loop()
        self._pace = pace
        self._zero = self._loop.time()

    def now(self) -> float:
        """Milliseconds of call time since dialling."""
        return (self._loop.time() - self._zero) * _MS * self._pace

    async def until(self, at_ms: float) -> None:
        """Return at `at_ms`, or at once (after letting others run) when that has passed."""
        await asyncio.sleep(max(0.0, at_ms - self.now()) / _MS / self._pace)

    async def sleep(self, length_ms: float) -> None:
        """Let so much call time pass."""
        await self.until(self.now() + length_ms)

    def real_s(self, length_s: float) -> float:
        """How many real seconds so many seconds of call time take."""
        return length_s / self._pace


async def race(work: Coroutine[Any, Any, object], stop: asyncio.Event) -> bool:
    """Do `work` unless `stop` is set first; True when the work was done, False when it was called off."""
    async with asyncio.TaskGroup() as group:
        working = group.create_task(work)
        stopping = group.create_task(stop.wait())
        await asyncio.wait((working, stopping), return_when=asyncio.FIRST_COMPLETED)
        done = working.done()
        working.cancel()
        stopping.cancel()
    return done
