"""Random faults on all sides of a running service for a set time; then the laws are judged: no crash, no leak, nothing lost."""

import argparse
import asyncio
import json
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from time import monotonic
from typing import Any

import chaos_application
import chaos_laws
import chaos_soniox
from chaos_callers import NUMBERS, ORIGIN, STAYS, TOKEN, World
from chaos_service import LOOK_S, Served, inside, killed_again_and_again

from voicebot.local.phone.options import DEFAULT_AUTH_TOKEN
from voicebot.wire.webhook import new_secret

SECRET = new_secret(bytes(range(32)))
DRAIN_S = 90.0


def settings(folder: Path, soniox: str, application: str) -> dict[str, Any]:
    """Return the settings of the service: everything that waits waits a short time."""
    return {
        "public_url": ORIGIN,
        "twilio": {
            "auth_token": DEFAULT_AUTH_TOKEN,
            "start_timeout_s": 2,
            "silence_timeout_s": 5,
            "ping_s": 2,
            "mark_timeout_s": 2,
            "resume_timeout_s": 20,
        },
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
        "limits": {"hangup_timeout_s": 3, "max_lag_ms": 0},
        "default": {"turns": {"finalize_after_ms": 300, "commit_after_ms": 700}},
        "numbers": {
            NUMBERS[1]: {"turns": {"provisional": True}, "filler": {"after_ms": 300, "actions": [_SAY]}},
            NUMBERS[2]: {"webhook_url": f"{application}/gone"},
            NUMBERS[3]: {"mode": "transcribe", "then": "<Pause length='60'/>"},
        },
    }


_SAY = {"type": "say", "text": "One moment."}


@dataclass(slots=True)
class Chaos:
    """One run under way."""

    served: Served
    world: World
    soniox: chaos_soniox.Soniox
    application: chaos_application.Application

    async def rage(self, calls: int, seconds: float) -> None:
        """Keep so many calls alive, with everything that goes wrong, until the time is over and the last one has ended."""
        until = monotonic() + seconds
        async with asyncio.TaskGroup() as group:
            for _ in range(calls):
                group.create_task(self._again(self.world.call, until, 1.0))
            group.create_task(self._again(self.world.meddle, until, 0.5))
            group.create_task(self._again(self.world.watch, until, 0.5))
            group.create_task(self._again(self.world.watch, until, 1.0))
            group.create_task(self._again(self.world.occupy_the_store, until, 4.0))
            await self.served.suffer(seconds)

    async def _again(self, once: Callable[[], Awaitable[None]], until: float, pause_s: float) -> None:
        while monotonic() < until:
            await asyncio.sleep(self.world.chance.random() * pause_s)
            await once()

    async def settle(self) -> str:
        """Heal everything and wait until nothing is under way any more; returns what still is, empty when nothing is."""
        self.soniox.trouble = self.application.trouble = self.world.trouble = 0
        try:
            async with asyncio.timeout(DRAIN_S):
                while not await asyncio.to_thread(chaos_laws.at_rest, self.world.database):  # noqa: ASYNC110 - no bell
                    await asyncio.sleep(LOOK_S)
                await self.served.rest()
        except TimeoutError:
            return f"not at rest after {DRAIN_S:g} s"
        return ""

    def outcome(self) -> chaos_laws.Outcome:
        """Return what the laws look at."""
        callers = self.world.callers
        stored = chaos_laws.stored(self.world.database)
        return replace(
            stored,
            heard=frozenset(self.soniox.heard),
            settled=self.soniox.settled,
            callers={caller.carrier_id: number for number, caller in callers.items()},
            stayed=frozenset(each.carrier_id for each in callers.values() if each.fault in STAYS and each.comes_back),
            seen=frozenset(self.application.first),
            changed=self.application.changed,
            unsigned=self.application.unsigned,
            **self.served.facts(stored.deaf),
        )


@asynccontextmanager
async def raging(seed: int, *, killed: bool) -> AsyncIterator[Chaos]:
    """Start the service and everybody around it."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        soniox = chaos_soniox.Soniox(Random(f"{seed} soniox"))
        application = chaos_application.Application(Random(f"{seed} application"), SECRET)
        soniox_url = await stack.enter_async_context(chaos_soniox.serving(soniox))
        application_url = await stack.enter_async_context(chaos_application.serving(application))
        chosen = settings(folder, soniox_url, application_url)
        served: Served = await stack.enter_async_context(
            killed_again_and_again(chosen, folder, Random(f"{seed} kills")) if killed else inside(chosen)
        )
        world = World(Random(f"{seed} world"), served.address, folder / "calls.db")
        yield Chaos(served, world, soniox, application)


async def run(seed: int, calls: int, seconds: float, *, killed: bool = False) -> tuple[dict[str, Any], bool]:
    """Make one run; returns its figures, and whether all laws hold."""
    began = monotonic()
    async with raging(seed, killed=killed) as chaos:
        await chaos.rage(calls, seconds)
        stuck = await chaos.settle()
        outcome = chaos.outcome()
    broken = chaos_laws.violations(outcome)
    if stuck:
        broken["the service comes to rest"] = [stuck]
    injected = chaos.soniox.injected + chaos.application.injected + chaos.world.injected
    injected["service_killed"] = len(outcome.kills)
    figures = {
        "seed": seed,
        "seconds": round(monotonic() - began, 1),
        "calls": len(outcome.calls),
        "dialled": chaos.world.dialled,
        "sessions": chaos.soniox.sessions,
        "words": len(outcome.heard),
        "events": len(outcome.events),
        "resumed": sum(event.type == "call.resumed" for event in outcome.events),
        "repeated": sum(count > 1 for count in chaos.application.times.values()),
        "log_lines": chaos.served.lines,
        "open_files": outcome.files,
        "memory_kib": outcome.memory_kib,
        "reasons": dict(Counter(outcome.calls.values())),
        "faults": dict(sorted(injected.items())),
        "broken": {law: found[:10] for law, found in broken.items()},
    }
    return figures, not broken


def main() -> int:
    """Print the figures as JSON; the exit code is 1 when a law does not hold, with the seed to run it again."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--calls", type=int, default=20, help="at a time")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kill", action="store_true", help="the service is a process that is killed again and again")
    arguments = parser.parse_args()
    figures, good = asyncio.run(run(arguments.seed, arguments.calls, arguments.seconds, killed=arguments.kill))
    print(json.dumps(figures, indent=1))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
