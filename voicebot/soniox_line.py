"""A WebSocket to Soniox on the protocol of `websockets` without its tasks, queues and locks."""

import asyncio
import os
import ssl
import struct
from collections.abc import Callable, Mapping
from logging import Logger
from typing import cast, override

from websockets.client import ClientProtocol
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode
from websockets.http11 import USER_AGENT, Response
from websockets.protocol import State
from websockets.uri import parse_uri

from voicebot.soniox_frames import TEXT, Cutter

try:
    from websockets.speedups import apply_mask
except ImportError:  # a build without the extension
    from websockets.utils import apply_mask

MOST_UNREAD, FEW_UNREAD = 64, 16
"""Messages that nobody has taken: from the first number on no more is read, from the second on again."""
KEYS = 64
"""Masking keys that are drawn at a time; each is used once (RFC 6455, section 5.3)."""
SHORT, LONG = 126, 65_536
"""From so many bytes on a frame's length takes two bytes more, and eight (RFC 6455, section 5.2)."""

type Take = Callable[[str | bytes], bool]
"""Takes a message and says whether it takes more."""


class SonioxLine(asyncio.Protocol):
    """One connection, made by `connect`; for one reader and any number of writers.

    Pings on its own and fails with 1011 when no pong comes; a peer that does not end its side of a closed connection is
    cut off. Raises `ConnectionClosed` of `websockets` when the other side, the network or `close` has ended it.
    """

    def __init__(
        self,
        protocol: ClientProtocol,
        *,
        most_bytes: int,
        ping_s: float,
        pong_timeout_s: float,
        close_timeout_s: float,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._protocol = protocol
        self._ping_s, self._pong_timeout_s, self._close_timeout_s = ping_s, pong_timeout_s, close_timeout_s
        self._transport: asyncio.Transport | None = None
        self._opened: asyncio.Future[None] = self._loop.create_future()
        self._lost: asyncio.Future[None] = self._loop.create_future()
        self._cutter = Cutter(most_bytes)
        self._unread: list[str | bytes] = []
        self._parts: list[Frame] = []
        self._reader: asyncio.Future[bool] | None = None
        self._take_now: Take | None = None
        """There while somebody hears, and nothing waits that came before."""
        self._writable: asyncio.Future[None] | None = None
        self._paused = False
        self._pinged: bytes | None = None
        self._pings = 0
        self._timer: asyncio.TimerHandle | None = None
        self._cut: asyncio.TimerHandle | None = None
        self._keys, self._key_at = b"", 0

    # --- for its user

    async def send(self, message: str | bytes) -> None:
        """Send one message, as text or as bytes; waits only while the network takes nothing."""
        if self._protocol.state is not State.OPEN:
            await asyncio.shield(self._lost)
            raise self._closed()
        if isinstance(message, str):
            self._write(self._framed(Opcode.TEXT, message.encode()))
        else:
            self._write(self._framed(Opcode.BINARY, message))
        if self._writable is not None:
            await asyncio.shield(self._writable)
            if self._lost.done():
                raise self._closed()

    @property
    def free(self) -> bool:
        """Whether a message would be taken without a wait."""
        return self._writable is None and self._protocol.state is State.OPEN

    def put(self, message: bytes) -> None:
        """Send one message as bytes, now; only while the line is `free`."""
        self._write(self._framed(Opcode.BINARY, message))

    async def hear(self, take: Take) -> None:
        """Give each message to `take` as it comes, until it takes no more.

        What has come before the end is given before the end is told. Raises what `take` raises.
        """
        while True:
            while self._unread:
                if not take(self._next()):
                    return
            if await self._news(take):
                return

    async def recv(self) -> str | bytes:
        """Return the next message; what has come before the end is returned before the end is told."""
        while not self._unread:
            await self._news(None)
        return self._next()

    async def _news(self, take: Take | None) -> bool:
        """Wait for what nobody has read; return whether `take`, which gets it at once, takes no more."""
        if self._lost.done():
            raise self._closed()
        self._reader, self._take_now = self._loop.create_future(), take
        try:
            return await self._reader
        finally:
            self._reader = self._take_now = None

    def _next(self) -> str | bytes:
        message = self._unread.pop(0)
        if self._paused and len(self._unread) <= FEW_UNREAD:
            self._paused = False
            if self._transport is not None and not self._lost.done():
                self._transport.resume_reading()
        return message

    async def close(self) -> None:
        """Close normally, and wait until it is closed."""
        if self._protocol.state is State.OPEN:
            self._protocol.send_close(1000)
            self._flush()
        await asyncio.shield(self._lost)

    async def abort(self) -> None:
        """Cut the connection, and wait until it is gone."""
        if self._transport is not None:
            self._transport.abort()
            await asyncio.shield(self._lost)

    # --- for the event loop

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    @override
    def data_received(self, data: bytes) -> None:
        for first, piece in self._cutter.feed(data):
            if first:
                self._complete(piece, text=first == TEXT)
            else:
                self._by_protocol(piece)
            if not (self._cutter.in_head or self._protocol.state is State.OPEN):
                self._cutter.stop()
                self._flush()

    @override
    def eof_received(self) -> None:
        self._protocol.receive_eof()
        self._flush()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._protocol.receive_eof()
        self._protocol.data_to_send()
        self._protocol.parser.close()  # it knows the protocol, which knows it
        for timer in (self._timer, self._cut):
            if timer is not None:
                timer.cancel()
        self._timer = self._cut = None
        for waiter in (self._opened, self._lost, self._writable):
            if waiter is not None and not waiter.done():
                waiter.set_result(None)
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(False)

    @override
    def pause_writing(self) -> None:
        self._writable = self._loop.create_future()

    @override
    def resume_writing(self) -> None:
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)
        self._writable = None

    # --- opening

    async def _open(self, headers: Mapping[str, str]) -> None:
        request = self._protocol.connect()
        request.headers.update(headers)
        request.headers.setdefault("User-Agent", USER_AGENT)
        self._protocol.send_request(request)
        self._flush()
        await asyncio.shield(self._opened)
        if self._protocol.handshake_exc is not None:
            raise self._protocol.handshake_exc
        self._timer = self._loop.call_later(self._ping_s, self._ping)

    def _answered(self) -> None:
        if not self._opened.done():
            self._opened.set_result(None)

    # --- in

    def _by_protocol(self, data: bytes) -> None:
        self._protocol.receive_data(data)
        for event in self._protocol.events_received():
            if isinstance(event, Response):
                self._answered()
            else:
                self._take(cast("Frame", event))
        self._flush()

    def _take(self, frame: Frame) -> None:
        """Take a whole frame; messages may come in several (RFC 6455, section 5.4)."""
        match frame.opcode:
            case Opcode.TEXT | Opcode.BINARY | Opcode.CONT:
                self._parts.append(frame)
                if frame.fin:
                    parts, self._parts = self._parts, []
                    self._complete(b"".join([part.data for part in parts]), text=parts[0].opcode is Opcode.TEXT)
            case Opcode.PONG if frame.data == self._pinged:
                self._pinged = None
            case _:
                pass

    def _complete(self, data: bytes, *, text: bool) -> None:
        message: str | bytes = data
        if text:
            try:
                message = data.decode()
            except UnicodeDecodeError as error:
                self._protocol.fail(1007, f"{error.reason} at position {error.start}")
                return
        reader = self._reader
        if reader is None or reader.done() or self._take_now is None:
            self._keep(message)
        else:
            self._pass(message, self._take_now, reader)

    def _pass(self, message: str | bytes, take: Take, reader: asyncio.Future[bool]) -> None:
        """Give a message to whoever hears, without waking it before it takes no more."""
        try:
            if not take(message):
                reader.set_result(True)
        except Exception as error:  # noqa: BLE001 - it belongs to who hears
            reader.set_exception(error)

    def _keep(self, message: str | bytes) -> None:
        self._unread.append(message)
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(False)
        if len(self._unread) >= MOST_UNREAD and not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()

    # --- out

    def _framed(self, opcode: Opcode, data: bytes) -> bytes:
        """Return a whole message in one masked frame."""
        if self._key_at == len(self._keys):
            self._keys, self._key_at = os.urandom(4 * KEYS), 0
        key = self._keys[self._key_at : self._key_at + 4]
        self._key_at += 4
        size = len(data)
        if size < SHORT:
            head = bytes((0x80 | opcode, 0x80 | size))
        elif size < LONG:
            head = struct.pack(">BBH", 0x80 | opcode, 0x80 | SHORT, size)
        else:
            head = struct.pack(">BBQ", 0x80 | opcode, 0x80 | (SHORT + 1), size)
        return head + key + apply_mask(data, key)

    def _flush(self) -> None:
        """Write what the protocol wants to say; cut the connection off when the other side does not end it in time."""
        for data in self._protocol.data_to_send():
            if data:
                self._write(data)
            elif self._transport is not None and self._transport.can_write_eof():
                self._transport.write_eof()
        if self._cut is None and self._transport is not None and self._protocol.close_expected():
            self._cut = self._loop.call_later(self._close_timeout_s, self._transport.abort)
            self._read_on()

    def _read_on(self) -> None:
        """The end must be seen, although nobody takes what came before it."""
        if self._paused and self._transport is not None:
            self._paused = False
            self._transport.resume_reading()

    def _write(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    # --- life

    def _ping(self) -> None:
        self._pings += 1
        self._pinged = str(self._pings).encode()
        if self._protocol.state is State.OPEN:
            self._protocol.send_ping(self._pinged)
            self._flush()
            self._timer = self._loop.call_later(self._pong_timeout_s, self._judge)

    def _judge(self) -> None:
        if self._pinged is not None and self._protocol.state is State.OPEN:
            self._protocol.fail(1011, "keepalive ping timeout")
            self._flush()
        else:
            self._timer = self._loop.call_later(max(0.0, self._ping_s - self._pong_timeout_s), self._ping)

    def _closed(self) -> ConnectionClosed:
        return self._protocol.close_exc


async def connect(  # noqa: PLR0913 - each is a setting of its own
    url: str,
    *,
    headers: Mapping[str, str],
    tls: ssl.SSLContext | None,
    open_timeout_s: float,
    close_timeout_s: float,
    ping_s: float,
    pong_timeout_s: float,
    max_message_bytes: int,
    logger: Logger,
) -> SonioxLine:
    """Open a connection; raises TimeoutError, OSError, InvalidURI, InvalidHandshake. Redirections are not followed."""
    uri = parse_uri(url)
    protocol = ClientProtocol(uri, max_size=max_message_bytes, logger=logger)

    def made() -> SonioxLine:
        return SonioxLine(
            protocol,
            most_bytes=max_message_bytes,
            ping_s=ping_s,
            pong_timeout_s=pong_timeout_s,
            close_timeout_s=close_timeout_s,
        )

    line: SonioxLine | None = None
    opened = False
    try:
        async with asyncio.timeout(open_timeout_s):
            loop = asyncio.get_running_loop()
            _, line = await loop.create_connection(made, uri.host, uri.port, ssl=tls)
            await line._open(headers)  # noqa: SLF001 - the two are one
            opened = True
    except TimeoutError:
        raise TimeoutError(f"timed out after {open_timeout_s:g} s") from None
    finally:
        if line is not None and not opened:
            await line.abort()
    return line
