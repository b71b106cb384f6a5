"""Which turns are in the set, in which calls, and how long their pauses are: all drawn from one seed."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import batched

import numpy as np

from turns.sources import CUTS, DAYS, MONTHS, ORDINALS, Library, Piece

SEED = 20261122
PAUSE_MEDIAN_MS, PAUSE_SIGMA = 520, 0.6
"""Pauses inside a turn are log-normal, as measured pauses are: one in ten under 250 ms, one in ten over 1,100 ms."""
SHORTEST_PAUSE_MS, LONGEST_PAUSE_MS = 200, 2_000
WORD_GAP_MS = (20, 80)
"""Between single recordings that are spoken as one phrase."""
PUT_TOGETHER = 0.25
"""Share of the pauses in phrases made of single recordings; the others are in recorded sentences."""
TURNS_PER_CALL = 5
SHORT = (
    "hello", "no", "five", "tomorrow", "goodbye", "three", "monday", "yesterday", "o'clock", "activated", "today", "oh",
    "nine", "thursday",
)  # fmt: skip
PHRASES = (
    "one moment please", "please try again", "do not disturb", "telephone number", "call waiting", "hello world",
    "extension", "speed dial",
)  # fmt: skip
BOT_LINES = (
    "Let me look that up for you, it will only take a moment.",
    "There are three free tables on that evening, all of them by the window.",
    "I have changed your booking, and you will get a message in a minute.",
    "The next train leaves at nine, and it stops twice on the way.",
    "Your order is on its way, and it should be with you before noon.",
    "We are open from eight to six on weekdays, and until noon on Saturday.",
)
BACKCHANNELS = (("o", "k"), ("oh",), ("i", "c"), ("o", "k"), ("m",), ("i", "c"))
"""Spoken letters that sound like "okay" and "I see", the word "oh", and a drawn-out "m"."""
BACKCHANNEL_TEXTS = {("o", "k"): "okay", ("i", "c"): "i see", ("oh",): "oh", ("m",): "mm"}
NOISES = (("pink", 20), ("pink", 10), ("babble", 20), ("babble", 10))

type Parts = tuple[Piece | int, ...]
"""A turn: pieces of speech, and pauses in ms."""


@dataclass(frozen=True, slots=True)
class Aside:
    """The bot speaks after a turn, and the caller says this meanwhile, to show that he listens."""

    bot_text: str
    parts: Parts
    text: str


@dataclass(frozen=True, slots=True)
class PlannedTurn:
    """One turn, and what may be said into the bot's answer to it."""

    parts: Parts
    aside: Aside | None = None


@dataclass(frozen=True, slots=True)
class PlannedCall:
    """The turns of one file; `noise` is its kind and the distance to the speech in dB."""

    id: str
    kind: str
    turns: tuple[PlannedTurn, ...]
    noise: tuple[str, int] | None = None


class Planner:
    """Draws turns of every kind."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self._rng = np.random.default_rng(SEED)

    def calls(self) -> Iterator[PlannedCall]:
        """Return every call of the set, in the order in which its turns are drawn."""
        kinds: dict[str, tuple[Callable[[], Parts], int]] = {
            "pause": (self._pause, 25),
            "digits": (self._digits, 8),
            "spelling": (self._spelling, 5),
            "hesitation": (self._hesitation, 10),
        }
        yield from _split("sentence", [PlannedTurn(parts) for parts in self._sentences()])
        for kind, (draw, count) in kinds.items():
            yield from _split(kind, [PlannedTurn(draw()) for _ in range(count)])
        yield from _split("short", [PlannedTurn((self._library.word(text),)) for text in SHORT])
        yield from _split("backchannel", list(self._asides()), 3)
        for noise in NOISES:
            draws = (self._sentence, self._pause, self._digits, self._hesitation)
            name = f"{noise[0]} {noise[1]} dB"
            yield PlannedCall(name.replace(" ", "-"), name, tuple(PlannedTurn(draw()) for draw in draws), noise)

    def _sentences(self) -> Iterator[Parts]:
        for name in self._library.clips:
            yield tuple(self._library.clip(name))
        for phrase in PHRASES:
            yield (self._library.word(phrase),)

    def _sentence(self) -> Parts:
        return tuple(self._library.clip(self._pick([n for n in self._library.clips if n.startswith("austen")])))

    def _pause(self) -> Parts:
        """A recorded sentence cut open at one or two places, or a phrase put together from single recordings."""
        if self._rng.random() < PUT_TOGETHER:
            return self._spaced([self._phrase(words) for words in self._pick([self._date, self._amount, self._time])()])
        name = self._pick(list(CUTS))
        most = min(3, len(CUTS[name]))
        cuts = self._rng.choice(len(CUTS[name]), size=int(self._rng.integers(1, most + 1)), replace=False)
        return self._spaced([(piece,) for piece in self._library.clip(name, *sorted(int(cut) for cut in cuts))])

    def _digits(self) -> Parts:
        groups = self._pick([(3, 3, 4), (3, 4), (2, 3), (4, 4), (2, 2, 2), (3, 3)])
        names = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
        return self._spaced([self._phrase([self._pick(names) for _ in range(size)]) for size in groups])

    def _spelling(self) -> Parts:
        letters = [self._pick(list("abcdefghjklnpqrstuvwxyz")) for _ in range(int(self._rng.integers(4, 7)))]
        return self._spaced([self._phrase(letters[: len(letters) // 2]), self._phrase(letters[len(letters) // 2 :])])

    def _hesitation(self) -> Parts:
        """A phrase, "um" or "uh" close behind it, a pause, and the rest."""
        first, *rest = [self._phrase(words) for words in self._pick([self._date, self._amount, self._time])()]
        filler = self._library.hesitation(self._pick(["m", "r"]), int(self._rng.integers(2, 5)))
        tail = self._spaced(rest)
        return (*first, int(self._rng.integers(60, 200)), filler, self._pause_ms(), *tail)

    def _asides(self) -> Iterator[PlannedTurn]:
        for line, sounds in zip(BOT_LINES, BACKCHANNELS, strict=True):
            if sounds == ("m",):
                parts: Parts = (self._library.hesitation("m", 2),)
            else:
                parts = self._phrase(sounds)
            yield PlannedTurn(self._sentence(), Aside(line, parts, BACKCHANNEL_TEXTS[sounds]))

    def _date(self) -> list[list[str]]:
        return [[self._pick(DAYS)], [self._pick(MONTHS), self._pick(ORDINALS)], ["at", *self._time()[0]]]

    def _time(self) -> list[list[str]]:
        return [[self._pick(["two", "three", "five", "seven", "nine"]), self._pick(["thirty", "fifteen"])], ["p m"]]

    def _amount(self) -> list[list[str]]:
        return [
            [self._pick(["two", "three", "five", "seven"]), "hundred", "and"],
            [self._pick(["twenty", "forty", "sixty", "eighty"]), self._pick(["one", "two", "five"]), "dollars"],
        ]

    def _phrase(self, words: "list[str] | tuple[str, ...]") -> Parts:
        parts: list[Piece | int] = []
        for word in words:
            parts += [int(self._rng.integers(*WORD_GAP_MS)), self._library.word(word)]
        return tuple(parts[1:])

    def _spaced(self, phrases: list[Parts]) -> Parts:
        parts: list[Piece | int] = []
        for phrase in phrases:
            parts += [self._pause_ms(), *phrase]
        return tuple(parts[1:])

    def _pause_ms(self) -> int:
        drawn = self._rng.lognormal(np.log(PAUSE_MEDIAN_MS), PAUSE_SIGMA)
        return int(np.clip(drawn, SHORTEST_PAUSE_MS, LONGEST_PAUSE_MS))

    def _pick[Choice](self, choices: "list[Choice] | tuple[Choice, ...]") -> Choice:
        return choices[int(self._rng.integers(len(choices)))]


def _split(kind: str, turns: list[PlannedTurn], size: int = TURNS_PER_CALL) -> Iterator[PlannedCall]:
    for number, some in enumerate(batched(turns, size, strict=False), 1):
        yield PlannedCall(f"{kind}-{number}", kind, some)
