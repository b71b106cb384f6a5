"""What one call leaves to the store without waiting for it, bounded."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from voicebot.errors import VoicebotError
from voicebot.store.store import Store
from voicebot.store.writes import Row
from voicebot.waiting import Flag

type Lost = Callable[[Row, str], None]


class Tray:
    """Holds up nobody, and takes `most` rows at a time."""

    def __init__(self, store: Store, *, most: int) -> None:
        self._store, self._most = store, most
        self._left = self._settled = 0
        self._after: list[tuple[int, Callable[[], None]]] = []
        self._empty = Flag()
        self._empty.set()

    @property
    def waiting(self) -> int:
        """How many rows wait for their commit."""
        return self._left - self._settled

    def leave(self, row: Row, lost: Lost) -> None:
        """Have a row kept, in the order of coming; `lost` is told when it is not, and why."""
        if self.waiting >= self._most:
            lost(row, "too many rows wait")
            return
        self._left += 1
        self._empty.clear()
        self._store.leave(row, partial(self._told, row, lost))

    def then(self, done: Callable[[], None]) -> None:
        """Call `done` once it is known of every row left so far what became of it."""
        if self.waiting:
            self._after.append((self._left, done))
        else:
            done()

    async def emptied(self, patience_s: float) -> None:
        """Return when nothing waits any more, or after `patience_s`: what waits then is the store's alone."""
        with suppress(TimeoutError):
            async with asyncio.timeout(patience_s):
                await self._empty.wait()

    def _told(self, row: Row, lost: Lost, fault: VoicebotError | None) -> None:
        self._settled += 1  # the store commits in the order of coming
        if fault is not None:
            lost(row, str(fault))
        while self._after and self._after[0][0] <= self._settled:
            self._after.pop(0)[1]()
        if not self.waiting:
            self._empty.set()
