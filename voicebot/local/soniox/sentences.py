"""Cuts growing text into pieces worth speaking: whole sentences, or a clause when a sentence gets long."""

import re

SENTENCE = re.compile(r".*?[.!?…:;][\"')\]]*\s+", re.DOTALL)
"""An end mark counts only once white space follows: "3.50" and "e.g" are still being written."""
CLAUSE = re.compile(r".*[,\s]\s*", re.DOTALL)
LONGEST = 200
"""Characters after which a sentence is spoken although it goes on."""


class SentenceSplitter:
    """Collects text; nothing is lost or changed: the pieces joined are the text."""

    def __init__(self) -> None:
        self._rest = ""

    def feed(self, text: str) -> list[str]:
        """Pieces that are complete now."""
        self._rest += text
        pieces = []
        while match := SENTENCE.match(self._rest):
            pieces.append(match.group())
            self._rest = self._rest[match.end() :]
        while len(self._rest) > LONGEST:
            pieces.append(self._clause())
        return pieces

    def finish(self) -> str:
        """What is left when no more text comes; may be empty."""
        rest, self._rest = self._rest, ""
        return rest

    def _clause(self) -> str:
        match = CLAUSE.match(self._rest[:LONGEST])
        at = match.end() if match else LONGEST
        piece, self._rest = self._rest[:at], self._rest[at:]
        return piece
