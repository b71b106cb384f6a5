"""A service that is killed and started again: each life is forked from a process that has loaded everything.

So a start measures the service and not the disk, and hundreds of them cost little.
"""

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from socket import create_server
from typing import Any

LONGEST_S = 120.0
"""Loading, starting and ending, on a machine that is busy with other things."""
OTHERS = ("VOICEBOT_", "SONIOX_", "TWILIO_")
"""Variables of the one who tests are no settings of the service under test."""

type Entry = dict[str, Any]


def free_port() -> int:
    """Return a port that nobody listens on."""
    with create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


class Lives:
    """One service, life after life on the same port; at most one at a time."""

    def __init__(self, parent: Process, took: Callable[[Entry], None] | None) -> None:
        if not (parent.stdin and parent.stdout and parent.stderr):
            raise ValueError("needs three pipes")
        self._words, self._news, self._lines = parent.stdin, parent.stdout, parent.stderr
        self._took = took
        self.log: list[Entry] = []
        self._listens = asyncio.Event()
        self.life = 0
        """The process id of the present life, 0 between two."""
        self._death: asyncio.Task[str] | None = None

    async def begin(self) -> None:
        """Begin a life; return when it listens, raises RuntimeError when it ends before that."""
        self._listens.clear()
        self._words.write(b"go\n")
        async with asyncio.timeout(LONGEST_S):
            self.life = int(await self._news_of("life"))
        self._death = asyncio.create_task(self._news_of("death"))
        listens = asyncio.create_task(self._listens.wait())
        await asyncio.wait((listens, self._death), timeout=LONGEST_S, return_when=asyncio.FIRST_COMPLETED)
        listens.cancel()
        if not self._listens.is_set():
            raise RuntimeError(f"it does not listen: {self.log[-3:]}")

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the present life."""
        os.kill(self.life, number)

    async def ended(self) -> int:
        """Wait for the end of the present life; return its exit code, negative for a signal."""
        if self._death is None:
            raise RuntimeError("no life has begun")
        async with asyncio.timeout(LONGEST_S):
            code = int(await self._death)
        self.life = 0
        return code

    async def kill(self) -> int:
        """End the present life without a word, unless it has ended by itself."""
        with suppress(ProcessLookupError):
            self.send(signal.SIGKILL)
        return await self.ended()

    async def _news_of(self, kind: str) -> str:
        line = await self._news.readline()
        word, _, value = line.decode().partition(" ")
        if word.strip() != kind:
            raise RuntimeError(f"expected {kind}, there came {line!r}: {self.log[-3:]}")
        return value

    async def read(self) -> None:
        """Take the log of all lives."""
        async for line in self._lines:
            entry = _entry(line)
            self.log.append(entry)
            if self._took:
                self._took(entry)
            if entry["event"] == "service.listening":
                self._listens.set()


def _entry(line: bytes) -> Entry:
    try:
        entry: Entry = json.loads(line)
    except ValueError:
        entry = {"event": "not.a.line", "level": "critical", "exception": line.decode(errors="replace")}
    return entry


@asynccontextmanager
async def lives(
    settings: Mapping[str, str], port: int, folder: Path, took: Callable[[Entry], None] | None = None
) -> AsyncIterator[Lives]:
    """Load a service with these variables in this folder; `took` is told every line of its log. No life has begun yet."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(OTHERS)}
    parent = await asyncio.create_subprocess_exec(
        *(sys.executable, __file__, "serve", "--host", "127.0.0.1", "--port", str(port)),
        env=clean | {"VOICEBOT_LOG__FORMAT": "json", **settings},
        cwd=folder,
        stdin=PIPE,
        stdout=PIPE,
        stderr=PIPE,
        limit=2**24,
    )
    made = Lives(parent, took)
    reading = asyncio.create_task(made.read())
    try:
        async with asyncio.timeout(LONGEST_S):
            await made._news_of("loaded")  # noqa: SLF001 - its own factory
        yield made
    finally:
        if made.life:
            await made.kill()
        made._words.close()  # noqa: SLF001 - as above
        await parent.wait()
        await reading


def main() -> None:
    """Load everything, then begin a life for each line on standard input and tell of its beginning and its end."""
    import alembic.command  # noqa: F401, PLC0415 - for the lives
    import uvloop  # noqa: F401, PLC0415 - for the lives

    import voicebot.app  # noqa: PLC0415 - for the lives
    import voicebot.cli.serve  # noqa: F401, PLC0415 - for the lives
    from voicebot.__main__ import main as voicebot_main  # noqa: PLC0415 - the one who starts this needs nothing of it

    print("loaded", flush=True)
    while sys.stdin.readline():
        child = os.fork()
        if child == 0:
            sys.exit(voicebot_main())
        print("life", child, flush=True)
        print("death", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    main()
