"""What one speech-to-text session still owes us: its tentative words, its answers to finalize, the place of its audio."""

from collections import deque

from voicebot.core.events import Finalized, Heard, SttEvent, Token
from voicebot.wire.soniox_stt import Message


class Ledger:
    """Books of one session; times are seconds of any clock, as long as it is always the same.

    A new session starts its times at 0, so `base_ms` says where its first audio byte lies in the whole stream.
    """

    def __init__(self, bytes_per_second: int) -> None:
        self._bytes_per_second = bytes_per_second
        self._next_byte: int | None = None
        self._base_bytes = 0
        self._asked: deque[float] = deque()
        self._overdue = 0
        self._tail: tuple[Token, ...] = ()
        self.worked = False

    @property
    def base_ms(self) -> int:
        """To be added to the session's times."""
        return self._base_bytes * 1_000 // self._bytes_per_second

    @property
    def audio_sent(self) -> bool:
        """Whether the session was given any audio."""
        return self._next_byte is not None

    def send_audio(self, position: int, size: int) -> None:
        """Note that `size` bytes go out that lie at `position` in the whole stream; bytes left out shift the times."""
        self._base_bytes += position - (self._next_byte or 0)
        self._next_byte = position + size

    def ask(self, deadline: float) -> None:
        """Note that finalize goes out, to be answered by `deadline`."""
        self._asked.append(deadline)

    def answer_due(self) -> float | None:
        """When the next answer to finalize is overdue."""
        return self._asked[0] if self._asked else None

    def take(self, message: Message) -> list[SttEvent]:
        """Return what is new in `message`; answers that nobody waits for any more are left out."""
        self.worked = self.worked or message.events != (_NOTHING,) or (message.total_ms or 0) > self.base_ms
        events: list[SttEvent] = []
        for event in message.events:
            match event:
                case Heard():
                    if event != _NOTHING or self._tail:
                        events.append(event)
                    self._tail = event.tentative
                case Finalized():
                    events += self._answered()
                case _:
                    events.append(event)
        return events

    def give_up(self, now: float) -> list[SttEvent]:
        """Answer in the session's place what is overdue; its own answer will be left out if it comes after all."""
        events: list[SttEvent] = []
        while self._asked and self._asked[0] <= now:
            self._asked.popleft()
            self._overdue += 1
            events.append(Finalized())
        return events

    def settle(self) -> list[SttEvent]:
        """Close the books: what was tentative is all that will ever be known, and every finalize is answered."""
        events: list[SttEvent] = [Heard(settled=self._tail)] if self._tail else []
        events += [Finalized() for _ in self._asked]
        self._tail = ()
        self._asked.clear()
        return events

    def _answered(self) -> list[SttEvent]:
        if self._overdue:
            self._overdue -= 1
            return []
        if not self._asked:
            return []
        self._asked.popleft()
        return [Finalized()]


_NOTHING = Heard()
