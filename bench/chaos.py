"""Random faults on all sides of a running service for a set time; then the laws are judged: no crash, no leak, nothing lost."""

import argparse
import asyncio
import json
import logging
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from time import monotonic
from typing import Any, override

import chaos_application
import chaos_laws
import chaos_soniox
import structlog
from chaos_callers import NUMBERS, ORIGIN, TOKEN, World
from machine import rss_kib

from voicebot.app import Service, running
from voicebot.config import Settings
from voicebot.local.phone.options import DEFAULT_AUTH_TOKEN
from voicebot.wire.webhook import new_secret

SECRET = new_secret(bytes(range(32)))
WARM_UP = 0.4
"""After so much of the time memory is measured for the first time."""
DRAIN_S = 60.0
LOOK_S = 0.2
SHOWN = 1_500
ALARMING = {"call.failed", "call.broken"}
EXPECTED = {"door.stream_error"}
"""Logged as an error because an operator has to know, and ordered here."""


@dataclass(slots=True)
class Log:
    """Counts what is logged and keeps what is alarming."""

    alarming: list[str] = field(default_factory=list[str])
    lines: int = 0

    def take(self, _logger: object, level: str, entry: MutableMapping[str, Any]) -> Any:
        """Take one entry; nothing is printed."""
        self.lines += 1
        bad = level in {"error", "critical"} and entry["event"] not in EXPECTED
        if bad or entry["event"] in ALARMING or "exception" in entry:
            self.alarming.append(str(entry)[:SHOWN])
        raise structlog.DropEvent


class Listener(logging.Handler):
    """Listens to asyncio, aiohttp and websockets."""

    def __init__(self, log: Log) -> None:
        super().__init__(logging.ERROR)
        self._log = log

    @override
    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info and record.exc_info[1]
        self._log.alarming.append(f"{record.name}: {record.getMessage()} {error!r}"[:SHOWN])


def settings(folder: Path, soniox: str, application: str) -> Settings:
    """Return the settings of the service: everything that waits waits a short time."""
    return Settings.model_validate(
        {
            "host": "127.0.0.1",
            "port": 0,
            "public_url": ORIGIN,
            "twilio": {"auth_token": DEFAULT_AUTH_TOKEN, "silence_timeout_s": 5, "mark_timeout_s": 2},
            "soniox": {
                "api_key": "k",
                "stt_url": f"{soniox}/transcribe-websocket",
                "tts_url": f"{soniox}/tts-websocket",
                "retry_wait_s": 0.05,
                "finish_timeout_s": 10,
                "tts_idle_close_s": 1,
                "tts_first_audio_timeout_s": 1,
            },
            "webhook": {
                "url": f"{application}/hook",
                "secrets": [SECRET],
                "retry_waits_s": [0.1, 0.3],
                "reply_deadline_s": 4,
                "attempt_timeout_s": 3,
                "inform_timeout_s": 2,
                "schedule_s": [0.2, 0.4, 0.8, *[1] * 60],
                "background_timeout_s": 3,
            },
            "store": {"url": f"sqlite:///{folder / 'calls.db'}"},
            "play": {"allow_private": True, "timeout_s": 2},
            "api": {"tokens": [{"name": "chaos", "token": TOKEN, "scopes": ["admin"]}]},
            "limits": {"hangup_timeout_s": 3},
            "default": {"turns": {"finalize_after_ms": 300, "commit_after_ms": 700}},
            "numbers": {
                NUMBERS[1]: {"turns": {"provisional": True}, "filler": {"after_ms": 300, "actions": [_SAY]}},
                NUMBERS[2]: {"webhook_url": f"{application}/gone"},
            },
        }
    )


_SAY = {"type": "say", "text": "One moment."}


@dataclass(slots=True)
class Chaos:
    """One run under way."""

    service: Service
    world: World
    soniox: chaos_soniox.Soniox
    application: chaos_application.Application
    log: Log
    tasks: frozenset[asyncio.Task[Any]]
    """Those that were there before the first call."""
    files: int
    warm_kib: int = 0

    async def rage(self, calls: int, seconds: float) -> None:
        """Keep so many calls alive, with everything that goes wrong, until the time is over and the last one has ended."""
        until = monotonic() + seconds
        async with asyncio.TaskGroup() as group:
            for _ in range(calls):
                group.create_task(self._again(self.world.call, until, 1.0))
            group.create_task(self._again(lambda: self.world.meddle(self.service.calls), until, 0.5))
            group.create_task(self._again(self.world.watch, until, 0.5))
            group.create_task(self._again(self.world.watch, until, 1.0))
            group.create_task(self._again(self.world.occupy_the_store, until, 4.0))
            await asyncio.sleep(seconds * WARM_UP)
            self.warm_kib = rss_kib(os.getpid())

    async def _again(self, once: Callable[[], Awaitable[None]], until: float, pause_s: float) -> None:
        while monotonic() < until:
            await asyncio.sleep(self.world.chance.random() * pause_s)
            await once()

    async def settle(self) -> None:
        """Heal everything and wait until nothing is under way any more."""
        self.soniox.trouble = self.application.trouble = self.world.trouble = 0
        async with asyncio.timeout(DRAIN_S):
            await self.service.calls.wait_empty()
            while await asyncio.to_thread(chaos_laws.pending, self.world.database):  # noqa: ASYNC110 - it rings no bell
                await asyncio.sleep(LOOK_S)
            while self._left():  # noqa: ASYNC110 - connections that are kept for a moment end by themselves
                await asyncio.sleep(LOOK_S)

    def _left(self) -> list[str]:
        current = asyncio.current_task()
        return [repr(task)[:300] for task in asyncio.all_tasks() if task not in self.tasks and task is not current]

    def outcome(self) -> chaos_laws.Outcome:
        """Return what the laws look at."""
        return replace(
            chaos_laws.stored(self.world.database),
            settled=self.soniox.settled,
            seen=frozenset(self.application.first),
            changed=self.application.changed,
            unsigned=self.application.unsigned,
            logged=tuple(self.log.alarming),
            left=tuple(self._left()),
            files=(self.files, _open_files()),
            memory_kib=(self.warm_kib, rss_kib(os.getpid())),
        )


@asynccontextmanager
async def raging(seed: int, log: Log) -> AsyncIterator[Chaos]:
    """Start the service and everybody around it."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        soniox = chaos_soniox.Soniox(Random(f"{seed} soniox"))
        application = chaos_application.Application(Random(f"{seed} application"), SECRET)
        soniox_url = await stack.enter_async_context(chaos_soniox.serving(soniox))
        application_url = await stack.enter_async_context(chaos_application.serving(application))
        service = await stack.enter_async_context(running(settings(folder, soniox_url, application_url)))
        world = World(Random(f"{seed} world"), f"http://127.0.0.1:{service.port}", folder / "calls.db")
        await asyncio.sleep(LOOK_S)
        yield Chaos(service, world, soniox, application, log, frozenset(asyncio.all_tasks()), _open_files())


async def run(seed: int, calls: int, seconds: float) -> tuple[dict[str, Any], bool]:
    """Make one run; returns its figures, and whether all laws hold."""
    log, began = Log(), monotonic()
    structlog.configure(
        processors=[structlog.processors.format_exc_info, log.take],
        wrapper_class=structlog.make_filtering_bound_logger(0),
        cache_logger_on_first_use=False,
    )
    handler = Listener(log)
    logging.getLogger().addHandler(handler)
    stuck = ""
    try:
        async with raging(seed, log) as chaos:
            await chaos.rage(calls, seconds)
            try:
                await chaos.settle()
            except TimeoutError:
                stuck = f"not at rest after {DRAIN_S:g} s: {len(chaos.service.calls)} calls"
            outcome = chaos.outcome()
    finally:
        logging.getLogger().removeHandler(handler)
        structlog.reset_defaults()
    broken = chaos_laws.violations(outcome)
    if stuck:
        broken["the service comes to rest"] = [stuck]
    injected = chaos.soniox.injected + chaos.application.injected + chaos.world.injected
    figures = {
        "seed": seed,
        "seconds": round(monotonic() - began, 1),
        "calls": len(outcome.calls),
        "dialled": chaos.world.dialled,
        "sessions": len(outcome.settled),
        "words": sum(map(len, outcome.settled)),
        "events": len(outcome.events),
        "repeated": sum(count > 1 for count in chaos.application.times.values()),
        "log_lines": log.lines,
        "open_files": outcome.files,
        "memory_kib": outcome.memory_kib,
        "faults": dict(sorted(injected.items())),
        "broken": {law: found[:10] for law, found in broken.items()},
    }
    return figures, not broken


def _open_files() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - names alone


def main() -> int:
    """Print the figures as JSON; the exit code is 1 when a law does not hold, with the seed to run it again."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--calls", type=int, default=20, help="at a time")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    figures, good = asyncio.run(run(arguments.seed, arguments.calls, arguments.seconds))
    print(json.dumps(figures, indent=1))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
