"""The live events of two workers as one stream: every event once, in the order of its call, whoever is asked."""

import asyncio
import json
import random
from collections import defaultdict
from contextlib import asynccontextmanager

from voicebot import live
from voicebot.workers import stream

DEADLINE_S = 60
CALLS = [f"CA{number}" for number in range(12)]


def worker_of(call):
    """Synthetic calls are where the test puts them."""
    return int(call[2:]) % 2


class Reader:
    """Reads messages as (event, id, JSON)."""

    def __init__(self, response):
        self.response = response

    async def one(self):
        message = {}
        async with asyncio.timeout(DEADLINE_S):
            async for line in self.response.content:
                name, _, value = line.decode().rstrip("\n").partition(": ")
                if name:
                    message[name] = value
                elif "data" in message:
                    return message["event"], message.get("id"), json.loads(message["data"])
                else:
                    message = {}
        return None

    async def until(self, *events):
        while True:
            message = await self.one()
            assert message is not None
            if message[0] in events:
                return message


@asynccontextmanager
async def reading(p, index, last_id=None, path="/events"):
    async with p.worker(index) as session:
        headers = {} if last_id is None else {"Last-Event-ID": last_id}
        async with session.get(path, headers=headers) as response:
            assert response.status == 200, await response.text()
            yield Reader(response)


class World:
    """Publishes on both workers and knows what was published."""

    def __init__(self, p):
        self.p, self.truth, self.count = p, defaultdict(list), 0
        for call in CALLS:
            self._publish(call, live.CallOpened(call, "+1", "+2", "inbound", "bot"))

    def _publish(self, call, event):
        self.p.services[worker_of(call)].live.publish(event)

    def say(self, call):
        self.count += 1
        self.truth[call].append(str(self.count))
        self._publish(call, live.Trouble(call, str(self.count)))

    def close(self):
        for call in CALLS:
            self._publish(call, live.CallClosed(call, "caller", 1, 0))


class Surfer:
    """Reads, hangs up in the middle of anything, and comes back with its last id to whatever worker."""

    def __init__(self, p, seed):
        self.p, self.chance = p, random.Random(seed)
        self.last_id, self.got, self.ended, self.visits = None, defaultdict(list), set(), 0
        self.missed = None

    async def surf(self, world, progress):
        while len(self.ended) < len(CALLS):
            self.visits += 1
            async with reading(self.p, self.chance.randrange(2), self.last_id) as reader:
                for _ in range(self.chance.randrange(1, 300)):
                    progress.set()
                    self._take(world, *await reader.one())
                    if len(self.ended) == len(CALLS):
                        break

    def _take(self, world, event, id_, data):
        assert event not in {"reset", "dropped"}
        if event == "snapshot":
            assert self.last_id is None, "a snapshot although it came back with an id"
        elif event == "trouble":
            self.got[data["call"]].append(data["what"])
        elif event == "call.ended":
            self.ended.add(data["call"])
        self.last_id = id_


async def test_a_storm_of_readers_that_come_and_go_between_the_workers(pair):
    p = await pair()
    world = World(p)
    surfers = [Surfer(p, seed) for seed in range(16)]
    progress, chance = asyncio.Event(), random.Random(3)
    async with asyncio.TaskGroup() as group:
        for surfer in surfers:
            group.create_task(surfer.surf(world, progress))
        while world.count < 1_500:
            await progress.wait()
            progress.clear()
            for _ in range(chance.randrange(1, 30)):
                world.say(chance.choice(CALLS))
        world.close()
    for surfer in surfers:
        for call in CALLS:
            got, truth = surfer.got[call], world.truth[call]
            assert got == truth[len(truth) - len(got) :], "exactly what was published behind its snapshot"
    assert sum(surfer.visits for surfer in surfers) > 2 * len(surfers)
    assert max(sum(map(len, surfer.got.values())) for surfer in surfers) > 1_000


async def test_the_snapshot_lists_the_calls_of_all(pair):
    p = await pair([], default={"turns": {"commit_after_ms": 30_000}})
    origin = {"https://voice.example.com": p.address(0)}
    phones = [p.house.dial(call_sid=p.call_of(index), connect_to=origin, pace=1.0) for index in (0, 1, 1)]
    for phone in phones:
        await phone.heard("StreamOpened")
        await p.house.app.until("call.started", call=phone.sid)
    for index in range(2):
        async with reading(p, index) as reader:
            event, id_, data = await reader.one()
            assert (event, id_.count(",")) == ("snapshot", 1)
            assert {call["id"] for call in data["calls"]} == {phone.sid for phone in phones}
            starts = [call["started_at"] for call in data["calls"]]
            assert starts == sorted(starts, reverse=True)
        async with reading(p, index, path=f"/calls/{phones[1].sid}/events") as reader:
            event, _, data = await reader.one()
            assert (event, data["call"], data["live"]) == ("snapshot", phones[1].sid, True)
    async with reading(p, 0) as reader:
        await phones[1].hang_up()
        _, _, ended = await reader.until("call.ended")
        assert ended["call"] == phones[1].sid
    for phone in (phones[0], phones[2]):
        await phone.hang_up()


async def test_ids_of_another_run_begin_anew(pair):
    p = await pair()
    async with reading(p, 0) as reader:
        _, id_, _ = await reader.one()
    for stale in ("abc-1", "x-1,y-2", f"{id_},z-1", id_.split(",")[0] + ",", ",,,,"):
        async with reading(p, 1, stale) as reader:
            assert [(await reader.one())[0] for _ in range(2)] == ["reset", "snapshot"]
    async with reading(p, 1, id_) as reader:
        p.services[0].live.publish(live.Trouble("CA0", "now"))
        assert (await reader.one())[0] == "trouble"


async def test_what_a_worker_has_forgotten_is_said(pair):
    p = await pair(live={"history": 5})
    World(p)
    async with reading(p, 0) as reader:
        _, id_, _ = await reader.one()
    for number in range(10):
        p.services[1].live.publish(live.Trouble("CA1", str(number)))
    async with reading(p, 0, id_) as reader:
        event, _, data = await reader.one()
        assert (event, data["reason"]) == ("reset", "history")
        assert (await reader.one())[0] == "snapshot"


async def test_a_worker_that_is_lost_and_comes_back_is_told_on_the_same_stream(pair, monkeypatch):
    monkeypatch.setattr(stream, "LOOK_S", 0.05)
    p = await pair()
    async with reading(p, 0) as reader:
        await reader.one()
        await p.end(1)
        _event, _, data = await reader.until("reset")
        assert data["reason"] == "restart"
        _, without, _ = await reader.one()
        assert without.endswith(",")
        p.services[0].live.publish(live.Trouble("CA0", "alone"))
        assert (await reader.one())[2]["what"] == "alone"
        await p.start(1)
        await reader.until("reset")
        _, both, _ = await reader.one()
        assert not both.endswith(",")
        p.services[1].live.publish(live.Trouble("CA1", "again"))
        assert (await reader.one())[2]["what"] == "again"


async def test_who_may_not_read_is_told_so(pair):
    p = await pair()
    async with p.worker(0) as session, session.get("/events", headers={"Authorization": "Bearer wrong"}) as answer:
        assert answer.status == 401
        assert answer.content_type == "application/problem+json"
        assert "WWW-Authenticate" in answer.headers
