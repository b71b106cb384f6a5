"""A connection's way out: every frame passes here, where it may be bent or delayed, in order."""

import asyncio
import json

from aiohttp import web

from voicebot.local.soniox.frames import Frame
from voicebot.local.soniox.misbehaviour import bend
from voicebot.local.soniox.options import Faults

QUEUE_FRAMES = 1000
"""Delayed frames waiting at most; a sender waits beyond."""

type Parcel = tuple[float, str | int]
"""When it leaves (loop time), and the text of a frame or the code of a close."""


class Outlet:
    """Sends frames to one client; after the client is gone, sending does nothing: the reading side notices the end."""

    def __init__(self, socket: web.WebSocketResponse, request: web.Request, faults: Faults) -> None:
        self._socket = socket
        self._request = request
        self._faults = faults
        self._queue: asyncio.Queue[Parcel] | None = asyncio.Queue(QUEUE_FRAMES) if faults.delay_ms else None
        self._loop = asyncio.get_running_loop()
        self.closing = False
        """Whether we have said the last word, so that the end of the connection is no surprise."""

    async def pump(self) -> None:
        """Send delayed frames when their time comes; returns at once when nothing is delayed."""
        if self._queue is None:
            return
        while True:
            try:
                due, parcel = await self._queue.get()
            except asyncio.QueueShutDown:
                return
            await asyncio.sleep(due - self._loop.time())
            await self._deliver(parcel)

    async def send(self, frame: Frame | None) -> None:
        """Send a speech-to-text frame; None is nothing to send."""
        bent = None if frame is None else bend(frame, self._faults)
        if bent is not None:
            await self.send_text(json.dumps(bent, ensure_ascii=False, separators=(",", ":")))

    async def send_text(self, text: str) -> None:
        """Send one text frame as it is."""
        await self._post(text)

    async def close(self, code: int = 1000) -> None:
        """Close after everything sent before."""
        self.closing = True
        await self._post(code)
        self.stop()

    def stop(self) -> None:
        """No more frames: `pump` returns when the waiting ones have left."""
        if self._queue is not None:
            self._queue.shutdown()

    def abort(self) -> None:
        """Cut the TCP connection without a word."""
        if self._request.transport is not None:
            self._request.transport.abort()

    async def _post(self, parcel: str | int) -> None:
        if self._queue is None:
            await self._deliver(parcel)
            return
        try:
            await self._queue.put((self._loop.time() + self._faults.delay_ms / 1000, parcel))
        except asyncio.QueueShutDown:
            return  # said after the close, as to a client that is gone

    async def _deliver(self, parcel: str | int) -> None:
        if isinstance(parcel, int):
            await self._socket.close(code=parcel)
            return
        try:
            await self._socket.send_str(parcel)
        except ConnectionResetError:
            self.stop()  # the client is gone; its reader ends the session
