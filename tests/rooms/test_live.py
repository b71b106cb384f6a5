"""The hub of live events: order, memory, and that nobody who watches holds up a call."""

import asyncio
import json
import random
from datetime import UTC, datetime
from itertools import pairwise

import pytest

from tests.wire.live_samples import EVENTS
from voicebot import live
from voicebot.core.events import Token, Turn
from voicebot.live import history, hub
from voicebot.wire.live_json import encode


def trouble(number, call="CA1"):
    return live.Trouble(call, str(number))


def opened(call="CA1"):
    return live.CallOpened(call, "+1", "+2", "inbound", "bot")


def closed(call="CA1"):
    return live.CallClosed(call, "caller", 1, 0)


class Encodings:
    """Counts what is encoded."""

    def __init__(self):
        self.all = []

    def __call__(self, event, at):
        self.all.append(event)
        return encode(event, at)


async def taken(watcher, count):
    """Take so many events, and what came with the last of them."""
    got = []
    while len(got) < count:
        batch = await watcher.take()
        got += [] if batch is None else [entry.event for entry in batch.entries]
        if batch is None:
            break
    return got


async def test_a_watcher_sees_everything_from_when_it_came_to_when_it_left():
    room = live.Live(100)
    events = [trouble(number) for number in range(6)]
    room.publish(events[0])
    with room.watch() as watcher:
        for event in events[1:4]:
            room.publish(event)
        assert await taken(watcher, 3) == events[1:4]
        room.publish(events[4])
    room.publish(events[5])
    assert [event async for event in watcher] == [events[4]]
    assert not watcher.dropped
    assert not room.watchers


async def test_who_is_watched_is_known():
    room = live.Live(100)
    room.publish(opened("CA1"))
    room.publish(opened("CA2"))

    def watched():
        return [call for call in ("CA1", "CA2") if room.watched(call)]

    assert not watched()
    with room.watch("CA1"), room.watch("CA1"):
        assert watched() == ["CA1"]
        with room.watch():
            assert room.watchers == 3
            assert watched() == ["CA1", "CA2"]
        assert watched() == ["CA1"]
    assert not watched()
    assert not room.watchers


async def test_one_call():
    room = live.Live(100)
    room.publish(opened("CA1"))
    with room.watch("CA1") as watcher:
        room.publish(trouble(1, "CA2"))
        room.publish(trouble(2))
        room.publish(trouble(3, "CA2"))
        room.publish(trouble(4))
        assert await taken(watcher, 2) == [trouble(2), trouble(4)]
    with pytest.raises(KeyError, match="CA3"), room.watch("CA3"):
        pass


async def test_one_who_falls_behind_is_dropped_and_says_so():
    room = live.Live(10)
    with room.watch() as slow, room.watch() as quick:
        room.publish(trouble(0))
        assert await taken(quick, 1) == await taken(slow, 1) == [trouble(0)]
        for number in range(1, 12):
            room.publish(trouble(number))
            assert await taken(quick, 1) == [trouble(number)]
        assert [event async for event in slow] == []
        assert slow.dropped
        assert not quick.dropped


async def test_a_quiet_call_is_not_behind_when_others_talk():
    room = live.Live(10)
    room.publish(opened())
    with room.watch("CA1") as watcher:
        room.publish(trouble(1))
        assert await taken(watcher, 1) == [trouble(1)]
        place = room.id(room.last)
        for number in range(50):
            room.publish(trouble(number, "CA2"))
        assert room.resume(place, "CA1") == 2
        assert room.resume(place) == "history"
        room.publish(trouble(2))
        assert await taken(watcher, 1) == [trouble(2)]


async def test_being_cancelled_loses_nothing():
    """A heartbeat interrupts the waiting, perhaps in the very step in which news come."""
    room = live.Live(100)
    chance = random.Random(7)
    with room.watch() as watcher:
        got = []
        for number in range(200):
            waiting = asyncio.ensure_future(watcher.take())
            await asyncio.sleep(0)
            room.publish(trouble(number))
            for _ in range(chance.randrange(4)):
                await asyncio.sleep(0)
            waiting.cancel()
            done = (await asyncio.gather(waiting, return_exceptions=True))[0]
            if isinstance(done, live.Batch):
                got += [entry.event for entry in done.entries]
        got += await taken(watcher, 200 - len(got))
    assert got == [trouble(number) for number in range(200)]


async def test_watchers_at_one_place_share_what_they_get(monkeypatch):
    monkeypatch.setattr(hub, "REST_SHARE", 0)
    encodings = Encodings()
    room = live.Live(100, encode=encodings)
    room.publish(opened())
    assert encodings.all == []
    with room.watch() as one, room.watch() as two, room.watch("CA1") as three:
        for number in range(3):
            room.publish(trouble(number))
        batches = [await watcher.take() for watcher in (one, two, three)]
        assert batches[0] is batches[1]
        assert [entry.event for entry in batches[2].entries] == [trouble(number) for number in range(3)]
        assert encodings.all == []
        lines = [room.json(entry) for batch in batches for entry in batch.entries]
        assert lines[:3] == lines[3:6] == lines[6:]
        assert encodings.all == [trouble(number) for number in range(3)]


@pytest.mark.parametrize("count", [1, history.BATCH_EVENTS, 2 * history.BATCH_EVENTS + 1])
async def test_a_batch_is_never_too_long(count):
    room = live.Live(3 * history.BATCH_EVENTS)
    with room.watch() as watcher:
        for number in range(count):
            room.publish(trouble(number))
    sizes = []
    got = []
    while batch := await watcher.take():
        sizes.append(len(batch.entries))
        got += [entry.event for entry in batch.entries]
    assert got == [trouble(number) for number in range(count)]
    assert max(sizes) == min(count, history.BATCH_EVENTS)


async def test_calls_have_their_turn_while_watchers_are_woken():
    """Between two handfuls of watchers everything else that waits for the loop is done."""
    room = live.Live(100)
    crowd = 20 * hub.WOKEN_AT_ONCE
    told, between = [], []

    async def watch():
        with room.watch() as watcher:
            ready.release()
            await watcher.take()
            told.append(len(between))

    async def call():
        while len(told) < crowd:
            between.append(len(told))
            await asyncio.sleep(0)

    ready = asyncio.Semaphore(0)
    async with asyncio.TaskGroup() as group:
        for _ in range(crowd):
            group.create_task(watch())
        for _ in range(crowd):
            await ready.acquire()
        room.publish(trouble(0))
        group.create_task(call())
    steps = [after - before for before, after in pairwise(between)]
    assert max(steps) <= hub.WOKEN_AT_ONCE


async def test_rounds_rest(monkeypatch):
    """While the hub rests, events gather; the next round brings them all."""
    monkeypatch.setattr(hub, "REST_SHARE", 1e9)
    monkeypatch.setattr(hub, "MAX_REST_S", 0.2)
    room = live.Live(100)
    with room.watch() as watcher:
        room.publish(trouble(0))
        assert await taken(watcher, 1) == [trouble(0)]
        while room._round is not None:
            await asyncio.sleep(0)
        for number in range(1, 9):
            room.publish(trouble(number))
            await asyncio.sleep(0)
        batch = await watcher.take()
        assert [entry.event for entry in batch.entries] == [trouble(number) for number in range(1, 9)]


# --- memory -------------------------------------------------------------------------------------------


async def test_names_of_events():
    room = live.Live(5, boot="cafe")
    for number in range(8):
        room.publish(trouble(number))
    assert room.id(8) == "cafe-8"
    resumes = {name: room.resume(name) for name in ("cafe-8", "cafe-3", "cafe-2", "cafe-9", "beef-8", "cafe-", "x", "")}
    assert resumes == {
        "cafe-8": 8,
        "cafe-3": 3,
        "cafe-2": "history",
        **dict.fromkeys(["cafe-9", "beef-8", "cafe-", "x", ""], "restart"),
    }
    with room.watch(after=3) as watcher:
        pass
    assert [event async for event in watcher] == [trouble(number) for number in range(3, 8)]


async def test_boots_differ():
    assert live.Live(5).id(1) != live.Live(5).id(1)


async def test_what_is_known_of_a_call():
    room = live.Live(4)
    assert room.so_far("CA1") is None
    words = [live.Partial("CA1", "caller", "", "I"), live.Partial("CA1", "caller", "I ", "wo")]
    agent = live.Partial("CA1", "agent", "", "Yes")
    events = [opened(), words[0], live.BotSays("CA1", 1, "Hello"), words[1], agent, trouble(1)]
    for event in events:
        room.publish(event)
    for number in range(20):
        room.publish(trouble(number, "CA2"))
    so_far = room.so_far("CA1")
    assert [entry.event for entry in so_far.entries] == [events[0], events[2], events[5], words[1], agent]
    assert so_far.live
    assert so_far.whole
    turn = live.TurnEnded("CA1", "caller", live.TurnEnded.__annotations__["turn"](1, "I would", "endpoint"))
    room.publish(turn)
    assert [entry.event for entry in room.so_far("CA1").entries][-2:] == [turn, agent]
    room.publish(closed())
    assert [entry.event for entry in room.so_far("CA1").entries][-2:] == [turn, closed()]
    assert not room.so_far("CA1").live


async def test_what_is_known_has_its_bound(monkeypatch):
    room = live.Live(10)
    room.publish(opened())
    for number in range(history.KNOWN_EVENTS):
        room.publish(trouble(number))
    entries, whole, _ = room.so_far("CA1")
    assert len(entries) == history.KNOWN_EVENTS
    assert not whole
    assert entries[-1].event == trouble(history.KNOWN_EVENTS - 1)


async def test_ended_calls_are_forgotten():
    room = live.Live(10)
    for call in range(100):
        room.publish(opened(f"CA{call}"))
        room.publish(closed(f"CA{call}"))
        room.publish(trouble(call, f"CA{call}"))
    assert room.so_far("CA95") is None
    assert room.so_far("CA99") is not None
    assert len(room._history._calls) <= 10
    # A webhook may be told again long after; what came between is gone.
    room.publish(trouble(1, "CA1"))
    assert room.resume(room.id(4), "CA1") == "history"
    assert room.resume(room.id(room.last), "CA1") == room.last
    assert not room.so_far("CA1").live


@pytest.mark.parametrize(("event", "name"), [pytest.param(*row[:2], id=row[1]) for row in EVENTS])
def test_what_is_kept_comes_back_and_is_told_as_it_was(event, name):
    room = live.Live(100, now=lambda: 1_700_000_000.25)
    room.publish(opened())
    room.publish(event)
    [entry] = [entry for entry in room.so_far("CA1").entries if entry.number == 2]
    assert entry.event == event
    assert entry.kind is type(event)
    line = encode(event, datetime.fromtimestamp(1_700_000_000.25, UTC))
    assert room.json(entry) == line
    assert json.loads(line)["type"] == name


async def test_a_turn_comes_back_with_all_its_words():
    room = live.Live(100)
    tokens = tuple(
        Token(f" word{number}", number * 1_000, number * 1_000 + 300, number / 40, language=f"e{number % 2}")
        for number in range(30)
    )
    turn = Turn(3, " ".join(token.text for token in tokens), "endpoint", tokens=tokens, settled_at=1.5)
    events = [opened(), live.TurnOffered("CA1", turn, 2), live.TurnEnded("CA1", "caller", turn)]
    with room.watch() as watcher:
        for event in events:
            room.publish(event)
        assert await taken(watcher, 3) == events
    whole = [entry.event for entry in room.so_far("CA1").entries]
    assert whole == events
    told = [json.loads(room.json(entry)) for entry in room.so_far("CA1").entries]
    assert [len(each["turn"]["words"]) for each in told[1:]] == [30, 30]
