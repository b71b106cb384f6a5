"""Which digits words mean when somebody reads out a number, with the keys pressed meanwhile in their place."""

# text2num instead of our own tables: compounds and tens of eight languages, in microseconds, without I/O.

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter, itemgetter

from text_to_num import find_numbers

from voicebot.core.words import primary

LANGUAGES = frozenset({"da", "de", "en", "es", "fr", "it", "nl", "pt"})
"""Languages whose number words are known; in any other, only written digits count."""
REPEATS = {
    **dict.fromkeys(("double", "doppel", "doppelt", "doble", "doppio", "doppia", "duplo", "dubbel", "dubbele"), 2),
    **dict.fromkeys(("triple", "treble", "dreifach", "tripel", "triplo", "tripla", "driedubbel", "driedubbele"), 3),
}
"""Words that say the next digit or letter several times, in any language."""

_WORD = re.compile(r"[^\W_]+")
KEYS = frozenset("0123456789")
_NULLS = frozenset({"oh", "o"})
"""English for zero, but only among digits: "oh, it's five"."""
_SAME = {"en": {"oh": "zero", "o": "zero"}, "pt": {"meia": "seis"}}
_ARTICLES = {
    "de": frozenset({"ein", "eine", "einen", "einem", "einer"}),
    "es": frozenset({"un", "una"}),
    "it": frozenset({"un", "una"}),
    "pt": frozenset({"uma"}),
    "fr": frozenset({"une"}),
}
"""Not the digit one but "a"; where both are one word (French "un", Dutch "een") it counts as the digit."""
_AFTER_EIN = frozenset({"und", "hundert", "tausend"})


@dataclass(frozen=True, slots=True)
class _Token:
    """One word as text2num wants to see it; `place` is the index of its whitespace-separated word."""

    word: str
    place: int
    apart: bool = False
    ignored: bool = False
    null: bool = False

    def text(self) -> str:
        return self.word

    def nt_separated(self, _previous: object) -> bool:
        return self.apart

    def not_a_number_part(self) -> bool:
        return self.ignored


@dataclass(frozen=True, slots=True)
class Run:
    """Digits of the tokens from `start` to before `end`, of the whitespace-separated words from `place` to `last`."""

    start: int
    end: int
    place: int
    last: int
    digits: str


def read_digits(text: str, keys: Sequence[tuple[int, str]] = (), language: str | None = None) -> str:
    """Every digit of a text, spoken or written, in order: "double five, 20 1" is "55201".

    Punctuation, dashes, ordinals and all other words are passed over. `keys` are keys with the number of
    whitespace-separated words that were there before each; a key takes its place among the spoken digits, and one that
    is no digit is left out.
    """
    return "".join(run.digits for run in number_runs(with_keys(text, keys), language))


def with_keys(text: str, keys: Sequence[tuple[int, str]]) -> list[str]:
    """The whitespace-separated words of a text with the digit keys among them, in the order in which they came."""
    chunks = text.split()
    pressed = [(min(max(0, count), len(chunks)), key) for count, key in keys if key in KEYS]
    # Behind the keys of the same place comes the word; the sort is stable and keeps keys in order.
    said = [(at + 1, chunk) for at, chunk in enumerate(chunks)]
    return [word for _, word in sorted([*((at + 0.5, key) for at, key in pressed), *said], key=itemgetter(0))]


def number_runs(places: Sequence[str], language: str | None) -> list[Run]:
    """The numbers in whitespace-separated words, in order."""
    code = primary(language) or "en"
    tokens = list(_tokens(places, code))
    runs = [
        Run(i, i + 1, token.place, token.place, token.word) for i, token in enumerate(tokens) if _is_written(token.word)
    ]
    if code in LANGUAGES:
        found = find_numbers(tokens, code, 0)
        runs += [_run(tokens, hit.start, hit.end, hit.text) for hit in found if not hit.is_ordinal]
    return list(_without_exclamations(sorted(runs, key=attrgetter("start")), tokens))


def _run(tokens: Sequence[_Token], start: int, end: int, text: str) -> Run:
    digits = "".join(sign for sign in text if sign in KEYS)
    return Run(start, end, tokens[start].place, tokens[end - 1].place, digits)


def written(word: str) -> str:
    """The word with digits of any script as 0-9 and compatibility forms resolved."""
    # Some accents that stand alone are resolved into a space and the accent.
    plain = "".join(unicodedata.normalize("NFKC", word).split())
    return "".join(str(unicodedata.decimal(sign)) if sign.isdecimal() else sign for sign in plain)


def _is_written(word: str) -> bool:
    return word.isascii() and word.isdigit()


def _tokens(places: Sequence[str], code: str) -> Iterator[_Token]:
    """Words in small pieces; "double" and the like are spelled out, so that text2num sees plain digits."""
    times, apart = 1, False
    for place, chunk in enumerate(places):
        pieces = _WORD.findall(written(chunk).lower())
        for index, piece in enumerate(pieces):
            if piece in REPEATS:
                times = REPEATS[piece]
                continue
            for _ in range(times if _repeats(piece) else 1):
                yield _token(
                    piece, place, code, apart=apart, following=(*pieces[index + 1 :], *places[place + 1 :][:1])
                )
                apart = False
            times = 1
        # A comma parts numbers ("twenty, five"), a hyphen does not ("twenty-five").
        apart = apart or not chunk[-1:].isalnum()


def _repeats(piece: str) -> bool:
    """Only one digit is said to be double: in "double 23" the word means something else."""
    return not _is_written(piece) or len(piece) == 1


def _token(piece: str, place: int, code: str, *, apart: bool, following: Sequence[str]) -> _Token:
    article = piece in _ARTICLES.get(code, frozenset()) and not _AFTER_EIN.intersection(following[:1])
    word = _SAME.get(code, {}).get(piece, piece)
    return _Token(word, place, apart, article or _is_written(piece), code == "en" and piece in _NULLS)


def _without_exclamations(runs: Sequence[Run], tokens: Sequence[_Token]) -> Iterator[Run]:
    """Without every "oh" that has no digit beside it."""
    rows: list[list[Run]] = []
    for run in runs:
        if rows and rows[-1][-1].end == run.start:
            rows[-1].append(run)
        else:
            rows.append([run])
    for row in rows:
        if not all(token.null for token in tokens[row[0].start : row[-1].end]):
            yield from row
