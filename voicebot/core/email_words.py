"""Which e-mail address somebody reads out."""

import re
from collections.abc import Iterator, Sequence

from voicebot.core.spelling import Piece, decided, read_pieces
from voicebot.core.spelling_words import SIGNS
from voicebot.core.words import fold

LEAST_CODEWORDS = 3
"""Fewer words of a spelling alphabet are words: "tango at hotel dot com"."""

MAX_WORDS = 64
"""An address is looked for so many words to each side of its sign,"""
MAX_CANDIDATES = 4
"""and around so many of the last words that may be the sign."""

_SURE_AT = frozenset({"@", "arobase", "arroba", "chiocciola", "chiocciolina", "apenstaartje", "klammeraffe", "ät"})
_AT = "at"
"""An @ only when a domain with a dot follows: "I'm at home"; "at sign" is one in any case."""
_AT_SIGN = frozenset({"sign", "zeichen", "symbol"})

_LEAD_INS = (
    "my mine is its it's it that that's the email mail e-mail address would be use send write reach me under to or okay ok yes no sorry "
    "yeah so well sure of course hi all "
    "meine mein ist lautet die das unter oder nein adresse e-mail-adresse mailadresse emailadresse also ja "
    "mon ma est c'est l'adresse adresse courriel alors oui "
    "mi es la el dirección correo electrónico sí si bueno "
    "mia è l'indirizzo indirizzo sì "
    "meu é endereço sim então "
    "mijn het adres e-mailadres mailadres"
)
_LEAD_IN = frozenset(_LEAD_INS.split())
"""Words before an address that are no part of it, in any language."""

_NO_LANGUAGE = "zxx"
"""Number words in a domain are words: "one dot com"."""
_EDGES = '.,;:!?\u00bf\u00a1"\u201c\u201d\u201e\u00ab\u00bb()[]<>\u2026'
_SENTENCE_ENDS = (".", "!", "?", ";", ":")
_FOREIGN = re.compile(r"[^a-z0-9.+_'-]")
_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss"})
_ADDRESS = re.compile(r"[a-z0-9_+'-]+(?:\.[a-z0-9_+'-]+)*@(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}")


def read_email(text: str, language: str | None = None) -> str:
    """The address in a text, in lower case; the last when there are several, and empty without one.

    "my email is J for John dot smith at example dot com" is "j.smith@example.com". As long as it is no whole address
    (see `is_email`), it is what there is so far, and only once the sign itself was named.
    """
    chunks = text.split()
    candidates = [at for at in reversed(range(len(chunks))) if _is_at(chunks, at)][:MAX_CANDIDATES]
    addresses = [_address(chunks, at, language) for at in candidates]
    whole = (address for address in addresses if is_email(address))
    begun = (address for address, at in zip(addresses, candidates, strict=True) if _is_sure(chunks, at))
    return next(whole, next(begun, ""))


def is_email(address: str) -> bool:
    """Is it an address with a top-level domain? More may follow: "example.co" on the way to "example.co.uk"."""
    return _ADDRESS.fullmatch(address) is not None


def _plain(chunk: str) -> str:
    return chunk.strip(_EDGES).lower()


def _is_at(chunks: Sequence[str], at: int) -> bool:
    return _plain(chunks[at]) == _AT or _is_sure(chunks, at)


def _is_sure(chunks: Sequence[str], at: int) -> bool:
    word = _plain(chunks[at])
    named = word == _AT and any(_plain(chunk) in _AT_SIGN for chunk in chunks[at + 1 : at + 2])
    return named or word in _SURE_AT or "@" in word


def _address(chunks: Sequence[str], at: int, language: str | None) -> str:
    word = _plain(chunks[at])
    left, _, right = word.partition("@") if "@" in word else ("", "", "")
    after = list(chunks[at + 1 : at + 1 + MAX_WORDS])
    if after and _plain(after[0]) in _AT_SIGN:
        after.pop(0)
    local = [left] if left else chunks[max(0, at - MAX_WORDS) : at]
    return f"{_local(_sentence(local), language)}@{_domain([right, *after])}"


def _sentence(chunks: Sequence[str]) -> Sequence[str]:
    """What stands behind the last end of a sentence; a letter or a sign with a full stop is none ("J. dot")."""
    for at in range(len(chunks) - 1, -1, -1):
        word = _plain(chunks[at])
        if len(word) > 1 and word not in SIGNS and chunks[at].endswith(_SENTENCE_ENDS):
            return chunks[at + 1 :]
    return chunks


def _local(chunks: Sequence[str], language: str | None) -> str:
    """What stands before the sign, back to the first word that leads in: "it's", "address is"."""
    pieces = _unspelled(decided(read_pieces(chunks, language), least_codes=LEAST_CODEWORDS))
    kept: list[Piece] = []
    for piece in reversed(pieces):
        if kept and kept[-1].kind != "sign" and piece.said in _LEAD_IN:
            break
        kept.append(piece)
    return _clean("".join(piece.text for piece in reversed(kept)))


def _unspelled(pieces: Sequence[Piece]) -> list[Piece]:
    """Without words that are spelled right after them: "Smith, S M I T H"."""
    return [piece for at, piece in enumerate(pieces) if piece.kind != "word" or not _is_spelled_behind(pieces, at)]


def _is_spelled_behind(pieces: Sequence[Piece], at: int) -> bool:
    word = pieces[at].text
    behind = pieces[at + 1 : at + 1 + len(word)]
    return all(piece.kind == "letter" for piece in behind) and "".join(piece.text for piece in behind).startswith(word)


def _domain(chunks: Sequence[str]) -> str:
    """Labels up to the word behind the last dot; before the first dot, words are one label ("g mail dot com")."""
    return _clean("".join(_labels(decided(read_pieces(chunks, _NO_LANGUAGE), least_codes=LEAST_CODEWORDS))))


def _labels(pieces: Sequence[Piece]) -> Iterator[str]:
    dotted = False
    before: Piece | None = None
    for piece in pieces:
        if piece.kind == "sign" and piece.text not in (".", "-"):
            return
        joined = before is None or "sign" in (piece.kind, before.kind) or (before.kind == piece.kind == "letter")
        if dotted and not joined:
            return
        yield piece.text
        dotted = dotted or "." in piece.text
        before = piece


def _clean(part: str) -> str:
    return _FOREIGN.sub("", fold(part.translate(_UMLAUTS)))
