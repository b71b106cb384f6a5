"""Readers that come and go in the middle of anything, and readers that do not keep up."""

import asyncio
import random
from collections import defaultdict

import pytest

DEADLINE_S = 40


def numbers(messages):
    return [int(data["what"]) for _, _, data in messages]


class Surfer:
    """Reads, hangs up in the middle of anything, and comes back with the last id; until it has seen the end."""

    def __init__(self, site, call, seed):
        self.site, self.call, self.chance = site, call, random.Random(seed)
        self.path = f"/calls/{call}/events" if call else "/events"
        self.last_id = None
        self.first = None
        self.got = []
        self.visits = 0

    @property
    def sated(self):
        return bool(self.got) and (self.got[-1][0], self.got[-1][2]["call"]) == ("call.ended", self.call or "END")

    async def surf(self, progress):
        while not self.sated:
            self.visits += 1
            async with self.site.reading(self.path, last_id=self.last_id) as stream:
                assert stream.response.status == 200
                for _ in range(self.chance.randrange(1, 200)):
                    progress.set()
                    message = await stream.one()
                    if message is not None:
                        self._take(*message)
                    if message is None or self.sated:
                        break

    def _take(self, event, id_, data):
        assert event not in {"reset", "dropped"}
        if event == "snapshot":
            assert self.first is None, "a snapshot although it came back with an id"
            self.first = int(id_.partition("-")[2])
        else:
            self.got.append((event, id_, data))
        self.last_id = id_


async def test_a_storm_of_readers_that_come_and_go(site):
    """Hundreds of readers, thousands of events: each has had exactly what was published behind its first snapshot."""
    s = await site(history=10_000)
    calls = [f"CA{number}" for number in range(20)]
    s.open("END", *calls)
    surfers = [Surfer(s, calls[number % len(calls)] if number % 5 else None, number) for number in range(200)]
    progress, chance = asyncio.Event(), random.Random(5)
    async with asyncio.TaskGroup() as group:
        for surfer in surfers:
            group.create_task(surfer.surf(progress))
        while s.last < 3_000:
            await progress.wait()
            progress.clear()
            for _ in range(chance.randrange(1, 60)):
                s.say(chance.choice(calls))
        for call in (*calls, "END"):
            s.close(call)
    truth = defaultdict(list)
    for entry in s.live._history.all.entries:
        truth[None].append(entry.number)
        truth[entry.event.call].append(entry.number)
    for surfer in surfers:
        wanted = [number for number in truth[surfer.call] if number > surfer.first]
        assert [int(id_.partition("-")[2]) for _, id_, _ in surfer.got] == wanted
    assert sum(surfer.visits for surfer in surfers) > 2 * len(surfers)


async def test_one_who_is_behind_is_told_so(site):
    """More is published than all buffers between the two ends hold; another reader keeps up with it."""
    s = await site(history=100, write_timeout_s=DEADLINE_S)
    s.open("CA1")
    async with s.idle_reader() as rest, s.reading() as quick:
        await quick.one()
        for end in range(10, 3_001, 10):
            s.say(count=10, size=10_000)
            assert numbers(await quick.many(10)) == list(range(end - 9, end + 1))
        (_, first_id, _), *got, (event, id_, data) = await (await rest()).rest()
        assert (event, id_, data["reason"]) == ("dropped", None, "behind")
        assert first_id == "boot-1"
        assert numbers(got) == list(range(1, len(got) + 1))
        assert 0 < len(got) < 2_900
    async with s.reading(last_id=got[-1][1]) as stream:
        assert [event for event, _, _ in await stream.many(2)] == ["reset", "snapshot"]


async def test_one_who_takes_nothing_is_cut_off(site):
    s = await site(history=10_000, write_timeout_s=0.05)
    s.open("CA1")
    async with s.idle_reader() as rest:
        s.say(count=3_000, size=10_000)
        await s.ended.acquire()
        assert not s.live.watchers
        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            await (await rest()).content.readexactly(3_000 * 10_000)


async def test_the_stop_of_the_server_does_not_wait_for_readers(site):
    s = await site()
    s.open("CA1")
    async with asyncio.TaskGroup() as group:
        readers = [group.create_task(s.read_all(path)) for path in 10 * ("/events", "/calls/CA1/events")]
        while s.live.watchers < len(readers):
            await asyncio.sleep(0)
        s.say(count=3)
        await s.runner.cleanup()
    assert {tuple(numbers(reader.result()[1:])) for reader in readers} == {(1, 2, 3)}
    assert not s.live.watchers
    await s.doors.close()
