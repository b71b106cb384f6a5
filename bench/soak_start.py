"""Starts the service and the load tools of the soak, each as a process of its own."""

import asyncio
import socket
import sys
import time
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import aiohttp
import machine
import systems
from measure import RunFailedError, Tool

START_S = 60.0
END_S = 30.0
LOOK_S = 0.2


@asynccontextmanager
async def tool(core: int | None, *words: str) -> AsyncIterator[Tool]:
    """Run one of the load tools; it ends with its input."""
    script = str(systems.HERE / "soak_tools.py")
    with machine.pinned(core):
        process = await asyncio.create_subprocess_exec(
            sys.executable, script, *words, stdin=PIPE, stdout=PIPE, start_new_session=True
        )
    machine.prefer(process.pid)
    try:
        yield Tool(process)
    finally:
        if process.stdin is not None:
            process.stdin.close()
        await _over(process)


@asynccontextmanager
async def service(core: int | None, place: systems.Place) -> AsyncIterator[Process]:
    """Run the service, ready for calls; its log goes to a file, as it would in earnest."""
    command = systems.command("voicebot", place)
    with machine.pinned(core), (place.folder / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
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
        await _over(process)


async def _ready(process: Process, place: systems.Place) -> None:
    until = time.monotonic() + START_S
    async with aiohttp.ClientSession() as session:
        while process.returncode is None and time.monotonic() < until:
            with suppress(aiohttp.ClientError):
                async with session.get(f"{place.origin}/readyz") as response:
                    if response.ok:
                        return
            await asyncio.sleep(LOOK_S)
    raise RunFailedError(f"the service did not become ready; its log is {(place.folder / 'log').read_text()[-2_000:]}")


async def _over(process: Process) -> None:
    try:
        async with asyncio.timeout(END_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
