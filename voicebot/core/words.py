"""How recognised text is cut into words that can be compared."""

import re
import unicodedata

_APOSTROPHES = re.compile("['`\u00b4\u02bc\u2018\u2019]")
# Scripts without spaces: each character is a word of its own.
_SPACELESS = "\u3041-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_WORD = re.compile(rf"[{_SPACELESS}]|[^\W_{_SPACELESS}]+")


def fold(text: str) -> str:
    """Lower case without accents: recognisers write "sí" and "si", "Ça" and "ca"."""
    # The Turkish dotless i has no decomposition.
    decomposed = unicodedata.normalize("NFKD", text.casefold()).replace("\u0131", "i")
    return "".join(sign for sign in decomposed if not unicodedata.combining(sign))


def words(text: str) -> list[str]:
    """Folded words without punctuation; apostrophes vanish ("it's" is "its"), hyphens part words.

    Chinese and Japanese characters are a word each, because nothing in their writing parts words.
    """
    return _WORD.findall(fold(_APOSTROPHES.sub("", text)))


def primary(language: str | None) -> str:
    """The two letters that tables are kept by: "en" for "en-US"; empty without a language."""
    return (language or "").replace("_", "-").partition("-")[0].lower()
