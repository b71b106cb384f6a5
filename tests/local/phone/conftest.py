"""A service for the phone to call: a real aiohttp server that plays our side and keeps what it is told."""

import asyncio
import base64
import json
import math
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import audioop
import pytest
from aiohttp import web
from twilio.request_validator import RequestValidator

from voicebot.local.phone.caller import CallOptions
from voicebot.local.phone.options import DEFAULT_AUTH_TOKEN

ORIGIN = "https://voice.example.com"
MEDIA = "wss://voice.example.com/media"
DEADLINE_S = 50


def tone(length_ms: int, *, hertz: int = 440, peak: int = 8000) -> bytes:
    """µ-law of a sine."""
    samples = (round(peak * math.sin(2 * math.pi * hertz * at / 8000)) for at in range(8 * length_ms))
    return audioop.lin2ulaw(b"".join(struct.pack("<h", sample) for sample in samples), 2)


@dataclass
class Request:
    path: str
    method: str
    form: dict[str, str]
    headers: dict[str, str]
    signed: bool
    query: str = ""


@dataclass
class Socket:
    """One accepted media stream, from the service's side."""

    ws: web.WebSocketResponse
    path_qs: str
    headers: list[tuple[str, str]]
    messages: list[dict] = field(default_factory=list)
    raw: list[str | bytes] = field(default_factory=list)
    closed: asyncio.Event = field(default_factory=asyncio.Event)
    news: asyncio.Condition = field(default_factory=asyncio.Condition)

    def events(self, name: str) -> list[dict]:
        return [message for message in self.messages if message["event"] == name]

    @property
    def sid(self) -> str:
        return self.events("start")[0]["streamSid"]

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(DEADLINE_S), self.news:
            await self.news.wait_for(condition)

    async def event(self, name: str, count: int = 1) -> dict:
        await self.until(lambda: len(self.events(name)) >= count)
        return self.events(name)[count - 1]

    async def play(self, audio: bytes) -> None:
        payload = base64.b64encode(audio).decode()
        await self.ws.send_json({"event": "media", "streamSid": self.sid, "media": {"payload": payload}})

    async def mark(self, name: str) -> None:
        await self.ws.send_json({"event": "mark", "streamSid": self.sid, "mark": {"name": name}})

    async def clear(self) -> None:
        await self.ws.send_json({"event": "clear", "streamSid": self.sid})


def connect(inner: str = "", after: str = "", action: str = "", url: str = MEDIA, attributes: str = "") -> str:
    """TwiML of a bidirectional stream."""
    asked = f' action="{action}"' if action else ""
    return f'<Response><Connect{asked}><Stream url="{url}"{attributes}>{inner}</Stream></Connect>{after}</Response>'


def start(track: str = "inbound_track", after: str = "", attributes: str = "") -> str:
    """TwiML of a stream beside the call."""
    return f'<Response><Start><Stream url="{MEDIA}" track="{track}"{attributes}/></Start>{after}</Response>'


def wav_of(audio: bytes) -> bytes:
    """µ-law as the bytes of a WAV file."""
    header = b"RIFF" + (36 + len(audio)).to_bytes(4, "little") + b"WAVEfmt " + (16).to_bytes(4, "little")
    fmt = b"\x07\x00\x01\x00" + (8000).to_bytes(4, "little") * 2 + b"\x01\x00\x08\x00"
    return header + fmt + b"data" + len(audio).to_bytes(4, "little") + audio


type Behaviour = Callable[[Socket], Awaitable[None]]


async def listen(_socket: Socket) -> None:
    """Say nothing; the default."""


class Service:
    """Answers `pages` by path (TwiML text or a whole response) and lets `behaviour` play each stream."""

    def __init__(self) -> None:
        self.pages: dict[str, str | Callable[[dict[str, str]], web.Response]] = {}
        self.behaviour: Behaviour = listen
        self.requests: list[Request] = []
        self.sockets: list[Socket] = []
        self.local = ""
        self.refuse_handshake = 0
        self._validator = RequestValidator(DEFAULT_AUTH_TOKEN)
        self._opened = asyncio.Condition()

    media_url = MEDIA
    connect = staticmethod(connect)
    start = staticmethod(start)
    tone = staticmethod(tone)
    wav = staticmethod(wav_of)

    def options(self, **changes) -> CallOptions:
        base = {"voice_url": f"{ORIGIN}/voice", "connect_to": {ORIGIN: self.local}, "pace": 4.0}
        return CallOptions(**(base | changes))

    async def socket(self, number: int = 0) -> Socket:
        async with asyncio.timeout(DEADLINE_S), self._opened:
            await self._opened.wait_for(lambda: len(self.sockets) > number)
        return self.sockets[number]

    def asked(self, path: str) -> list[Request]:
        return [request for request in self.requests if request.path == path]

    async def http(self, request: web.Request) -> web.Response:
        form = {name: str(value) for name, value in (await request.post()).items()}
        url = f"{ORIGIN}{request.path_qs}"
        signed = self._validator.validate(url, form, request.headers.get("X-Twilio-Signature", ""))
        self.requests.append(
            Request(request.path, request.method, form, dict(request.headers), signed, request.query_string)
        )
        page = self.pages.get(request.path)
        if page is None:
            return (
                web.Response(status=204) if "status" in request.path else web.Response(status=404, text="no such page")
            )
        if isinstance(page, str):
            return web.Response(text=page, content_type="text/xml")
        return page(form)

    async def media(self, request: web.Request) -> web.StreamResponse:
        if self.refuse_handshake:
            return web.Response(status=self.refuse_handshake, headers={"Location": "/elsewhere"})
        ws = web.WebSocketResponse(max_msg_size=16 * 1024 * 1024)
        await ws.prepare(request)
        socket = Socket(ws, request.path_qs, list(request.headers.items()))
        async with self._opened:
            self.sockets.append(socket)
            self._opened.notify_all()
        async with asyncio.TaskGroup() as group:
            playing = group.create_task(self.behaviour(socket))
            await self._read(socket)
            playing.cancel()
        return ws

    async def _read(self, socket: Socket) -> None:
        async for message in socket.ws:
            async with socket.news:
                socket.raw.append(message.data)
                try:
                    socket.messages.append(json.loads(message.data))
                except ValueError:
                    socket.messages.append({"event": "unreadable"})
                socket.news.notify_all()
        socket.closed.set()


@pytest.fixture
async def service():
    made = Service()
    app = web.Application()
    app.router.add_get("/media", made.media)
    app.router.add_route("*", "/{path:.*}", made.http)
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.local = "http://{}:{}".format(*runner.addresses[0][:2])
    yield made
    await runner.cleanup()
