"""The service of the chaos run: in this process, where its tasks and files can be counted, or one that is killed again and again."""

import asyncio
import json
import logging
import os
import signal
from collections.abc import AsyncIterator, Iterator, Mapping, MutableMapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from time import monotonic
from typing import Any, Protocol, override

import structlog
from lives import Entry, Lives, free_port, lives
from machine import rss_kib

from voicebot.app import Service, running
from voicebot.config import Settings

WARM_UP = 0.4
"""After so much of the time memory is measured for the first time."""
LOOK_S = 0.2
LIFE_S = (2.0, 12.0)
"""A life that is to be killed lasts so long."""
SHOWN = 1_500
ALARMING = frozenset({"call.failed", "call.broken"})
EXPECTED = frozenset({"door.stream_error"})
"""Logged as an error because an operator has to know, and ordered here."""
DEAF = frozenset({"stt.failed", "stt.finish_unanswered"})
"""Lines of calls that did not hear everything."""


class Served(Protocol):
    """The service as the run needs it."""

    address: str

    @property
    def lines(self) -> int:
        """How many lines it has logged."""

    async def suffer(self, seconds: float) -> None:
        """Live through so much time, with what is to happen to the service itself."""

    async def rest(self) -> None:
        """Wait until nothing is left of the calls, which are over."""

    def facts(self, deaf: frozenset[str]) -> dict[str, Any]:
        """Return what the laws look at, beside the store; `deaf` are the calls that are known not to hear everything."""


@dataclass(slots=True)
class Log:
    """Counts what is logged and keeps what is alarming."""

    alarming: list[str] = field(default_factory=list[str])
    deaf: set[str] = field(default_factory=set[str])
    lines: int = 0

    def take(self, entry: Mapping[str, Any], level: str) -> None:
        """Take one entry."""
        self.lines += 1
        bad = level in {"error", "critical"} and entry["event"] not in EXPECTED and entry["event"] not in DEAF
        if bad or entry["event"] in ALARMING or "exception" in entry:
            self.alarming.append(str(dict(entry))[:SHOWN])
        if entry["event"] in DEAF or (entry["event"] == "call.ended" and entry["dropped_ms"]):
            self.deaf.add(entry.get("call", ""))


class Listener(logging.Handler):
    """Listens to asyncio, aiohttp and websockets."""

    def __init__(self, log: Log) -> None:
        super().__init__(logging.ERROR)
        self._log = log

    @override
    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info and record.exc_info[1]
        self._log.alarming.append(f"{record.name}: {record.getMessage()} {error!r}"[:SHOWN])


@dataclass(slots=True)
class Inside:
    """A service in this process; nothing may be left of its calls."""

    service: Service
    log: Log
    tasks: frozenset[asyncio.Task[Any]]
    """Those that were there before the first call."""
    files: int
    address: str
    warm_kib: int = 0

    @property
    def lines(self) -> int:
        """As promised."""
        return self.log.lines

    async def suffer(self, seconds: float) -> None:
        """Nothing happens to it but that its memory is measured."""
        await asyncio.sleep(seconds * WARM_UP)
        self.warm_kib = rss_kib(os.getpid())

    async def rest(self) -> None:
        """Wait for tasks, too."""
        await self.service.calls.wait_empty()
        while self._left():  # noqa: ASYNC110 - connections that are kept for a moment end by themselves
            await asyncio.sleep(LOOK_S)

    def facts(self, deaf: frozenset[str]) -> dict[str, Any]:
        """As promised."""
        return {
            "logged": tuple(self.log.alarming),
            "deaf": deaf | self.log.deaf,
            "left": tuple(self._left()),
            "files": (self.files, _open_files()),
            "memory_kib": (self.warm_kib, rss_kib(os.getpid())),
        }

    def _left(self) -> list[str]:
        current = asyncio.current_task()
        return [repr(task)[:300] for task in asyncio.all_tasks() if task not in self.tasks and task is not current]


@asynccontextmanager
async def inside(chosen: Mapping[str, Any]) -> AsyncIterator[Inside]:
    """Run the service in this process."""
    log = Log()

    def capture(_logger: object, level: str, entry: MutableMapping[str, Any]) -> Any:
        log.take(entry, level)
        raise structlog.DropEvent

    structlog.configure(
        processors=[structlog.contextvars.merge_contextvars, structlog.processors.format_exc_info, capture],
        wrapper_class=structlog.make_filtering_bound_logger(0),
        cache_logger_on_first_use=False,
    )
    handler = Listener(log)
    logging.getLogger().addHandler(handler)
    try:
        async with running(Settings.model_validate({**chosen, "host": "127.0.0.1", "port": 0})) as service:
            await asyncio.sleep(LOOK_S)
            address = f"http://127.0.0.1:{service.port}"
            yield Inside(service, log, frozenset(asyncio.all_tasks()), _open_files(), address)
    finally:
        logging.getLogger().removeHandler(handler)
        structlog.reset_defaults()


@dataclass(slots=True)
class Killed:
    """A service that is a process; it ends when it is killed, and at last in order."""

    lives: Lives
    log: Log
    chance: Random
    address: str
    kills: list[float] = field(default_factory=list[float])
    deaths: list[str] = field(default_factory=list[str])

    @property
    def lines(self) -> int:
        """As promised."""
        return self.log.lines

    async def suffer(self, seconds: float) -> None:
        """Kill it at random moments and start it again at once."""
        until = monotonic() + seconds
        while (life_s := self.chance.uniform(*LIFE_S)) < until - monotonic():
            await asyncio.sleep(life_s)
            self.kills.append(monotonic())
            self._judge(await self.lives.kill(), -signal.SIGKILL)
            await self.lives.begin()

    async def rest(self) -> None:
        """Let it end in order."""
        self.lives.send(signal.SIGTERM)
        self._judge(await self.lives.ended(), 0)

    def facts(self, deaf: frozenset[str]) -> dict[str, Any]:
        """As promised."""
        return {
            "logged": tuple(self.log.alarming),
            "deaf": deaf | self.log.deaf,
            "kills": tuple(self.kills),
            "deaths": tuple(self.deaths),
        }

    def _judge(self, code: int, ordered: int) -> None:
        if code != ordered:
            self.deaths.append(f"ended with {code}, ordered was {ordered}")


@asynccontextmanager
async def killed_again_and_again(chosen: Mapping[str, Any], folder: Path, chance: Random) -> AsyncIterator[Killed]:
    """Run the service as a process of its own."""
    log, port = Log(), free_port()

    def take(entry: Entry) -> None:
        log.take(entry, entry["level"])

    async with lives(dict(_variables(chosen)), port, folder, take) as served:
        await served.begin()
        yield Killed(served, log, chance, f"http://127.0.0.1:{port}")


def _variables(chosen: Mapping[str, Any], above: str = "VOICEBOT_") -> Iterator[tuple[str, str]]:
    """Yield the settings as variables: one for each, and one for all numbers."""
    for name, value in chosen.items():
        variable = above + name.upper()
        if isinstance(value, dict) and name != "numbers":
            yield from _variables(value, f"{variable}__")
        else:
            yield variable, value if isinstance(value, str) else json.dumps(value)


def _open_files() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - names alone
