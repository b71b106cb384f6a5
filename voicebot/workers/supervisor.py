"""Starts the workers, starts those again that die, and ends them all."""

import asyncio
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import structlog

from voicebot.errors import ConfigurationError
from voicebot.workers.place import DRAIN, FORCE, READY, Place

FIRST_WAIT_S, LONGEST_WAIT_S = 0.2, 30.0
"""From the death of a worker to its next start; doubles with each further one."""
SETTLED_S = 60.0
"""A worker that has run so long has not died of its start."""
MAX_DIRECTORY_CHARS = 90
"""The path of a Unix socket has 107 bytes at most (unix(7))."""
COMMAND = (sys.executable, "-P", "-m", "voicebot", "serve")
log = structlog.get_logger("workers")


class _NotStarted(Exception):  # noqa: N818 - carries the exit code of a worker that has said itself why
    def __init__(self, code: int) -> None:
        super().__init__()
        self.code = code


@dataclass(frozen=True, slots=True)
class _Worker:
    """A process, and the socket over which it is told to end."""

    place: Place
    process: asyncio.subprocess.Process
    control: socket.socket


class Supervisor:
    """Owns the workers; they inherit `listening`, so that no port is lost with one of them."""

    def __init__(self, count: int, listening: socket.socket, directory: str, arguments: Sequence[str]) -> None:
        self._count, self._listening, self._directory = count, listening, directory
        self._arguments = arguments
        self._workers: dict[int, _Worker] = {}
        self._signals = self._code = 0
        self._ending = asyncio.Event()

    async def run(self, started: Callable[[], None]) -> int:
        """Return the exit code once all workers have ended: 0, or that of a worker that could not start."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_signal)
        async with asyncio.TaskGroup() as group:
            await self._begin(0, group)  # what keeps one from starting keeps them all, and is to be said once
            if not self._ending.is_set():
                rest = [group.create_task(self._begin(index, group)) for index in range(1, self._count)]
                await asyncio.wait(rest)
            if not self._ending.is_set():
                started()
        return self._code

    async def _begin(self, index: int, group: asyncio.TaskGroup) -> None:
        try:
            group.create_task(self._keep(await self._start(index)))
        except _NotStarted as error:
            self._code = error.code
            self._ending.set()
            self._tell_all(FORCE)

    def _on_signal(self) -> None:
        """The first one drains, the second ends the calls, the third kills."""
        self._signals += 1
        self._ending.set()
        match self._signals:
            case 1:
                self._tell_all(DRAIN)
            case 2:
                self._tell_all(FORCE)
            case _:
                for worker in self._workers.values():
                    worker.process.kill()

    def _tell_all(self, word: bytes) -> None:
        for worker in self._workers.values():
            with suppress(OSError):  # it has ended by itself
                worker.control.send(word)

    async def _start(self, index: int) -> _Worker:
        """Start a worker and wait until it takes calls; raises _NotStarted when it ends before."""
        ours, theirs = socket.socketpair()
        with theirs:
            place = Place(index, self._count, self._directory, self._listening.fileno(), theirs.fileno())
            process = await asyncio.create_subprocess_exec(
                *COMMAND,
                *self._arguments,
                "--worker",
                place.to_json(),
                pass_fds=(place.listening, place.control),
                start_new_session=True,  # a terminal's ^C reaches the supervisor alone, which tells the workers
            )
        ours.settimeout(0)
        worker = self._workers[index] = _Worker(place, process, ours)
        try:
            word = await asyncio.get_running_loop().sock_recv(ours, 1)
        except ConnectionError:
            word = b""
        if word != READY:
            raise _NotStarted(await self._ended(worker) or 1)
        return worker

    async def _ended(self, worker: _Worker) -> int:
        code = await worker.process.wait()
        worker.control.close()
        del self._workers[worker.place.index]
        return code

    async def _keep(self, worker: _Worker) -> None:
        """Wait for the end of a worker and start the next one in its place, until all are to end."""
        index, wait_s, loop = worker.place.index, FIRST_WAIT_S, asyncio.get_running_loop()
        while True:
            began = loop.time()
            code = await self._ended(worker)
            if loop.time() - began > SETTLED_S:
                wait_s = FIRST_WAIT_S
            if not self._ending.is_set():
                log.error("worker.died", worker=index, code=code, again_in_s=wait_s)
            while True:
                if await self._over(wait_s):
                    return
                wait_s = min(2 * wait_s, LONGEST_WAIT_S)
                try:
                    worker = await self._start(index)
                except _NotStarted as error:  # it has said itself why
                    log.error("worker.not_started", worker=index, code=error.code, again_in_s=wait_s)  # noqa: TRY400
                else:
                    break
            log.info("worker.restarted", worker=index)

    async def _over(self, within_s: float) -> bool:
        """Wait; True as soon as all are to end."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._ending.wait()
        return self._ending.is_set()


def supervise(count: int, listening: socket.socket, arguments: Sequence[str], started: Callable[[], None]) -> int:
    """Run `count` workers until SIGTERM or SIGINT; return the exit code. `arguments` are those of `voicebot serve`."""
    directory = tempfile.mkdtemp(prefix="voicebot-")  # for this user alone
    try:
        if len(directory) > MAX_DIRECTORY_CHARS:
            raise ConfigurationError(f"TMPDIR: {directory} is too long a path for the sockets of the workers")
        return asyncio.run(Supervisor(count, listening, directory, arguments).run(started))
    finally:
        shutil.rmtree(directory, ignore_errors=True)
