"""How an application is served and probed."""

from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from voicebot.local.probe import transport
from voicebot.local.probe.run import choose, probe
from voicebot.wire.webhook import new_secret

SECRET = new_secret(bytes(range(32)))
TIMEOUT_S = 20
"""For applications that answer; no test waits for it."""


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch):
    monkeypatch.setattr(transport, "PIECE_PAUSE_S", 0.01)


@asynccontextmanager
async def serving(app):
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{site.port}/"
    finally:
        await runner.cleanup()


@pytest.fixture
def secret():
    return SECRET


@pytest.fixture
def tried():
    """Serve an application at / and probe it: `await tried(app, only=["duplicate"])` returns the report."""

    async def run(app, *, keys=(SECRET,), timeout_s=TIMEOUT_S, only=(), tell=None):
        async with serving(app) as url:
            return await probe(url, keys, cases=choose(only), timeout_s=timeout_s, tell=tell)

    return run
