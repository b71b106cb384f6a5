"""The store's outbox: what is due, how far each delivery is, and what is forgotten when nobody needs it any more."""

import asyncio
import gc
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from tests.databases import running
from voicebot.config import StoreSettings
from voicebot.store import (
    AttemptRow,
    Backlog,
    CallRow,
    DeliveryFilter,
    EndpointResume,
    EndpointStop,
    EventRow,
    InvalidCursor,
    Store,
)

NOW = datetime(2026, 11, 22, 12, 0, 0, 123_456, tzinfo=UTC)
URL, SECOND = "https://app.example/", "https://copy.example/"
DEADLINE_S = 50


@pytest.fixture
async def store(database):
    async with running(database.settings) as opened:
        for name in ("CA1", "CA2"):
            await opened.write(
                CallRow(
                    id=name,
                    from_number="+15550101",
                    to_number="+15550100",
                    direction="inbound",
                    mode="bot",
                    started_at=NOW,
                )
            )
        yield opened


def event(sequence, call_id="CA1", second=0, **more):
    given = {"type": "turn.completed", "wants_reply": True, "url": URL, "body": b'{"text":"4111"}'}
    at = NOW + timedelta(seconds=second)
    return EventRow(id=f"{call_id}/{sequence}", call_id=call_id, sequence=sequence, created_at=at, **given | more)


def attempt(event_id, number, state, second=0, **more):
    at = NOW + timedelta(seconds=second)
    given = {"status": 200 if state == "delivered" else 500, "error": None if state == "delivered" else "status 500"}
    return AttemptRow(event_id=event_id, attempt=number, started_at=at, ms=1_000, state=state, **given | more)


def change(event_id, state, second=0, **more):
    return attempt(event_id, 0, state, second, **{"status": None, "error": None} | more)


async def keep(store, *rows):
    for row in rows:
        await store.write(row)


async def due(store, second=0, **more):
    return [found.event_id for found in await store.outbox.due(NOW + timedelta(seconds=second), **more)]


# --- what is due -----------------------------------------------------------------------------------


async def test_of_each_call_the_first_pending_event_is_due(store):
    await keep(store, event(2, second=1), event(1), event(1, "CA2", second=2), event(2, "CA2", second=3))
    assert await due(store) == ["CA1/1", "CA2/1"]
    await keep(store, attempt("CA1/1", 1, "delivered"), attempt("CA2/1", 1, "dead"))
    assert await due(store) == ["CA1/2", "CA2/2"]
    assert await due(store, except_calls={"CA1"}) == ["CA2/2"]
    assert await due(store, limit=1) == ["CA1/2"]


async def test_an_event_is_due_when_its_time_has_come_and_holds_back_those_behind_it(store):
    await keep(store, event(1), event(2), event(1, "CA2"))
    await keep(store, attempt("CA1/1", 1, "pending", next_attempt_at=NOW + timedelta(seconds=5)))
    assert await due(store, 4.9) == ["CA2/1"]
    assert await due(store, 5) == ["CA2/1", "CA1/1"]
    assert await store.outbox.next_due() == NOW + timedelta(seconds=5)
    await keep(store, attempt("CA1/1", 2, "delivered"))
    assert await store.outbox.next_due() is None


@pytest.mark.parametrize("state", ["delivered", "dead", "no_endpoint", "withdrawn", "dropped"])
async def test_only_pending_events_are_due(store, state):
    await keep(store, event(1, state=state))
    assert await due(store) == []


async def test_a_due_event_has_all_that_is_needed_to_send_it(store):
    await keep(store, event(3, second=7), attempt("CA1/3", 2, "pending", 8))
    (found,) = await store.outbox.due(NOW)
    assert (found.call_id, found.sequence, found.type, found.wants_reply) == ("CA1", 3, "turn.completed", True)
    assert (found.url, found.body, found.attempts, found.is_copy) == (URL, b'{"text":"4111"}', 2, False)
    assert (found.created_at, found.first_attempt_at) == (NOW + timedelta(seconds=7), NOW + timedelta(seconds=8))


async def test_nothing_is_due_for_an_endpoint_that_was_stopped(store):
    await keep(store, event(1), event(1, "CA2", url=SECOND, copy_url=URL))
    await store.write(EndpointStop(url=URL, stopped_at=NOW, why="status 410"))
    await store.write(EndpointStop(url=URL, stopped_at=NOW + timedelta(seconds=9), why="told again"))
    assert await due(store) == ["CA2/1"]
    assert await due(store, copies=True) == []
    (stopped,) = await store.outbox.stopped()
    assert (stopped.url, stopped.stopped_at, stopped.why) == (URL, NOW, "status 410")
    await store.write(EndpointResume(URL))
    assert (await due(store), await due(store, copies=True)) == (["CA1/1", "CA2/1"], ["CA2/1"])
    assert await store.outbox.stopped() == ()


async def test_several_calls_may_stop_an_endpoint_at_once(store):
    async with asyncio.TaskGroup() as group:
        for second in range(5):
            group.create_task(store.write(EndpointStop(url=URL, stopped_at=NOW + timedelta(seconds=second), why="410")))
    assert len(await store.outbox.stopped()) == 1


# --- attempts and changes --------------------------------------------------------------------------


async def test_a_change_without_an_attempt_keeps_what_is_known_of_attempts(store):
    await keep(store, event(1), attempt("CA1/1", 1, "pending", 1), attempt("CA1/1", 2, "dead", 2))
    await keep(store, change("CA1/1", "pending", 3, next_attempt_at=NOW + timedelta(seconds=4)))
    found = (await store.outbox.event("CA1/1")).summary
    assert (found.state, found.attempts, found.last_status, found.last_error) == ("pending", 2, 500, "status 500")
    assert found.first_attempt_at == NOW + timedelta(seconds=1)
    assert found.next_attempt_at == NOW + timedelta(seconds=4)
    await keep(store, attempt("CA1/1", 3, "delivered", 5), change("CA1/1", "dropped", 6, error="by hand"))
    found = (await store.outbox.event("CA1/1")).summary
    assert (found.state, found.attempts, found.last_status, found.last_error) == ("dropped", 3, 200, "by hand")
    assert (found.delivered_at, found.next_attempt_at) == (NOW + timedelta(seconds=6), None)
    assert [one.attempt for one in (await store.outbox.event("CA1/1")).attempts] == [1, 2, 3]


async def test_changes_of_one_commit_follow_each_other(database):
    async with asyncio.timeout(DEADLINE_S), Store.open(StoreSettings(url=database.url)) as store:
        rows = [change("CA1/1", "pending"), attempt("CA1/1", 1, "delivered")]
        async with asyncio.TaskGroup() as group:
            group.create_task(store.write(_call()))
            group.create_task(store.write(event(1, state="dead")))
            for row in rows:
                group.create_task(store.write(row))
            await asyncio.sleep(0)
            group.create_task(store.run())
            await store.close()
        assert (await store.outbox.event("CA1/1")).summary.state == "delivered"


def _call():
    return CallRow(id="CA1", from_number="a", to_number="b", direction="inbound", mode="bot", started_at=NOW)


# --- the second endpoint ---------------------------------------------------------------------------


async def test_the_second_endpoint_has_a_state_of_its_own(store):
    await keep(store, event(1, copy_url=SECOND), event(2, copy_url=SECOND), event(3))
    await keep(store, attempt("CA1/1", 1, "delivered"), attempt("CA1/1", 1, "pending", 1, copy_url=SECOND))
    found = await store.outbox.event("CA1/1")
    assert (found.summary.state, found.summary.last_status) == ("delivered", 200)
    (second,) = found.copies
    assert (second.url, second.state, second.attempts, second.last_status) == (SECOND, "pending", 1, 500)
    assert second.first_attempt_at == NOW + timedelta(seconds=1)
    assert [(one.copy_url, one.status) for one in found.attempts] == [(None, 200), (SECOND, 500)]
    assert (await store.outbox.event("CA1/3")).copies == ()

    assert (await due(store), await due(store, copies=True)) == (["CA1/2"], ["CA1/1"])
    (copy,) = await store.outbox.due(NOW, copies=True)
    assert (copy.url, copy.attempts, copy.is_copy, copy.body) == (SECOND, 1, True, b'{"text":"4111"}')
    wait = NOW + timedelta(seconds=9)
    await keep(store, attempt("CA1/1", 2, "pending", copy_url=SECOND, next_attempt_at=wait))
    assert (await due(store, copies=True), await due(store, 9, copies=True)) == ([], ["CA1/1"])
    assert (await store.outbox.next_due(copies=True), await store.outbox.next_due()) == (wait, None)
    await keep(store, attempt("CA1/1", 3, "delivered", copy_url=SECOND))
    assert await due(store, copies=True) == ["CA1/2"]


@pytest.mark.parametrize(
    ("changes", "left"),
    [
        pytest.param([], True, id="not-tried"),
        pytest.param([attempt("CA1/1", 1, "pending")], True, id="pending"),
        pytest.param([attempt("CA1/1", 1, "dead")], True, id="dead-letters-can-be-replayed"),
        pytest.param([attempt("CA1/1", 1, "delivered")], False, id="delivered"),
        pytest.param([change("CA1/1", "withdrawn")], False, id="withdrawn"),
        pytest.param([attempt("CA1/1", 1, "dead"), change("CA1/1", "dropped")], False, id="dropped"),
    ],
)
async def test_ephemeral_bytes_go_when_nobody_needs_them(store, changes, left):
    await keep(store, event(1, ephemeral=True), event(1, "CA2"), *changes)
    assert bool((await store.outbox.event("CA1/1")).body) is left
    await keep(store, attempt("CA2/1", 1, "delivered"))
    assert (await store.outbox.event("CA2/1")).body


async def test_ephemeral_bytes_wait_for_both_endpoints(store):
    await keep(store, event(1, ephemeral=True, copy_url=SECOND), attempt("CA1/1", 1, "delivered"))
    assert (await store.outbox.event("CA1/1")).body
    await keep(store, attempt("CA1/1", 1, "delivered", copy_url=SECOND))
    assert (await store.outbox.event("CA1/1")).body == b""


# --- lists -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("chosen", "names"),
    [
        pytest.param({}, "CA2/1 CA1/3 CA1/2 CA1/1", id="all-newest-first"),
        pytest.param({"call_id": "CA1"}, "CA1/3 CA1/2 CA1/1", id="call"),
        pytest.param({"states": ("dead",)}, "CA1/1", id="state"),
        pytest.param({"states": ("dead", "delivered")}, "CA1/2 CA1/1", id="states"),
        pytest.param({"type": "call.ended"}, "CA1/3", id="type"),
        pytest.param({"url": SECOND}, "CA2/1", id="url"),
        pytest.param({"since": NOW + timedelta(seconds=1)}, "CA2/1", id="since"),
        pytest.param({"until": NOW + timedelta(seconds=1)}, "CA1/3 CA1/2 CA1/1", id="until"),
    ],
)
async def test_deliveries_by_what_they_have_in_common(store, chosen, names):
    await keep(store, event(1), event(2), event(3, type="call.ended"), event(1, "CA2", second=1, url=SECOND))
    await keep(store, attempt("CA1/1", 1, "dead"), attempt("CA1/2", 1, "delivered"))
    page = await store.outbox.deliveries(DeliveryFilter(**chosen))
    assert (" ".join(found.id for found in page.items), page.next) == (names, None)
    items, after = [], None
    while True:
        page = await store.outbox.deliveries(DeliveryFilter(**chosen), 1, after)
        items += page.items
        if (after := page.next) is None:
            break
    assert " ".join(found.id for found in items) == names


async def test_an_event_that_is_not_there(store):
    assert await store.outbox.event("evt") is None
    with pytest.raises(InvalidCursor):
        await store.outbox.deliveries(DeliveryFilter(), after="x")


async def test_the_backlog_is_counted(store):
    assert await store.outbox.backlog() == Backlog(pending=0, oldest=None, dead=0, stopped=0)
    await keep(store, event(1, second=5), event(2, second=3), event(3), event(4, second=9))
    await keep(store, attempt("CA1/3", 1, "delivered"), attempt("CA1/4", 1, "dead"))
    await store.write(EndpointStop(url=URL, stopped_at=NOW, why="410"))
    oldest = NOW + timedelta(seconds=3)
    assert await store.outbox.backlog() == Backlog(pending=2, oldest=oldest, dead=1, stopped=1)


@pytest.mark.parametrize(
    "database", ["sqlite"], indirect=True
)  # PostgreSQL says how it would for a table of millions only
async def test_counting_the_backlog_reads_no_table_from_end_to_end(store):
    """It is done for whoever asks for the metrics, beside the calls, on a table of millions."""
    for state in ("pending", "dead"):
        query = (
            f"EXPLAIN QUERY PLAN SELECT count(*) FROM (SELECT created_at FROM events WHERE state = '{state}' LIMIT 9)"
        )
        plan = " ".join(str(row["detail"]) for row in await store.read(text(query)))
        assert "ix_events_state" in plan
        assert "SCAN events" not in plan


async def test_asking_every_second_leaves_nothing_to_the_collector(store):
    async def ask():
        for copies in (False, True):
            await store.outbox.due(NOW, except_calls=["CA2"], copies=copies)
            await store.outbox.next_due(copies=copies)
        await store.outbox.backlog()

    await ask()
    gc.collect()
    gc.disable()
    try:
        for _ in range(20):
            await ask()
        left = gc.collect()
    finally:
        gc.enable()
    assert left < 20, "a statement that is made anew is hundreds of objects"
