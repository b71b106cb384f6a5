"""Server-sent events, written and read (WHATWG HTML, server-sent events)."""

from collections.abc import Iterator
from dataclasses import dataclass

from voicebot.wire.webhook_units import ANY_END, Splitter

CONTENT_TYPE = "text/event-stream"
HEARTBEAT = b":\n\n"
"""A comment: readers pass over it, connections stay awake."""
MAX_MESSAGE_BYTES = 16_777_216
"""Longest message that a reader holds in memory; the snapshot of a long call has about a megabyte."""


def message(event: str, data: bytes, id_: str = "") -> bytes:
    """Return one message; `data` is one line, as JSON is. Without an id the reader keeps the last one it saw."""
    named = f"id: {id_}\nevent: {event}\n" if id_ else f"event: {event}\n"
    return b"%sdata: %s\n\n" % (named.encode(), data)


def retry(ms: int) -> bytes:
    """Return the wish that readers wait so long before they connect again."""
    return b"retry: %d\n\n" % ms


@dataclass(frozen=True, slots=True)
class Message:
    """One message as read; `last_id` is what to ask for after a lost connection."""

    event: str
    data: bytes
    last_id: str


class Reader:
    """Cuts what comes from the network into messages; one that has no end yet is held back, one cut off is lost."""

    def __init__(self, last_id: str = "") -> None:
        self.last_id = last_id
        self.held = 0
        """Bytes of the message that is not complete yet."""
        self._splitter = Splitter(ANY_END)
        self._event, self._data = "", list[bytes]()

    def push(self, chunk: bytes) -> Iterator[Message]:
        """Yield the messages that `chunk` completes."""
        for line in self._splitter.push(chunk):
            if found := self._line(line):
                yield found
        self.held = self._splitter.held + sum(map(len, self._data))

    def _line(self, line: bytes) -> Message | None:
        if not line:
            return self._complete()
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        match name:
            case b"data":
                self._data.append(value)
            case b"event":
                self._event = value.decode(errors="replace")
            case b"id" if b"\0" not in value:
                self.last_id = value.decode(errors="replace")
            case _:
                pass  # a comment, `retry`, or a field of another day
        return None

    def _complete(self) -> Message | None:
        data, event = self._data, self._event or "message"
        self._data, self._event = [], ""
        return Message(event, b"\n".join(data), self.last_id) if data else None
