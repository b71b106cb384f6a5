"""Those who watch a call live over server-sent events, as the console does; they read along and count."""

import asyncio
from dataclasses import dataclass, field
from typing import cast, override
from urllib.parse import urlsplit

EVERY = 10
"""One call in so many is watched."""


@dataclass(slots=True)
class Count:
    """What all watchers together have had."""

    watchers: int = 0
    events: int = 0
    refused: list[str] = field(default_factory=list[str])
    """First lines of the answers to those who were not let in."""


class Watcher(asyncio.Protocol):
    """One stream of events."""

    def __init__(self, request: bytes, count: Count) -> None:
        self._request, self._count = request, count
        self._began = False

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast("asyncio.Transport", transport).write(self._request)

    @override
    def data_received(self, data: bytes) -> None:
        if not self._began:
            self._began = True
            if b" 200 " not in data.partition(b"\r\n")[0]:
                self._count.refused.append(data[:80].decode(errors="replace"))
        self._count.events += data.count(b"event:")


async def watch(origin: str, call_id: str, token: str, count: Count) -> None:
    """Begin to watch a call; the stream ends with the call."""
    parts = urlsplit(origin)
    request = (
        f"GET /calls/{call_id}/events HTTP/1.1\r\nHost: {parts.netloc}\r\n"
        f"Accept: text/event-stream\r\nAuthorization: Bearer {token}\r\n\r\n"
    ).encode()
    await asyncio.get_running_loop().create_connection(
        lambda: Watcher(request, count), parts.hostname or "", parts.port or 80
    )
    count.watchers += 1
