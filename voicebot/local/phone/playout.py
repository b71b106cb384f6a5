"""The buffer between what the service sends and what the caller hears, with the marks in their places."""

from collections import deque
from dataclasses import dataclass
from typing import Final

#: Samples per second of the only format Twilio plays.
SAMPLE_RATE: Final = 8000
#: Twilio discards what exceeds ten minutes of buffered audio (warning 31931).
MAX_BUFFERED_SAMPLES: Final = 10 * 60 * SAMPLE_RATE


@dataclass(frozen=True, slots=True)
class Taken:
    """What played in one step: audio (never more than asked for) and the marks reached by its end."""

    audio: bytes
    marks: tuple[str, ...]


class Playout:
    """Audio and marks in order; nobody here knows the time, the caller takes as many samples as have passed.

    Twilio Media Streams, WebSocket messages: audio plays in order at 8 kHz, a mark comes back when all audio before
    it has played or at once if nothing is buffered, and `clear` empties the buffer and sends back every mark.
    """

    def __init__(self, limit: int = MAX_BUFFERED_SAMPLES) -> None:
        self._queue: deque[bytes | str] = deque()
        self._limit = limit
        self._buffered = 0

    @property
    def buffered(self) -> int:
        """Samples (bytes of µ-law) not played yet."""
        return self._buffered

    def feed(self, audio: bytes) -> bool:
        """Append audio; False when it did not fit and was thrown away."""
        if self._buffered + len(audio) > self._limit:
            return False
        if audio:
            self._queue.append(audio)
            self._buffered += len(audio)
        return True

    def mark(self, name: str) -> bool:
        """Place a mark after what is buffered; True when nothing is, so that it is due now."""
        if not self._queue:
            return True
        self._queue.append(name)
        return False

    def clear(self) -> tuple[str, ...]:
        """Throw everything away; the marks that were waiting, in order."""
        waiting = tuple(entry for entry in self._queue if isinstance(entry, str))
        self._queue.clear()
        self._buffered = 0
        return waiting

    def take(self, samples: int) -> Taken:
        """Play up to `samples` samples; marks placed right after the last of them are reached too."""
        pieces: list[bytes] = []
        marks: list[str] = []
        wanted = samples
        while self._queue:
            entry = self._queue[0]
            if isinstance(entry, str):
                marks.append(entry)
                self._queue.popleft()
                continue
            if wanted == 0:
                break
            self._queue.popleft()
            if len(entry) > wanted:
                self._queue.appendleft(entry[wanted:])
                entry = entry[:wanted]
            pieces.append(entry)
            wanted -= len(entry)
        audio = b"".join(pieces)
        self._buffered -= len(audio)
        return Taken(audio, tuple(marks))
