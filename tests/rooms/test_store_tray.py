"""What a call leaves to the store: bounded, in its order, and told when it is lost."""

import asyncio

import pytest

from voicebot.errors import PeerUnavailable
from voicebot.store import Tray
from voicebot.store.rows import EndpointResume

DEADLINE_S = 20


class Shelf:
    """Takes rows like a store, and settles the oldest when it is told to."""

    def __init__(self):
        self.rows = []

    def leave(self, row, told):
        self.rows.append((row.url, told))

    def settle(self, fault=None):
        name, told = self.rows.pop(0)
        told(fault)
        return name


@pytest.fixture
def shelf():
    return Shelf()


@pytest.fixture
def lost():
    return []


@pytest.fixture
def tray(shelf):
    return Tray(shelf, most=2)


@pytest.fixture
def leave(tray, lost):
    return lambda name: tray.leave(EndpointResume(name), lambda row, why: lost.append((row.url, why)))


async def test_it_is_bounded(tray, leave, shelf, lost):
    for name in "abc":
        leave(name)
    assert (tray.waiting, lost) == (2, [("c", "too many rows wait")])
    shelf.settle()
    leave("d")
    assert [shelf.settle(), shelf.settle()] == ["b", "d"]
    assert tray.waiting == 0


async def test_what_is_lost_is_told(leave, shelf, lost):
    leave("a")
    leave("b")
    shelf.settle(PeerUnavailable("store", "is locked"))
    shelf.settle()
    assert [name for name, _ in lost] == ["a"]
    assert "is locked" in lost[0][1]


async def test_then_follows_what_was_left_before_it(tray, leave, shelf):
    done = []
    tray.then(lambda: done.append("nothing"))
    assert done == ["nothing"]
    leave("a")
    tray.then(lambda: done.append("a"))
    leave("b")
    tray.then(lambda: done.append("b"))
    assert done == ["nothing"]
    shelf.settle()
    assert done == ["nothing", "a"]
    shelf.settle(PeerUnavailable("store", "is locked"))
    assert done == ["nothing", "a", "b"]


async def test_who_waits_for_its_end_waits_no_longer_than_he_wants(tray, leave, shelf):
    async with asyncio.timeout(DEADLINE_S):
        await tray.emptied(DEADLINE_S)
        leave("a")
        await tray.emptied(0.001)
        assert tray.waiting == 1
        waiting = asyncio.create_task(tray.emptied(1_000))
        await asyncio.sleep(0)
        assert not waiting.done()
        shelf.settle()
        await waiting
