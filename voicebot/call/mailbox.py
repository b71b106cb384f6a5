"""What waits to be read by one call, in its order and bounded."""

import asyncio
from collections.abc import Awaitable
from contextlib import suppress

from voicebot.call.inputs import CallInput
from voicebot.waiting import Queue


class Mailbox:
    """Whoever can wait for room puts, whoever cannot offers; once it is shut, nobody wants to know any more."""

    def __init__(self, most: int) -> None:
        self._queue: Queue[CallInput] = Queue(most)

    async def put(self, event: CallInput) -> None:
        """Tell the call something; waits while its mailbox is full."""
        with suppress(asyncio.QueueShutDown):
            await self._queue.put(event)

    def offer(self, event: CallInput) -> bool:
        """Tell the call something without waiting; return whether there was room for it."""
        try:
            self._queue.put_nowait(event)
        except asyncio.QueueShutDown:
            return True
        except asyncio.QueueFull:
            return False
        return True

    def next(self) -> Awaitable[CallInput]:
        """Wait for the next input; raises asyncio.QueueShutDown when none will come."""
        return self._queue.get()

    def shut(self, *, at_once: bool = False) -> None:
        """Take nothing more; what waits is still read, unless it ends `at_once`."""
        self._queue.shutdown(immediate=at_once)
