"""A WebSocket of aiohttp that hands over the text messages of one read together, without waking whoever waits for each."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Literal, cast, override

from aiohttp import WSMsgType, web
from aiohttp._websocket.reader import WebSocketDataQueue, WebSocketReader
from aiohttp.http import WSMessageNoDecodeText, WSMessageTextBytes
from aiohttp.http_websocket import WebSocketWriter
from aiohttp.web_request import BaseRequest

MOST_WAITING = 65_536
"""Bytes of messages that nobody has received; from twice as many on no more is read (aiohttp's own bound)."""

type Take = Callable[[Sequence[bytes]], int]
"""Takes messages from the front and returns how many; what it leaves is received in the ordinary way, in its order."""


class _Queue(WebSocketDataQueue):
    """Where aiohttp's reader puts messages. With `take` set text goes past it, which is only right while it is empty."""

    __slots__ = ("_past", "take")

    def __init__(self, request: BaseRequest) -> None:
        super().__init__(request.protocol, MOST_WAITING, loop=asyncio.get_running_loop())
        self.take: Take | None = None
        self._past: list[WSMessageTextBytes] = []

    @property
    def waiting(self) -> bool:
        """Something waits to be received."""
        return bool(self._buffer)

    @override
    def feed_data(self, data: WSMessageNoDecodeText, size: int) -> None:
        # Called by compiled code that swallows exceptions, so nothing happens to the messages in here.
        if self.take is not None and data.type is WSMsgType.TEXT:
            if not self._past:
                asyncio.get_running_loop().call_soon(self._hand_over)
            self._past.append(cast("WSMessageTextBytes", data))
        else:
            self._put_back()
            super().feed_data(data, size)

    @override
    def feed_eof(self) -> None:
        self._put_back()
        super().feed_eof()

    @override
    def set_exception(self, exc: BaseException, *cause: BaseException) -> None:
        self._put_back()
        super().set_exception(exc, *cause)

    def _hand_over(self) -> None:
        if self.take is not None and self._past:
            past, self._past = self._past, []
            taken = self.take([message.data for message in past])
            if taken == len(past):
                return
            self._past = past[taken:]
        self._put_back()

    def _put_back(self) -> None:
        """What is left, and what comes from now on, is received in the ordinary way."""
        self.take = None
        past, self._past = self._past, []
        for message in past:
            super().feed_data(message, len(message.data))


class MediaWebSocket(web.WebSocketResponse[Literal[False]]):
    """The carrier's WebSocket: text as bytes, no compression, pings in both directions left to its user."""

    def __init__(self, *, max_msg_size: int) -> None:
        # A ping shows that somebody is there, so it must be seen; aiohttp's own would set a timer with every read.
        super().__init__(compress=False, decode_text=False, autoping=False, heartbeat=None, max_msg_size=max_msg_size)

    @property
    def waiting(self) -> bool:
        """Messages wait to be received; once prepared."""
        return cast("_Queue", self._reader).waiting

    async def next(self, take: Take) -> WSMessageNoDecodeText:
        """Return the next message once prepared; text read meanwhile goes to `take`, as long as nothing is before it."""
        texts = cast("_Queue", self._reader)
        if not texts.waiting:
            texts.take = take
        try:
            return await self.receive()
        finally:
            texts.take = None

    @override
    def _post_start(self, request: BaseRequest, protocol: str | None, writer: WebSocketWriter) -> None:
        """As aiohttp does it, with a queue of our own: it offers no other way."""
        self._ws_protocol, self._writer = protocol, writer
        self._reader = _Queue(request)
        self._parser = WebSocketReader(self._reader, self._max_msg_size, compress=False, decode_text=False)
        request.protocol.set_parser(self._parser)
        request.protocol.keep_alive(val=False)
