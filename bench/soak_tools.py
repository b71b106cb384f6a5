"""The two load tools of the soak, each in a process of its own: the far side, and phones whose calls come and go."""

import argparse
import asyncio
import random
import time
from array import array
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import control
import figures
import uvloop
from book import Book
from counterparts import Door
from dialling import dial
from line import PAUSES_MS, SPEAKS_MS, Caller, DialError
from pacing import Pacer

SHORTEST = 0.25
"""A call lasts from so much of the mean to so much more than it, evenly spread."""


async def far_side() -> None:
    """Serve Soniox's sockets and the webhooks; each `window` tells what came since the last one."""
    book, done = Book(recording=True), asyncio.Event()

    def window() -> Mapping[str, Any]:
        told = book.report()
        for samples in (book.newest, book.every, book.hooks):
            del samples[:]
        return told

    server = await asyncio.get_running_loop().create_server(lambda: Door(book, speak=True), "127.0.0.1", 0)
    control.listen({"window": window}, done)
    control.tell({"port": server.sockets[0].getsockname()[1]})
    await done.wait()
    server.close()


class Churn:
    """Keeps a number of lines busy: where a call has ended, another begins."""

    def __init__(self, caller: Caller, calls: int, mean_s: float, seed: int) -> None:
        self._caller, self._calls, self._mean_s = caller, calls, mean_s
        self._chance = random.Random(seed)
        self._pacer = Pacer(calls)
        self._setups = array("d")
        self._dialled = self._ended = self._failed = self._lost = 0
        self._over = asyncio.Event()

    async def run(self, rate: float) -> None:
        """Dial `rate` calls a second until all lines are busy, and go on until told to stop."""
        self._pacer.start()
        async with asyncio.TaskGroup() as group:
            for place in range(self._calls):
                group.create_task(self._keep_busy(place, place / rate))

    def commands(self) -> control.Commands:
        """Return what can be asked."""
        return {"window": self._window, "stop": self._stop}

    async def _keep_busy(self, place: int, wait_s: float) -> None:
        await asyncio.sleep(wait_s)
        while not self._over.is_set():
            self._dialled += 1
            began = time.monotonic()
            try:
                line = await dial(self._caller, self._dialled)
            except (DialError, OSError):
                self._failed += 1
                await asyncio.sleep(1)
                continue
            self._setups.append((time.monotonic() - began) * 1_000)
            self._pacer.put(place, line)
            until = began + self._mean_s * self._chance.uniform(SHORTEST, 2 - SHORTEST)
            with suppress(TimeoutError):
                async with asyncio.timeout(until - time.monotonic()):
                    await self._over.wait()
            self._pacer.put(place, None)
            self._lost += line.lost
            line.hang_up()
            self._ended += 1

    def _window(self) -> Mapping[str, Any]:
        told = {
            "live": sum(line is not None for line in self._pacer.lines),
            "dialled": self._dialled,
            "ended": self._ended,
            "failed": self._failed,
            "lost": self._lost,
            "setup_ms": figures.spread(self._setups),
        }
        del self._setups[:]
        return told

    def _stop(self) -> Mapping[str, Any]:
        self._over.set()
        return {}


async def phones(arguments: argparse.Namespace) -> None:
    """Keep calls alive until standard input ends."""
    caller = Caller(arguments.voice_url, arguments.auth_token, arguments.speech_ms, arguments.pause_ms)
    churn, done = Churn(caller, arguments.calls, arguments.mean_s, arguments.seed), asyncio.Event()
    control.listen(churn.commands(), done)
    control.tell({})
    async with asyncio.TaskGroup() as group:
        lines = group.create_task(churn.run(arguments.rate))
        await done.wait()
        lines.cancel()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tool", choices=("far-side", "phones"))
    parser.add_argument("--voice-url")
    parser.add_argument("--auth-token")
    parser.add_argument("--calls", type=int)
    parser.add_argument("--mean-s", type=float)
    parser.add_argument("--rate", type=float, default=5.0)
    parser.add_argument("--speech-ms", type=int, default=SPEAKS_MS)
    parser.add_argument("--pause-ms", type=int, default=PAUSES_MS)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    uvloop.run(far_side() if given.tool == "far-side" else phones(given))
