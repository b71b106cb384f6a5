"""A store that cannot commit: no further call is taken, since its events would not be kept, until it can again."""

import asyncio
import sqlite3
import threading
from contextlib import closing

import pytest

from voicebot.call import scribe
from voicebot.courier import ledger
from voicebot.store import store as room

DEADLINE_S = 50


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(room, "RETRY_S", 0.1)
    monkeypatch.setattr(room, "HANGS_S", 0.3)


async def until(wanted):
    async with asyncio.timeout(DEADLINE_S):
        while not await wanted():
            await asyncio.sleep(0.02)


def readiness(carrier, beginning):
    async def there():
        return (await carrier.get("/readyz"))[1].startswith(beginning)

    return there


async def end(h, carrier):
    for call in h.service.calls.live():
        await carrier.over(call.identity.carrier_id)
    await h.empty()


@pytest.fixture
def locked(tmp_path):
    """Somebody else's lock on a house's database; `timeout` in its URL says how long the service waits for it."""

    def lock(h):
        path = h.settings.store.url.removeprefix("sqlite:///").partition("?")[0]
        connection = sqlite3.connect(path, isolation_level=None)
        connection.execute("BEGIN IMMEDIATE")
        return closing(connection)

    return lock


async def test_new_calls_are_refused_until_it_commits_again(house, twilio, locked, tmp_path, quick):
    h = await house(store={"url": f"sqlite:///{tmp_path}/own.db?timeout=0.05"})
    async with twilio(h) as carrier:
        assert await carrier.ring() == "Connect"
        await end(h, carrier)
        with locked(h):
            assert await carrier.ring() == "Connect", "nobody knows yet"
            await until(readiness(carrier, "store: "))
            assert "locked" in (await carrier.get("/readyz"))[1]
            assert await carrier.ring() == "Say"
            assert h.metric("refused_total", door="voice", why="store") == 1
            assert (await carrier.get("/healthz"))[0] == 200
        await until(readiness(carrier, "ready"))
        assert await carrier.ring() == "Connect"
        await end(h, carrier)


async def test_a_commit_that_hangs_is_trouble_too(house, twilio, quick):
    h = await house()
    release = threading.Event()
    async with twilio(h) as carrier:
        held = h.service.calls._rooms.store._writer.submit(release.wait)
        try:
            assert await carrier.ring() == "Connect"
            await until(readiness(carrier, "store: a commit takes longer"))
            assert await carrier.ring() == "Say"
        finally:
            release.set()
        assert held.result()
        await until(readiness(carrier, "ready"))
        await end(h, carrier)


async def test_the_carrier_is_answered_when_the_store_knows(house, twilio, monkeypatch):
    """What is answered is not said again, so a process that is killed after its answer must have kept what it heard."""
    for module in (scribe, ledger):
        monkeypatch.setattr(module, "STORE_WAIT_S", DEADLINE_S)
    h = await house()
    store, call = h.service.calls._rooms.store, "CA" + "a" * 32

    async with twilio(h) as carrier:

        async def answered_late(request):
            release = threading.Event()
            held = store._writer.submit(release.wait)
            try:
                asking = asyncio.ensure_future(request)
                async with asyncio.timeout(DEADLINE_S):
                    while not store.waiting:
                        await asyncio.sleep(0.01)
                for _ in range(3):
                    await carrier.get("/healthz")
                assert not asking.done()
            finally:
                release.set()
            assert held.result()
            return await asking

        assert await answered_late(carrier.ring(call)) == "Connect"
        assert await store.call(call) is not None
        await answered_late(carrier.over(call))
        assert (await store.events(call))[-1]["type"] == "call.ended"
        await h.empty()


async def test_it_may_be_taken_anyway(house, twilio, locked, tmp_path, quick):
    h = await house(store={"url": f"sqlite:///{tmp_path}/own.db?timeout=0.05"}, limits={"require_store": False})
    async with twilio(h) as carrier:
        with locked(h):
            assert await carrier.ring() == "Connect"
            await h.trouble("not in the store")
            assert await carrier.ring() == "Connect"
            await end(h, carrier)
        assert await carrier.get("/readyz") == (200, "ready\n")
