"""What the speech-to-text sessions of one stream still owe us: tentative words, answers to finalize, audio to settle."""

from collections.abc import Sequence

from voicebot.core.events import Endpoint, Finalized, Heard, SttEvent, Token
from voicebot.wire.soniox_stt import NOTHING, Message


class Ledger:
    """Books of one stream over all of its sessions; deadlines are seconds of any clock, as long as it is always the same.

    A new session starts its times at 0, so `base_ms` says where its first audio byte lies in the whole stream. What it
    hears again although it was settled before is left out; a word belongs to the side of the border on which its middle
    lies. Tentative words of a lost session stay until the new one has its own, or has passed them.
    """

    def __init__(self, bytes_per_second: int) -> None:
        self._bytes_per_second = bytes_per_second
        self._next_byte: int | None = None
        self._base_bytes = 0
        self._asked: list[tuple[float, int]] = []
        """For each finalize its deadline, and up to where it settles the stream, ms."""
        self._overdue = 0
        self._tail: tuple[Token, ...] = ()
        self._stale = False
        """The tail is a lost session's."""
        self._settled_ms = 0
        """End of the last settled word."""
        self._border_ms = 0
        """Words before it were settled by earlier sessions."""
        self._known = False
        """The last word with a time lay before the border: what has none (a translation) belongs to it."""
        self._unended = False
        """Words were settled behind the last endpoint."""
        self._again = False
        """The session has settled nothing new yet, and an earlier one may have told of the same endpoint."""
        self._sessions = 0
        self.settled_to_ms = 0
        """Up to where no session has to hear the stream again."""
        self.worked = False

    @property
    def base_ms(self) -> int:
        """To be added to the session's times."""
        return self._ms(self._base_bytes)

    @property
    def audio_sent(self) -> bool:
        """Whether the session was given any audio."""
        return self._next_byte is not None

    @property
    def quiet(self) -> bool:
        """Nothing is under way: no tentative words, none without an endpoint, nothing asked."""
        return not (self._tail or self._asked)

    def begin(self, position: int) -> list[SttEvent]:
        """Open the books of a session whose audio begins at byte `position`; words that it cannot hear again are settled."""
        begin_ms = self._ms(position)
        gone = 0
        if begin_ms > self.settled_to_ms:
            gone = max((n for n, token in enumerate(self._tail, 1) if (token.start_ms or 0) < begin_ms), default=0)
            self.settled_to_ms = begin_ms
        settled, self._tail = self._tail[:gone], self._tail[gone:]
        self._note(settled)
        self._next_byte, self._base_bytes = None, position
        self._asked.clear()
        self._overdue = 0
        self._border_ms, self._known = self._settled_ms, False
        self._again, self._stale = self._sessions > 0, bool(self._tail)
        self._sessions += 1
        self.worked = False
        return [Heard(settled, self._tail)] if settled else []

    def send_audio(self, position: int, size: int) -> None:
        """Note that `size` bytes go out that lie at `position` in the whole stream; bytes left out shift the times."""
        if self._next_byte is None:
            self._base_bytes = position
        else:
            self._base_bytes += position - self._next_byte
        self._next_byte = position + size

    def ask(self, deadline: float) -> None:
        """Note that finalize goes out, to be answered by `deadline`."""
        self._asked.append((deadline, self._ms(self._next_byte or 0)))

    def answer_due(self) -> float | None:
        """When the next answer to finalize is overdue."""
        return self._asked[0][0] if self._asked else None

    def take(self, message: Message) -> list[SttEvent]:
        """Return what is new in `message`; answers that nobody waits for any more are left out."""
        self.worked = self.worked or message.events != NOTHING or (message.total_ms or 0) > self.base_ms
        settled_to_ms = message.final_ms or 0
        events: list[SttEvent] = []
        for event in message.events:
            match event:
                case Heard():
                    settled_to_ms = max(settled_to_ms, _end_ms(event.settled))
                    events += self._heard(event, message)
                case Finalized():
                    settled_to_ms = max(settled_to_ms, self._asked[0][1] if self._asked and not self._overdue else 0)
                    events += self._answered()
                case Endpoint() if self._unended or not self._again:
                    self._unended = False
                    events.append(event)
                case _:
                    pass  # told by the session before
        self.settled_to_ms = max(self.settled_to_ms, self._up_to_the_tail(settled_to_ms, message))
        return events

    def give_up(self, now: float) -> list[SttEvent]:
        """Answer in the session's place what is overdue; its own answer will be left out if it comes after all."""
        events: list[SttEvent] = []
        while self._asked and self._asked[0][0] <= now:
            self._asked.pop(0)
            self._overdue += 1
            events.append(Finalized())
        return events

    def lost(self) -> None:
        """The session is lost: the next one is asked again, and its words replace the tentative ones."""
        self._asked.clear()

    def settle(self) -> list[SttEvent]:
        """Close the books: what was tentative is all that will ever be known, and every finalize is answered."""
        events: list[SttEvent] = [Heard(settled=self._tail)] if self._tail else []
        events += [Finalized() for _ in self._asked]
        self._note(self._tail)
        self._tail = ()
        self._asked.clear()
        return events

    # --- inside

    def _ms(self, position: int) -> int:
        return position * 1_000 // self._bytes_per_second

    def _heard(self, heard: Heard, message: Message) -> list[SttEvent]:
        settled, self._known = self._new(heard.settled)
        tentative, _ = self._new(heard.tentative)
        self._note(settled)
        if not settled and (self._is_old(tentative, message) or not (tentative or self._tail)):
            return []
        self._tail, self._stale = tentative, False
        return [Heard(settled, tentative)]

    def _is_old(self, tentative: tuple[Token, ...], message: Message) -> bool:
        """Whether a tentative tail says nothing new; that of a lost session stays until the new one has passed it."""
        if not self._stale:
            return tentative == self._tail
        passed = len(message.events) > 1 or message.finished or (message.total_ms or 0) >= _end_ms(self._tail)
        return not (tentative or passed)

    def _new(self, tokens: tuple[Token, ...]) -> tuple[tuple[Token, ...], bool]:
        """Leave out what earlier sessions have settled."""
        if not self._border_ms:
            return tokens, False
        known, new = self._known, []
        for token in tokens:
            if token.start_ms is not None and token.end_ms is not None:
                known = token.start_ms + token.end_ms < 2 * self._border_ms
            if not known:
                new.append(token)
        return tuple(new), known

    def _note(self, settled: Sequence[Token]) -> None:
        if settled:
            self._unended, self._again = True, False
            self._settled_ms = max(self._settled_ms, _end_ms(settled))

    def _up_to_the_tail(self, settled_to_ms: int, message: Message) -> int:
        """Words that are still tentative are not settled, whatever the server's count says (real-time API, tokens)."""
        for event in message.events:
            for token in event.tentative if isinstance(event, Heard) else ():
                if token.start_ms is not None:
                    settled_to_ms = min(settled_to_ms, token.start_ms)
                elif not token.translation:
                    return 0
        return settled_to_ms

    def _answered(self) -> list[SttEvent]:
        if self._overdue:
            self._overdue -= 1
            return []
        if not self._asked:
            return []
        self._asked.pop(0)
        return [Finalized()]


def _end_ms(tokens: Sequence[Token]) -> int:
    """Return where the last of the words ends, 0 where nothing tells."""
    return max([token.end_ms or 0 for token in tokens], default=0)
