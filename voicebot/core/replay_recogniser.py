"""A model of the recogniser of a recorded call: what it would have said, had it been asked at other moments."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from statistics import median

from voicebot.core.events import AskFinalize, Endpoint, Finalized, Finished, Heard, SttFailed, Token
from voicebot.core.recording import Effect, Input, Leg

FINALIZE_MS = 150.0
"""How long an answer to `finalize` takes where the recording has none."""
SAME_REQUEST_MS = 50.0
"""A `finalize` so near to a recorded one is that one: its own answer follows, at its own time."""

type RecogniserEvent = Heard | Endpoint | Finalized | Finished | SttFailed
type Timed = Leg | Input | Effect


@dataclass(frozen=True, slots=True)
class _Word:
    """A settled token and when its sound ended, on the recording's clock."""

    token: Token
    end_ms: float


@dataclass(frozen=True, slots=True)
class Moment:
    """What the recording holds of one message of the recogniser."""

    t_ms: float
    kind: type[RecogniserEvent]
    tentative: tuple[Token, ...]
    zero_ms: float
    recorded: int
    """Tokens that the recording had settled by then."""
    unasked: int
    """Tokens that were settled by then whatever was asked: by the recogniser itself or by its endpoints."""
    failed: SttFailed | None = None


@dataclass(frozen=True, slots=True)
class _Request:
    """A recorded `finalize`, and the message that answered it."""

    t_ms: float
    answer: Moment


@dataclass(frozen=True, slots=True)
class Answer:
    """What a `finalize` will bring, and when."""

    t_ms: float
    upto: int


class Recogniser:
    """Gives back the recorded words; each settles when the recording settled it unasked, or when it is asked for.

    A token is tentative from the first recorded message that covers it. A `finalize` is answered after the recording's
    own median delay with all tokens whose sound ended before the request.
    """

    def __init__(self, lines: Iterable[Timed], *, endpoints: bool = True) -> None:
        self._endpoints = endpoints
        self._words: list[_Word] = []
        self.moments: list[Moment] = []
        self._requests: list[_Request] = []
        self._done = 0
        self._now: Moment | None = None
        self._read(list(lines))
        self.finalize_ms = median([each.answer.t_ms - each.t_ms for each in self._requests] or [FINALIZE_MS])

    # --- playing back -----------------------------------------------------------------------------

    def at(self, moment: Moment) -> Iterator[RecogniserEvent]:
        """Yield what is said at a moment of the recording."""
        self._now = moment
        if moment.kind is SttFailed and moment.failed:
            yield moment.failed
        elif moment.kind is Finished:
            yield from self._settle(moment.recorded)
            yield Finished()
        elif moment.kind is Endpoint and self._endpoints:
            yield from self._settle(moment.recorded)
            yield Endpoint()
        elif moment.kind is Heard:
            yield self._heard(moment.unasked)

    def ask(self, t_ms: float) -> Answer:
        """Take a `finalize`; return what will answer it."""
        same = min(self._requests, key=lambda each: abs(each.t_ms - t_ms), default=None)
        if same and abs(same.t_ms - t_ms) <= SAME_REQUEST_MS:
            return Answer(max(t_ms, same.answer.t_ms), same.answer.recorded)
        upto = self._done
        while upto < len(self._words) and self._words[upto].end_ms <= t_ms:
            upto += 1
        return Answer(t_ms + self.finalize_ms, upto)

    def answered(self, answer: Answer) -> Iterator[RecogniserEvent]:
        """Yield the answer to a `finalize`."""
        yield from self._settle(answer.upto)
        yield Finalized()

    def _settle(self, upto: int) -> Iterator[Heard]:
        if upto > self._done:
            yield self._heard(upto)

    def _heard(self, upto: int) -> Heard:
        before, self._done = self._done, max(self._done, upto)
        return Heard(tuple(word.token for word in self._words[before : self._done]), self._tail())

    def _tail(self) -> tuple[Token, ...]:
        """Return what is tentative now: what the recording had as such, and what it had settled sooner than we do."""
        if self._now is None:
            return ()
        if self._done <= self._now.recorded:
            return (*(word.token for word in self._words[self._done : self._now.recorded]), *self._now.tentative)
        end_ms = self._words[self._done - 1].end_ms
        return tuple(token for token in self._now.tentative if _middle(token, self._now.zero_ms, end_ms) > end_ms)

    # --- reading the recording --------------------------------------------------------------------

    def _read(self, lines: list[Timed]) -> None:
        asked: list[float] = []
        zero, recorded, unasked = 0.0, 0, 0
        for at, line in enumerate(lines):
            match line:
                case Leg(zero_ms=zero_ms):
                    zero = zero_ms
                case Effect(effect=AskFinalize()):
                    asked.append(line.t_ms)
                case Input(event=Heard() as heard):
                    self._keep(heard.settled, zero, line.t_ms)
                    recorded = len(self._words)
                    if heard.settled and self._is_unasked(lines, at):
                        unasked = recorded
                    self.moments.append(Moment(line.t_ms, Heard, heard.tentative, zero, recorded, unasked))
                case Input(event=Endpoint() | Finalized() | Finished() | SttFailed() as event):
                    tail = self.moments[-1].tentative if self.moments else ()
                    failed = event if isinstance(event, SttFailed) else None
                    self.moments.append(Moment(line.t_ms, type(event), tail, zero, recorded, unasked, failed))
                    if isinstance(event, Finalized) and asked:
                        self._requests.append(_Request(asked.pop(0), self.moments[-1]))
                case _:
                    pass

    def _keep(self, tokens: Iterable[Token], zero_ms: float, t_ms: float) -> None:
        for token in tokens:
            # A translation has no time of its own: it goes with the words before it.
            untimed = self._words[-1].end_ms if self._words else t_ms
            self._words.append(_Word(token, untimed if token.end_ms is None else zero_ms + token.end_ms))

    def _is_unasked(self, lines: list[Timed], at: int) -> bool:
        """Say whether the words of the message at `at` were settled by the recogniser itself.

        `<fin>`, `<end>` and `finished` stand behind the words that they settle (Soniox, endpoint detection, manual
        finalization).
        """
        for line in lines[at + 1 :]:
            match line:
                case Input(event=Heard()):
                    return True
                case Input(event=Endpoint()):
                    return self._endpoints
                case Input(event=Finalized() | Finished()):
                    return False
                case _:
                    pass
        return True


def _middle(token: Token, zero_ms: float, otherwise: float) -> float:
    if token.start_ms is None or token.end_ms is None:
        return otherwise
    return zero_ms + (token.start_ms + token.end_ms) / 2
