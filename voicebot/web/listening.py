"""Takes so many connections at a time, and closes further ones at once."""

import asyncio
import socket
from typing import override

import structlog
from aiohttp import web

from voicebot.metrics import Metrics

BACKLOG = 1_024
"""Connections that the system holds until they are taken: a storm of calls comes in one instant."""


class _TooMany(asyncio.Protocol):
    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if isinstance(transport, asyncio.Transport):
            transport.abort()


async def listen(runner: web.AppRunner, listening: socket.socket, most: int, metrics: Metrics) -> asyncio.Server:
    """Serve `runner` on a socket with at most `most` connections at a time; who calls closes what is returned."""
    server = runner.server
    if server is None:
        raise LookupError("a runner is set up before it listens")
    full = False

    def connected() -> asyncio.BaseProtocol:
        nonlocal full
        before, full = full, len(server.connections) >= most
        if not full:
            return server()
        metrics.refused.labels("connection", "too many connections").inc()
        if not before:
            structlog.get_logger().warning("door.refused", door="connection", why="too many connections", limit=most)
        return _TooMany()

    return await asyncio.get_running_loop().create_server(connected, sock=listening, backlog=BACKLOG)
