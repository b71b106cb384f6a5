"""Cuts a streamed reply into its lines or messages, wherever the network has cut it."""

import re
from collections.abc import Iterable, Iterator

type Unit = tuple[str, bytes]
"""The beginning of its JSON path (``line 3: $``) and the JSON itself."""

# WHATWG HTML, server-sent events: a line ends with CR LF, LF or CR, an empty one ends the event.
ANY_END = re.compile(rb"\r\n|\n|\r")
_LF = re.compile(rb"\n")


class Splitter:
    """Holds back what has no end yet; every byte is looked at once."""

    def __init__(self, end: re.Pattern[bytes]) -> None:
        self._end = end
        self._rest = bytearray()
        self._behind_cr = False

    @property
    def held(self) -> int:
        """Bytes that have no end yet."""
        return len(self._rest)

    def push(self, data: bytes) -> list[bytes]:
        """Return the lines that `data` completes."""
        if not data:
            return []
        # A CR at the end of the last chunk has ended its line; the LF behind it is half of the same end.
        data = data.removeprefix(b"\n") if self._behind_cr else data
        self._behind_cr = self._end is ANY_END and data.endswith(b"\r")
        first, *others = self._end.split(data)
        self._rest += first
        if not others:
            return []
        lines = [bytes(self._rest), *others[:-1]]
        self._rest = bytearray(others[-1])
        return lines

    def end(self) -> bytes:
        """Return what never got an end."""
        rest, self._rest = bytes(self._rest), bytearray()
        return rest


class Lines:
    """Newline-delimited JSON; empty lines mean nothing."""

    def __init__(self) -> None:
        self._splitter = Splitter(_LF)
        self._number = 0

    def push(self, data: bytes) -> Iterator[Unit]:
        """Yield the lines that `data` completes."""
        return self._units(self._splitter.push(data))

    def end(self) -> Iterator[Unit]:
        """Yield the last line, which need not have an end."""
        return self._units([self._splitter.end()])

    def _units(self, lines: Iterable[bytes]) -> Iterator[Unit]:
        for line in lines:
            self._number += 1
            if line.strip():
                yield f"line {self._number}: $", line


class Messages:
    """Server-sent events: the data of each message; comments and other fields mean nothing here."""

    def __init__(self) -> None:
        self._splitter = Splitter(ANY_END)
        self._data: list[bytes] = []
        self._number = 0

    def push(self, data: bytes) -> Iterator[Unit]:
        """Yield the messages that `data` completes."""
        return self._units(self._splitter.push(data))

    def end(self) -> Iterator[Unit]:
        """Yield the last message, which need not have an end."""
        return self._units([self._splitter.end(), b""])

    def _units(self, lines: Iterable[bytes]) -> Iterator[Unit]:
        for line in lines:
            if line.startswith(b"data:"):
                self._data.append(line.removeprefix(b"data:").removeprefix(b" "))
            elif not line and self._data:
                self._number += 1
                yield f"message {self._number}: $", b"\n".join(self._data)
                self._data = []
