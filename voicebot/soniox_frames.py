"""Cuts what a server sends on a WebSocket: whole messages are read, everything else is left to the protocol of `websockets`."""

from collections.abc import Iterator
from sys import maxsize

TEXT, BINARY = 0x81, 0x82
"""First byte of a message in one frame, without extensions (RFC 6455, section 5.2)."""
FIN, CONTROL, MASKED = 0x80, 0x08, 0x80
SHORTEST = 2
"""Bytes that every frame has."""
TWO_BYTES, EIGHT_BYTES = 126, 127
"""Lengths that stand for a length in the bytes behind it."""
HEAD_ENDS = b"\r\n\r\n"

type Piece = tuple[int, bytes]
"""A whole message, TEXT or BINARY; or 0 and bytes for the protocol, which always ends at the end of a frame."""


class Cutter:
    """For one connection, from its first byte; `most` bytes may a message have.

    Nearly everything that a server sends is a message in one frame, and the parser of `websockets` takes three times as
    long for it. What is longer, masked, in parts or no message goes to it, whole and in its order.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._cuts = True
        self.in_head = True
        """The answer to the handshake goes on."""
        self._in_parts = False
        self._begun = b""
        """A frame that is not whole yet, or what may be the beginning of the end of the head."""

    def stop(self) -> None:
        """From here on all is for the protocol."""
        self._cuts = False

    def feed(self, data: bytes) -> Iterator[Piece]:
        """Take bytes as they come; yield what they complete. Whoever takes the pieces may `stop` between two."""
        at = 0
        if self.in_head:
            at = self._head(data)
            yield 0, data[:at]
        begun, self._begun = self._begun, b""
        if not self._cuts:
            yield 0, begun + data[at:]
        elif not self.in_head:
            yield from self._frames(begun + data[at:] if begun or at else data)
        else:
            self._begun = begun

    def _head(self, data: bytes) -> int:
        """Return how many bytes still belong to the answer to the handshake."""
        seen = self._begun + data
        end = seen.find(HEAD_ENDS)
        if end < 0:
            self._begun = seen[-len(HEAD_ENDS) + 1 :]
            return len(data)
        end += len(HEAD_ENDS) - len(self._begun)
        self._begun, self.in_head = b"", False
        return end

    def _frames(self, data: bytes) -> Iterator[Piece]:
        at, size = 0, len(data)
        while extent := _extent(data, at):
            start, end = extent
            if end - start > self._most:
                self._cuts = False
            if end > size or not self._cuts:
                break
            first = data[at]
            if not self._in_parts and first in {TEXT, BINARY}:
                yield first, data[start:end]
            else:
                if not first & CONTROL:
                    self._in_parts = not first & FIN
                yield 0, data[at:end]
            at = end
        if self._cuts:
            self._begun = data[at:]
        elif at < size:
            yield 0, data[at:]


def _extent(data: bytes, at: int) -> tuple[int, int] | None:
    """Return where the payload of the frame at `at` begins and ends; None when too little of it is there to tell.

    A masked one, which a server must not send, has no end.
    """
    size = len(data) - at
    if size < SHORTEST:
        return None
    length, start = data[at + 1], at + SHORTEST
    if length >= MASKED:
        return start, maxsize
    if length == TWO_BYTES:
        start += 2
        length = int.from_bytes(data[start - 2 : start])
    elif length == EIGHT_BYTES:
        start += 8
        length = int.from_bytes(data[start - 8 : start])
    return (start, start + length) if start <= len(data) else None
