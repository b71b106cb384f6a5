"""What a person types into a search box, as full-text queries of the databases."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

MAX_CHARS = 200
"""What is behind them is not looked for."""
MAX_TERMS = 16
"""More words and phrases are not looked for."""
LEAST_PREFIX = 2
"""One letter begins too many words to be worth a search: it is taken as a word."""

ACCENTS = r"[\u0300-\u036f]+"
"""What parts a letter from its plain form once it is taken apart (Unicode, Combining Diacritical Marks)."""
SIGNS = r"[\u0001-\u002f\u003a-\u0040\u005b-\u0060\u007b-\u00a9\u00ab-\u00b1\u00b4\u00b6-\u00b8\u00bb\u00bf\u00d7\u00f7\u2000-\u206f]+"
"""Signs that part words, none of them a letter or digit: those of ASCII and Latin-1, and general punctuation.

Both are expressions of Python and of PostgreSQL, written out because what a letter is depends there on the locale.
"""

_ACCENTS, _SIGNS = re.compile(ACCENTS), re.compile(SIGNS)
_TERM = re.compile(r'"([^"]*)(?:"|$)|([^\s"]+)')


@dataclass(frozen=True, slots=True)
class Term:
    """Words that stand one after the other; with `prefix` the last one may go on."""

    text: str
    prefix: bool = False


def parse(query: str) -> tuple[Term, ...]:
    """Return what is looked for: `word`, `"a phrase"`, `begin*`; a quote that is left open closes at the end.

    Signs without a letter or digit count for nothing. All terms must be found.
    """
    said = query[:MAX_CHARS].encode(errors="ignore").decode().replace("\0", " ")
    terms = (_term(phrase, word) for phrase, word in _TERM.findall(said))
    return tuple(term for term in terms if any(sign.isalnum() for sign in term.text))[:MAX_TERMS]


def fts5(terms: Sequence[Term]) -> str:
    """Return the terms as an FTS5 query; every term is a string, so nothing in it is an operator (SQLite, FTS5 3.1)."""
    return " AND ".join(f'"{term.text}"{" *" if term.prefix else ""}' for term in terms) or '""'


def tsquery(terms: Sequence[Term]) -> str:
    """Return the terms as PostgreSQL's `to_tsquery` takes them, each quoted; several words in one are a phrase."""
    return " & ".join(f"'{plain(term.text)}'" + (":*" if term.prefix else "") for term in terms)


def plain(text: str) -> str:
    """Return a text as PostgreSQL's index has it (`search_index`): no accents, blanks for signs that part words."""
    return _SIGNS.sub(" ", without_accents(text))


def without_accents(text: str) -> str:
    """Return a text whose letters have lost their accents."""
    return _ACCENTS.sub("", unicodedata.normalize("NFD", text))


def _term(phrase: str, word: str) -> Term:
    if phrase:
        return Term(phrase)
    begin = word.rstrip("*")
    return Term(begin, prefix=len(begin) < len(word) and len(begin) >= LEAST_PREFIX)
