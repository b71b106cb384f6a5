"""The stream doors on a real port, and readers of what they send."""

import asyncio
import json
import socket
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass

import aiohttp
import pytest
from aiohttp import web

from voicebot import live
from voicebot.config import LiveSettings
from voicebot.web.api.stream import StreamDoors
from voicebot.wire.live_json import encode

DEADLINE_S = 50


@dataclass(frozen=True)
class Summary:
    id: str
    state: str = "live"


class Site:
    """The doors on a real port; `ended` counts the streams that are over."""

    def __init__(self, settings):
        self.encoded = []
        self.settings = LiveSettings.model_validate(settings)
        self.live = live.Live(self.settings.history, boot="boot", encode=self._encode)
        self.calls, self.last = [], 0
        self.doors = StreamDoors(self.live, lambda: [Summary(call) for call in self.calls], self.settings)
        self.ended = asyncio.Semaphore(0)
        self.session = self.runner = None

    def _encode(self, event, at):
        self.encoded.append(event)
        return encode(event, at)

    def open(self, *calls):
        for call in calls:
            self.calls.append(call)
            self.live.publish(live.CallOpened(call, "+1", "+2", "inbound", "bot"))

    def close(self, call):
        self.live.publish(live.CallClosed(call, "caller", 1, 0))

    def say(self, call="CA1", count=1, size=0):
        for _ in range(count):
            self.last += 1
            self.live.publish(live.Trouble(call, f"{self.last}" + " " * size))

    @web.middleware
    async def _count(self, request, handler):
        try:
            return await handler(request)
        finally:
            self.ended.release()

    @asynccontextmanager
    async def serving(self):
        app = web.Application(middlewares=[self._count])
        self.doors.mount(app)
        self.runner = web.AppRunner(app, access_log=None, shutdown_timeout=DEADLINE_S)
        await self.runner.setup()
        listening = web.TCPSite(self.runner, "127.0.0.1", 0, backlog=1_000)
        await listening.start()
        self.port, self.url = listening.port, f"http://127.0.0.1:{listening.port}"
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as self.session:
            yield self
        await self.runner.cleanup()

    @asynccontextmanager
    async def reading(self, path="/events", last_id=None, **request):
        headers = {} if last_id is None else {"Last-Event-ID": last_id}
        async with self.session.get(self.url + path, headers=headers, **request) as response:
            yield Stream(response.content, response)

    async def read_all(self, path):
        async with self.reading(path) as stream:
            return await stream.rest()

    @asynccontextmanager
    async def idle_reader(self, path="/events"):
        """A reader that takes nothing until it is asked to."""
        writer = None
        raw = socket.socket()
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        raw.setblocking(False)
        await asyncio.get_running_loop().sock_connect(raw, ("127.0.0.1", self.port))
        await asyncio.get_running_loop().sock_sendall(raw, f"GET {path} HTTP/1.0\r\n\r\n".encode())
        while not self.live.watchers:
            await asyncio.sleep(0)

        async def rest():
            nonlocal writer
            reader, writer = await asyncio.open_connection(sock=raw)
            await reader.readuntil(b"\r\n\r\n")
            return Stream(reader)

        yield rest
        if writer is not None:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()
        raw.close()


class Stream:
    """Reads messages as (event, id, JSON)."""

    def __init__(self, content, response=None):
        self.content, self.response = content, response

    async def one(self):
        while True:
            try:
                text = (await self.content.readuntil(b"\n\n")).decode()
            except asyncio.IncompleteReadError as error:
                text = error.partial.decode()
            if not text:
                return None
            message = dict(line.split(": ", 1) for line in text.splitlines() if not line.startswith(":") and line)
            if "data" in message:
                return message["event"], message.get("id"), json.loads(message["data"])

    async def many(self, count):
        return [await self.one() for _ in range(count)]

    async def rest(self):
        got = []
        while message := await self.one():
            got.append(message)
        return got


@pytest.fixture
async def site():
    async with AsyncExitStack() as stack:

        async def open_site(**settings):
            return await stack.enter_async_context(Site(settings).serving())

        yield open_site


@pytest.fixture
def read_stream():
    return Stream
