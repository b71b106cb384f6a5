"""What waits to go up, and when it goes: batches of the length in force, commands at once."""

import asyncio
from collections.abc import Callable

from voicebot.config import SonioxSettings
from voicebot.core.batching import Batching
from voicebot.waiting import Flag
from voicebot.wire.soniox_upstream import AudioFormat, Item, Upstream

TOGETHER = 2
"""Batches of one message at most. What was read together goes up together: cut into batches it would be more work, just when
there is no time for it."""
NEARLY = 0.75
"""Share of a batch: one message of four or five is missing."""


class Line:
    """The upstream with an outlet, which is told as soon as there is something to send; a batch that does not fill goes anyway."""

    def __init__(self, audio_format: AudioFormat, settings: SonioxSettings, batching: Batching) -> None:
        self.format, self._batching = audio_format, batching
        self._bytes_per_second = audio_format.bytes_per_second
        self._batch_ms = self._batch_bytes = 0
        longest_bytes = self.bytes_of(max(settings.batch_ms, min(TOGETHER * settings.batch_ms, settings.replay_ms)))
        longest_bytes -= longest_bytes % audio_format.frame_bytes
        self.upstream = Upstream(longest_bytes, self.bytes_of(settings.replay_ms), audio_format)
        self._outlet: Callable[[], None] | None = None
        self.room = Flag()
        self.room.set()
        self._timer: asyncio.TimerHandle | None = None
        self._fed_at = self._whole_at = 0.0
        self.forwarded: Callable[[float], None] | None = None
        """Told of each batch how many seconds after its newest audio the socket took it."""

    def connect(self, outlet: Callable[[], None]) -> None:
        """Tell `outlet`, now and whenever something waits to be taken that it does not know of."""
        self._outlet = outlet
        self._tell()

    def disconnect(self) -> None:
        """Tell nobody; what comes waits."""
        self._outlet = None

    def ring(self) -> None:
        """Say that the upstream has something to send; a batch that was begun is whole by that."""
        self._whole_at = max(self._whole_at, self._fed_at)
        self._tell()

    def feed(self, payload: bytes) -> None:
        """Append audio; it leaves when its batch is full, or when no more comes for the length of a batch.

        What comes together and is nearly a batch is one: whoever collected it collects anew, and so both keep step.
        """
        if self._batch_ms != self._batching.ms:
            self._batch_ms = self._batching.ms
            self._batch_bytes = self.bytes_of(self._batch_ms)
        nearly = len(payload) >= NEARLY * self._batch_bytes
        if self.upstream.feed(payload, len(payload) if nearly else self._batch_bytes):
            self._whole_at = asyncio.get_running_loop().time()
            self._tell()
        if self.upstream.partial:
            loop = asyncio.get_running_loop()
            self._fed_at = loop.time()
            if self._timer is None:
                self._timer = loop.call_at(self._fed_at + self._batch_ms / 1_000, self._flush)

    def take(self) -> Item | None:
        """Take the next item, None if there is none."""
        item = self.upstream.take()
        if self.upstream.half_empty:
            self.room.set()
        return item

    def sent(self, now: float) -> None:
        """The socket has taken a batch; what waits behind it came later by as much as it lasts."""
        if self.forwarded:
            self.forwarded(now - self._whole_at + self.upstream.waiting_bytes / self._bytes_per_second)

    def settled(self, ms: int, *, answers: int) -> None:
        """Forget audio before `ms`, and so many requests to settle."""
        self.upstream.settled(self.bytes_of(ms))
        for _ in range(answers):
            self.upstream.answered()

    def bytes_of(self, ms: int) -> int:
        """Return the size of so much audio."""
        return ms * self._bytes_per_second // 1_000

    def close(self) -> None:
        """Stop the timer, and let go whoever waits for room."""
        self.room.set()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _tell(self) -> None:
        if self._outlet is not None:
            self._outlet()
        if self.upstream.half_empty:
            self.room.set()
        else:
            self.room.clear()

    def _flush(self) -> None:
        """One timer serves many batches: it goes on while audio comes, instead of being set anew for each frame."""
        self._timer = None
        if not self.upstream.partial:
            return
        loop = asyncio.get_running_loop()
        due = self._fed_at + self._batch_ms / 1_000
        if loop.time() < due:
            self._timer = loop.call_at(due, self._flush)
        elif self.upstream.flush():
            self.ring()
