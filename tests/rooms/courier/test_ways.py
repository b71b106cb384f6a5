"""The way of a call: its lane first, the background behind it, never both."""

import asyncio
import gc

import pytest

from voicebot.courier.flight import PATIENCE_S, Flight, Item, now
from voicebot.courier.ways import Ways

from .conftest import DEADLINE_S


@pytest.fixture
async def flight():
    return Flight(Item(call_id="CA1", event_id="evt", sequence=7, event_type="x", body=b"", queued_at=now()))


async def test_what_the_lane_has_claimed_the_background_cannot_take(flight):
    ways = Ways()
    way = ways.of("CA1")
    way.claim()
    way.claim()
    assert not way.take(flight)
    way.release()
    assert not way.take(flight)
    assert list(ways.claimed()) == ["CA1"]
    way.release()
    assert list(ways.claimed()) == []
    assert way.take(flight)
    assert not way.take(flight), "one at a time"
    way.give_back()
    assert way.take(flight)


async def test_a_claim_leaves_the_background_little_time(flight):
    way = Ways().of("CA1")
    assert way.take(flight)
    before = now()
    way.claim()
    assert flight.ended is None
    async with asyncio.timeout(DEADLINE_S):
        with pytest.raises(TimeoutError):
            async with flight.bounded():
                await way.free()
    assert flight.ended == "superseded"
    assert now() >= before + PATIENCE_S - 0.01
    way.give_back()
    async with asyncio.timeout(DEADLINE_S):
        await way.free()


async def test_a_lane_that_is_gone_claims_nothing(flight):
    way = Ways().of("CA1")
    way.claim()
    way.claim()
    way.leave()
    assert way.take(flight)
    way.release()
    assert not way.claimed


@pytest.mark.parametrize(("sequence", "ended"), [(7, "withdrawn"), (8, None)])
async def test_only_what_is_taken_back_is_cut(flight, sequence, ended):
    way = Ways().of("CA1")
    way.withdraw(sequence)
    assert way.take(flight)
    way.withdraw(sequence)
    assert flight.ended == ended


async def test_a_way_is_the_same_for_all_who_hold_it_and_then_forgotten():
    ways = Ways()
    way = ways.of("CA1")
    assert ways.of("CA1") is way
    assert ways.of("CA2") is not way
    del way
    gc.collect()
    assert len(ways._ways) == 0
