"""Runs a command's work until it is done or interrupted."""

import asyncio
import signal
from collections.abc import Coroutine
from contextlib import suppress


def run[T](work: Coroutine[None, None, T]) -> T:
    """Like asyncio.run, for work that may wait for long; raises KeyboardInterrupt.

    asyncio's own handler is Python code: an interrupt between its last look for signals and the wait for events is seen at
    the next event, whenever that comes. A handler of the loop wakes it. A second interrupt ends at once, as always.
    """

    async def interruptible() -> T:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()

        def interrupt() -> None:
            loop.remove_signal_handler(signal.SIGINT)
            if task is not None:
                task.cancel()

        with suppress(NotImplementedError, RuntimeError):  # Windows; another thread than the main one
            loop.add_signal_handler(signal.SIGINT, interrupt)
        return await work

    try:
        return asyncio.run(interruptible())
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None
