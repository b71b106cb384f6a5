"""Finds e-mail addresses in a text, written or read out."""

import re
from collections.abc import Iterator, Sequence

from voicebot.core.email_words import is_email, read_email
from voicebot.core.redaction_spans import Span

EMAIL = "[e-mail]"
MAX_WORDS = 24
"""Words before and behind the sign that may belong to an address."""
MAX_SIGNS = 50
"""Words like "at" that are looked at in one text; further ones are taken for the word."""

_WRITTEN = re.compile(r"[^\s@<>()\[\],;:\"]{1,64}@(?:[^\W_][\w-]{0,62}\.){1,8}[^\W\d_]{2,24}")
_SIGN = re.compile(
    r"[^\w@]*(?:at|ät|arobase|arroba|chiocciola|chiocciolina|apenstaartje|klammeraffe)[^\w@]*|.*@.*", re.IGNORECASE
)
_DOT = re.compile(
    r"\W*(?:dot|period|point|punkt|punto|ponto|punt|punktum|stop)\W*|\.|.*\.[^\W\d_]{2,}\W*|\.\w+", re.IGNORECASE
)
_WORD = re.compile(r"\S+")
_EDGES = ".,;:!?<>()[]\"'"


def emails(text: str, language: str | None = None) -> Iterator[Span]:
    """Yield addresses, the written ones first; a spoken one reaches from its first word to its last."""
    if "@" in text:
        yield from (Span(*match.span(), EMAIL) for match in _WRITTEN.finditer(text))
    found = list(_WORD.finditer(text))
    words = [match.group() for match in found]
    signs = [at for at, word in enumerate(words) if _SIGN.fullmatch(word)][:MAX_SIGNS]
    for number, sign in enumerate(signs):
        # Of two addresses, what is between their signs is looked at twice: nothing of either may be left.
        begin = max(sign - MAX_WORDS, signs[number - 1] + 1 if number else 0)
        end = min(sign + MAX_WORDS, *signs[number + 1 : number + 2], len(words))
        if spoken := _around(words, sign, range(begin, end), language):
            first, last = spoken
            before = len(words[first]) - len(words[first].lstrip(_EDGES))
            behind = len(words[last]) - len(words[last].rstrip(_EDGES))
            yield Span(found[first].start() + before, found[last].end() - behind, EMAIL)


def _around(words: Sequence[str], sign: int, near: range, language: str | None) -> tuple[int, int] | None:
    """Return the first and the last word of the address around a sign, out of the words near it."""
    if not any(_DOT.fullmatch(word) for word in words[sign : near.stop]):
        return None

    def read(first: int, end: int) -> str:
        return read_email(" ".join(words[first:end]), language)

    address = read(near.start, near.stop)
    if not is_email(address):
        return None
    end = next(end for end in range(sign + 1, near.stop + 1) if read(near.start, end) == address)
    first = next(first for first in range(sign, near.start - 1, -1) if read(first, end) == address)
    return first, end - 1
