"""Finds what is told by its digits, written or spoken: cards, bank accounts, telephone numbers, long numbers."""

import re
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from voicebot.core.redaction_spans import Span
from voicebot.core.redaction_words import NUMBER_WORDS
from voicebot.core.spelling_words import CODEWORDS, HESITATIONS, LETTER_NAMES, LINKS
from voicebot.core.spoken_digits import number_runs
from voicebot.core.words import fold, primary

CARD, IBAN, PHONE, NUMBER, UNFINISHED = "[card number]", "[IBAN]", "[phone number]", "[number]", "[…]"

CARD_LENGTHS = range(13, 20)
"""Digits of a card number (ISO/IEC 7812-1)."""
USUAL_CARD = 16
PHONE_DIGITS = range(7, 16)
"""Digits of a telephone number; E.164 allows 15."""
IBAN_CHARS = range(15, 35)
"""Letters and digits of an account number (ISO 13616)."""
LEAST_NUMBER = 4
"""Fewer digits are a quantity, an age, a time of day."""
LEAST_UNFINISHED = 3
"""So many digits at the end of what is still being said may become anything."""
MAX_GAP = 2
"""Words that may stand between the digits of a card number: "four two, um, wait, one one"."""
LONGEST_BLOCK = 4
"""Letters of an account number written together: "NWBK"."""

_PIECE = re.compile(r"\d+|[^\W\d_]+")
_NO_PHONE = re.compile(
    r"(?<!\d)(?:\d{1,2}[./-]\d{1,2}[./-](?:\d{4}|\d{2})|\d{4}-\d{1,2}-\d{1,2}|\d{1,2}:\d{2}(?::\d{2})?|\d{1,3}(?:,\d{3})+)(?!\d)"
)
"""Dates, times of day and amounts."""
_JOINTS = HESITATIONS | LINKS | {"dash", "hyphen", "minus", "space", "strich", "tiret", "guion", "trattino", "streepje"}
_PLUS_CHARS = 8
_PLUS = re.compile(r"(?:\+|\bplus)?[\s(]*$", re.IGNORECASE)
_LEAST_WORDS = 2
"""One word is a digit, a quantity; only a long one may be a whole number: "vierundzwanzig"."""
_COMPOUND, _STEM = 8, 3


@dataclass(frozen=True, slots=True)
class _Run:
    """Digits that stand together: characters `start` to `end` of the text, its pieces `first` to `last`."""

    digits: str
    start: int
    end: int
    first: int
    last: int


type Row = Sequence[_Run]


class Numbers:
    """A text with its numbers, read once for all finders; `language` as in `read_digits`."""

    def __init__(self, text: str, language: str | None = None) -> None:
        self._text = text
        self._language = language
        found = list(_PIECE.finditer(text))
        self._spans = [piece.span() for piece in found]
        self._words = [piece.group() for piece in found]
        self._runs = self._read() if may_hold_number(self._words, language) else []

    def every(self, label: str) -> Iterator[Span]:
        """Yield every number, single digits too."""
        for run in self._read():
            yield Span(run.start, run.end, label)

    def cards(self) -> Iterator[Span]:
        """Yield card numbers, with the numbers close behind them: the expiry date, the check number."""
        for row in self._rows(lambda _between: True):
            if begin := next((run for at, run in enumerate(row) if _is_card_at(row, at)), None):
                yield Span(begin.start, row[-1].end, CARD)

    def phones(self) -> Iterator[Span]:
        """Yield telephone numbers, international or national; dates, times and amounts are none."""
        if not self._runs:
            return
        others = [match.span() for match in _NO_PHONE.finditer(self._text)]
        runs = [run for run in self._runs if not _is_in(others, run)]
        for row in self._rows(lambda between: between <= _JOINTS, runs):
            if sum(len(run.digits) for run in row) in PHONE_DIGITS:
                before = _PLUS.search(self._text, max(0, row[0].start - _PLUS_CHARS), row[0].start)
                yield Span(before.start() if before and before.group().strip() else row[0].start, row[-1].end, PHONE)

    def numbers(self) -> Iterator[Span]:
        """Yield numbers of LEAST_NUMBER digits and more."""
        for row in self._rows(lambda between: between <= _JOINTS):
            if sum(len(run.digits) for run in row) >= LEAST_NUMBER:
                yield Span(row[0].start, row[-1].end, NUMBER)

    def unfinished(self) -> Iterator[Span]:
        """Yield the digits at the end of the text, which may be the beginning of something longer."""
        for row in self._rows(lambda _between: True):
            at_end = len(self._words) - 1 - row[-1].last <= MAX_GAP
            if at_end and sum(len(run.digits) for run in row) >= LEAST_UNFINISHED:
                yield Span(row[0].start, len(self._text.rstrip()), UNFINISHED)

    def ibans(self) -> Iterator[Span]:
        """Yield account numbers whose check digits are right (ISO 13616, ISO 7064)."""
        if not self._runs:
            return
        runs = {run.first: run for run in self._runs}
        at = 0
        while at < len(self._words):
            last = self._iban_at(at, runs)
            if last is None:
                at += 1
                continue
            yield Span(self._spans[at][0], self._spans[last][1], IBAN)
            at = last + 1

    def _read(self) -> list[_Run]:
        """A comma or stop parts numbers, a hyphen does not; the end of a piece tells text2num which it is."""
        places = [
            word + ("," if any(sign in ",.;:!?" for sign in self._text[end:following]) else "")
            for word, (_, end), (following, _) in zip(
                self._words, self._spans, [*self._spans[1:], (len(self._text), 0)], strict=True
            )
        ]
        return [
            _Run(run.digits, self._spans[run.place][0], self._spans[run.last][1], run.place, run.last)
            for run in number_runs(places, self._language)
        ]

    def _rows(
        self, may_stand_between: Callable[[frozenset[str]], bool], runs: Sequence[_Run] | None = None
    ) -> Iterator[Row]:
        """Yield runs with few words between them, if those may stand there."""
        row: list[_Run] = []
        for run in self._runs if runs is None else runs:
            if row:
                between = self._words[row[-1].last + 1 : run.first]
                if len(between) > MAX_GAP or not may_stand_between(frozenset(word.lower() for word in between)):
                    yield row
                    row = []
            row.append(run)
        if row:
            yield row

    def _iban_at(self, at: int, runs: dict[int, _Run]) -> int | None:
        """Return the last piece of the longest account number that begins at a piece."""
        chars, place, last = "", at, None
        while place < len(self._words) and len(chars) < IBAN_CHARS.stop:
            if run := runs.get(place):
                chars, place = chars + run.digits, run.last + 1
            elif letters := self._letters(place):
                chars, place = chars + letters, place + 1
            else:
                break
            if not _may_begin_iban(chars):
                break
            if len(chars) in IBAN_CHARS and _is_iban(chars):
                last = place - 1
        return last

    def _letters(self, place: int) -> str:
        word = self._words[place]
        if len(word) == 1 or (len(word) <= LONGEST_BLOCK and word.isupper()):
            return word.upper() if word.isascii() else ""
        small = word.lower()
        if small in CODEWORDS:
            return fold(small)[0].upper()
        return LETTER_NAMES.get(primary(self._language) or "en", {}).get(small, "").upper()


def may_hold_number(words: Sequence[str], language: str | None) -> bool:
    """Say quickly whether some words may be a number of several digits: often without need, but never no wrongly."""
    known, stems = NUMBER_WORDS.get(primary(language) or "en", (frozenset[str](), frozenset[str]()))
    count, before = 0, 0
    for at, word in enumerate(words):
        plain = word.lower() if word.isascii() else fold(word)
        compound = len(plain) >= _COMPOUND and plain[:_STEM] in stems
        if not (plain in known or compound or not word.isalpha()):
            continue
        if compound or (len(word) > 1 and not word.isalpha()):
            return True
        count = count + 1 if at - before <= MAX_GAP + 1 else 1
        before = at
        if count >= _LEAST_WORDS:
            return True
    return False


def _is_in(spans: Sequence[tuple[int, int]], run: _Run) -> bool:
    at = bisect_left(spans, (run.end, 0))
    return at > 0 and spans[at - 1][1] > run.start


def is_luhn(digits: str) -> bool:
    """Check a card number's last digit (ISO/IEC 7812-1, annex B); zeros alone are no number."""
    values = [int(digit) for digit in reversed(digits)]
    doubled = (value * 2 - 9 * (value > 4) for value in values[1::2])  # noqa: PLR2004 - the digits of 10 and more summed
    return any(values) and (sum(values[::2]) + sum(doubled)) % 10 == 0


def _is_card_at(row: Row, at: int) -> bool:
    """Say whether a card number begins in a run: with its first digit, or within a long one that holds more than a card."""
    own, digits = len(row[at].digits), ""
    for run in row[at:]:
        digits += run.digits
        if len(digits) >= own + CARD_LENGTHS.stop:
            break
    return any(
        start + length <= len(digits) and is_luhn(digits[start : start + length])
        for start in range(max(1, own - USUAL_CARD + 1))
        for length in CARD_LENGTHS
    )


def _may_begin_iban(chars: str) -> bool:
    return all(char.isalpha() for char in chars[:2]) and all(char.isdigit() for char in chars[2:4])


def _is_iban(chars: str) -> bool:
    return int("".join(str(int(char, 36)) for char in chars[4:] + chars[:4])) % 97 == 1
