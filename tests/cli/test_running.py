"""A command that waits for long is done when it is done, and over when it is interrupted."""

import asyncio
import os
import signal

import pytest

from voicebot.cli import running


async def test_in_another_thread_it_just_runs():
    async def work():
        return 7

    assert await asyncio.to_thread(lambda: running.run(work())) == 7


def test_an_interrupt_wakes_a_loop_that_waits():
    ended = []

    async def work():
        # What the kernel's signal is written to: without it one that comes just before the wait would be seen after it.
        socket = signal.set_wakeup_fd(-1)
        signal.set_wakeup_fd(socket)
        assert socket >= 0
        asyncio.get_running_loop().call_soon(os.kill, os.getpid(), signal.SIGINT)
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            ended.append("cleanly")

    with pytest.raises(KeyboardInterrupt):
        running.run(work())
    assert ended == ["cleanly"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_second_interrupt_does_not_wait():
    ended = []

    async def work():
        asyncio.get_running_loop().call_soon(os.kill, os.getpid(), signal.SIGINT)
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            os.kill(os.getpid(), signal.SIGINT)
            ended.append("slowly")

    with pytest.raises(KeyboardInterrupt):
        running.run(work())
    assert ended == []


def test_an_error_passes():
    async def work():
        raise ValueError("of the work")

    with pytest.raises(ValueError, match="of the work"):
        running.run(work())
