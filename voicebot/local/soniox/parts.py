"""What every connection of one server shares."""

import asyncio
import uuid
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass

from aiohttp import web

from voicebot.local.engines.base import Engines
from voicebot.local.soniox.auth import SUBPROTOCOL, Lock, handshake_keys
from voicebot.local.soniox.options import LocalSonioxOptions
from voicebot.local.soniox.outlet import Outlet
from voicebot.local.soniox.script import Script

MAX_MESSAGE_BYTES = 16 * 1024 * 1024
"""One message may hold a whole recording."""

type Notify = Callable[[str], None]
"""Told one line for a person whenever a session starts or ends."""


@dataclass(frozen=True, slots=True)
class Parts:
    """The loaded server: options, engines or script, threads, and the sign that it is closing."""

    options: LocalSonioxOptions
    engines: Engines
    script: Script | None
    pool: Executor
    closing: asyncio.Event
    sockets: set[web.WebSocketResponse]
    notify: Notify

    @property
    def lock(self) -> Lock:
        """What is asked of a key."""
        return Lock(self.options.key, self.options.strict_2027)


@dataclass(frozen=True, slots=True)
class Opened:
    """One connection after its handshake."""

    socket: web.WebSocketResponse
    outlet: Outlet
    keys: tuple[str, ...]
    request_id: str


async def open_socket(request: web.Request, parts: Parts) -> Opened:
    """Answer the handshake: our subprotocol and compression when offered; a wrong key is refused later, by a frame."""
    socket = web.WebSocketResponse(
        protocols=(SUBPROTOCOL,), timeout=parts.options.timeouts.close_s, max_msg_size=MAX_MESSAGE_BYTES, compress=True
    )
    await socket.prepare(request)
    parts.sockets.add(socket)
    outlet = Outlet(socket, request, parts.options.faults)
    return Opened(socket, outlet, handshake_keys(request.headers), str(uuid.uuid4()))
