"""The ledger of what the bot says: what was sent, what the caller has heard, and what not."""

from array import array
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

MS_PER_CHARACTER = 60
"""Pace of speech, to guess the length of an utterance that is still being synthesised without timestamps."""

BEGINNING = "begun"

_MS = "q"
"""Type code of an array of milliseconds, which the synthesiser says and nobody bounds."""


@dataclass(frozen=True, slots=True)
class Spoken:
    """What became of one utterance; `heard + unheard` is its text."""

    utterance: int
    text: str
    heard: str
    unheard: str
    ms: int
    """How much of it was heard, in milliseconds."""
    interrupted: bool

    @property
    def rest(self) -> str:
        """What is left to say: the unheard text from the beginning of the word that was cut."""
        if not self.heard or not self.unheard.strip() or self.unheard[:1].isspace():
            return self.unheard.strip()
        cut = self.heard.rsplit(maxsplit=1)[-1] if not self.heard[-1].isspace() else ""
        return (cut + self.unheard).strip()


@dataclass(slots=True)
class _Utterance:
    number: int
    text: str
    interruptible: bool
    sent_ms: int = 0
    complete: bool = False
    audible: int | None = None
    """Characters that have audio, when synthesis failed on the way; None is all."""
    starts: array[int] = field(default_factory=lambda: array(_MS))
    """When each piece of the text that has a timestamp, mostly a character, begins: ms from the first audio ..."""
    lengths: array[int] = field(default_factory=lambda: array(_MS))
    """... and its characters; in arrays, for tuples of a sentence take 150 bytes for each."""
    pieces: list[tuple[float, int]] = field(default_factory=list[tuple[float, int]])
    """(when it begins to be heard, ms) of everything sent."""

    def heard_ms(self, now: float) -> int:
        return sum(max(0, min(ms, round((now - start) * 1_000))) for start, ms in self.pieces)

    def spoken(self, ms: int) -> Spoken:
        """Split the text at `ms` of its audio."""
        text = self.text if self.audible is None else self.text[: self.audible]
        whole = self.complete and ms >= self.sent_ms
        if whole:
            heard = text if self.sent_ms else ""
        else:
            length = self.sent_ms if self.complete else max(self.sent_ms, len(text) * MS_PER_CHARACTER)
            heard = heard_text(text, list(zip(self.starts, self.lengths, strict=True)), ms, length)
        return Spoken(self.number, self.text, heard, self.text[len(heard) :], ms, interrupted=not whole)


class Playback:
    """Knows at any time what the caller has heard.

    The carrier plays what it is sent in order at the speed of speech and echoes a mark once everything before it has
    been played *or cleared*; so every mark carries a generation, and a mark of an older one says nothing (Twilio
    Media Streams, mark and clear messages). Times are seconds on one clock.
    """

    def __init__(self) -> None:
        self.generation = 1
        self._numbers = 0
        self._queue: list[_Utterance] = []
        self._free_at = float("-inf")

    @property
    def speaking(self) -> bool:
        """Something sent has not been reported as heard, or is still being sent."""
        return any(u.sent_ms or u.complete for u in self._queue)

    @property
    def text(self) -> str:
        """What is being said: the texts of everything that was sent and not yet heard to its end."""
        return " ".join(u.text for u in self._queue if u.sent_ms and u.text)

    @property
    def interruptible(self) -> bool:
        """What is being heard now may be interrupted."""
        return all(u.interruptible for u in self._queue[:1])

    def begin(self, text: str, *, interruptible: bool) -> int:
        """Open the next utterance and return its number."""
        self._numbers += 1
        self._queue.append(_Utterance(self._numbers, text, interruptible))
        return self._numbers

    def has_sound(self, number: int) -> bool:
        """Say whether audio of an utterance was sent."""
        utterance = self._find(number)
        return utterance is not None and bool(utterance.sent_ms)

    def text_of(self, number: int) -> str:
        """Return the text of an utterance that is not over, as far as it is known."""
        utterance = self._find(number)
        return utterance.text if utterance else ""

    def extend(self, number: int, text: str) -> None:
        """Note that an utterance goes on with more text."""
        if utterance := self._find(number):
            utterance.text += text

    def sent(self, number: int, ms: int, characters: Sequence[tuple[str, int, int]], now: float) -> float:
        """Note `ms` of audio of an utterance that was sent now; return when it begins to be heard."""
        utterance = self._find(number)
        start = max(now, self._free_at)
        if utterance is None:
            return start
        self._free_at = start + ms / 1_000
        utterance.pieces.append((start, ms))
        utterance.starts.extend([begins for _, begins, _ in characters])
        utterance.lengths.extend([len(piece) for piece, _, _ in characters])
        utterance.sent_ms += ms
        return start

    def beginning(self, number: int) -> str:
        """Return the mark to send behind the first audio of an utterance: its echo says that it is being heard."""
        return f"{self.generation}:{number}:{BEGINNING}"

    def begun(self, mark: str) -> int | None:
        """Return the utterance of this generation that an echoed mark tells is being heard, or None."""
        return next((u.number for u in self._queue if self.beginning(u.number) == mark), None)

    def complete(self, number: int) -> str | None:
        """Note that all audio of an utterance was sent; return the mark to send, None if it was cleared meanwhile."""
        utterance = self._find(number)
        if utterance is None:
            return None
        utterance.complete = True
        return self._mark(utterance)

    def fail(self, number: int) -> str | None:
        """Note that no more audio of an utterance will come; return the mark to send, None if none of it was sent."""
        utterance = self._find(number)
        if utterance is None or not utterance.sent_ms:
            self._queue = [u for u in self._queue if u.number != number]
            return None
        utterance.audible = len(utterance.spoken(utterance.sent_ms).heard)
        return self.complete(number)

    def reached(self, mark: str) -> tuple[Spoken, ...]:
        """Take an echoed mark; return the utterances that it proves heard, oldest first."""
        last = next((u for u in self._queue if u.complete and self._mark(u) == mark), None)
        if last is None:
            return ()
        heard = [u for u in self._queue if u.complete and u.number <= last.number]
        self._queue = [u for u in self._queue if u not in heard]
        return tuple(u.spoken(u.sent_ms) for u in heard)

    def overdue_at(self, grace_s: float) -> float | None:
        """Return when everything that is complete counts as heard although the carrier has not said so, or None."""
        return self._free_at + grace_s if self._queue and all(u.complete for u in self._queue) else None

    def overdue(self, now: float, grace_s: float) -> tuple[Spoken, ...]:
        """Return what counts as heard by our own clock, `grace_s` after the carrier should have echoed its marks."""
        due_at = self.overdue_at(grace_s)
        if due_at is None or now < due_at:
            return ()
        heard, self._queue = self._queue, []
        return tuple(u.spoken(u.sent_ms) for u in heard)

    def clear(self, now: float) -> tuple[Spoken, ...]:
        """Start a new generation: everything queued ends here; return what became of it, oldest first."""
        spoken = tuple(u.spoken(u.heard_ms(now)) for u in self._queue)
        self._queue.clear()
        self.generation += 1
        self._free_at = now
        return spoken

    def remaining_s(self, now: float) -> float:
        """Return how long the carrier still plays what it was sent, by our own clock."""
        return max(0.0, self._free_at - now) if self._queue else 0.0

    def _mark(self, utterance: _Utterance) -> str:
        return f"{self.generation}:{utterance.number}"

    def _find(self, number: int) -> _Utterance | None:
        return next((u for u in self._queue if u.number == number), None)


def heard_text(text: str, pieces: Collection[tuple[int, int]], heard_ms: int, length_ms: int) -> str:
    """Return the beginning of `text` that was heard after `heard_ms`.

    By the synthesiser's timestamps where it gave any, as (start_ms, characters) of each piece, else in proportion to
    the length of the audio.
    """
    if heard_ms <= 0 or not text:
        return ""
    if pieces:
        length = sum(length for start, length in pieces if start < heard_ms)
    else:
        length = round(len(text) * min(1.0, heard_ms / length_ms)) if length_ms else 0
    return text[:length]
