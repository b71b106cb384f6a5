"""A connection's audio and commands waiting for the engine: in order, audio joined together, bounded in bytes."""

import asyncio
from collections import deque
from enum import Enum

MAX_WAITING_BYTES = 16 * 1024 * 1024
"""Audio sent faster than it is recognised waits here, half an hour of telephone audio; beyond, the reader waits."""


class Command(Enum):
    """What a client may ask for between pieces of audio."""

    FINALIZE = "finalize"
    FINISH = "finish"


class Inbox:
    """Filled by the reader, emptied by the session."""

    def __init__(self, limit: int = MAX_WAITING_BYTES) -> None:
        self._limit = limit
        self._items: deque[bytearray | Command] = deque()
        self._bytes = 0
        self._changed = asyncio.Condition()

    @property
    def waiting_bytes(self) -> int:
        """Audio not taken yet."""
        return self._bytes

    async def put(self, data: bytes) -> None:
        """Append audio; waits while the limit is reached."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._bytes < self._limit)
            if not self._items or isinstance(self._items[-1], Command):
                self._items.append(bytearray())
            audio = self._items[-1]
            if isinstance(audio, bytearray):
                audio += data
            self._bytes += len(data)
            self._changed.notify_all()

    async def order(self, command: Command) -> None:
        """Append a command behind the audio that came before it."""
        async with self._changed:
            self._items.append(command)
            self._changed.notify_all()

    async def take(self, least: int, most: int) -> bytes | Command:
        """From `least` to `most` bytes of audio (fewer only in front of a command), or the next command."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._ready(least))
            first = self._items[0]
            if isinstance(first, Command):
                self._items.popleft()
                return first
            data = bytes(first[:most])
            del first[:most]
            if not first:
                self._items.popleft()
            self._bytes -= len(data)
            self._changed.notify_all()
            return data

    def _ready(self, least: int) -> bool:
        if not self._items:
            return False
        first = self._items[0]
        return isinstance(first, Command) or len(self._items) > 1 or len(first) >= least
