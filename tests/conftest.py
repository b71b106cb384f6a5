"""A whole house on this machine: the service, a scripted Soniox, an application that keeps what it is told, a phone."""

import asyncio
import inspect
import json
import shutil
from collections import defaultdict
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import hypothesis
import pytest
import structlog
from aiohttp import web
from standardwebhooks import Webhook, WebhookVerificationError
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.databases import database, empty, postgresql, sqlite  # noqa: F401 - fixtures
from tests.news import DEADLINE_S, News
from voicebot import live
from voicebot.app import running
from voicebot.config import Settings, merge
from voicebot.local.phone.caller import CallOptions, PhoneCall
from voicebot.local.phone.options import DEFAULT_AUTH_TOKEN, Limits
from voicebot.local.soniox.server import Faults, LocalSonioxOptions, Script, local_soniox
from voicebot.store.database import migrate, open_engine

# Examples are made and judged however slow the machine is.
hypothesis.settings.register_profile("house", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("house")

ORIGIN = "https://voice.example.com"
KEY = "the-key"
SECRET = "whsec_" + "QUJDREVGR0hJSktMTU5PUFFSU1RVVldY"
PACE = 6.0
# Tests in these folders live in real time: phones that talk, services that are killed and come back.
IN_REAL_TIME = {"cli", "contract", "faults", "local", "service", "workers"}
# But for these, which look at no clock or have all the patience there is.
AT_ANY_TIME = {"test_kill.py", "test_processes.py", "test_rooms.py", "test_shares.py", "test_soak.py"}


def pytest_collection_modifyitems(items):
    """With several processes and `--dist loadgroup`, what lives in real time runs in one of them, one after another."""
    for item in items:
        if IN_REAL_TIME & set(item.path.relative_to(Path(__file__).parent).parts) and item.path.name not in AT_ANY_TIME:
            item.add_marker(pytest.mark.xdist_group("real-time"))


class Application:
    """Answers events from `replies` (per type, in order, the last one repeats) and keeps them, signatures checked."""

    def __init__(self):
        self.replies = defaultdict(list)
        self.received = News()
        self.url = ""
        self.faults = []
        self.headers = []
        self.hook = Webhook(SECRET)

    @property
    def events(self):
        """Every event once, in the order of arrival."""
        return list({event["id"]: event for event in self.received.all}.values())

    @property
    def types(self):
        return [event["type"] for event in self.events]

    def of(self, kind, call=None):
        return [event for event in self.events if event["type"] == kind and call in {None, event["call"]["id"]}]

    def on(self, kind, *replies):
        self.replies[kind] = list(replies)

    async def until(self, kind, count=1, call=None):
        return await self.received.until(lambda e: e["type"] == kind and call in {None, e["call"]["id"]}, count)

    async def handle(self, request):
        body = await request.read()
        self.headers.append(dict(request.headers))
        try:
            event = self.hook.verify(body, dict(request.headers))
        except (WebhookVerificationError, ValueError) as error:
            self.faults.append(error)
            return web.Response(status=400)
        replies = self.replies[event["type"]]
        reply = (replies.pop(0) if len(replies) > 1 else replies[0]) if replies else {}
        self.received.add(event)
        if callable(reply):
            reply = reply(event, request) if len(inspect.signature(reply).parameters) > 1 else reply(event)
            if inspect.isawaitable(reply):
                reply = await reply
        return reply if isinstance(reply, web.StreamResponse) else web.json_response(reply)


@dataclass
class Session:
    """One connection from the service to Soniox, as seen on the way."""

    path: str
    key: str
    sent: list[str | bytes] = field(default_factory=list)
    closed: bool = False

    @property
    def config(self):
        return json.loads(self.sent[0]) if self.sent else {}

    @property
    def audio(self):
        return b"".join(message for message in self.sent if isinstance(message, bytes))

    @property
    def texts(self):
        return [json.loads(message) for message in self.sent if isinstance(message, str) and message]


class Tap:
    """Stands between the service and Soniox and keeps what is sent; session n of speech-to-text goes to `sonioxes[n]`."""

    def __init__(self, *sonioxes):
        self.sonioxes = list(sonioxes)
        self.sessions, self.changed, self.answered = News(), News(), News()
        self.url, self.meddle = "", None  # `meddle` is asked about each message; True ends the connection

    def of(self, kind):
        return [session for session in self.sessions.all if kind in session.path]

    @property
    def stt(self):
        return self.of("transcribe")

    @property
    def tts(self):
        return self.of("tts")

    def spoken(self):
        """Start messages of all speech streams."""
        return [message for session in self.tts for message in session.texts if "model" in message]

    async def serve(self, socket):
        session = Session(socket.request.path, socket.request.headers.get("Authorization", ""))
        number = len(self.stt) if "transcribe" in session.path else 0
        soniox = self.sonioxes[min(number, len(self.sonioxes) - 1)]
        self.sessions.add(session)
        try:
            async with connect(
                f"ws://{soniox.host}:{soniox.port}{session.path}",
                additional_headers={"Authorization": session.key},
                compression=None,
                proxy=None,
            ) as upstream:
                await self._carry(session, socket, upstream)
        except (ConnectionClosed, InvalidStatus):
            pass
        finally:
            session.closed = True
            self.changed.add("closed")

    async def _carry(self, session, socket, upstream):
        async def up():
            with suppress(ConnectionClosed):
                async for message in socket:
                    session.sent.append(message)
                    if self.meddle and await self.meddle(session, socket, message):
                        break
                    await upstream.send(message)
                    self.changed.add(message)
            await upstream.close()

        async with asyncio.TaskGroup() as group:
            pump = group.create_task(up())
            with suppress(ConnectionClosed):
                async for message in upstream:
                    await socket.send(message)
                    self.answered.add(message)
            await socket.close()
            await pump


class Phone:
    """A call under way."""

    def __init__(self, options, group):
        self.events = News()
        self.call = PhoneCall(options, observe=self.events.add)
        self.task = group.create_task(self.call.run())

    @property
    def sid(self):
        return self.call.call_sid

    async def heard(self, name, count=1):
        """Wait for an event of the phone by its name, as in `BotSpeaks`."""
        return await self.events.until(lambda event: type(event).__name__ == name, count)

    def press(self, digits):
        for digit in digits:
            assert any(stream.digit(digit) for stream in self.call.streams.values())

    async def hang_up(self):
        self.call.hang_up("caller", "the caller hung up")
        return await self.report()

    async def report(self):
        """Wait for the end of the call."""
        async with asyncio.timeout(DEADLINE_S):
            return await asyncio.shield(self.task)


class House:
    """Everything that runs, and what was seen of it."""

    def __init__(self, group, stop):
        self.group, self.stop = group, stop
        self.app = Application()
        self.seen = News()
        self.service = self.tap = self.settings = None
        self.port = 0  # of a service that somebody else runs

    @property
    def address(self):
        return f"http://127.0.0.1:{self.service.port if self.service else self.port}"

    def dial(self, *steps, pace=PACE, **changes):
        options = {
            "voice_url": f"{ORIGIN}/twilio/voice",
            "status_callback": f"{ORIGIN}/twilio/status",
            "connect_to": {ORIGIN: self.address},
            "pace": pace,
            "steps": steps,
            "limits": Limits(retry_wait_s=0.1),
        }
        return Phone(CallOptions(**options | changes), self.group)

    async def call(self, *steps, **changes):
        """Make a call from beginning to end, until everything about it has been told."""
        report = await self.dial(*steps, **changes).report()
        await self.empty()
        return report

    async def empty(self):
        async with asyncio.timeout(DEADLINE_S):
            await self.service.calls.wait_empty()

    async def live(self, kind, wanted=lambda _event: True, count=1):
        return await self.seen.until(lambda event: isinstance(event, kind) and wanted(event), count)

    async def trouble(self, text):
        return await self.live(live.Trouble, lambda event: text in event.what)

    def metric(self, name, **labels):
        return self.service.metrics.value(f"voicebot_{name}", **labels)

    async def watch(self):
        with self.service.live.watch() as watcher:
            async for event in watcher:
                self.seen.add(event)


@asynccontextmanager
async def _application(application):
    app = web.Application()
    app.router.add_post("/hook", application.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    application.url = f"http://127.0.0.1:{site.port}/hook"
    yield
    await runner.cleanup()


@asynccontextmanager
async def _tapped(tap):
    async with serve(tap.serve, "127.0.0.1", 0, compression=None, close_timeout=1) as server:
        tap.url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield


def base_settings(house, folder):
    address = {"host": "127.0.0.1", "port": 0, "public_url": ORIGIN}
    return address | {
        "twilio": {"auth_token": DEFAULT_AUTH_TOKEN},
        "soniox": {
            "api_key": KEY,
            "stt_url": f"{house.tap.url}/transcribe-websocket",
            "tts_url": f"{house.tap.url}/tts-websocket",
            "retry_wait_s": 0.01,
        },
        "webhook": {"url": house.app.url, "secrets": [SECRET], "retry_waits_s": [0.05]},
        "store": {"url": f"sqlite:///{folder / 'calls.db'}"},
    }


async def _build(stack, house, script, faults):
    scripts = script if isinstance(script, list) and script and isinstance(script[0], list) else [script]
    all_faults = faults if isinstance(faults, list) else [faults] * len(scripts)
    sonioxes = [
        await stack.enter_async_context(
            local_soniox(LocalSonioxOptions(key=KEY, script=Script.parse(one or []), faults=fault or Faults()))
        )
        for one, fault in zip(scripts * len(all_faults) if len(scripts) == 1 else scripts, all_faults, strict=False)
    ]
    house.tap = Tap(*sonioxes)
    await stack.enter_async_context(_tapped(house.tap))
    await stack.enter_async_context(_application(house.app))


@pytest.fixture
def logs():
    """Everything that is logged, as dictionaries."""
    captured = News()

    def capture(_logger, level, entry):
        captured.add(entry | {"log_level": level})
        raise structlog.DropEvent

    structlog.configure(
        processors=[structlog.processors.format_exc_info, capture],
        wrapper_class=structlog.make_filtering_bound_logger(0),
        cache_logger_on_first_use=False,
    )
    yield captured
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def blank_store(tmp_path_factory):
    """A database with its schema; a copy of it costs less than making it anew."""
    path = tmp_path_factory.mktemp("store") / "blank.db"
    engine = open_engine(f"sqlite:///{path}")
    migrate(engine)
    engine.dispose()
    return path


@pytest.fixture
async def house(tmp_path, logs, blank_store, caplog):
    """Open a house: `await house(script=[…], faults=Faults(…), webhook={…}, …)`; the rest are settings.

    `script` may be a list of scripts, and `faults` a list, one for each session of speech-to-text. With `serve=False`
    there is everything but the service. At the end nothing of it may be left, and no call may have broken.
    """
    stop = asyncio.Event()
    owners = []

    async def own(opened, folder, serve, script, faults, settings):
        async with asyncio.TaskGroup() as group:
            built = House(group, stop)
            async with AsyncExitStack() as stack:
                await _build(stack, built, script, faults)
                built.settings = Settings.model_validate(merge(base_settings(built, folder), settings))
                if serve:
                    built.service = await stack.enter_async_context(running(built.settings))
                    watching = group.create_task(built.watch())
                    await asyncio.sleep(0)
                    stack.callback(watching.cancel)
                opened.set_result(built)
                await stop.wait()

    async def open_house(script=None, faults=None, *, serve=True, **settings):
        opened = asyncio.get_running_loop().create_future()
        folder = tmp_path / str(len(owners))
        folder.mkdir()
        shutil.copy(blank_store, folder / "calls.db")
        owners.append(asyncio.create_task(own(opened, folder, serve, script, faults, settings)))
        await asyncio.wait([owners[-1], opened], return_when=asyncio.FIRST_COMPLETED)
        if not opened.done():
            await owners[-1]
        houses.append(opened.result())
        return houses[-1]

    houses = []
    yield open_house
    stop.set()
    async with asyncio.timeout(DEADLINE_S):
        for owner in owners:
            await owner
    assert [fault for built in houses for fault in built.app.faults] == []
    assert [entry for entry in logs if entry["event"] in {"call.failed", "call.broken"}] == []
    assert [record.getMessage() for record in caplog.get_records("call") if record.levelname == "ERROR"] == []
    assert asyncio.all_tasks() == {asyncio.current_task()}
