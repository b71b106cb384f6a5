"""Which letters somebody spells, and what else stands among them."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import dropwhile, groupby, pairwise
from typing import Literal

from voicebot.core.spelling_words import (
    CASES,
    CODEWORDS,
    EXPLAINING,
    HESITATIONS,
    LETTER_NAMES,
    LINKS,
    ONE_LETTER_WORDS,
    PHRASES,
    SIGNS,
    WEAK_LETTERS,
)
from voicebot.core.spoken_digits import REPEATS, Run, number_runs, with_keys, written
from voicebot.core.words import fold, primary

type PieceKind = Literal["letter", "maybe", "code", "digits", "sign", "link", "silent", "word"]


@dataclass(frozen=True, slots=True)
class Piece:
    """One thing said: `text` is what it stands for among letters, `said` the word itself.

    `maybe` is a common word that is a letter among letters; `code` a word of a spelling alphabet; `link` and `silent`
    stand for nothing ("and"; "um", "capital").
    """

    text: str
    kind: PieceKind
    said: str


LONGEST_MIXED = 8
"""A written word of letters and digits is spelled up to so many signs: "SW1A", "B12"."""

LEAST_CODEWORDS = 2
LETTERS_PER_CODEWORD = 2
"""With so many letters for each word of a spelling alphabet, those words are names."""
PAIR = 2
"""Words in a phrase that stands for one letter."""

_EDGES = '.,;:!?\u00bf\u00a1"\u201c\u201d\u201e\u00ab\u00bb()[]\u2026'
_JOINED = re.compile(r"[^\W\d_](?:[-.][^\W_])+")
"""Letters as recognisers join them: "S-M-I-T-H", "S.M.I.T.H"."""
_ORDINAL = re.compile(r"\d+(?:st|nd|rd|th)")


def read_spelling(text: str, keys: Sequence[tuple[int, str]] = (), language: str | None = None) -> str:
    """Letters, digits and signs that were spelled, in lower case: "Smith, S M I double T" is "smitt".

    Whole words among the letters are passed over; a single word in which nothing is spelled is taken as it is. `keys` as
    in `read_digits`.
    """
    pieces = decided([piece for piece in read_pieces(with_keys(text, keys), language) if piece.kind != "link"])
    runs = [list(run) for is_word, run in groupby(pieces, lambda piece: piece.kind == "word") if not is_word]
    strong = [run for run in runs if len(run) > 1 or run[0].kind == "letter" or run[0].said.isdecimal()]
    if not strong and len(pieces) == 1:
        return pieces[0].text
    return "".join(piece.text for run in strong for piece in run)


def read_pieces(chunks: Sequence[str], language: str | None = None) -> list[Piece]:
    """What each word of a spelled text stands for; `chunks` are its whitespace-separated words."""
    said = [word for chunk in chunks for word in _split(chunk)]
    reader = _Reader(said, primary(language) or "en", {run.place: run for run in _merged(number_runs(said, language))})
    return list(reader.pieces())


def _split(chunk: str) -> list[str]:
    word = written(chunk).strip(_EDGES)
    if _JOINED.fullmatch(word):
        return [sign for sign in word.lower() if sign.isalnum()]
    if word.isalpha() and word.isupper() and word != "OK":
        return list(word.lower())
    if not word:
        return [chunk] if chunk == "." else []
    return ["xray" if word.lower() == "x-ray" else word.lower()]


def _merged(runs: Sequence[Run]) -> Iterator[Run]:
    """One run per word: a word may hold several numbers ("two-six")."""
    for _, group in groupby(runs, lambda run: run.place):
        first, *others = group
        yield replace(
            first,
            last=max(run.last for run in (first, *others)),
            digits="".join(run.digits for run in (first, *others)),
        )


@dataclass(frozen=True, slots=True)
class _Reader:
    said: Sequence[str]
    code: str
    numbers: Mapping[int, Run]

    def pieces(self) -> Iterator[Piece]:
        at = 0
        while at < len(self.said):
            size, piece = (
                self._phrase(at) or self._repeated(at) or self._letter(at) or self._number(at) or self._word(at)
            )
            at += size
            yield piece

    def _phrase(self, at: int) -> tuple[int, Piece] | None:
        pair = (self.said[at], *self.said[at + 1 : at + 2])
        text = PHRASES.get(pair) if len(pair) == PAIR else None
        return (PAIR, Piece(text, "letter" if text.isalpha() else "sign", " ".join(pair))) if text else None

    def _repeated(self, at: int) -> tuple[int, Piece] | None:
        """Of "double T" two; the digits behind such a word were repeated when they were read."""
        times = REPEATS.get(self.said[at])
        if times is None or at + 1 == len(self.said):
            return None
        if letter := self._letter(at + 1):
            size, piece = letter
            return size + 1, replace(piece, text=piece.text * times, kind="letter")
        return (1, Piece("", "silent", self.said[at])) if at + 1 in self.numbers else None

    def _letter(self, at: int) -> tuple[int, Piece] | None:
        word = self.said[at]
        letter = word if len(word) == 1 and word.isalpha() else LETTER_NAMES.get(self.code, {}).get(word)
        if not letter:
            return None
        size, explained = self._explained(at, letter)
        unsure = size == 1 and word in ONE_LETTER_WORDS.get(self.code, ())
        return size, Piece(explained, "maybe" if unsure else "letter", word)

    def _explained(self, at: int, letter: str) -> tuple[int, str]:
        """Of "s as in sugar" the s; of "f as in Sam" the word is right, because words are heard better than letters."""
        for joint in (2, 1):
            word = self.said[at + joint + 1 : at + joint + 2]
            if word and len(word[0]) > 1 and tuple(self.said[at + 1 : at + joint + 1]) in EXPLAINING:
                return joint + 2, letter if fold(letter) in fold(word[0]) else word[0][0]
        return 1, letter

    def _number(self, at: int) -> tuple[int, Piece] | None:
        run = self.numbers.get(at)
        return (run.last - at + 1, Piece(run.digits, "digits", self.said[at])) if run else None

    def _word(self, at: int) -> tuple[int, Piece]:
        word = self.said[at]
        if weak := WEAK_LETTERS.get(self.code, {}).get(word):
            return 1, Piece(weak, "maybe", word)
        if word in SIGNS or not any(sign.isalnum() for sign in word):
            return 1, Piece(SIGNS.get(word, word), "sign", word)
        if word in CODEWORDS:
            return 1, Piece(fold(word)[0], "code", word)
        return 1, Piece(word, _kind(word), word)


def _kind(word: str) -> PieceKind:
    if word in HESITATIONS or word in CASES:
        return "silent"
    if word in LINKS:
        return "link"
    mixed = word.isalnum() and not word.isalpha() and len(word) <= LONGEST_MIXED and not _ORDINAL.fullmatch(word)
    return "letter" if mixed else "word"


def decided(pieces: Sequence[Piece], *, least_codes: int = LEAST_CODEWORDS) -> list[Piece]:
    """Without the silent ones, every `maybe` and `code` turned into a letter or a word.

    Fewer codewords than `least_codes`, or few among many letters, are names: "Mike, M I K E".
    """
    heard = _without_echoing_codes([piece for piece in pieces if piece.kind != "silent"])
    letters = sum(piece.kind == "letter" for piece in heard)
    codes = sum(piece.kind == "code" for piece in heard)
    named = codes < least_codes or letters >= LETTERS_PER_CODEWORD * codes
    known = [_as(piece, "word" if named else "letter") if piece.kind == "code" else piece for piece in heard]
    return [_weighed(known, at) if piece.kind == "maybe" else piece for at, piece in enumerate(known)]


def _without_echoing_codes(pieces: Sequence[Piece]) -> list[Piece]:
    """Without "Mike" in "M Mike": a codeword behind its own letter says nothing new."""
    return [
        piece
        for before, piece in pairwise((None, *pieces))
        if piece and not (piece.kind == "code" and before and before.kind == "letter" and before.text == piece.text)
    ]


def _weighed(pieces: Sequence[Piece], at: int) -> Piece:
    """A one-letter word needs one letter beside it, a longer one ("are", "you") letters on both sides."""
    piece = pieces[at]
    before, after = _has_letter(reversed(pieces[:at])), _has_letter(pieces[at + 1 :])
    last = at + 1 == len(pieces)
    sure = (before or after) if len(piece.said) == 1 else before and (after or last)
    return _as(piece, "letter" if sure else "word")


def _has_letter(pieces: Iterable[Piece]) -> bool:
    """Is there a letter first, or behind signs?"""
    nearest = next(dropwhile(lambda piece: piece.kind == "sign", pieces), None)
    return nearest is not None and _is_letter(nearest)


def _is_letter(piece: Piece) -> bool:
    return piece.kind in ("letter", "digits") or (piece.kind == "maybe" and len(piece.said) == 1)


def _as(piece: Piece, kind: Literal["letter", "word"]) -> Piece:
    return replace(piece, kind=kind, text=piece.text if kind == "letter" else piece.said)
