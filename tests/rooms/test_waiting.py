"""The flag and the queue that tasks wait at: they do what asyncio's do, and hold less."""

import asyncio
import tracemalloc

import pytest

from voicebot.waiting import Flag, Queue

DEADLINE_S = 10
KINDS = pytest.mark.parametrize("kind", [asyncio.Queue, Queue], ids=["theirs", "ours"])
"""What is true of ours is true of theirs."""


async def started(*coroutines):
    """Return tasks that have come to where they wait."""
    tasks = [asyncio.create_task(coroutine) for coroutine in coroutines]
    for _ in range(3):
        await asyncio.sleep(0)
    return tasks


async def result(task):
    async with asyncio.timeout(DEADLINE_S):
        return await task


def small():
    tracemalloc.start()
    try:
        held = Flag(), Queue(10)
        return tracemalloc.get_traced_memory()[0], held
    finally:
        tracemalloc.stop()


def test_they_are_small():
    small()
    assert small()[0] < 300


# --- the flag --------------------------------------------------------------------------------------


async def test_all_go_on_when_the_flag_is_set():
    flag = Flag()
    waiting = await started(flag.wait(), flag.wait())
    assert not any(task.done() for task in waiting)
    flag.set()
    flag.set()
    flag.clear()  # those that waited go on all the same
    for task in waiting:
        await result(task)
    flag.set()
    assert flag.is_set()
    await result(flag.wait())
    flag.clear()
    assert not flag.is_set()


async def test_who_waits_no_more_is_forgotten():
    flag = Flag()
    gone, waiting = await started(flag.wait(), flag.wait())
    gone.cancel()
    flag.set()
    await result(waiting)
    assert gone.cancelled()
    assert not flag._waiters


# --- the queue -------------------------------------------------------------------------------------


@KINDS
async def test_what_is_put_first_is_read_first(kind):
    queue = kind(10)
    (reader,) = await started(queue.get())
    for number in range(3):
        queue.put_nowait(number)
    assert [await result(reader), await result(queue.get()), await result(queue.get())] == [0, 1, 2]
    assert queue.empty()


@KINDS
async def test_putting_waits_for_room_in_order(kind):
    queue = kind(1)
    queue.put_nowait(0)
    with pytest.raises(asyncio.QueueFull):
        queue.put_nowait(9)
    writers = await started(*(queue.put(number) for number in (1, 2, 3)))
    assert [await result(queue.get()) for _ in range(4)] == [0, 1, 2, 3]
    for writer in writers:
        await result(writer)


@KINDS
async def test_a_reader_that_is_cancelled_takes_nothing(kind):
    queue = kind(1)
    (reader,) = await started(queue.get())
    queue.put_nowait("kept")
    reader.cancel()
    await asyncio.wait([reader])
    assert reader.cancelled()
    assert await result(queue.get()) == "kept"


@KINDS
async def test_a_writer_that_is_cancelled_puts_nothing(kind):
    queue = kind(1)
    queue.put_nowait("first")
    gone, writer = await started(queue.put("gone"), queue.put("second"))
    gone.cancel()
    assert [await result(queue.get()), await result(queue.get())] == ["first", "second"]
    await result(writer)
    assert queue.empty()


@KINDS
async def test_what_is_there_is_read_after_the_end(kind):
    queue = kind(1)
    queue.put_nowait("last")
    (writer,) = await started(queue.put("too late"))
    queue.shutdown()
    with pytest.raises(asyncio.QueueShutDown):
        await result(writer)
    with pytest.raises(asyncio.QueueShutDown):
        queue.put_nowait("too late")
    assert await result(queue.get()) == "last"
    with pytest.raises(asyncio.QueueShutDown):
        await result(queue.get())


@KINDS
async def test_the_end_at_once_drops_what_waits(kind):
    queue = kind(1)
    (reader,) = await started(queue.get())
    queue.shutdown(immediate=True)
    with pytest.raises(asyncio.QueueShutDown):
        await result(reader)
    full = kind(1)
    full.put_nowait("dropped")
    (writer,) = await started(full.put("too late"))
    full.shutdown(immediate=True)
    with pytest.raises(asyncio.QueueShutDown):
        await result(writer)
    with pytest.raises(asyncio.QueueShutDown):
        await result(full.get())
