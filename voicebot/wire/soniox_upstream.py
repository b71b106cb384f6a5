"""What goes up a speech-to-text socket, in order: audio in batches, and the commands between them; kept until settled."""

from dataclasses import dataclass
from functools import cache
from typing import Literal

import msgspec

from voicebot.wire.soniox_stt import CONTAINER, SttOptions

MAX_FINALIZES = 32
"""Requests to settle that may wait for a socket; further ones need no wait, their answer would say nothing new."""
PREROLL_MS = 500
"""Settled audio that is replayed as well, so that a new session does not begin in the middle of a word."""
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
        return _sample_bytes(self.encoding) * self.channels

    @property
    def resumable(self) -> bool:
        """Whether a new session can understand the rest of the stream: not without a container's header."""
        return self.encoding != CONTAINER


@cache
def _sample_bytes(encoding: str) -> int:
    bits = "".join(filter(str.isdigit, encoding))
    return BYTES_PER_SAMPLE.get(encoding, int(bits or 8) // 8)


class Audio(msgspec.Struct, frozen=True, gc=False):
    """A batch; `position` counts bytes from the start of the whole stream."""

    data: bytes
    position: int


@dataclass(frozen=True, slots=True)
class Reconfigure:
    """From here on these options hold."""

    options: SttOptions


type Command = Literal["finalize", "finish"]
type Item = Audio | Reconfigure | Command


@dataclass(frozen=True, slots=True)
class Rewound:
    """What a new session gets again, and what it cannot get because it fell out of the bound; bytes."""

    replayed: int
    lost: int


class Upstream:
    """A bounded line of audio and commands; what was taken stays in reach until it is settled, and `rewind` puts it back.

    A phone cannot be paused, so `feed` never refuses: beyond the bound the oldest audio gives way. What no session has
    heard, or would have to hear again and cannot, is counted in `dropped_bytes`. Commands keep their place.
    """

    def __init__(self, batch_bytes: int, keep_bytes: int, audio_format: AudioFormat | None = None) -> None:
        self._format = audio_format or AudioFormat()
        self._batch_bytes = max(1, batch_bytes)
        self._keep_bytes = max(self._batch_bytes, keep_bytes)
        self._preroll = PREROLL_MS * self._format.bytes_per_second // 1_000
        self._batch = bytearray()
        self._items: list[Item] = []
        self._waiting_bytes = 0
        self._fed_bytes = 0
        self._sent = bytearray()
        """Audio that was taken and may be needed again, up to `_taken_end`; in one piece, for each batch would cost an object."""
        self._commands: list[tuple[int, Reconfigure | Command]] = []
        """Commands that were taken and not answered, each with its place in the stream."""
        self._taken_end = 0
        self._settled_end = 0
        self._forgotten_end = 0
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
        """Whether a source that can wait should go on: at most half of the bound waits to be taken."""
        return 2 * self._waiting_bytes <= self._keep_bytes

    @property
    def kept_bytes(self) -> int:
        """Audio in memory: taken and waiting."""
        return len(self._sent) + self._waiting_bytes + len(self._batch)

    @property
    def begins_at(self) -> int:
        """Where the audio begins that will be taken next, in bytes of the whole stream."""
        first = next((item for item in self._items if isinstance(item, Audio)), None)
        return first.position if first else self._fed_bytes - len(self._batch)

    @property
    def drained(self) -> bool:
        """Whether the audio has ended and all of it was taken."""
        return self.finished and not self._waiting_bytes

    @property
    def empty(self) -> bool:
        """Whether there is nothing to be taken."""
        return not self._items

    @property
    def finalizes(self) -> int:
        """Requests to settle that have not been taken."""
        return self._items.count("finalize")

    def feed(self, payload: bytes, enough: int | None = None) -> bool:
        """Append audio; return whether something became ready to be taken.

        A batch is closed from `enough` bytes on, the most that go into one message unless given.
        """
        if self.finished:
            return False
        size, start = len(payload), self._fed_bytes
        self._fed_bytes += size
        if not self._batch and (enough or self._batch_bytes) <= size <= self._batch_bytes:  # it is a batch, as it is
            self._items.append(Audio(payload, start))
            self._waiting_bytes += size
            self._trim(self._keep_bytes)
            return True
        self._batch += payload
        return len(self._batch) >= (enough or self._batch_bytes) and self.flush()

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
        self._trim(self._keep_bytes)
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
        item = self._items.pop(0)
        if not isinstance(item, Audio):
            self._commands.append((self._taken_end, item))
            return item
        size = len(item.data)
        self._waiting_bytes -= size
        self._taken_end = item.position + size
        if self._format.resumable:
            self._sent += item.data
        return item

    def take_audio(self) -> Audio | None:
        """Take the next item if it is audio."""
        if not self._items or not isinstance(item := self._items[0], Audio):
            return None
        self.take()
        return item

    def take_options(self) -> SttOptions | None:
        """Take the options that hold before any further audio, None if they do not change."""
        options = None
        while self._items and isinstance(self._items[0], Reconfigure):
            options = self._items[0].options
            del self._items[0]
        return options

    # --- what was taken ---------------------------------------------------------------------------

    def settled(self, position: int) -> None:
        """Audio before `position` is settled: no session has to hear it again."""
        self._settled_end = max(self._settled_end, position)
        self._forget(self._settled_end - self._preroll)

    def answered(self) -> None:
        """The oldest request to settle that was taken is answered."""
        place = next((at for at, (_, command) in enumerate(self._commands) if command == "finalize"), None)
        if place is not None:
            del self._commands[place]

    def done(self) -> None:
        """The session has ended as it should: everything that was taken is settled and answered."""
        self._sent.clear()
        self._commands.clear()
        self._settled_end = max(self._settled_end, self._taken_end)

    def rewind(self) -> Rewound:
        """The session is lost: what was taken and is not settled, or not answered, is taken again, in its order."""
        begin = self._resume_at()
        lost = max(0, self._forgotten_end - self._settled_end) if begin < self._taken_end else 0
        again: list[Item] = []
        position, replayed = begin, self._taken_end - begin
        while position < self._taken_end:
            self._put_commands(again, position)
            end = self._cut_after(position)
            again.append(Audio(bytes(self._sent[position - self._sent_from : end - self._sent_from]), position))
            position = end
        self._put_commands(again, None)
        self._items[:0] = again
        self._waiting_bytes += replayed
        self._sent.clear()
        self._taken_end = begin
        self._forgotten_end = self._settled_end = max(self._settled_end, begin)
        self.dropped_bytes += lost
        return Rewound(replayed, lost)

    def give_up(self) -> None:
        """Nobody waits for what was fed so far: its audio is dropped, requests to settle it are answered elsewhere."""
        self.shorten(0)
        self._items = [item for item in self._items if item != "finalize"]

    def shorten(self, keep_bytes: int) -> None:
        """Drop the oldest audio that waits, but for so much: nobody would want to hear it any more."""
        self._trim(keep_bytes)

    def _resume_at(self) -> int:
        """Where a new session has to begin."""
        if self._settled_end >= self._taken_end or not self._sent:
            return self._taken_end
        wanted = max(0, self._settled_end - self._preroll)
        wanted -= wanted % self._format.frame_bytes
        return max(wanted, self._sent_from)

    @property
    def _sent_from(self) -> int:
        """Where the audio begins that is still in reach."""
        return self._taken_end - len(self._sent)

    def _cut_after(self, position: int) -> int:
        """Where a message ends that begins at `position` of what is taken again: at a batch's end, or at the next command."""
        batch_end = position - position % self._batch_bytes + self._batch_bytes
        commands = [place for place, _ in self._commands if place > position]
        return min(batch_end, self._taken_end, *commands)

    def _forget(self, before: int) -> None:
        """Keep nothing of what was taken before this place, but the whole of the sample that lies there."""
        if before < self._taken_end:
            before -= before % self._format.frame_bytes
        del self._sent[: max(0, before - self._sent_from)]

    def _put_commands(self, again: list[Item], before: int | None) -> None:
        while self._commands and (before is None or self._commands[0][0] <= before):
            again.append(self._commands.pop(0)[1])

    def _trim(self, keep_bytes: int) -> None:
        """Audio that was sent is only forgotten: as long as its session lives, nothing is lost."""
        excess = len(self._sent) + self._waiting_bytes - keep_bytes
        if self._sent and excess > 0:
            self._forget(self._sent_from + excess + self._format.frame_bytes - 1)
            self._forgotten_end = self._sent_from
        while self._waiting_bytes > keep_bytes:
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        for index, item in enumerate(self._items):
            if isinstance(item, Audio):
                del self._items[index]
                self._waiting_bytes -= len(item.data)
                self.dropped_bytes += len(item.data)
                return
