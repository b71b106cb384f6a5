"""Whose is a call, where several workers share a service: every worker says the same of every call, and nobody has to ask."""

from dataclasses import dataclass
from hashlib import md5

SLOT_DIGITS = 7
"""Hexadecimal digits of the hash: a number that fits into every database's integer."""


def slot(call_id: str) -> int:
    """Return where a call falls; a further visit of the carrier's call (`CA….2`) falls where the first did."""
    name = call_id.partition(".")[0]
    return int(md5(name.encode(errors="surrogateescape"), usedforsecurity=False).hexdigest()[:SLOT_DIGITS], 16)


@dataclass(frozen=True, slots=True)
class Share:
    """The calls of one worker among `of`; alone it has them all."""

    index: int = 0
    of: int = 1

    def owner(self, call_id: str) -> int:
        """Return the index of the worker whose call it is."""
        return slot(call_id) % self.of

    def has(self, call_id: str) -> bool:
        """Say whether a call is this worker's."""
        return self.owner(call_id) == self.index

    def part(self, total: int) -> int:
        """Return this worker's part of a number that all workers share; the parts add up to it."""
        return total // self.of + (self.index < total % self.of)
