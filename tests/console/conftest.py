"""A stage for the page: the real files, the real stream of events, and an API that says what a test wants."""

import json
import os
import re
import shutil
from collections import defaultdict
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp import web
from playwright.async_api import async_playwright, expect

from voicebot.config import LiveSettings
from voicebot.core.events import Token, Turn
from voicebot.core.playback import Spoken
from voicebot.live import Live
from voicebot.web.api.stream import StreamDoors
from voicebot.web.console import ConsoleDoors
from voicebot.wire import live_events as live
from voicebot.wire.api import CallSummary

TOKENS = {"t" * 24: ["watch"], "c" * 24: ["watch", "control"]}
WATCH, CONTROL = TOKENS
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--lang=en-GB"),
)
DEADLINE_MS = 15_000
RETRY_MS = 50
DESKTOP, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}
ROOT = Path(__file__).parents[2]
PROBLEM = "application/problem+json"
expect.set_options(timeout=DEADLINE_MS)


def problem(status, title, detail=""):
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    return web.json_response(body, status=status, content_type=PROBLEM)


class Stage:
    """What the page is shown, and what it asked for."""

    def __init__(self):
        self.live = Live(1_000, boot="b00t")
        self.calls = {}
        self.details = {}
        self.deliveries = defaultdict(list)
        self.hits = []
        self.asked = []
        self.refusal = None
        self.sign_in = None
        self.next_streams = []
        """Handlers that answer the next requests for a stream of one call, instead of the real one."""
        self.transports = []
        self.held = None
        self.recording = b""
        self.url = ""

    # --- what happens -------------------------------------------------------------------------------

    def call(self, id_="CA1", from_="+41445550101", to="+41445550100", **values):
        began = datetime.now(UTC) - timedelta(seconds=values.pop("ago", 0))
        self.calls[id_] = CallSummary.model_validate(
            {"id": id_, "from": from_, "to": to, "direction": "inbound", "mode": "bot", "state": "live", "turns": 0}
            | {"started_at": began, "ended_at": None, "reason": None, "duration_ms": None}
            | values
        )
        if self.calls[id_].state == "live":
            self.live.publish(live.CallOpened(id_, from_, to, self.calls[id_].direction, self.calls[id_].mode))
        return id_

    def detail(self, id_, **values):
        self.details[id_] = values

    def tell(self, kind, *values, call="CA1", **named):
        self.live.publish(kind(call, *values, **named))

    def partial(self, settled, tentative="", track="caller", call="CA1"):
        self.tell(live.Partial, track, settled, tentative, call=call)

    def turn(self, number, text, call="CA1", track="caller", reason="endpoint", **values):
        self.tell(live.TurnEnded, track, self.said(number, text, reason, **values), call=call)

    @staticmethod
    def said(number, text, reason="endpoint", language=None, speaker=None, **values):
        tokens = (Token(text, 0, 500, 0.9, speaker, language),)
        return Turn(number, text, reason, tokens, **values)

    def bot(self, utterance, heard, unheard="", call="CA1", interrupted=False, **_):
        self.tell(live.BotSays, utterance, heard + unheard, call=call)
        self.tell(live.BotSaid, Spoken(utterance, heard + unheard, heard, unheard, 900, interrupted), call=call)

    def attempt(self, event, attempt=1, status=None, error=None, call="CA1", sequence=1):
        self.tell(live.WebhookAttempt, sequence, event, attempt, status, error, 12, call=call)

    def end(self, call="CA1", reason="caller_hangup"):
        self.tell(live.CallClosed, reason, 61_000, 3, call=call)
        self.calls[call] = self.calls[call].model_copy(
            update={"state": "ended", "ended_at": datetime.now(UTC), "reason": reason, "duration_ms": 61_000}
        )

    def cut(self):
        """Break every stream that is open."""
        for transport in self.transports:
            transport.abort()
        self.transports.clear()

    # --- the doors ----------------------------------------------------------------------------------

    def application(self):
        application = web.Application(middlewares=[self._guard])
        application.add_routes(ConsoleDoors().routes())
        streams = StreamDoors(self.live, lambda: list(self.calls.values()), LiveSettings())
        application.add_routes(
            [
                web.post("/session", self._sign_in),
                web.get("/session", self._who),
                web.delete("/session", self._sign_out),
                web.get("/calls", self._list),
                web.get("/search", self._search),
                web.get("/calls/{id}", self._detail),
                web.get("/calls/{id}/deliveries", self._deliveries),
                web.get("/calls/{id}/recording", self._recording),
                web.post("/calls/{id}/{verb}", self._act),
            ]
        )
        streams.mount(application)
        return application

    @web.middleware
    async def _guard(self, request, handler):
        path = request.path
        if path.startswith("/console"):
            return await handler(request)
        self.asked.append((request.method, path, dict(request.query)))
        if path != "/session" and request.cookies.get("voicebot") not in TOKENS:
            return problem(401, "Who is there?", "send a token")
        if path.endswith("/events"):
            if self.held is not None:
                await self.held.wait()
            self.transports.append(request.transport)
            if self.next_streams and path != "/events":
                return await self.next_streams.pop(0)(request)
        return await handler(request)

    async def _sign_in(self, request):
        token = (await request.json())["token"]
        if self.sign_in:
            return self.sign_in
        if token not in TOKENS:
            return problem(401, "No such token")
        answer = web.json_response({"name": "test", "scopes": TOKENS[token]})
        answer.set_cookie("voicebot", token, httponly=True, samesite="Strict")
        return answer

    async def _who(self, request):
        scopes = TOKENS.get(request.cookies.get("voicebot"))
        return web.json_response({"name": "test", "scopes": scopes}) if scopes else problem(401, "Nobody")

    async def _sign_out(self, _request):
        answer = web.Response(status=204)
        answer.del_cookie("voicebot")
        return answer

    async def _list(self, request):
        limit, start = int(request.query.get("limit", 50)), int(request.query.get("cursor", 0))
        calls = [json.loads(call.model_dump_json(by_alias=True)) for call in self.calls.values()]
        if number := request.query.get("number"):
            calls = [call for call in calls if number in {call["from"], call["to"]}]
        more = str(start + limit) if len(calls) > start + limit else None
        return web.json_response({"items": calls[start : start + limit], "next": more})

    async def _search(self, _request):
        return web.json_response({"items": self.hits, "next": None})

    async def _detail(self, request):
        id_ = request.match_info["id"]
        if id_ not in self.calls:
            return problem(404, "No such call")
        summary = json.loads(self.calls[id_].model_dump_json(by_alias=True))
        empty = {"turns": [], "utterances": [], "asides": [], "parameters": {}, "state": None, "recording": False}
        return web.json_response({"call": summary} | empty | self.details.get(id_, {}))

    async def _deliveries(self, request):
        return web.json_response({"items": self.deliveries[request.match_info["id"]], "next": None})

    async def _recording(self, _request):
        return web.Response(body=self.recording, content_type="audio/wav")

    async def _act(self, request):
        body = await request.json() if request.can_read_body else None
        if self.refusal:
            return self.refusal
        self.asked[-1] = (*self.asked[-1][:2], body)
        return web.json_response({"id": request.match_info["id"], "accepted": True}, status=202)


@asynccontextmanager
async def serving(application):
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{site.port}"
    finally:
        await runner.cleanup()


@pytest.fixture(scope="session")
def launch():
    """Start the machine's own Chromium with a fresh profile; nothing is ever downloaded."""
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        pytest.skip("no chromium on this machine (Debian: apt-get install chromium)")

    async def start(playwright):
        return await playwright.chromium.launch(executable_path=path, headless=True, args=list(ARGUMENTS))

    return start


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser(launch):
    async with async_playwright() as playwright:
        launched = await launch(playwright)
        yield launched
        await launched.close()


@pytest_asyncio.fixture(loop_scope="session")
async def stage(monkeypatch):
    monkeypatch.setattr("voicebot.web.api.stream.RETRY_MS", RETRY_MS)
    built = Stage()
    async with serving(built.application()) as built.url:
        yield built


@pytest_asyncio.fixture(loop_scope="session")
async def visit(browser):
    """Open a page: `await visit(url, viewport=PHONE, color_scheme="dark")`; what it complains of fails the test."""
    contexts, faults = [], []

    def listen(message):
        # Answers with an error status are logged too; they are the tests' business.
        if message.type == "error" and "Failed to load resource" not in message.text:
            faults.append(message.text)

    async def open_page(url, *, viewport=None, color_scheme="light", token=None, go="", clock=None, **options):
        context = await browser.new_context(
            viewport=viewport or DESKTOP, color_scheme=color_scheme, locale="en-GB", timezone_id="UTC", **options
        )
        contexts.append(context)
        context.set_default_timeout(DEADLINE_MS)
        if token:
            await context.add_cookies([{"name": "voicebot", "value": token, "url": url, "httpOnly": True}])
        page = await context.new_page()
        page.on("console", listen)
        page.on("pageerror", lambda error: faults.append(str(error)))
        if clock:
            await page.clock.install(time=clock)
        await page.goto(f"{url}/console{go}")
        return page

    yield open_page
    for context in contexts:
        await context.close()
    assert [fault for fault in faults if not re.search(r"EventSource|ERR_", fault)] == []


@pytest.fixture(scope="session")
def screenshots():
    folder = Path(os.environ.get("VOICEBOT_SCREENSHOTS") or ROOT / "build" / "screenshots")
    folder.mkdir(parents=True, exist_ok=True)
    return folder
