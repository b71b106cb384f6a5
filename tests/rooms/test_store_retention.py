"""Retention: what is too old goes, wholly and for good; what lives or may stay, stays."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from tests.databases import running
from voicebot.config import Settings
from voicebot.store import (
    AsideRow,
    AttemptRow,
    CallFilter,
    CallRow,
    EventRow,
    LatencyRow,
    TurnRow,
    UtteranceRow,
)
from voicebot.store.retention import Retention
from voicebot.store.schema import metadata

NOW = datetime(2026, 11, 22, 12, 0, 0, 123_456, tzinfo=UTC)
RARE = "zzyzxqq"


def make(database, days=0, numbers=None, **store):
    return Settings(
        store={"url": database.url, **store},
        default={"retention_days": days},
        numbers={number: {"retention_days": kept} for number, kept in (numbers or {}).items()},
    )


class Beside:
    """What lies beside the store."""

    def __init__(self, broken=()):
        self.forgotten = []
        self.broken = set(broken)

    async def forget(self, call_id):
        if call_id in self.broken:
            raise PermissionError("read-only")
        self.forgotten.append(call_id)


def retention(store, settings, live=(), beside=None, now=NOW):
    return Retention(store, settings, set(live).__contains__, (beside or Beside()).forget, now=lambda: now)


def call(name, days_ago, **more):
    given = {"from_number": "+15550101", "to_number": "+15550100", "direction": "inbound", "mode": "bot"}
    return CallRow(id=name, started_at=NOW - timedelta(days=days_ago), **given | more)


async def put_all(store, name):
    """Keep something of every kind of a call."""
    await store.write(
        TurnRow(
            call_id=name,
            track="caller",
            number=1,
            text=f"I said {RARE}",
            translation="",
            digits="",
            reason="endpoint",
            started_at=NOW,
            ended_at=NOW,
            words=[{"text": RARE}],
        )
    )
    await store.write(LatencyRow(call_id=name, number=1, latency={"decided_ms": 1}))
    await store.write(
        UtteranceRow(call_id=name, text=RARE, heard=RARE, unheard="", ms=1, interrupted=False, started_at=NOW)
    )
    await store.write(AsideRow(call_id=name, kind="echo", text=RARE, at=NOW))
    event = EventRow(
        id=f"evt_{name}",
        call_id=name,
        sequence=1,
        type="turn.completed",
        wants_reply=True,
        url="https://app.example/",
        body=RARE.encode(),
        created_at=NOW,
        copy_url="https://copy.example/",
    )
    await store.write(event)
    attempt = AttemptRow(event_id=event.id, attempt=1, started_at=NOW, ms=1, status=500, error=RARE, state="pending")
    await store.write(attempt)


async def left(store):
    page = await store.history.calls(CallFilter())
    return " ".join(sorted(found.id for found in page.items))


@pytest.mark.parametrize(
    ("days", "numbers", "expected"),
    [
        pytest.param(0, {}, "in1 in9 out9", id="for-ever"),
        pytest.param(5, {}, "in1", id="days"),
        pytest.param(9.5, {}, "in1 in9 out9", id="not-yet"),
        pytest.param(0.5, {}, "", id="half-a-day"),
        pytest.param(5, {"+15550100": 0}, "in1 in9", id="a-number-keeps-them"),
        pytest.param(0, {"+15550100": 5}, "in1 out9", id="a-number-deletes-them"),
        pytest.param(0, {"+15550101": 5}, "in1 in9", id="the-number-of-ours-that-dialled"),
        pytest.param(0.5, {"+15550100": 5}, "in1", id="both"),
    ],
)
async def test_what_is_too_old_goes(database, days, numbers, expected):
    settings = make(database, days, numbers)
    async with running(settings.store) as store:
        await store.write(call("in1", 1))
        await store.write(call("in9", 9))
        await store.write(call("out9", 9, direction="outbound", to_number="+15550177"))
        deleted = await retention(store, settings).sweep()
        assert (await left(store), deleted) == (expected, 3 - len(expected.split()))


@pytest.mark.parametrize("sweep_calls", [1, 2, 100])
async def test_live_calls_and_those_with_an_obstinate_recording_stay(database, sweep_calls):
    settings = make(database, 5, sweep_calls=sweep_calls)
    async with running(settings.store) as store:
        for name in "abcdef":
            await store.write(call(name, 9))
        beside = Beside(broken="c")
        assert await retention(store, settings, "ae", beside).sweep() == 3
        assert (await left(store), beside.forgotten) == ("a c e", ["b", "d", "f"])
        beside.broken.clear()
        assert await retention(store, settings, (), beside).sweep() == 3
        assert beside.forgotten == ["b", "d", "f", "a", "c", "e"]


async def test_a_deleted_call_leaves_nothing_behind(database, tmp_path):
    settings = make(database, 5)
    async with running(settings.store) as store:
        await store.write(call("CA1", 9, parameters={"note": RARE}))
        await store.write(call("CA2", 1))
        await put_all(store, "CA1")
        for number in range(30):  # so that the index has more than one part
            await store.write(
                TurnRow(
                    call_id="CA2",
                    track="caller",
                    number=number,
                    text=f"other words {number}",
                    translation="",
                    digits="",
                    reason="endpoint",
                    started_at=NOW,
                    ended_at=NOW,
                    words=[],
                )
            )
        assert len((await store.history.search(RARE)).items) == 2
        assert await retention(store, settings).sweep() == 1
        assert (await store.history.search(RARE)).items == ()
        assert len((await store.history.search("words")).items) == 30
    counts = {table.name: database.look(f"select count(*) from {table.name}")[0][0] for table in metadata.sorted_tables}
    assert counts == {name: {"calls": 1, "turns": 30}.get(name, 0) for name in counts}
    if database.kind == "sqlite":
        assert RARE.encode() not in (tmp_path / "calls.db").read_bytes()
        assert b"words" in (tmp_path / "calls.db").read_bytes()


async def test_words_of_a_call_that_somebody_deleted_leave_the_index_with_the_next_sweep(sqlite, tmp_path):
    settings = make(sqlite)
    async with running(settings.store) as store:
        sweeper = retention(store, settings)
        await sweeper.sweep()
        await store.write(call("CA1", 0))
        await put_all(store, "CA1")
        await store.delete_call("CA1")
        await sweeper.sweep()
    assert RARE.encode() not in (tmp_path / "calls.db").read_bytes()


async def test_it_sweeps_again_and_again_until_closed(database, caplog):
    settings = make(database, 5, sweep_every_s=0.01)
    async with running(settings.store) as store, asyncio.TaskGroup() as group:
        beside, gone = Beside(), asyncio.Event()
        sweeper = Retention(store, settings, lambda _: gone.set() or False, beside.forget, now=lambda: NOW)
        running_task = group.create_task(sweeper.run())
        for name in ("CA1", "CA2"):
            gone.clear()
            await store.write(call(name, 9))
            await gone.wait()
        sweeper.close()
        await running_task
        assert beside.forgotten == ["CA1", "CA2"]


async def test_a_store_out_of_order_is_swept_the_next_time(database):
    settings = make(database, 5, sweep_every_s=0.01)
    async with running(settings.store) as store, asyncio.TaskGroup() as group:
        database.change("alter table events rename to elsewhere")
        beside, tried = Beside(), asyncio.Event()

        def now():
            tried.set()
            return NOW

        sweeper = Retention(store, settings, lambda _: False, beside.forget, now=now)
        running_task = group.create_task(sweeper.run())
        await store.write(call("CA1", 9))
        await tried.wait()
        tried.clear()
        await tried.wait()
        assert beside.forgotten == []
        database.change("alter table elsewhere rename to events")
        while not beside.forgotten:
            tried.clear()
            await tried.wait()
        sweeper.close()
        await running_task
