"""Writes share commits: who waits for whom, and what everybody is told at the end."""

import asyncio
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from voicebot.errors import LocalProtocolError, PeerUnavailable
from voicebot.store import group_commit
from voicebot.store.group_commit import GroupCommit
from voicebot.store.rows import EndpointResume

DEADLINE_S = 20
REFUSED = LocalProtocolError("refused")


class Database:
    """Commits when it may, and keeps what shared each commit."""

    def __init__(self):
        self.commits = []
        self.may = threading.Event()
        self.may.set()
        self.bug = None

    def commit(self, rows: Sequence[EndpointResume]):
        self.may.wait(DEADLINE_S)
        if self.bug:
            raise self.bug
        self.commits.append([row.url for row in rows])
        return [REFUSED if row.url == "refused" else None for row in rows]


class House:
    def __init__(self, most_rows=100, max_pending=100, way_s=0.005):
        self.database, self.told = Database(), []
        self.thread = ThreadPoolExecutor(1)
        self.group = GroupCommit(
            self.thread,
            self.database.commit,
            self.told.append,
            most_rows=most_rows,
            max_pending=max_pending,
            way_s=way_s,
        )

    def write(self, name, *, lazy=False):
        return asyncio.create_task(self._outcome(name, lazy=lazy))

    async def _outcome(self, name, *, lazy):
        try:
            await self.group.write(EndpointResume(name), lazy=lazy)
        except (PeerUnavailable, LocalProtocolError) as error:
            return error
        return None

    async def under_way(self, name="first"):
        """Write something whose commit waits until the database may."""
        self.database.may.clear()
        write = self.write(name)
        while self.group.waiting or self.group.committing_since is None:
            await asyncio.sleep(0.001)
        return write


@pytest.fixture
def house():
    house = House()
    yield house
    house.database.may.set()
    house.thread.shutdown()


@pytest.fixture
def never(monkeypatch):
    """Nobody comes back from lingering by himself."""
    monkeypatch.setattr(group_commit, "LINGER_S", 1_000.0)


async def test_what_comes_during_a_commit_shares_the_next(house):
    async with asyncio.timeout(DEADLINE_S):
        running = asyncio.create_task(house.group.run())
        await asyncio.sleep(0)
        first = await house.under_way()
        others = [house.write(name) for name in "abc"]
        await asyncio.sleep(0)
        assert house.group.waiting == 3
        house.database.may.set()
        assert await asyncio.gather(first, *others) == [None] * 4
        await house.group.close()
        await running
    assert house.database.commits == [["first"], ["a", "b", "c"]]
    assert house.told == [[None], [None] * 3]


async def test_a_lazy_write_goes_with_the_next_that_is_not(house, never):
    async with asyncio.timeout(DEADLINE_S), asyncio.TaskGroup() as group:
        group.create_task(house.group.run())
        lazy = [house.write(name, lazy=True) for name in "ab"]
        await asyncio.sleep(0)
        assert (house.group.waiting, house.group.committing_since) == (2, None)
        assert await house.write("c") is None
        assert await asyncio.gather(*lazy) == [None, None]
        await house.group.close()
    assert house.database.commits == [["a", "b", "c"]]


async def test_a_lazy_write_does_not_wait_for_ever(house, monkeypatch):
    monkeypatch.setattr(group_commit, "LINGER_S", 0.001)
    async with asyncio.timeout(DEADLINE_S), asyncio.TaskGroup() as group:
        group.create_task(house.group.run())
        assert await house.write("a", lazy=True) is None
        await house.group.close()


async def test_company_enough_does_not_linger(house, never):
    house.group._most_rows = 3
    async with asyncio.timeout(DEADLINE_S), asyncio.TaskGroup() as group:
        group.create_task(house.group.run())
        assert await asyncio.gather(*(house.write(name, lazy=True) for name in "abc")) == [None] * 3
        await house.group.close()
    assert house.database.commits == [["a", "b", "c"]]


async def test_close_takes_lazy_writes_along(house, never):
    async with asyncio.timeout(DEADLINE_S), asyncio.TaskGroup() as group:
        group.create_task(house.group.run())
        lazy = house.write("a", lazy=True)
        await asyncio.sleep(0)
        await house.group.close()
        assert await lazy is None
        assert "is closed" in str(await house.write("b"))
    assert house.database.commits == [["a"]]


async def test_each_hears_of_its_own_row(house):
    async with asyncio.timeout(DEADLINE_S), asyncio.TaskGroup() as group:
        writes = [house.write(name) for name in ("a", "refused", "b")]
        await asyncio.sleep(0)
        group.create_task(house.group.run())
        assert await asyncio.gather(*writes) == [None, REFUSED, None]
        await house.group.close()
    assert house.told == [[None, REFUSED, None]]


async def test_whoever_waits_for_room_hears_of_the_end():
    house = House(max_pending=2)
    async with asyncio.timeout(DEADLINE_S):
        running = asyncio.create_task(house.group.run())
        await asyncio.sleep(0)
        writes = [await house.under_way(), *(house.write(name) for name in "abc")]
        await asyncio.sleep(0)
        assert house.group.waiting == 1, "one more is under way, and two wait for room"
        running.cancel()
        outcomes = await asyncio.gather(*writes)
        assert [type(outcome) for outcome in outcomes] == [PeerUnavailable] * 4
        assert ["stopped" in str(outcome) for outcome in outcomes] == [True, True, False, False]
        house.database.may.set()
        await asyncio.to_thread(house.thread.shutdown)
        await asyncio.sleep(0)  # what the thread has to say comes too late for anybody
    assert house.database.commits == [["first"]]


async def test_a_bug_in_the_commit_ends_the_run(house):
    house.database.bug = RuntimeError("a bug")
    async with asyncio.timeout(DEADLINE_S):
        running = asyncio.create_task(house.group.run())
        write = house.write("a")
        with pytest.raises(RuntimeError, match="a bug"):
            await running
        assert "stopped" in str(await write)


@pytest.fixture
def ways(monkeypatch):
    """How often the loop has given way."""
    given = []
    wait = group_commit.wait

    def give(work, seconds):
        given.append(seconds)
        return wait(work, seconds)

    monkeypatch.setattr(group_commit, "wait", give)
    return given


async def test_a_commit_that_is_quick_needs_no_wake_up(house, ways):
    house.group._way_s = DEADLINE_S
    async with asyncio.timeout(DEADLINE_S), asyncio.TaskGroup() as group:
        group.create_task(house.group.run())
        writes = [house.write(name) for name in "abc"]
        for _ in range(4):  # the writes, the way, and what waits for it
            await asyncio.sleep(0)
        assert all(write.done() for write in writes)
        assert house.database.commits == [["a"], ["b", "c"]], "the first of a round at once"
        assert ways == [DEADLINE_S] * 2
        await house.group.close()


async def test_a_write_is_committed_in_its_own_step(house, ways, monkeypatch):
    """With what was left for the next commit, and once in a round."""
    house.group._way_s = DEADLINE_S
    told = []
    async with asyncio.timeout(DEADLINE_S), asyncio.TaskGroup() as group:
        group.create_task(house.group.run())
        await asyncio.sleep(0)
        turns = []
        asyncio.get_running_loop().call_soon(turns.append, "another")
        house.group.leave(EndpointResume("lazy"), told.append, lazy=True)
        house.group.leave(EndpointResume("left"), told.append)
        await house.group.write(EndpointResume("a"))
        assert (turns, told) == ([], [None, None]), "nobody else had his turn"
        await house.group.write(EndpointResume("b"))
        assert turns == ["another"]
        await asyncio.sleep(0)
        await house.group.write(EndpointResume("c"))
        await house.group.close()
    assert house.database.commits == [["lazy", "left", "a"], ["b"], ["c"]]


async def test_what_is_left_hears_of_its_own_row(house, never):
    told = []
    async with asyncio.timeout(DEADLINE_S), asyncio.TaskGroup() as group:
        group.create_task(house.group.run())
        await asyncio.sleep(0)
        house.group.leave(EndpointResume("a"), lambda fault: told.append(("a", fault)))
        house.group.leave(EndpointResume("refused"), lambda fault: told.append(("refused", fault)))
        await house.group.write(EndpointResume("b"))
        await house.group.close()
    house.group.leave(EndpointResume("c"), lambda fault: told.append(("c", type(fault))))
    assert told == [("a", None), ("refused", REFUSED), ("c", PeerUnavailable)]
    assert house.database.commits == [["a", "refused", "b"]]


async def test_whoever_is_told_may_leave_more(house, never):
    told = []

    def more(fault):
        told.append(fault)
        if len(told) < 3:
            house.group.leave(EndpointResume(f"more {len(told)}"), more)

    async with asyncio.timeout(DEADLINE_S), asyncio.TaskGroup() as group:
        group.create_task(house.group.run())
        await asyncio.sleep(0)
        house.group.leave(EndpointResume("first"), more)
        await asyncio.gather(*(house.write(name) for name in "ab"))
        await house.group.close()
    assert told == [None] * 3
    assert sorted(name for commit in house.database.commits for name in commit) == [
        "a",
        "b",
        "first",
        "more 1",
        "more 2",
    ]


async def test_the_loop_gives_no_way_to_a_network(ways):
    house = House(way_s=0)
    async with asyncio.timeout(DEADLINE_S), asyncio.TaskGroup() as group:
        group.create_task(house.group.run())
        slow = await house.under_way()
        assert (slow.done(), ways) == (False, [0])
        house.database.may.set()
        assert await slow is None
        await house.group.close()
    house.thread.shutdown()


async def test_the_loop_gives_no_way_to_a_disk_that_was_slow(house, ways, monkeypatch):
    monkeypatch.setattr(group_commit, "NO_WAY_S", 1_000.0)
    async with asyncio.timeout(DEADLINE_S), asyncio.TaskGroup() as group:
        group.create_task(house.group.run())
        slow = await house.under_way()
        assert not slow.done(), "others live on meanwhile"
        house.database.may.set()
        assert await slow is None
        assert await house.write("next") is None
        assert ways == [0.005]
        await house.group.close()
