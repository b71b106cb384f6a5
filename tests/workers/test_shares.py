"""Whose is a call: the same to every worker, and the same to the database."""

import asyncio
import secrets
from collections import Counter
from datetime import UTC, datetime

import pytest
from sqlalchemy import literal, select

from voicebot.config import Settings, StoreSettings
from voicebot.core.shares import Share, slot
from voicebot.store import CallRow, EventRow, Store
from voicebot.store.database import open_engine
from voicebot.store.shares import _Slot, theirs
from voicebot.workers.parts import of_worker

IDS = [f"CA{secrets.token_hex(16)}" for _ in range(2_000)]
ODD = ["", ".", "CA1", "CA1.2", "CA1.2.3", "é", "CA%'; --", "x" * 64]


@pytest.mark.parametrize("of", [1, 2, 3, 8, 16])
def test_every_call_has_one_owner_and_they_are_shared_out(of):
    counts = Counter(Share(0, of).owner(call) for call in IDS)
    assert sorted(counts) == list(range(of))
    assert min(counts.values()) > len(IDS) / of / 2
    for call in IDS[:100]:
        assert [Share(index, of).has(call) for index in range(of)].count(True) == 1


def test_a_further_visit_stays_where_the_first_was():
    assert all(slot(call) == slot(f"{call}.2") == slot(f"{call}.17") for call in IDS[:100])


@pytest.mark.parametrize(("total", "of"), [(500, 2), (5, 3), (1, 4), (7, 7)])
def test_a_number_is_shared_out_to_the_last(total, of):
    parts = [Share(index, of).part(total) for index in range(of)]
    assert sum(parts) == total
    assert max(parts) - min(parts) <= 1


def test_the_database_says_the_same(database):
    engine = open_engine(database.url)
    with engine.connect() as connection:
        assert [connection.scalar(select(_Slot(literal(call)))) for call in ODD + IDS] == list(map(slot, ODD + IDS))
    engine.dispose()


def test_alone_nothing_is_asked_of_the_database():
    assert "slot" not in str(select(literal(1)).where(theirs(Share(), literal("x"))))


async def test_each_worker_is_handed_the_events_of_its_own_calls(database):
    settings = StoreSettings(url=database.url)
    now = datetime.now(UTC)
    found = []
    for share in (Share(0, 2), Share(1, 2)):
        async with Store.open(settings, share=share) as store:
            writing = asyncio.create_task(store.run())
            if not share.index:
                for call in IDS[:20]:
                    await store.write(
                        CallRow(
                            id=call, from_number="+1", to_number="+2", direction="inbound", mode="bot", started_at=now
                        )
                    )
                    event = EventRow(
                        id=f"evt_{call}",
                        call_id=call,
                        sequence=1,
                        type="turn.completed",
                        wants_reply=False,
                        url="http://x",
                        body=b"{}",
                        created_at=now,
                    )
                    await store.write(event)
            due = {event.call_id for event in await store.outbox.due(now)}
            assert due == {call for call in IDS[:20] if share.has(call)}
            found.append(due)
            await store.close()
            await writing
    assert found[0] | found[1] == set(IDS[:20])


def test_limits_are_shared_out():
    settings = Settings.model_validate({"limits": {"max_calls": 5, "calls_burst": 2, "calls_per_second": 9}})
    parts = [of_worker(settings, Share(index, 3)).limits for index in range(3)]
    assert [part.max_calls for part in parts] == [2, 2, 1]
    assert [part.calls_burst for part in parts] == [1, 1, 1]
    assert {part.calls_per_second for part in parts} == {3}
    assert parts[0].mailbox == settings.limits.mailbox
