"""Starts the service and the load tools of the soak, each as a process of its own."""

import asyncio
import socket
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import machine
import systems
from measure import Tool, serving

END_S = 30.0


@asynccontextmanager
async def tool(cores: frozenset[int], *words: str) -> AsyncIterator[Tool]:
    """Run one of the load tools; it ends with its input."""
    script = str(systems.HERE / "soak_tools.py")
    with machine.pinned(*cores):
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
async def service(cores: frozenset[int], place: systems.Place) -> AsyncIterator[Process]:
    """Run the service, ready for calls."""
    async with serving(systems.command("voicebot", place), place, cores) as process:
        yield process


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
