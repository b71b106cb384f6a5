"""The application of the chaos run: it keeps what it is told and answers in every way that there is, wrong ones included."""

import asyncio
import hashlib
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any

from aiohttp import web
from standardwebhooks import Webhook

SAY = {"type": "say", "text": "A sentence of some length."}
SLOW_S, HANG_S = 1.5, 6.0
GOOD = (
    "nothing",
    "json",
    "text",
    "stream",
    "events",
    "state",
    "listen",
    "play",
    "hangup",
    "transfer",
    "redirect",
    "keys",
)
RARE = {"hangup", "transfer", "redirect", "keys"}
WRONG = ("500", "503", "429", "400", "slow", "hang", "close", "malformed", "cut", "redirected", "play_missing")


@dataclass(slots=True)
class Application:
    """Every event once, in the order of arrival, and what went wrong on purpose."""

    chance: Random
    secret: str
    trouble: float = 0.25
    first: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    digests: dict[str, str] = field(default_factory=dict[str, str])
    times: Counter[str] = field(default_factory=Counter[str])
    answered: set[str] = field(default_factory=set[str])
    """Ids that were answered with 2xx, as far as the application knows."""
    changed: int = 0
    """Came again with the same id and other bytes."""
    unsigned: int = 0
    injected: Counter[str] = field(default_factory=Counter[str])

    async def take(self, request: web.Request) -> web.StreamResponse:
        """Answer one event."""
        body = await request.read()
        try:
            event = Webhook(self.secret).verify(body, dict(request.headers))
        except Exception:  # noqa: BLE001 - whatever it is, the signature is not right
            self.unsigned += 1
            return web.Response(status=400)
        digest = hashlib.sha256(body).hexdigest()
        self.changed += self.digests.setdefault(event["id"], digest) != digest
        self.first.setdefault(event["id"], event)
        self.times[event["id"]] += 1
        if request.path == "/gone":
            self.injected["application_gone"] += 1
            return web.Response(status=410)
        if self.chance.random() < self.trouble:
            how = self.chance.choice(WRONG)
            self.injected[f"application_{how}"] += 1
            return await self._wrong(how, request, event)
        how = self.chance.choice(GOOD)
        if how in RARE and self.chance.random() < 0.8:
            how = "json"
        self.answered.add(event["id"])
        return await self._good(how, request)

    async def _good(self, how: str, request: web.Request) -> web.StreamResponse:
        actions: dict[str, list[dict[str, Any]]] = {
            "json": [SAY, {"type": "pause", "ms": 100}],
            "listen": [{"type": "listen", "finalize_after_ms": 300, "endpoint": {"max_endpoint_delay_ms": 600}}],
            "play": [{"type": "play", "url": str(request.url.with_path("/sound"))}],
            "hangup": [SAY, {"type": "hangup"}],
            "transfer": [{"type": "transfer", "to": "+15550177", "timeout": 5}],
            "redirect": [{"type": "redirect", "twiml": "<Response><Pause length='1'/></Response>"}],
            "keys": [{"type": "send_digits", "digits": "1w2"}],
        }
        match how:
            case "nothing":
                return web.Response(status=204)
            case "text":
                return web.Response(text="Just a word.")
            case "stream" | "events":
                return await self._streamed(request, lines=how == "stream", cut=False)
            case "state":
                return web.json_response({"state": {"step": self.chance.randint(0, 9)}})
            case _:
                return web.json_response({"actions": actions[how]})

    async def _wrong(self, how: str, request: web.Request, event: dict[str, Any]) -> web.StreamResponse:
        match how:
            case "slow":
                await asyncio.sleep(self.chance.random() * SLOW_S)
                self.answered.add(event["id"])
                return web.json_response({"actions": [SAY]})
            case "hang":
                await asyncio.sleep(HANG_S)
                return web.Response(status=504)
            case "close":
                if request.transport:
                    request.transport.abort()
                return web.Response(status=500)
            case "malformed":
                self.answered.add(event["id"])
                body = self.chance.choice((b'{"actions": [{"type": "dance"}]}', b"{", b"[" * 5_000, b"\xff\xfe"))
                return web.Response(body=body, content_type="application/json")
            case "cut":
                return await self._streamed(request, lines=True, cut=True)
            case "redirected":
                return web.Response(status=302, headers={"Location": "http://127.0.0.1:1/"})
            case "play_missing":
                self.answered.add(event["id"])
                path = self.chance.choice(("/missing", "/noise"))
                return web.json_response({"actions": [{"type": "play", "url": str(request.url.with_path(path))}, SAY]})
            case status:
                return web.Response(status=int(status))

    async def _streamed(self, request: web.Request, *, lines: bool, cut: bool) -> web.StreamResponse:
        kind = "application/x-ndjson" if lines else "text/event-stream"
        response = web.StreamResponse(headers={"Content-Type": kind})
        await response.prepare(request)
        for _ in range(self.chance.randint(1, 4)):
            text = json.dumps(SAY).encode()
            await response.write(text + b"\n" if lines else b"data: %b\n\n" % text)
            await asyncio.sleep(self.chance.random() / 4)
        if cut and request.transport:
            request.transport.abort()
        return response


async def _sound(_request: web.Request) -> web.Response:
    head = b"RIFF\x64\x3e\0\0WAVEfmt \x10\0\0\0\7\0\1\0\x40\x1f\0\0\x40\x1f\0\0\1\0\x08\0data\x40\x3e\0\0"
    return web.Response(body=head + b"\x2f\xaf" * 4_000, content_type="audio/wav")


async def _noise(_request: web.Request) -> web.Response:
    return web.Response(body=b"this is no sound" * 100, content_type="audio/wav")


@asynccontextmanager
async def serving(application: Application) -> AsyncIterator[str]:
    """Serve it; yields its address without a path."""
    server = web.Application()
    server.router.add_post("/hook", application.take)
    server.router.add_post("/gone", application.take)
    server.router.add_get("/sound", _sound)
    server.router.add_get("/noise", _noise)
    runner = web.AppRunner(
        server, access_log=None, shutdown_timeout=0.1, handler_cancellation=True, keepalive_timeout=0.5
    )
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
