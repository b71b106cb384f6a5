"""The store on a PostgreSQL server: one that goes away and comes back, others in the way, texts that it would refuse."""

import asyncio
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime

import psycopg
import pytest
from alembic import command

from tests.databases import running
from tests.rooms.test_store_database import go
from voicebot.config import StoreSettings
from voicebot.errors import ConfigurationError, PeerUnavailable
from voicebot.store import CallEnd, CallRow, Store, TurnRow
from voicebot.store import store as room
from voicebot.store.database import migrate, open_engine

NOW = datetime(2026, 11, 26, 12, 0, 0, tzinfo=UTC)


@asynccontextmanager
async def watched(database):
    async with running(database.settings) as store:
        watching = asyncio.create_task(store.watch())
        yield store
        watching.cancel()


def call(name="CA1", **more):
    given = {"from_number": "+15550101", "to_number": "+15550100", "direction": "inbound", "mode": "bot"}
    return CallRow(id=name, started_at=NOW, **given | more)


def turn(number, text, **more):
    given = {"track": "caller", "translation": "", "digits": "", "reason": "endpoint", "words": [{"text": text}]}
    return TurnRow(call_id="CA1", number=number, text=text, started_at=NOW, ended_at=NOW, **given | more)


# --- it goes away ----------------------------------------------------------------------------------


@pytest.fixture
def away(postgresql):
    """A way to stop the server, which others need again."""
    yield postgresql.stop
    postgresql.start()


async def test_what_is_written_while_it_is_started_anew_is_kept(postgresql, away):
    database = postgresql.new()
    async with watched(database) as store, asyncio.TaskGroup() as group:
        await store.write(call())
        assert await store.call("CA1")
        await asyncio.to_thread(away)
        writes = [group.create_task(store.write(turn(number, "words"))) for number in range(5)]
        with pytest.raises(PeerUnavailable, match="store: "):
            await store.call("CA1")
        await asyncio.to_thread(postgresql.start)
        await asyncio.wait(writes)
        assert [row["number"] for row in await store.turns("CA1")] == list(range(5))
        assert not store.trouble


async def test_one_that_stays_away_is_a_clear_error_and_passes(postgresql, away, monkeypatch):
    monkeypatch.setattr(room, "PATIENCE_S", 0.5)
    monkeypatch.setattr(room, "RETRY_S", 0.05)
    database = postgresql.new()
    async with watched(database) as store:
        await store.write(call())
        await asyncio.to_thread(away)
        for number in (1, 2):
            with pytest.raises(PeerUnavailable, match="connection"):
                await store.write(turn(number, "words"))
        assert "connection" in store.trouble
        await asyncio.to_thread(postgresql.start)
        while store.trouble:
            await asyncio.sleep(0.01)
        await store.write(turn(3, "words"))
        assert [row["number"] for row in await store.turns("CA1")] == [3]


async def test_others_in_the_way_do_not_lose_a_row(postgresql):
    database = postgresql.new()
    async with watched(database) as store, asyncio.TaskGroup() as group:
        for name in ("CA1", "CA2"):
            await store.write(call(name))
        other = psycopg.connect(database.url)
        with other:
            other.execute("set deadlock_timeout = '60s'")  # so that it is ours that is broken off
            other.execute("update calls set mode = mode where id = 'CA2'")
            ends = [
                group.create_task(store.write(CallEnd(id=name, ended_at=NOW, reason="caller", duration_ms=1)))
                for name in ("CA1", "CA2")
            ]
            while not database.look("select 1 from pg_stat_activity where wait_event_type = 'Lock'"):
                await asyncio.sleep(0.01)
            await asyncio.to_thread(other.execute, "update calls set mode = mode where id = 'CA1'")
        await asyncio.wait(ends)
        assert database.look("select id, reason from calls order by id") == [("CA1", "caller"), ("CA2", "caller")]
        assert not store.trouble


# --- what it is given ------------------------------------------------------------------------------


async def test_no_text_is_refused(postgresql):
    async with watched(postgresql.new()) as store:
        await store.write(call(from_number="sip:" + "x" * 300, parameters={"note": "a\0b"}))
        await store.write(turn(1, "A\0B", digits="1" * 300))
        await store.write(CallEnd(id="CA1", ended_at=NOW, reason="why " * 100, duration_ms=1))
        kept = await store.history.call("CA1")
        assert (kept.summary.from_number, kept.summary.reason) == ("sip:" + "x" * 300, "why " * 100)
        assert kept.parameters == {"note": "a\0b"}
        assert [(one.text, one.digits, one.words) for one in kept.turns] == [
            ("A\ufffdB", "1" * 300, [{"text": "A\0B"}])
        ]


# --- beginning -------------------------------------------------------------------------------------


def test_several_may_bring_the_schema_up_to_date_at_once(postgresql):
    database = postgresql.new("template1")
    engines = [open_engine(database.url) for _ in range(4)]
    with ThreadPoolExecutor(len(engines)) as threads:
        list(threads.map(migrate, engines))
    for engine in engines:
        engine.dispose()
    assert database.look("select version_num from alembic_version") == [("0004",)]


def test_lengths_are_taken_away_and_given_back(postgresql):
    database = postgresql.new("template1")
    engine = open_engine(database.url)
    go(engine, command.upgrade, "0004")
    database.change(
        "insert into calls (id, from_number, to_number, direction, mode, started_at, parameters)"
        " values ('CA1', repeat('x', 300), '', '', '', now(), '{}')"
    )
    go(engine, command.downgrade, "0003")
    engine.dispose()
    assert database.look("select length(from_number) from calls") == [(100,)]


@pytest.mark.parametrize("server", ["127.0.0.1:1", "db.example.invalid"])
async def test_no_server_is_a_clear_error(server):
    with pytest.raises(PeerUnavailable, match=r"store: .*(refused|resolve)") as caught:
        async with Store.open(StoreSettings(url=f"postgresql://me:sesame@{server}/calls")):
            pass
    assert "sesame" not in str(caught.value)


async def test_without_its_driver_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with suppress(KeyError):
        monkeypatch.delitem(sys.modules, "voicebot.store.postgresql")
    with pytest.raises(ConfigurationError, match=r"store.url: .*psycopg.*voicebot\[postgresql\]"):
        async with Store.open(StoreSettings(url="postgresql://127.0.0.1:1/calls")):
            pass
