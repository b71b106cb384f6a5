"""A real application with knobs, and a courier with a real store that delivers to it."""

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from pydantic import SecretStr

from voicebot.config import StoreSettings, WebhookSettings
from voicebot.courier import Courier, Lane, Outcome, open_session
from voicebot.store import CallRow, Store
from voicebot.wire.webhook import new_secret
from voicebot.wire.webhook_data import CallInfo, NoInputData, SpeechData
from voicebot.wire.webhook_events import Event, NoInputEvent, SpeechFinishedEvent

DEADLINE_S = 50
SECRET = new_secret(bytes(range(32)))
NOW = datetime.now(UTC)

type Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Request:
    """What the application got."""

    headers: dict[str, str]
    body: bytes
    sequence: int
    peer: object


def _request(request: web.Request, body: bytes, sequence: int) -> Request:
    headers = {name.lower(): value for name, value in request.headers.items()}
    return Request(headers, body, sequence, request.transport.get_extra_info("peername"))


@dataclass
class Application:
    """Answers one request after the other as told; the last answer repeats."""

    answers: list[Answer] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    arrived: asyncio.Condition = field(default_factory=asyncio.Condition)
    in_flight: int = 0
    most_in_flight: int = 0
    url: str = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            body = await request.read()
            sequence = int(body.partition(b'"sequence":')[2].partition(b",")[0])
            async with self.arrived:
                self.requests.append(_request(request, body, sequence))
                self.arrived.notify_all()
            answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
            return await answer(request)
        finally:
            self.in_flight -= 1

    async def wait_for(self, count: int) -> None:
        async with self.arrived:
            await self.arrived.wait_for(lambda: len(self.requests) >= count)

    @property
    def sequences(self) -> list[int]:
        return [request.sequence for request in self.requests]

    @staticmethod
    def reply(body: object = None, *, status: int = 200, **more: object) -> Answer:
        async def answer(_: web.Request) -> web.Response:
            return web.json_response({} if body is None else body, status=status, **more)

        return answer

    @staticmethod
    def raw(body: bytes, content_type: str, *, status: int = 200, **headers: str) -> Answer:
        async def answer(_: web.Request) -> web.Response:
            return web.Response(body=body, status=status, headers={"Content-Type": content_type, **headers})

        return answer

    @staticmethod
    async def hang(_: web.Request) -> web.StreamResponse:
        await asyncio.Event().wait()
        raise AssertionError("unreachable")

    @staticmethod
    async def reset(request: web.Request) -> web.StreamResponse:
        request.transport.abort()
        return web.Response()

    @staticmethod
    async def half_a_body(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "1000", "Content-Type": "application/json"})
        await response.prepare(request)
        await response.write(b'{"actions":')
        request.transport.abort()
        return response


@dataclass
class Writing:
    """A streamed reply that the test writes, and how the application sees its end."""

    content_type: str = "application/x-ndjson"
    pieces: asyncio.Queue[bytes | None] = field(default_factory=asyncio.Queue)
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    seen: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    def write(self, *pieces: object) -> None:
        """Write bytes as they are, anything else as a line of JSON."""
        for piece in pieces:
            self.pieces.put_nowait(piece if isinstance(piece, bytes) else json.dumps(piece).encode() + b"\n")

    def end(self) -> None:
        self.pieces.put_nowait(None)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": self.content_type, **self.headers})
        try:
            await response.prepare(request)
            while (piece := await self.pieces.get()) is not None:
                if piece == b"abort":
                    request.transport.abort()
                    return response
                await response.write(piece)
        except (asyncio.CancelledError, ConnectionError) as end:
            self.seen = type(end).__name__
            self.gone.set()
            raise
        return response


@dataclass
class Line:
    """A lane in use, what it told, and its call's database."""

    lane: Lane
    store: Store
    running: asyncio.Task[None] | None = None
    told: list[Outcome] = field(default_factory=list)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def tell(self, outcome: Outcome) -> None:
        async with self.changed:
            self.told.append(outcome)
            self.changed.notify_all()

    async def wait_for[T](self, kind: type[T], count: int = 1) -> T:
        async with self.changed:
            await self.changed.wait_for(lambda: len(self.of(kind)) >= count)
        return self.of(kind)[count - 1]

    def of[T](self, kind: type[T]) -> list[T]:
        return [outcome for outcome in self.told if isinstance(outcome, kind)]

    async def states(self) -> list[str]:
        return [row["state"] for row in await self.store.events(self.lane._call_id)]


@pytest.fixture
def writing() -> Writing:
    return Writing()


@pytest.fixture
async def app(request: pytest.FixtureRequest) -> AsyncIterator[Application]:
    """Serve the application; its handlers are cancelled when the connection closes, unless the parameter is False."""
    cancels = getattr(request, "param", True)
    application = Application([Application.reply()])
    server = web.Application()
    server.router.add_post("/hook", application.handle)
    runner = web.AppRunner(server, shutdown_timeout=0.1, handler_cancellation=cancels, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    application.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    yield application
    await runner.cleanup()


def _head(sequence: int, call_id: str) -> dict[str, object]:
    call = CallInfo(id=call_id, from_="+15550101", to="+15550100", direction="inbound", started_at=NOW)
    return {"id": f"evt_{call_id}_{sequence}", "sequence": sequence, "created_at": NOW, "call": call}


@dataclass
class Bench:
    """Opens lanes that share a store and a session."""

    store: Store
    session: aiohttp.ClientSession
    file: Path
    secret: str = SECRET
    courier: dict[str, object] = field(default_factory=dict)

    @staticmethod
    def live(sequence: int, call_id: str = "CA1") -> Event:
        """Return an event that wants a reply."""
        return NoInputEvent(**_head(sequence, call_id), data=NoInputData(count=1))

    @staticmethod
    def info(sequence: int, call_id: str = "CA1") -> Event:
        """Return an event that wants none."""
        return SpeechFinishedEvent(**_head(sequence, call_id), data=SpeechData(text="Hi.", heard="Hi.", ms=300))

    def look(self, query: str) -> list[tuple]:
        """Ask the database past the store."""
        with closing(sqlite3.connect(self.file)) as connection:
            return connection.execute(query).fetchall()

    @asynccontextmanager
    async def line(self, url: str, call_id: str = "CA1", **settings: object) -> AsyncIterator[Line]:
        chosen = WebhookSettings(url=url, **{"retry_waits_s": (0.01,), **settings})
        await self.store.write(
            CallRow(id=call_id, from_number="+1", to_number="+2", direction="inbound", mode="bot", started_at=NOW)
        )
        line = Line(None, self.store)
        line.lane = Courier(chosen, self.store, self.session, **self.courier).lane(
            call_id, url, [SecretStr(SECRET)], line.tell
        )
        async with asyncio.timeout(DEADLINE_S), asyncio.TaskGroup() as group:
            line.running = group.create_task(line.lane.run())
            yield line
            line.lane.close()


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    settings = StoreSettings(url=f"sqlite:///{tmp_path}/calls.db?timeout=5")
    stop = asyncio.Event()

    async def keep(ready: asyncio.Future[Bench]) -> None:
        async with (
            Store.open(settings) as store,
            open_session(WebhookSettings()) as session,
            asyncio.TaskGroup() as group,
        ):
            group.create_task(store.run())
            ready.set_result(Bench(store, session, tmp_path / "calls.db"))
            await stop.wait()
            await store.close()

    ready: asyncio.Future[Bench] = asyncio.get_running_loop().create_future()
    keeper = asyncio.create_task(keep(ready))
    yield await ready
    stop.set()
    await keeper
