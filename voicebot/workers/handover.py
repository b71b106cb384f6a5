"""Hands the connection of a media stream to the worker of its call, before anything was answered on it."""

import asyncio
import os
import socket
from collections.abc import Iterator
from contextlib import suppress
from typing import Self, override

import structlog
from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.web_protocol import RequestHandler

from voicebot.workers.forward import AWAY_S, RETRY_S, Away
from voicebot.workers.place import Place

MAX_HEAD_BYTES = 131_072
"""Longest head of a handshake with what came behind it; more than the server itself takes."""
log = structlog.get_logger("workers")


class HandedOver(web.StreamResponse):
    """The answer to a request whose connection is somebody else's now: nothing is written."""

    @override
    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        return None

    @override
    async def write_eof(self, data: bytes = b"") -> None:
        pass


async def hand_over(place: Place, index: int, request: web.Request) -> web.StreamResponse:
    """Give the request with its connection to a worker; raises Away when it does not come back in time.

    A descriptor that is sent over a Unix socket is the same connection (unix(7), SCM_RIGHTS): the peer notices nothing, and
    no frame of the stream ever passes through this process.
    """
    transport = request.transport
    if transport is None or transport.is_closing():
        raise ConnectionResetError("the peer is gone")
    transport.pause_reading()  # from here on, what the peer sends waits in the kernel for the new owner
    head = _head(request) + _behind(request)
    if len(head) > MAX_HEAD_BYTES:
        raise web.HTTPRequestHeaderFieldsTooLarge
    await _send(place.mailbox(index), head, transport.get_extra_info("socket").fileno())
    transport.abort()  # closes our descriptor; the connection lives on
    log.debug("worker.handed_over", other=index, path=request.path)
    return HandedOver()


def _head(request: web.Request) -> bytes:
    lines = [f"{request.method} {request.raw_path} HTTP/1.1".encode(errors="surrogateescape")]
    lines += [name + b": " + value for name, value in request.raw_headers]
    return b"\r\n".join([*lines, b"", b""])


def _behind(request: web.Request) -> bytes:
    """Take what came right behind the head; a peer should wait for the answer (RFC 6455, section 4.1), but may not."""
    protocol = request.protocol
    behind, protocol._message_tail = protocol._message_tail, b""  # noqa: SLF001 - aiohttp has no public name for it
    return bytes(behind)


async def _send(path: str, head: bytes, descriptor: int) -> None:
    """Send it once the worker takes it; raises Away after AWAY_S."""
    loop = asyncio.get_running_loop()
    until = loop.time() + AWAY_S
    while True:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as way:
            way.settimeout(0)
            try:
                way.connect(path)
                socket.send_fds(way, [head], [descriptor])
            except (ConnectionError, FileNotFoundError, BlockingIOError) as error:  # away, or it has many to take
                if loop.time() >= until:
                    raise Away(str(error)) from None
            else:
                return
        await asyncio.sleep(RETRY_S)


class Mailbox:
    """Takes over the connections that others hand to this worker; `run` needs an owner."""

    def __init__(self, path: str, server: web.Server) -> None:
        self._server = server
        with suppress(FileNotFoundError):
            os.unlink(path)  # noqa: PTH108 - of the worker before this one
        self._box = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._box.settimeout(0)
        self._box.bind(path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._box.close()

    async def run(self) -> None:
        """Take over connections until cancelled."""
        while True:
            await _readable(self._box)
            for head, connection in _arrived(self._box):
                await self._adopt(head, connection)

    async def _adopt(self, head: bytes, connection: socket.socket) -> None:
        def protocol() -> asyncio.Protocol:
            return _Adopted(self._server(), head)

        try:
            await asyncio.get_running_loop().connect_accepted_socket(protocol, connection)
        except OSError as error:
            connection.close()
            log.warning("worker.not_taken_over", why=str(error))


class _Adopted(asyncio.Protocol):
    """Tells the server's own protocol what was read already, before it hears anything else."""

    def __init__(self, handler: RequestHandler, head: bytes) -> None:
        self._handler, self._head = handler, head

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.set_protocol(self._handler)
        self._handler.connection_made(transport)
        self._handler.data_received(self._head)


async def _readable(box: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(box, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(box)


def _arrived(box: socket.socket) -> Iterator[tuple[bytes, socket.socket]]:
    with suppress(BlockingIOError):
        while True:
            head, descriptors, _, _ = socket.recv_fds(box, MAX_HEAD_BYTES, 1)
            for descriptor in descriptors:
                connection = socket.socket(fileno=descriptor)
                connection.settimeout(0)
                yield head, connection
