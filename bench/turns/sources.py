"""The recordings the set is made of, the words in them, and the places between words where they may be cut."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from turns import sounds
from turns.sounds import Sound, Span

SHIPPED = Path(__file__).parents[2] / "voicebot" / "local" / "speech"
PACKAGE = "asterisk-core-sounds-en-wav"
PROMPTS = Path("/usr/share/asterisk/sounds/en_US_f_Allison")

CUTS: dict[str, tuple[Span, ...]] = {
    "austen_leisure": ((2230, 6), (2940, 8), (3970, 10), (4190, 11), (4780, 13), (5760, 17), (6420, 20)),
    "austen_young_man": ((900, 3),),
    "austen_selfish": ((3880, 10),),
    "austen_married": ((2560, 6),),
    "go_forward": ((1160, 2),),
    "five_digits": ((670, 2), (930, 3)),
    "seven_of_clubs": ((750, 2),),
    "five_five": ((800, 1),),
    "three_cards": ((510, 2), (1130, 3), (2170, 6)),
    "one moment please": ((850, 2),),
    "please try again": ((430, 1),),
    "do not disturb": ((620, 2),),
    "to call this number": ((760, 3),),
}
"""Milliseconds, and words before. Each place is a dip of the energy by 20 dB or more, and the recogniser of the local
server hears the words of the clip, no more and no less, in the two halves."""

_DIGITS = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen"
_NUMBERS = dict(enumerate([*_DIGITS.split(), "seventeen", "eighteen", "nineteen"])) | {
    20: "twenty", 30: "thirty", 40: "forty", 50: "fifty", 60: "sixty", 70: "seventy", 80: "eighty", 90: "ninety",
}  # fmt: skip
_ORDINALS = {
    1: "first", 2: "second", 3: "third", 7: "seventh", 10: "tenth", 12: "twelfth", 13: "thirteenth", 14: "fourteenth",
    15: "fifteenth", 17: "seventeenth", 18: "eighteenth", 19: "nineteenth",
}  # fmt: skip
DAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
    "december",
)  # fmt: skip
ORDINALS = tuple(_ORDINALS.values())
FILES = {
    **{text: f"digits/{number}" for number, text in _NUMBERS.items()},
    **{text: f"digits/h-{number}" for number, text in _ORDINALS.items()},
    **{text: f"digits/day-{number}" for number, text in enumerate(DAYS)},
    **{text: f"digits/mon-{number}" for number, text in enumerate(MONTHS)},
    **{letter: f"letters/{letter}" for letter in "abcdefghijklmnopqrstuvwxyz"},
    **{text: f"digits/{text}" for text in ("at", "hundred", "thousand", "dollars", "today", "tomorrow", "yesterday")},
    "o'clock": "digits/oclock",  # codespell:ignore oclock
    "p m": "digits/p-m",
    "oh": "digits/oh",
    "and": "vm-and",
    "no": "vm-no",
    **{
        text: text.replace(" ", "-")
        for text in (
            "hello", "goodbye", "one moment please", "please try again", "do not disturb", "telephone number",
            "call waiting", "hello world", "to call this number", "activated", "extension", "location", "speed dial",
        )
    },
}  # fmt: skip
"""Words → file in the package, for files whose name says what is spoken."""

STEADY: dict[str, Span] = {"m": (280, 380), "r": (120, 240)}
"""Where the nasal of the letter "m" and the vowel of "r" stand still, in ms: drawn out, they are the hesitations."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Recorded words, trimmed to their sound."""

    text: str
    sound: Sound


class Library:
    """All recordings, read when they are asked for."""

    def __init__(self, prompts: Path) -> None:
        if not prompts.is_dir():
            raise SystemExit(f"{prompts}: no such folder; install it with: apt-get install {PACKAGE}")
        self._prompts = prompts
        with (SHIPPED / "clips.tsv").open(encoding="utf-8") as table:
            self._texts = {row["id"]: row["text"] for row in csv.DictReader(table, delimiter="\t")}

    def word(self, text: str) -> Piece:
        """Return a word or phrase of the package."""
        return Piece(text, sounds.trim(self._read(text)))

    def hesitation(self, letter: str, times: int) -> Piece:
        """Return "em" or "ar", drawn out by `times` of its steady part."""
        name = {"m": "um", "r": "uh"}[letter]
        return Piece(name, sounds.trim(sounds.lengthen(self._read(letter), STEADY[letter], times)))

    def clip(self, name: str, *cuts: int) -> list[Piece]:
        """Return a shipped clip or a phrase, whole or cut at the places of `CUTS` with these numbers."""
        shipped = name in self._texts
        sound = sounds.read(SHIPPED / f"{name}.wav") if shipped else self._read(name)
        words = (self._texts[name] if shipped else name).split()
        places = [CUTS[name][number] for number in cuts]
        return list(_parts(sound, words, [(0, 0), *places, (sounds.length_ms(sound), len(words))]))

    @property
    def clips(self) -> list[str]:
        """Names of the shipped clips."""
        return list(self._texts)

    def _read(self, text: str) -> Sound:
        return sounds.read(self._prompts / f"{FILES[text]}.wav")


def _parts(sound: Sound, words: list[str], places: list[Span]) -> Iterator[Piece]:
    for (start, before), (end, upto) in pairwise(places):
        part = sound[start * sounds.PER_MS : end * sounds.PER_MS]
        yield Piece(" ".join(words[before:upto]), sounds.trim(part))
