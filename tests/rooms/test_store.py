"""The store: what is written is there, many at a time, and a database out of order is a clear error."""

import asyncio
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import event

from tests.databases import Database, running
from voicebot.config import StoreSettings
from voicebot.errors import LocalProtocolError, PeerUnavailable
from voicebot.store import AttemptRow, CallEnd, CallRow, EventRow, Store, TurnRow, UtteranceRow
from voicebot.store import store as room

NOW = datetime(2026, 11, 22, 12, 0, 0, 123_456, tzinfo=UTC)
DEADLINE_S = 50


def settings(database: Database, query: str = "", **more: object) -> StoreSettings:
    return StoreSettings(url=database.url + query, **more)


def call(name: str = "CA1", **more: object) -> CallRow:
    return CallRow(
        id=name,
        from_number="+15550101",
        to_number="+15550100",
        direction="inbound",
        mode="bot",
        started_at=NOW,
        **more,
    )


def happening(sequence: int, call_id: str = "CA1", **more: object) -> EventRow:
    return EventRow(
        id=f"evt_{call_id}_{sequence}",
        call_id=call_id,
        sequence=sequence,
        type="turn.completed",
        wants_reply=True,
        url="https://app.example/",
        body=b'{"text":"Gr\xc3\xbcezi"}',
        created_at=NOW,
        **more,
    )


def attempt(event_id: str, number: int, status: int | None, state: str, error: str | None = None) -> AttemptRow:
    return AttemptRow(
        event_id=event_id, attempt=number, started_at=NOW, ms=1_500, status=status, error=error, state=state
    )


# --- what is written is there ----------------------------------------------------------------------


async def test_a_call_from_beginning_to_end(database):
    async with running(settings(database)) as store:
        await store.write(call(parameters={"tenant": "7"}))
        turn = TurnRow(
            call_id="CA1",
            track="caller",
            number=1,
            text="Grüezi",
            translation="",
            digits="",
            reason="endpoint",
            started_at=NOW,
            ended_at=None,
            words=[{"text": "Grüezi", "start_ms": 10}],
        )
        await store.write(turn)
        spoken = UtteranceRow(
            call_id="CA1", text="Hello.", heard="Hel", unheard="lo.", ms=90, interrupted=True, started_at=NOW
        )
        await store.write(spoken)
        end = CallEnd(id="CA1", ended_at=NOW, reason="caller", duration_ms=9_000, state={"notes": ["a"]})
        await store.write(end)

        kept = await store.call("CA1")
        assert kept["parameters"] == {"tenant": "7"}
        assert (kept["reason"], kept["duration_ms"], kept["state"]) == ("caller", 9_000, {"notes": ["a"]})
        (line,) = await store.turns("CA1")
        assert (line["text"], line["ended_at"], line["words"]) == ("Grüezi", None, turn.words)
        (said,) = await store.utterances("CA1")
        assert (said["heard"], said["unheard"], said["interrupted"]) == ("Hel", "lo.", True)
        assert await store.call("CA2") is None


async def test_instants_come_back_aware_in_utc(database):
    elsewhere = timezone(timedelta(hours=5))
    async with running(settings(database)) as store:
        await store.write(call())
        await store.write(happening(1))
        await store.write(CallEnd(id="CA1", ended_at=NOW.astimezone(elsewhere), reason="", duration_ms=0))
        kept = await store.call("CA1")
        assert (kept["started_at"], kept["ended_at"]) == (NOW, NOW)
        assert kept["ended_at"].utcoffset() == timedelta(0)


async def test_an_instant_without_a_zone_is_our_fault(database):
    async with running(settings(database)) as store:
        with pytest.raises(LocalProtocolError, match="time zone"):
            await store.write(CallRow(**{**_fields(call()), "started_at": NOW.replace(tzinfo=None)}))


def _fields(row: CallRow) -> dict[str, object]:
    return {name: getattr(row, name) for name in row.__slots__}


async def test_attempts_move_an_event_on(database):
    async with running(settings(database)) as store:
        await store.write(call())
        for sequence in (2, 1, 3):
            await store.write(happening(sequence))
        await store.write(attempt("evt_CA1_1", 1, 500, "pending", "status 500"))
        await store.write(attempt("evt_CA1_1", 2, 200, "delivered"))
        await store.write(attempt("evt_CA1_2", 1, None, "pending", "reset"))
        await store.write(attempt("evt_CA1_3", 0, None, "dead", "stopped"))

        one, two, three = await store.events("CA1")
        assert (one["state"], one["attempts"], one["last_status"], one["last_error"]) == ("delivered", 2, 200, None)
        assert one["delivered_at"] == NOW + timedelta(milliseconds=1_500)
        assert (two["state"], two["last_error"], two["delivered_at"]) == ("pending", "reset", None)
        assert (three["state"], three["attempts"]) == ("dead", 0)
        assert one["body"] == b'{"text":"Gr\xc3\xbcezi"}'
        assert [row["sequence"] for row in await store.pending("CA1")] == [2]
        assert [row["attempt"] for row in await store.deliveries("evt_CA1_1")] == [1, 2]
        assert await store.deliveries("evt_CA1_3") == []


async def test_a_write_is_on_disk_when_it_returns(database):
    async with running(settings(database)) as store:
        await store.write(call())
        await store.write(happening(1))
        assert database.look("select id, state from events") == [("evt_CA1_1", "pending")]


async def test_deleting_a_call_takes_everything_with_it(database):
    async with running(settings(database)) as store:
        await store.write(call())
        await store.write(happening(1))
        await store.write(attempt("evt_CA1_1", 1, 200, "delivered"))
        database.change("delete from calls")
    assert database.look("select (select count(*) from events) + (select count(*) from deliveries)") == [(0,)]


async def test_a_store_opened_again_has_everything(database):
    async with running(settings(database)) as store:
        await store.write(call())
    async with running(settings(database)) as store:
        assert (await store.call("CA1"))["from_number"] == "+15550101"


# --- many at a time --------------------------------------------------------------------------------


async def test_concurrent_writes_share_commits(database):
    commits = []
    async with running(settings(database)) as store:
        event.listen(store._engine, "commit", commits.append)
        calls = [f"CA{number}" for number in range(10)]
        async with asyncio.TaskGroup() as group:
            for name in calls:
                group.create_task(store.write(call(name)))
        async with asyncio.TaskGroup() as group:
            for name in calls:
                for sequence in range(1, 21):
                    group.create_task(store.write(happening(sequence, name)))
        for name in calls:
            assert [row["sequence"] for row in await store.events(name)] == list(range(1, 21))
    assert len(commits) <= 10


async def test_a_group_has_a_limit(database):
    commits = []
    async with running(settings(database, group_commit_rows=4)) as store:
        event.listen(store._engine, "commit", commits.append)
        async with asyncio.TaskGroup() as group:
            for number in range(20):
                group.create_task(store.write(call(f"CA{number}")))
        assert len(commits) >= 5, "four at a time"


async def test_everything_of_a_new_call_may_be_in_one_group(database):
    async with asyncio.timeout(DEADLINE_S), Store.open(settings(database)) as store, asyncio.TaskGroup() as group:
        # Written before the writer runs, and in the wrong order.
        group.create_task(store.write(attempt("evt_CA1_1", 1, 200, "delivered")))
        group.create_task(store.write(happening(1)))
        group.create_task(store.write(call()))
        await asyncio.sleep(0)
        group.create_task(store.run())
        await store.close()
    assert database.look("select state, attempts from events") == [("delivered", 1)]


async def test_a_refused_row_fails_alone(database):
    async with asyncio.timeout(DEADLINE_S), Store.open(settings(database)) as store:
        rows = [happening(1), happening(2), EventRow(**{**_fields(happening(2)), "id": "evt_other"}), happening(3)]
        async with asyncio.TaskGroup() as group:
            group.create_task(store.write(call()))
            writes = [group.create_task(_outcome(store.write(row))) for row in [*rows, happening(1, "CA9")]]
            await asyncio.sleep(0)
            group.create_task(store.run())
            await store.close()
        faults = [write.result() for write in writes]
        assert [type(fault) for fault in faults] == [
            type(None),
            type(None),
            LocalProtocolError,
            type(None),
            LocalProtocolError,
        ]
        assert "unique" in str(faults[2]).lower()
        assert "foreign key" in str(faults[4]).lower()
        assert [row["sequence"] for row in await store.events("CA1")] == [1, 2, 3]


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"url": "https://app.example/\udcff"}, id="no-text"),
        pytest.param({"sequence": 2**70}, id="no-number"),
    ],
)
async def test_what_no_column_takes_is_refused_alone(database, change):
    async with running(settings(database)) as store:
        await store.write(call())
        async with asyncio.TaskGroup() as group:
            wrong = group.create_task(_outcome(store.write(EventRow(**{**_fields(happening(1)), **change}))))
            right = group.create_task(_outcome(store.write(happening(2))))
        assert isinstance(wrong.result(), LocalProtocolError)
        assert right.result() is None
        assert not store.trouble
        assert [row["sequence"] for row in await store.events("CA1")] == [2]


async def _outcome(write) -> BaseException | None:
    try:
        await write
    except (LocalProtocolError, PeerUnavailable) as error:
        return error
    return None


async def test_errors_never_hold_what_was_to_be_written(database):
    async with running(settings(database)) as store:
        with pytest.raises(LocalProtocolError) as caught:
            await store.write(happening(1))
    assert "Gr" not in str(caught.value)
    assert "app.example" not in str(caught.value)


async def test_a_caller_who_gives_up_harms_nobody(database):
    async with asyncio.timeout(DEADLINE_S), Store.open(settings(database)) as store, asyncio.TaskGroup() as group:
        impatient = group.create_task(store.write(call("CA1")))
        patient = group.create_task(store.write(call("CA2")))
        await asyncio.sleep(0)
        impatient.cancel()
        group.create_task(store.run())
        await patient
        await store.close()
    assert database.look("select id from calls order by id") == [("CA1",), ("CA2",)]


async def test_callers_wait_when_too_much_is_waiting(database):
    async with (
        asyncio.timeout(DEADLINE_S),
        Store.open(settings(database, max_pending=10)) as store,
        asyncio.TaskGroup() as group,
    ):
        writes = [group.create_task(store.write(call(f"CA{number}"))) for number in range(25)]
        await asyncio.sleep(0)
        assert store.waiting == 10
        group.create_task(store.run())
        await asyncio.wait(writes)
        await store.close()
    assert database.look("select count(*) from calls") == [(25,)]


async def test_what_was_committed_is_copied_from_the_log_beside_the_writer(sqlite, tmp_path, monkeypatch):
    monkeypatch.setattr(room, "CHECKPOINT_ROWS", 3)
    async with running(settings(sqlite)) as store:
        await store.write(call())
        for sequence in range(1, 4):
            await store.write(happening(sequence))
        async with asyncio.timeout(DEADLINE_S):
            while b"evt_CA1_2" not in (tmp_path / "calls.db").read_bytes():
                await asyncio.sleep(0.01)


# --- the end ---------------------------------------------------------------------------------------


async def test_close_writes_what_is_waiting_and_refuses_more(database):
    async with asyncio.timeout(DEADLINE_S), Store.open(settings(database)) as store, asyncio.TaskGroup() as group:
        await asyncio.sleep(0)
        group.create_task(store.run())
        writes = [group.create_task(store.write(call(f"CA{number}"))) for number in range(5)]
        await asyncio.sleep(0)
        await store.close()
        assert all(write.done() for write in writes)
        with pytest.raises(PeerUnavailable, match="is closed"):
            await store.write(call("CA9"))
    assert database.look("select count(*) from calls") == [(5,)]


async def test_a_cancelled_writer_leaves_nobody_waiting(sqlite, tmp_path):
    async with asyncio.timeout(DEADLINE_S), Store.open(settings(sqlite)) as store, asyncio.TaskGroup() as group:
        writer = group.create_task(store.run())
        await store.write(call())
        with closing(sqlite3.connect(tmp_path / "calls.db", isolation_level=None)) as other:
            other.execute("begin immediate")
            under_way = group.create_task(_outcome(store.write(happening(1))))
            await asyncio.sleep(0)
            waiting = group.create_task(_outcome(store.write(happening(2))))
            await asyncio.sleep(0)
            writer.cancel()
            assert isinstance(await under_way, PeerUnavailable)
            assert isinstance(await waiting, PeerUnavailable)
        await store.close()


# --- a database out of order -----------------------------------------------------------------------


async def test_a_locked_database_is_a_clear_error_and_passes(sqlite, tmp_path):
    async with running(settings(sqlite, "?timeout=0.1")) as store:
        await store.write(call())
        with closing(sqlite3.connect(tmp_path / "calls.db", isolation_level=None)) as other:
            other.execute("begin immediate")
            with pytest.raises(PeerUnavailable, match="store: database is locked"):
                await store.write(happening(1))
            assert await store.call("CA1"), "readers are not hindered"
        await store.write(happening(1))


async def test_a_full_disk_is_a_clear_error(sqlite):
    async with running(settings(sqlite)) as store:
        event.listen(store._engine, "connect", lambda connection, _: connection.execute("pragma max_page_count = 30"))
        store._engine.dispose()
        await store.write(call())
        with pytest.raises(PeerUnavailable, match="store: database or disk is full"):
            await store.write(EventRow(**{**_fields(happening(1)), "body": bytes(1_000_000)}))
        await store.write(happening(2))


async def test_a_broken_database_is_a_clear_error(sqlite, tmp_path):
    async with running(settings(sqlite)) as store:
        await store.write(call())
        sqlite.change("drop table events")
        with pytest.raises(PeerUnavailable, match="no such table: events"):
            await store.write(happening(1))
        with pytest.raises(PeerUnavailable, match="no such table: events"):
            await store.events("CA1")
        await store.write(call("CA2"))
