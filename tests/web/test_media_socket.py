"""The carrier's WebSocket: what is read together is handed over together, and nothing overtakes anything."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from aiohttp import ClientSession, WSMsgType, web

from voicebot.web.media_socket import MediaWebSocket

DEADLINE_S = 20


@asynccontextmanager
async def connected(handler):
    """A client of a server that does nothing else."""
    application = web.Application()
    application.add_routes([web.get("/", handler)])
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        port = site._server.sockets[0].getsockname()[1]
        async with ClientSession() as session, session.ws_connect(f"http://127.0.0.1:{port}/", autoping=False) as ws:
            yield ws
    finally:
        await runner.cleanup()


class Reader:
    """Takes what begins with `a`, and receives the rest."""

    def __init__(self):
        self.runs, self.heard, self.over = [], [], asyncio.Event()
        self.news = asyncio.Event()

    def take(self, messages):
        """As many from the front as begin with `a`."""
        plain = 0
        while plain < len(messages) and messages[plain].startswith(b"a"):
            plain += 1
        self.runs.append(plain)
        self.heard += messages[:plain]
        self.news.set()
        return plain

    async def handle(self, request):
        ws = MediaWebSocket(max_msg_size=1_000)
        await ws.prepare(request)
        try:
            while True:
                message = await ws.next(self.take)
                self.heard.append(message.data if message.type is WSMsgType.TEXT else message.type.name)
                if message.type in {WSMsgType.CLOSED, WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.ERROR}:
                    return ws
        finally:
            self.over.set()


@pytest.fixture
async def reader():
    return Reader()


async def until(reader):
    async with asyncio.timeout(DEADLINE_S):
        await reader.over.wait()
    return reader.heard


async def test_what_is_taken_and_what_is_received_keep_their_order(reader):
    async with connected(reader.handle) as ws:
        sent = [b"a1", b"a2", b"b3", b"a4", b"b5", b"a6", b"a7"]
        for message in sent[:5]:
            await ws.send_str(message.decode())
        await ws.ping(b"x")
        for message in sent[5:]:
            await ws.send_str(message.decode())
        await ws.close()
        assert await until(reader) == [*sent[:5], "PING", *sent[5:], "CLOSE"]


async def test_a_read_is_handed_over_in_one(reader):
    async with connected(reader.handle) as ws:
        transport = ws._conn.transport
        written, write = [], transport.write
        ws._writer.transport = type("Together", (), {"write": written.append, "is_closing": lambda _: False})()
        for number in range(5):
            await ws.send_str(f"a{number}")
        ws._writer.transport = transport
        write(b"".join(written))
        async with asyncio.timeout(DEADLINE_S):
            await reader.news.wait()
        await ws.close()
        heard = await until(reader)
    assert heard == [*(b"a%d" % number for number in range(5)), "CLOSE"]
    assert max(reader.runs) == 5


async def test_what_came_before_the_line_broke_is_heard(reader):
    async with connected(reader.handle) as ws:
        for message in ("a1", "b2", "a3"):
            await ws.send_str(message)
        ws._conn.transport.close()
        assert await until(reader) == [b"a1", b"b2", b"a3", "CLOSED"]


async def test_what_came_before_a_message_that_is_too_long_is_heard(reader):
    async with connected(reader.handle) as ws:
        await ws.send_str("a1")
        await ws.send_str("a" * 2_000)
        assert await until(reader) == [b"a1", "ERROR"]
