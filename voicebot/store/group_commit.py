"""Gathers writes that wait together into one commit on the writer's thread, and tells each what became of it."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from voicebot.errors import PeerUnavailable, VoicebotError
from voicebot.store.database import PEER
from voicebot.store.writes import Row

LINGER_S = 0.05
"""How long a write that nobody waits for waits for company, so that it need not have its own commit."""

NO_WAY_S = 1.0
"""After a commit that took longer it does not for so long: the disk is slow."""

type Faults = Sequence[VoicebotError | None]
type Told = Callable[[VoicebotError | None], None]
"""Hears what became of a row: None when it is committed. It may leave further rows."""


@dataclass(frozen=True, slots=True)
class _Write:
    row: Row
    told: Told
    lazy: bool


class GroupCommit:
    """`commit` runs on `thread` and returns what was wrong with each row; `told` hears of it on the loop.

    No task lies between a write and its commit, and the loop gives way to it: the thread has Python's lock and the core to
    itself for a millisecond. Else the two would wait for each other at every statement, which takes several times as long.
    The first write of a round of the loop that somebody waits for is committed in its own step; what follows in the same
    round goes together.
    """

    def __init__(
        self,
        thread: ThreadPoolExecutor,
        commit: Callable[[Sequence[Row]], Faults],
        told: Callable[[Faults], None],
        *,
        most_rows: int,
        max_pending: int,
        way_s: float,
    ) -> None:
        """The loop gives way to a commit for `way_s` at most; 0 where the thread waits for a network more than it works."""
        self._thread, self._commit, self._told = thread, commit, told
        self._most_rows, self._way_s = most_rows, way_s
        self._room = asyncio.Semaphore(max_pending)
        # The thread moves from the one to the other what has gathered until it gets going; all else is the loop's alone.
        self._waiting: deque[_Write] = deque()
        self._under_way: Sequence[_Write] = ()
        self._linger: asyncio.TimerHandle | None = None
        self._soon: asyncio.Handle | None = None
        """A commit that begins with the next round."""
        self._gave_way = False
        """In this round."""
        self._over: asyncio.Future[None] | None = None
        self._closed = False
        self._no_way_until = float("-inf")
        self.committing_since: float | None = None
        """The loop's time at which the commit under way was asked for; None when there is none."""

    @property
    def waiting(self) -> int:
        """How many writes wait for their commit to begin."""
        return len(self._waiting)

    async def run(self) -> None:
        """Commit what is written until `close` was called and nothing is waiting; raises what `commit` raises."""
        self._over = asyncio.get_running_loop().create_future()
        self._arrange()
        try:
            await self._over
        finally:
            self._closed, self._over = True, None
            self._forget_linger()
            left = [*self._under_way, *self._take(len(self._waiting))]
            _settle(left, [PeerUnavailable(PEER, "the writer has stopped") for _ in left])

    async def close(self) -> None:
        """Take no more writes, and return when those taken are committed."""
        self._closed = True
        self._arrange()
        if self._over is not None:
            await asyncio.wait([self._over])

    async def write(self, row: Row, *, lazy: bool = False) -> None:
        """Return when `row` is committed; `lazy` ones wait up to LINGER_S for company.

        Waits while too many wait; raises what `commit` says of the row, and PeerUnavailable after the end.
        """
        await self._room.acquire()
        committed = asyncio.get_running_loop().create_future()
        self.leave(row, partial(self._settled, committed), lazy=lazy)
        if self._soon is not None and not lazy and not self._gave_way:
            self._begin_at_once(self._soon)
        await committed

    def leave(self, row: Row, told: Told, *, lazy: bool = False) -> None:
        """Take `row`, however many wait, and tell what becomes of it; `lazy` ones wait up to LINGER_S for company."""
        if self._closed:
            told(PeerUnavailable(PEER, "is closed"))
            return
        self._waiting.append(_Write(row, told, lazy))
        self._arrange()

    def _settled(self, committed: asyncio.Future[None], fault: VoicebotError | None) -> None:
        self._room.release()
        if committed.done():
            return  # its caller was cancelled
        if fault is None:
            committed.set_result(None)
        else:
            committed.set_exception(fault)

    def _arrange(self) -> None:
        """See to it that what waits is committed: soon when somebody is in a hurry, or when there is company enough."""
        if self._over is None or self.committing_since is not None:
            return
        if not self._waiting:
            if self._closed and not self._over.done():
                self._over.set_result(None)
        elif self._closed or len(self._waiting) >= self._most_rows or not all(write.lazy for write in self._waiting):
            self._begin()
        elif self._linger is None:
            self._linger = asyncio.get_running_loop().call_later(LINGER_S, self._begin)

    def _begin(self) -> None:
        self._forget_linger()
        loop = asyncio.get_running_loop()
        self.committing_since = loop.time()
        self._soon = loop.call_soon(self._give_way)  # what is written until then comes along

    def _begin_at_once(self, soon: asyncio.Handle) -> None:
        soon.cancel()
        self._gave_way = True
        asyncio.get_running_loop().call_soon(self._new_round)
        self._give_way()

    def _new_round(self) -> None:
        self._gave_way = False

    def _give_way(self) -> None:
        self._soon = None
        loop = asyncio.get_running_loop()
        work = self._thread.submit(self._work)
        if loop.time() >= self._no_way_until and not wait([work], self._way_s).done:
            self._no_way_until = loop.time() + NO_WAY_S
        if work.done():
            self._finished(work)
        else:
            work.add_done_callback(partial(self._late, loop))

    def _work(self) -> tuple[Sequence[_Write], Faults]:
        """On the thread: commit what waits by now."""
        batch = self._under_way = self._take(self._most_rows)
        return batch, self._commit([write.row for write in batch]) if batch else ()

    def _late(self, loop: asyncio.AbstractEventLoop, work: Future[tuple[Sequence[_Write], Faults]]) -> None:
        """On the thread: the loop went on, and may be closed by now."""
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(self._finished, work)

    def _finished(self, work: Future[tuple[Sequence[_Write], Faults]]) -> None:
        error = work.exception()
        if error is None:
            self._done(*work.result())
        elif self._over is not None and not self._over.done():
            self._over.set_exception(error)  # it belongs to who runs this

    def _done(self, batch: Sequence[_Write], faults: Faults) -> None:
        self._under_way = ()
        if batch:
            self._told(faults)
        _settle(batch, faults)
        # Only now: whoever is told may leave more, which has its turn after what was before it.
        self.committing_since = None
        self._arrange()

    def _take(self, most: int) -> list[_Write]:
        taken: list[_Write] = []
        with suppress(IndexError):
            while len(taken) < most:
                taken.append(self._waiting.popleft())
        return taken

    def _forget_linger(self) -> None:
        if self._linger is not None:
            self._linger.cancel()
            self._linger = None


def _settle(writes: Sequence[_Write], faults: Faults) -> None:
    for write, fault in zip(writes, faults, strict=True):
        write.told(fault)
