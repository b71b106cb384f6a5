"""What goes up a speech-to-text socket, in order: audio in batches, and the commands between them."""

from collections import deque
from dataclasses import dataclass
from typing import Literal

from voicebot.wire.soniox_stt import CONTAINER, SttOptions

MAX_FINALIZES = 32
"""Requests to settle that may wait for a socket; further ones need no wait, their answer would say nothing new."""
BYTES_PER_SAMPLE = {"mulaw": 1, "alaw": 1, "pcm_s8": 1, "pcm_u8": 1}
# A container's bytes say nothing about time; this is the pace of the example program on Soniox's page.
CONTAINER_BYTES_PER_SECOND = 32_000


@dataclass(frozen=True, slots=True)
class AudioFormat:
    """How the audio is encoded, in Soniox's words (real-time API, audio formats)."""

    encoding: str = "mulaw"
    sample_rate: int = 8_000
    channels: int = 1

    @property
    def bytes_per_second(self) -> int:
        """Bytes of one second; a nominal pace for a container."""
        if self.encoding == CONTAINER:
            return CONTAINER_BYTES_PER_SECOND
        return self.frame_bytes * self.sample_rate

    @property
    def frame_bytes(self) -> int:
        """Bytes that must not be torn apart: one sample of every channel."""
        if self.encoding == CONTAINER:
            return 1
        bits = "".join(filter(str.isdigit, self.encoding))
        return BYTES_PER_SAMPLE.get(self.encoding, int(bits or 8) // 8) * self.channels

    @property
    def resumable(self) -> bool:
        """Whether a new session can understand the rest of the stream: not without a container's header."""
        return self.encoding != CONTAINER


@dataclass(frozen=True, slots=True)
class Audio:
    """A batch; `position` counts bytes from the start of the whole stream."""

    data: bytes
    position: int


@dataclass(frozen=True, slots=True)
class Reconfigure:
    """From here on these options hold."""

    options: SttOptions


type Command = Literal["finalize", "finish"]
type Item = Audio | Reconfigure | Command


class Upstream:
    """A bounded line of audio and commands: commands keep their place, the oldest audio gives way when it is too long.

    A phone cannot be paused, so `feed` never refuses; what was lost is counted in `dropped_bytes`.
    """

    def __init__(self, batch_bytes: int, buffer_bytes: int) -> None:
        self._batch_bytes = max(1, batch_bytes)
        self._buffer_bytes = max(self._batch_bytes, buffer_bytes)
        self._batch = bytearray()
        self._items: deque[Item] = deque()
        self._waiting_bytes = 0
        self._fed_bytes = 0
        self.dropped_bytes = 0
        self.finished = False

    @property
    def partial(self) -> bool:
        """Whether audio waits for its batch to fill."""
        return bool(self._batch)

    @property
    def waiting_bytes(self) -> int:
        """Audio in whole batches that was not taken yet."""
        return self._waiting_bytes

    @property
    def half_empty(self) -> bool:
        """Whether a source that can wait should go on: at most half of the buffer is taken."""
        return 2 * self._waiting_bytes <= self._buffer_bytes

    @property
    def drained(self) -> bool:
        """Whether the audio has ended and all of it was taken."""
        return self.finished and not self._waiting_bytes

    @property
    def finalizes(self) -> int:
        """Requests to settle that have not been taken."""
        return self._items.count("finalize")

    def feed(self, payload: bytes) -> bool:
        """Append audio; return whether something became ready to be taken."""
        if self.finished:
            return False
        self._batch += payload
        self._fed_bytes += len(payload)
        return len(self._batch) >= self._batch_bytes and self.flush()

    def flush(self) -> bool:
        """Close the batch whatever its size; return whether there was one."""
        if not self._batch:
            return False
        start = self._fed_bytes - len(self._batch)
        for offset in range(0, len(self._batch), self._batch_bytes):
            data = bytes(self._batch[offset : offset + self._batch_bytes])
            self._items.append(Audio(data, start + offset))
            self._waiting_bytes += len(data)
        self._batch.clear()
        while self._waiting_bytes > self._buffer_bytes:
            self._drop_oldest()
        return True

    def finalize(self) -> bool:
        """Ask to settle the audio so far; return False if too many requests wait already."""
        self.flush()
        if self.finished or self.finalizes >= MAX_FINALIZES:
            return False
        self._items.append("finalize")
        return True

    def reconfigure(self, options: SttOptions) -> None:
        """Change the options from here on."""
        self.flush()
        if self.finished:
            return
        if self._items and isinstance(self._items[-1], Reconfigure):
            self._items.pop()  # nothing lies between the two
        self._items.append(Reconfigure(options))

    def finish(self) -> None:
        """End the audio; nothing is taken in after it."""
        if self.finished:
            return
        self.flush()
        self._items.append("finish")
        self.finished = True

    def take(self) -> Item | None:
        """Take the next item, None if there is none."""
        if not self._items:
            return None
        item = self._items.popleft()
        if isinstance(item, Audio):
            self._waiting_bytes -= len(item.data)
        return item

    def put_back(self, audio: Audio) -> None:
        """Undo `take` for a batch that could not be sent."""
        self._items.appendleft(audio)
        self._waiting_bytes += len(audio.data)

    def take_options(self) -> SttOptions | None:
        """Take the options that hold before any further audio, None if they do not change."""
        options = None
        while self._items and isinstance(self._items[0], Reconfigure):
            options = self._items[0].options
            self._items.popleft()
        return options

    def _drop_oldest(self) -> None:
        for index, item in enumerate(self._items):
            if isinstance(item, Audio):
                del self._items[index]
                self._waiting_bytes -= len(item.data)
                self.dropped_bytes += len(item.data)
                return
