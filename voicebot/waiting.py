"""What tasks wait at: a flag and a queue as asyncio has them, which hold next to nothing while nobody waits."""

import asyncio


class Flag:
    """Like asyncio.Event: tasks wait until it is set.

    That one holds an empty deque, 0.75 KiB, and an asyncio.Queue four of them; a call has 17 of these objects, and at most
    of them nobody waits.
    """

    __slots__ = ("_set", "_waiters")

    def __init__(self) -> None:
        self._set = False
        self._waiters: tuple[asyncio.Future[None], ...] = ()

    def is_set(self) -> bool:
        """Say whether `wait` returns at once."""
        return self._set

    def set(self) -> None:
        """Let everybody go on who waits, and who comes until `clear`."""
        self._set = True
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)

    def clear(self) -> None:
        """Let those wait who come from now on."""
        self._set = False

    async def wait(self) -> None:
        """Return when it is set."""
        if self._set:
            return
        waiter = asyncio.get_running_loop().create_future()
        self._waiters += (waiter,)
        try:
            await waiter
        finally:
            self._waiters = tuple([other for other in self._waiters if other is not waiter])


class Queue[T]:
    """Like asyncio.Queue with a bound.

    Raises asyncio.QueueFull and asyncio.QueueShutDown as that does.
    """

    __slots__ = ("_items", "_most", "_news", "_room", "_shut")

    def __init__(self, most: int) -> None:
        self._most = most
        self._items: list[T] = []
        self._news, self._room = Flag(), Flag()
        self._shut = False

    def empty(self) -> bool:
        """Say whether nothing waits to be read."""
        return not self._items

    async def put(self, item: T) -> None:
        """Append, as soon as there is room."""
        while len(self._items) >= self._most and not self._shut:
            self._room.clear()
            await self._room.wait()
        self.put_nowait(item)

    def put_nowait(self, item: T) -> None:
        """Append; never waits."""
        if self._shut:
            raise asyncio.QueueShutDown
        if len(self._items) >= self._most:
            raise asyncio.QueueFull
        self._items.append(item)
        self._news.set()

    async def get(self) -> T:
        """Take the oldest, as soon as there is one."""
        while not self._items:
            if self._shut:
                raise asyncio.QueueShutDown
            self._news.clear()
            await self._news.wait()
        self._room.set()
        return self._items.pop(0)

    def shutdown(self, *, immediate: bool = False) -> None:
        """Take no more; `get` raises once all is read, or at once, and what waits is dropped."""
        self._shut = True
        if immediate:
            self._items.clear()
        self._news.set()
        self._room.set()
