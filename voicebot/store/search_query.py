"""What a person types into a search box, as full-text queries of the databases."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

MAX_CHARS = 200
"""What is behind them is not looked for."""
MAX_TERMS = 16
"""More words and phrases are not looked for."""
LEAST_PREFIX = 2
"""One letter begins too many words to be worth a search: it is taken as a word."""

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
    plain = query[:MAX_CHARS].encode(errors="ignore").decode().replace("\0", " ")
    terms = (_term(phrase, word) for phrase, word in _TERM.findall(plain))
    return tuple(term for term in terms if any(sign.isalnum() for sign in term.text))[:MAX_TERMS]


def fts5(terms: Sequence[Term]) -> str:
    """Return the terms as an FTS5 query; every term is a string, so nothing in it is an operator (SQLite, FTS5 3.1)."""
    return " AND ".join(f'"{term.text}"{" *" if term.prefix else ""}' for term in terms) or '""'


def tsquery(terms: Sequence[Term]) -> str:
    """Return the terms as PostgreSQL's `to_tsquery` takes them, each quoted; several words in one are a phrase."""
    return " & ".join(_quoted(term.text) + (":*" if term.prefix else "") for term in terms)


def _term(phrase: str, word: str) -> Term:
    if phrase:
        return Term(phrase)
    begin = word.rstrip("*")
    return Term(begin, prefix=len(begin) < len(word) and len(begin) >= LEAST_PREFIX)


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", " ").replace("'", "''") + "'"
