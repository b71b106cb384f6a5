"""Many calls that come and go for half an hour: are memory, files, processor time and latency as flat at the end as before?"""

import argparse
import asyncio
import json
import os
import re
import sqlite3
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack, closing
from pathlib import Path
from typing import Any

import aiohttp
import machine
import soak_start
import soak_trend
import systems
from measure import WARNING, Tool

EVERY_S = 10.0
WARM_UP = 0.1
"""So much of the time at the beginning is left out: lines fill, caches warm."""
LAG = re.compile(r'^voicebot_loop_lag_window_seconds{quantile="0.99"} ([-+.eE\d]+)$', re.MULTILINE)
DRAIN_S = 60.0
MEAN_CALL_S = 60.0


async def soak(arguments: argparse.Namespace) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Run it; returns the samples, and what was left at the end."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="voicebot-soak-")))
        own, tools = machine.cores(pin=not arguments.no_pin)
        far_side = await stack.enter_async_context(soak_start.tool(tools, "far-side"))
        place = systems.Place(
            port=soak_start.free_port(),
            counterparts=(await far_side.answer())["port"],
            calls=arguments.calls,
            folder=folder,
        )
        service = await stack.enter_async_context(soak_start.service(own, place))
        seconds = arguments.minutes * 60
        mean_s = min(MEAN_CALL_S, seconds / 4)
        words = ("--voice-url", f"{place.origin}/twilio/voice", "--auth-token", systems.AUTH_TOKEN)
        more = ("--calls", str(arguments.calls), "--mean-s", str(mean_s), "--rate", str(arguments.rate))
        phones = await stack.enter_async_context(soak_start.tool(tools, "phones", *words, *more))
        await phones.answer()
        looking = _Looking(service.pid, place, far_side, phones, tools)
        samples = await looking.look_for(seconds, min(arguments.every, seconds / 10))
        await phones.ask("stop")
        return samples, await looking.end()


class _Looking:
    """Looks at everything again and again."""

    def __init__(self, pid: int, place: systems.Place, far_side: Tool, phones: Tool, beside: frozenset[int]) -> None:
        self._pid, self._place, self._far_side, self._phones = pid, place, far_side, phones
        self._beside = beside
        self._began = self._last = time.monotonic()
        self._cpu_s = machine.cpu_s(pid)[0]

    async def look_for(self, seconds: float, every_s: float) -> list[dict[str, Any]]:
        """Return a sample for each interval."""
        samples = []
        while (now := time.monotonic()) < self._began + seconds:
            await asyncio.sleep(min(every_s, self._began + seconds - now))
            samples.append(await self._look())
            print(json.dumps(samples[-1]), file=sys.stderr, flush=True)
        return samples

    async def _look(self) -> dict[str, Any]:
        now, cpu_s = time.monotonic(), machine.cpu_s(self._pid)[0]
        busy, self._cpu_s = (cpu_s - self._cpu_s) / (now - self._last), cpu_s
        self._last = now
        work_ms = await asyncio.to_thread(self._work_ms)
        far, phones = await self._far_side.ask("window"), await self._phones.ask("window")
        return {
            "at_s": round(now - self._began, 1),
            "rss_mib": round(machine.rss_kib(self._pid) / 1_024, 2),
            "cpu_percent": round(100 * busy, 1),
            "work_ms": round(work_ms, 3),
            "cpu_per_work": round(100 * busy / work_ms, 3),
            "files": len(os.listdir(f"/proc/{self._pid}/fd")),  # noqa: PTH208 - names alone
            "live": phones["live"],
            "dialled": phones["dialled"],
            "ended": phones["ended"],
            "failed": phones["failed"],
            "lost": phones["lost"],
            "pending": await asyncio.to_thread(_pending, self._place.folder / "bench.db"),
            "loop_lag_ms": await self._lag(),
            "forward_p50_ms": far["forward_newest_ms"]["p50"],
            "forward_p99_ms": far["forward_newest_ms"]["p99"],
            "webhook_p50_ms": far["end_to_webhook_ms"]["p50"],
            "webhook_p99_ms": far["end_to_webhook_ms"]["p99"],
            "frames_disordered": far["disordered"],
            "webhooks": far["webhooks"],
            "calls_ended": far["calls_ended"],
        }

    def _work_ms(self) -> float:
        with machine.pinned(*self._beside):  # this thread alone
            return machine.work_ms()

    async def _lag(self) -> float | None:
        """Return the largest lag of the event loop that the service tells of, None where it tells of none."""
        async with aiohttp.ClientSession() as session, session.get(f"{self._place.origin}/metrics") as response:
            lags = [float(value) for value in LAG.findall(await response.text())]
        return round(max(lags) * 1_000, 2) if lags else None

    async def end(self) -> dict[str, Any]:
        """Wait until every call has ended and every event was told; return what is left then."""
        until = time.monotonic() + DRAIN_S
        while True:
            last = await self._look()
            if (last["calls_ended"] >= last["ended"] > 0 and not last["live"] and not last["pending"]) or (
                time.monotonic() > until
            ):
                log = (self._place.folder / "log").read_bytes()
                return last | {"log_warnings": len(WARNING.findall(log))}
            await asyncio.sleep(1)


def _pending(database: Path) -> int:
    with closing(sqlite3.connect(database, timeout=30)) as connection:
        found: int = connection.execute("select count(*) from events where state = 'pending'").fetchone()[0]
        return found


def judge(found: Mapping[str, soak_trend.Trend], end: Mapping[str, Any]) -> list[str]:
    """Return what is not as it should be; that memory or latency falls is no fault."""
    judged = {name: each for name, each in found.items() if name not in soak_trend.OF_THE_MACHINE}
    growing = [name for name, each in judged.items() if not each.flat and each.slope > 0]
    left = {name: end[name] for name in ("live", "pending", "failed", "lost", "frames_disordered") if end[name]}
    missing = {"calls without an end": end["ended"] - end["calls_ended"]} if end["ended"] != end["calls_ended"] else {}
    return [f"{name} grows" for name in growing] + [f"{name}: {count}" for name, count in (left | missing).items()]


def main() -> int:
    """Print the table; the exit code is 1 when something grows, is left or was lost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=200)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--rate", type=float, default=5.0, help="first calls set up a second")
    parser.add_argument("--every", type=float, default=EVERY_S, help="seconds between two looks")
    parser.add_argument("--no-pin", action="store_true", help="give the service no core of its own")
    parser.add_argument("--out", type=Path, help="a folder for soak.json, soak.md and soak.svg")
    arguments = parser.parse_args()
    samples, end = machine.run(soak(arguments))
    warm = [sample for sample in samples if sample["at_s"] >= WARM_UP * arguments.minutes * 60]
    found = soak_trend.trends(warm)
    faults = judge(found, end)
    text = soak_trend.table(found)
    if arguments.out:
        arguments.out.mkdir(parents=True, exist_ok=True)
        (arguments.out / "soak.md").write_text(text, encoding="utf-8")
        whole = {"machine": machine.describe(), "samples": samples, "end": end, "faults": faults}
        (arguments.out / "soak.json").write_text(json.dumps(whole, indent=1), encoding="utf-8")
        soak_trend.draw(warm, arguments.out / "soak.svg")
    print(text)
    print(f"{end['dialled']} calls, {end['webhooks']} webhooks;", "; ".join(faults) or "everything flat, nothing left")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
