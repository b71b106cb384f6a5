"""Hides what is nobody's business: one policy of kinds and patterns for the store, the log, the live view and the webhook."""

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from copy import replace
from dataclasses import dataclass
from operator import itemgetter
from typing import Literal

from voicebot.core.entries import Entry
from voicebot.core.events import Token, Turn
from voicebot.core.redaction_email import EMAIL, emails
from voicebot.core.redaction_numbers import CARD, IBAN, NUMBER, PHONE, UNFINISHED, Numbers
from voicebot.core.redaction_spans import Span, merged, pieces

type RedactionKind = Literal["card_number", "iban", "email", "phone", "number_sequence", "digits_entered"]
type RedactionPlace = Literal["store", "log", "live", "webhook"]

DIGITS, PATTERN = "[digits]", "[redacted]"

_LABELS = (CARD, IBAN, EMAIL, PHONE, NUMBER, UNFINISHED, DIGITS, PATTERN)
_LABEL = re.compile("|".join(re.escape(label) for label in _LABELS))


@dataclass(frozen=True, slots=True, kw_only=True)
class RedactionPolicy:
    """What is hidden, and where.

    `patterns` are Python regular expressions; what they match is hidden as well. Raises ValueError for one that is none.
    """

    kinds: tuple[RedactionKind, ...] = ()
    """What is hidden, written or spoken: `card_number` (13 to 19 digits, Luhn), `iban`, `email`, `phone`, `number_sequence` (4 digits and more), `digits_entered` (keys, and answers to `expect` digits)."""
    patterns: tuple[str, ...] = ()
    """Regular expressions (Python); what they match is hidden too."""
    apply_to: tuple[RedactionPlace, ...] = ("store", "log", "live")
    """Where it is hidden; without `webhook` the application gets everything."""

    def __post_init__(self) -> None:
        """Refuse what is no regular expression."""
        for pattern in self.patterns:
            try:
                re.compile(pattern)
            except re.PatternError as error:
                raise ValueError(f"patterns: {pattern!r} is no regular expression: {error}") from None


class Redactor:
    """Hides by one policy; patterns are compiled once. Nothing here raises, and hiding twice changes nothing more."""

    def __init__(self, policy: RedactionPolicy) -> None:
        self._kinds = frozenset(policy.kinds)
        self._places = frozenset(policy.apply_to)
        self._patterns = tuple(re.compile(pattern) for pattern in policy.patterns)
        self._numeric = self._kinds - {"email", "digits_entered"}

    def applies_to(self, place: RedactionPlace) -> bool:
        """Say whether anything is hidden there."""
        return place in self._places and bool(self._kinds or self._patterns)

    def text(self, text: str, language: str | None = None, *, open_end: bool = False) -> str:
        """Return `text` with a label in place of what is hidden: "my card is [card number]".

        `language` (two letters, a region may follow) is the speaker's, for spoken numbers; without one, English. With
        `open_end` more may follow, so digits at the end are hidden already: they may be the first of a card number.
        """
        return self._hidden(text, (language,), open_end=open_end)

    def digits(self, digits: str) -> str:
        """Return what is shown of pressed keys."""
        return DIGITS if digits and "digits_entered" in self._kinds else digits

    def entry(self, entry: Entry | None) -> Entry | None:
        """Return an entry without the value that is hidden; whether it is complete stays."""
        if entry is None or entry.kind in {"free", "yes_no"} or not entry.value:
            return entry
        value = self.digits(entry.value) if entry.kind == "digits" else entry.value
        return replace(entry, value=self.text(value))

    def tokens(self, tokens: Sequence[Token]) -> tuple[Token, ...]:
        """Return the tokens of a text; a label takes the place, and the times, of those it hides."""
        return tuple(token for _, token in self._tokens(tokens))

    def partial(self, settled: str, tentative: str, language: str | None = None) -> tuple[str, str]:
        """Return both parts of what is still being said; a label is in the part in which it begins."""
        return self._parts(settled, tentative, language, open_end=True)

    def cut(self, heard: str, unheard: str, language: str | None = None) -> tuple[str, str]:
        """Return both parts of speech that was cut off, perhaps within a number; a label is in the part in which it begins."""
        return self._parts(heard, unheard, language, open_end=False)

    def turn(self, turn: Turn) -> Turn:
        """Return a turn without what is hidden: in its words, its translation, its keys and its entry."""
        every = turn.entry is not None and turn.entry.kind == "digits" and "digits_entered" in self._kinds
        languages = _languages(turn.tokens)
        return replace(
            turn,
            text=self._hidden(turn.text, languages, every=every),
            tokens=tuple(token for _, token in self._tokens(turn.tokens, every=every)),
            digits=self.digits(turn.digits),
            translation=self._hidden(turn.translation, languages, every=every),
            entry=self.entry(turn.entry),
        )

    def _parts(self, first: str, second: str, language: str | None, *, open_end: bool) -> tuple[str, str]:
        parts = (Token(first, language=language), Token(second, language=language))
        shown = {number: token.text for number, token in self._tokens(parts, open_end=open_end)}
        return shown.get(0, ""), shown.get(1, "")

    def _tokens(
        self, tokens: Sequence[Token], *, open_end: bool = False, every: bool = False
    ) -> list[tuple[int, Token]]:
        languages = _languages(tokens)
        rewritten: list[tuple[int, Token]] = []
        for side in (False, True):
            mine = [(number, token) for number, token in enumerate(tokens) if token.translation is side]
            while spans := self._spans(
                "".join(token.text for _, token in mine), languages, open_end=open_end, every=every
            ):
                mine = list(_rewritten(mine, spans))
            rewritten += mine
        return sorted(rewritten, key=itemgetter(0))

    def _hidden(
        self, text: str, languages: Iterable[str | None], *, open_end: bool = False, every: bool = False
    ) -> str:
        # What is left may look different once something was hidden; each round leaves less.
        while spans := self._spans(text, languages, open_end=open_end, every=every):
            text = "".join(pieces(text, spans))
        return text

    def _spans(self, text: str, languages: Iterable[str | None], *, open_end: bool, every: bool) -> list[Span]:
        if not text.strip() or not (self._kinds or self._patterns):
            return []
        labels = [match.span() for match in _LABEL.finditer(text)]
        found = (span for language in languages for span in self._found(text, language, open_end=open_end, every=every))
        return merged([part for span in found for part in _without(span, labels, text)])

    def _found(self, text: str, language: str | None, *, open_end: bool, every: bool) -> Iterator[Span]:
        numbers = Numbers(text, language)
        if every:
            yield from numbers.every(DIGITS)
        if "iban" in self._kinds:
            yield from numbers.ibans()
        if "card_number" in self._kinds:
            yield from numbers.cards()
        if "email" in self._kinds:
            yield from emails(text, language)
        if "phone" in self._kinds:
            yield from numbers.phones()
        if "number_sequence" in self._kinds:
            yield from numbers.numbers()
        if open_end and self._numeric:
            yield from numbers.unfinished()
        for pattern in self._patterns:
            yield from (Span(*match.span(), PATTERN) for match in pattern.finditer(text) if match.group())


def _languages(tokens: Sequence[Token]) -> tuple[str | None, ...]:
    """The languages of the words in order of first appearance; one unknown language without any."""
    return tuple(dict.fromkeys(token.language for token in tokens if token.language)) or (None,)


def _without(span: Span, labels: Sequence[tuple[int, int]], text: str) -> Iterator[Span]:
    """Yield what of a span is neither a label nor mere signs."""
    at, number = span.start, bisect_left(labels, span.start, key=itemgetter(1))
    while at < span.end:
        start, end = labels[number] if number < len(labels) else (span.end, span.end)
        stop = min(max(start, at), span.end)
        if any(sign.isalnum() for sign in text[at:stop]):
            yield replace(span, start=at, end=stop)
        at, number = max(end, at), number + 1


def _rewritten(tokens: Sequence[tuple[int, Token]], spans: Sequence[Span]) -> Iterator[tuple[int, Token]]:
    """Yield the numbered tokens with labels in them; a token that is hidden whole lends its time to the one before."""
    kept: list[tuple[int, Token]] = []
    end = 0
    for number, token in tokens:
        start, end = end, end + len(token.text)
        inside = [span for span in spans if span.start < end and start < span.end]
        if not inside:
            kept.append((number, token))
            continue
        shown = "".join(
            pieces(
                token.text,
                (
                    Span(max(span.start - start, 0), span.end - start, span.label if span.start >= start else "")
                    for span in inside
                ),
            )
        )
        if shown or not kept:
            kept.append((number, replace(token, text=shown)))
        else:
            before, last = kept[-1]
            kept[-1] = before, replace(last, end_ms=token.end_ms if token.end_ms is not None else last.end_ms)
    yield from kept
