"""What is shown of a text in which something was found: its words in context, those that match marked."""

import re
from collections.abc import Iterator, Sequence

from voicebot.store.records import Part
from voicebot.store.search_query import ACCENTS, Term, without_accents

WORDS = 16
"""Words that are shown, at most, unless a phrase that was found is longer."""
LEAD = 6
"""Words before the first that matches, where what follows fills the rest."""
CUT = "…"
_WORD = re.compile(rf"(?:[^\W_]|{ACCENTS})+")

type Span = tuple[int, int]
"""The first and the one behind the last: characters of a text, or words of it."""


def snippet(text: str, terms: Sequence[Term]) -> tuple[Part, ...]:
    """Return the part of a text that shows most of the terms; one that shows none begins at the beginning."""
    words = [match.span() for match in _WORD.finditer(text)]
    found = _found([without_accents(text[first:last]).lower() for first, last in words], terms)
    room = max(WORDS, *(last - first for (first, last), _ in found), 0)
    begin = _begin(found, len(words), room)
    return tuple(_parts(text, words, found, begin, min(begin + room, len(words))))


def _found(words: Sequence[str], terms: Sequence[Term]) -> list[tuple[Span, int]]:
    """Return where which terms are, in the order of the text; of two that overlap the one that begins first."""
    everywhere = sorted(
        (span, number)
        for number, term in enumerate(terms)
        for span in _places(words, _WORD.findall(without_accents(term.text).lower()), prefix=term.prefix)
    )
    found: list[tuple[Span, int]] = []
    for span, number in everywhere:
        if not found or found[-1][0][1] <= span[0]:
            found.append((span, number))
    return found


def _places(words: Sequence[str], wanted: Sequence[str], *, prefix: bool) -> Iterator[Span]:
    """Yield the words of each place where a phrase is."""
    if not wanted:
        return
    *whole, last = wanted
    for first in range(len(words) - len(whole)):
        end = words[first + len(whole)]
        if words[first : first + len(whole)] == whole and (end.startswith(last) if prefix else end == last):
            yield first, first + len(wanted)


def _begin(found: Sequence[tuple[Span, int]], count: int, room: int) -> int:
    """Return the first word that is shown: from there most of the terms are seen in `room` words."""

    def seen(begin: int) -> int:
        return len({number for (first, last), number in found if begin <= first and last <= begin + room})

    begins = [max(0, min(first - LEAD, count - room), last - room) for (first, last), _ in found]
    return max(begins, key=seen, default=0)


def _parts(text: str, words: Sequence[Span], found: Sequence[tuple[Span, int]], begin: int, end: int) -> Iterator[Part]:
    """Yield the pieces between the words `begin` and `end`; at the ends of the text all that is around them."""
    at = words[begin][0] if begin else 0
    last = words[end - 1][1] if end < len(words) else len(text)
    before = CUT if begin else ""
    for first, behind in (span for span, _ in found if begin <= span[0] and span[1] <= end):
        start, stop = words[first][0], words[behind - 1][1]
        if plain := before + text[at:start]:
            yield Part(plain, match=False)
        yield Part(text[start:stop], match=True)
        before, at = "", stop
    if plain := before + text[at:last] + (CUT if end < len(words) else ""):
        yield Part(plain, match=False)
