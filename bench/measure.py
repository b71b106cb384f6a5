"""One run: starts a system and its counterparts, lets the phones ring, measures a window, and counts what came."""

import asyncio
import json
import re
import socket
import sys
import tempfile
import time
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import machine
import systems
from figures import Run

START_TIMEOUT_S = 30
ANSWER_TIMEOUT_S = 60
DRAIN_TIMEOUT_S = 20
POLL_S = 0.1
LOG_TAIL_BYTES = 2_000
WARNING = re.compile(rb'"level": ?"(?:warning|error|critical)"')
LOOP_LAG = re.compile(r"^(voicebot_\w*loop_lag\w*(?:\{[^}]*\})?) ([-+.eE\d]+)$", re.MULTILINE)
WORKER_UP = re.compile(r"^voicebot_worker_up\{[^}]*\} 1(?:\.0)?$", re.MULTILINE)


class RunFailedError(Exception):
    """The run has no result; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One run."""

    system: systems.Name
    calls: int
    seconds: float
    settle_s: float
    rate: float
    speech_ms: int
    pause_ms: int
    mix: bool
    """The bot speaks, some callers barge in, and some calls are watched."""
    tls: bool
    """Between the system and Soniox."""
    pin: bool
    workers: int = 1
    """Processes of the service; the reference bridge is always one."""
    settings: Mapping[str, str] = field(default_factory=dict[str, str])
    base: Path | None = None
    """The Python of the other commit."""
    wrap: tuple[str, ...] = ()
    """Words before the service's command line, for a profiler."""

    @property
    def cores(self) -> tuple[frozenset[int], frozenset[int]]:
        """The cores to pin the service and the load tools to, none when nothing is pinned."""
        return machine.cores(self.workers, pin=self.pin)


class Tool:
    """A load tool and what it answers."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self.pid = process.pid

    async def ask(self, word: str) -> dict[str, Any]:
        """Send one word and return the answer."""
        if self._process.stdin is None:
            raise RunFailedError("a load tool has no input")
        self._process.stdin.write(f"{word}\n".encode())
        return await self.answer()

    async def answer(self, within_s: float = ANSWER_TIMEOUT_S) -> dict[str, Any]:
        """Return the next answer; raises RunFailedError when there is none in time."""
        line = b""
        if self._process.stdout is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(within_s):
                    line = await self._process.stdout.readline()
        if not line:
            raise RunFailedError("a load tool has stopped or does not answer; its error, if any, is above")
        answer: dict[str, Any] = json.loads(line)
        return answer


async def run(plan: Plan, say: Callable[[str], None]) -> Run:
    """Make one run; `say` is told what is going on. Raises RunFailedError."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="voicebot-bench-")))
        _, tools = plan.cores
        words = (*(["--speak"] * plan.mix), *(["--certificate", str(_certificate(folder))] if plan.tls else []))
        far_side = await stack.enter_async_context(_tool(tools, "counterparts.py", *words))
        ports = await far_side.answer()
        place = systems.Place(
            port=_free_port(),
            counterparts=ports["port"],
            secure=ports["secure"],
            calls=plan.calls,
            folder=folder,
            settings=plan.settings,
        )
        service = await stack.enter_async_context(_system(plan, place))
        if plan.workers > 1:
            await _all_up(plan, place)
        base_kib = machine.rss_kib(service.pid)
        say("dialling")
        phones = await stack.enter_async_context(_tool(tools, "phones.py", *_phone_words(plan, place)))
        dialled = await phones.answer(plan.calls / plan.rate + ANSWER_TIMEOUT_S)
        if dialled["failed"]:
            say(f"{dialled['failed']} calls failed: {'; '.join(dialled['why'])}")
        await asyncio.sleep(plan.settle_s)
        say(f"measuring {plan.seconds:g} s")
        window = await _window(plan, service, far_side, phones)
        window |= {"rss_base_kib": base_kib, "failed": dialled["failed"], "loop_lag": await _loop_lag(place)}
        say("hanging up")
        await phones.ask("hang_up")
        await _drained(far_side, dialled["connected"])
        window["warnings"] = len(WARNING.findall((folder / "log").read_bytes()))
        return _result(plan, window, await far_side.ask("report"), await phones.ask("report"))


async def _window(plan: Plan, service: Process, far_side: Tool, phones: Tool) -> dict[str, Any]:
    await far_side.ask("record")
    await phones.ask("record")
    began, cpu_s, kernel_s, core_s = time.monotonic(), *machine.cpu_s(service.pid), _busy_s(plan)
    await asyncio.sleep(plan.seconds)
    seconds, until_cpu_s, until_kernel_s = time.monotonic() - began, *machine.cpu_s(service.pid)
    cpu_s, kernel_s, core_s = until_cpu_s - cpu_s, until_kernel_s - kernel_s, _busy_s(plan) - core_s
    return {
        "seconds": seconds,
        "cpu_s": cpu_s,
        "kernel_s": kernel_s,
        "neighbours": max(0.0, core_s - cpu_s) / seconds if plan.pin else None,
        "rss_kib": machine.rss_kib(service.pid),
        "far_side_cpu_s": (await far_side.ask("rest"))["cpu_s"],
        "phones_cpu_s": (await phones.ask("rest"))["cpu_s"],
    }


def _busy_s(plan: Plan) -> float:
    return sum(machine.busy_s(core) for core in plan.cores[0])


def _result(plan: Plan, window: Mapping[str, Any], book: Mapping[str, Any], phones: Mapping[str, Any]) -> Run:
    call_seconds = plan.calls * window["seconds"]
    neighbours = window["neighbours"]
    return {
        "system": plan.system,
        "calls": plan.calls,
        "workers": plan.workers,
        "seconds": round(window["seconds"], 2),
        "cpu_ms_per_call_second": round(window["cpu_s"] * 1_000 / call_seconds, 3),
        "kernel_percent": round(window["kernel_s"] * 100 / window["cpu_s"], 1) if window["cpu_s"] else 0.0,
        "core_percent": round(window["cpu_s"] * 100 / window["seconds"], 1),
        "neighbours_percent": None if neighbours is None else round(neighbours * 100, 1),
        "forward_newest_ms": book["forward_newest_ms"],
        "forward_all_ms": book["forward_all_ms"],
        "end_to_webhook_ms": book["end_to_webhook_ms"],
        "rss_kib_per_call": round((window["rss_kib"] - window["rss_base_kib"]) / plan.calls, 1),
        "rss_base_kib": window["rss_base_kib"],
        "setup_asked_per_second": plan.rate,
        "setup_per_second": phones["setup_per_second"],
        "setup_ms": phones["setup_ms"],
        "calls_failed": window["failed"] + phones["lost_lines"] + phones["not_watched"],
        "calls_ended": book["calls_ended"],
        "frames_sent": phones["frames"],
        "frames_lost": phones["frames"] - book["frames"] + book["disordered"],
        "frames_out_of_order": book["disordered"],
        "frames_unstamped": book["unstamped"],
        "webhooks": book["webhooks"],
        "webhooks_missing": book["webhooks_missing"],
        "speech_ms": phones["speech_ms"],
        "watched_events": phones["watched_events"],
        "loop_lag": window["loop_lag"],
        "log_warnings": window["warnings"],
        "phones_ms_per_call_second": round(window["phones_cpu_s"] * 1_000 / call_seconds, 3),
        "counterparts_ms_per_call_second": round(window["far_side_cpu_s"] * 1_000 / call_seconds, 3),
        "pacing_late_ms": phones["late_ms"],
        "token_message_bytes": book["token_message_bytes"],
    }


@asynccontextmanager
async def _tool(cores: frozenset[int], script: str, *words: str) -> AsyncIterator[Tool]:
    """Run one of our scripts; it ends with its input."""
    with machine.pinned(*cores):
        process = await asyncio.create_subprocess_exec(
            sys.executable, str(systems.HERE / script), *words, stdin=PIPE, stdout=PIPE, start_new_session=True
        )
    machine.prefer(process.pid)
    try:
        yield Tool(process)
    finally:
        await _end(process)


@asynccontextmanager
async def _system(plan: Plan, place: systems.Place) -> AsyncIterator[Process]:
    """Run what is measured."""
    command = systems.command(plan.system, place, plan.base)
    cores, _ = plan.cores
    async with serving(command, place, cores, *plan.wrap) as process:
        yield process


@asynccontextmanager
async def serving(
    command: systems.Command, place: systems.Place, cores: frozenset[int], *wrap: str
) -> AsyncIterator[Process]:
    """Run a system, ready for calls, below the command `wrap`; its log goes to a file, as it would in earnest."""
    with machine.pinned(*cores), (place.folder / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *wrap,
            *command.words,
            env=dict(command.environment),
            cwd=place.folder,
            stdin=DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    machine.prefer(process.pid)
    try:
        await _ready(process, place)
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        await _end(process)


async def _ready(process: Process, place: systems.Place) -> None:
    """Ask until it takes calls; raises RunFailedError with the end of its log."""
    deadline = time.monotonic() + START_TIMEOUT_S
    async with aiohttp.ClientSession() as session:
        while process.returncode is None and time.monotonic() < deadline:
            with suppress(aiohttp.ClientError):
                async with session.get(f"{place.origin}/readyz") as response:
                    if response.ok:
                        return
            await asyncio.sleep(POLL_S)
    tail = (place.folder / "log").read_bytes()[-LOG_TAIL_BYTES:].decode(errors="replace")
    raise RunFailedError(f"the service did not become ready; the end of its log:\n{tail}")


async def _all_up(plan: Plan, place: systems.Place) -> None:
    """Wait until every worker answers: the service is ready with the first. Raises RunFailedError."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while len(WORKER_UP.findall(await _metrics(place))) < plan.workers:
        if time.monotonic() > deadline:
            raise RunFailedError(f"not all of {plan.workers} workers are up")
        await asyncio.sleep(POLL_S)


async def _metrics(place: systems.Place) -> str:
    with suppress(aiohttp.ClientError, TimeoutError):
        async with aiohttp.ClientSession() as session, session.get(f"{place.origin}/metrics") as response:
            return await response.text() if response.ok else ""
    return ""


async def _loop_lag(place: systems.Place) -> dict[str, float] | None:
    """Return what the service tells about its event loop, None when it tells nothing."""
    page = await _metrics(place)
    return {name: float(value) for name, value in LOOP_LAG.findall(page)} or None


async def _drained(far_side: Tool, calls: int) -> None:
    """Wait until the end of every call was told; what is missing then is counted as missing."""
    for _ in range(round(DRAIN_TIMEOUT_S / POLL_S)):
        if (await far_side.ask("ended"))["calls_ended"] >= calls:
            return
        await asyncio.sleep(POLL_S)


async def _end(process: Process) -> None:
    if process.stdin is not None:
        process.stdin.close()
    try:
        async with asyncio.timeout(START_TIMEOUT_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


def _phone_words(plan: Plan, place: systems.Place) -> tuple[str, ...]:
    words = {
        "--voice-url": f"{place.origin}/twilio/voice",
        "--auth-token": systems.AUTH_TOKEN,
        "--calls": plan.calls,
        "--rate": plan.rate,
        "--speech-ms": plan.speech_ms,
        "--pause-ms": plan.pause_ms,
    }
    if plan.mix and plan.system != "reference":
        words["--watch-token"] = systems.WATCH_TOKEN
    return tuple(str(word) for pair in words.items() for word in pair)


def _certificate(folder: Path) -> Path:
    """Make a certificate for this machine and one for the authority behind it; return the first with its key."""
    import trustme  # noqa: PLC0415 - only runs with TLS need it

    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / systems.AUTHORITY))
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(folder / systems.CERTIFICATE))
    return folder / systems.CERTIFICATE


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
