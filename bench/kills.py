"""Kill the delivery of webhooks at random moments under load, again and again, and count what was lost."""

import argparse
import asyncio
import hashlib
import json
import os
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random
from time import monotonic

from aiohttp import web
from sqlalchemy import inspect
from standardwebhooks import Webhook

from voicebot.errors import ConfigurationError
from voicebot.store.database import open_engine
from voicebot.wire.webhook import new_secret

VICTIM = Path(__file__).with_name("kills_victim.py")
LONGEST_LIFE_S = 0.8
"""A life ends at a random moment before this; its start is included every other time."""
REFUSED = 0.02
"""So many requests are answered with 503."""
SLOWEST_S = 0.02
DRAIN_S = 300.0
LOOK_S = 0.2
SECRET = new_secret(bytes(range(32)))


@dataclass(slots=True, kw_only=True)
class Figures:
    """What came of it; the first four must be 0."""

    lost: int = 0
    """Committed and never delivered."""
    out_of_order: int = 0
    """Live events of a call whose first delivery came after that of a later one."""
    changed: int = 0
    """Came again with the same id and other bytes."""
    not_settled: int = 0
    """Events that the store does not know as delivered at the end."""
    kills: int = 0
    committed: int = 0
    delivered: int = 0
    twice: int = 0
    seconds: float = 0

    @property
    def good(self) -> bool:
        """Nothing is wrong."""
        return not (self.lost or self.out_of_order or self.changed or self.not_settled) and self.delivered > 0


@dataclass(slots=True)
class Application:
    """Takes events, checks their signatures, and now and then has no time."""

    chance: Random
    first: dict[str, str] = field(default_factory=dict[str, str])
    """Digest by id, in the order of first delivery."""
    times: Counter[str] = field(default_factory=Counter[str])
    changed: int = 0

    async def take(self, request: web.Request) -> web.Response:
        """Answer one request."""
        body = await request.read()
        event = Webhook(SECRET).verify(body, dict(request.headers))
        await asyncio.sleep(self.chance.random() * SLOWEST_S)
        if self.chance.random() < REFUSED:
            return web.Response(status=503)
        digest = hashlib.sha256(body).hexdigest()
        self.changed += self.first.setdefault(event["id"], digest) != digest
        self.times[event["id"]] += 1
        return web.json_response({})


@asynccontextmanager
async def serving(application: Application) -> AsyncIterator[str]:
    """Serve the application; yields its address."""
    server = web.Application()
    server.router.add_post("/", application.take)
    runner = web.AppRunner(server, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/"
    finally:
        await runner.cleanup()


class Lives:
    """The lives of the victim, one after another."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        if not (process.stdin and process.stdout and process.stderr):
            raise ValueError("needs three pipes")
        self._words, self._commits, self._answers = process.stdin, process.stdout, process.stderr
        self.committed: list[str] = []
        """Ids of events whose commit was told."""
        self.at_work = asyncio.Event()

    async def listen(self) -> None:
        """Take what the victim says about its commits."""
        while line := await self._commits.readline():
            self.committed.append(line.decode().strip())
            self.at_work.set()

    def end(self) -> None:
        """Begin no more lives."""
        self._words.close()

    async def begin(self, word: str) -> int:
        """Begin a life; returns its process id."""
        self._words.write(f"{word}\n".encode())
        while line := await self._answers.readline():
            if line.startswith(b"life "):
                return int(line.split()[1])
            print(line.decode(), end="", file=sys.stderr)
        raise RuntimeError("the victim's parent is gone")


@asynccontextmanager
async def lives(store: str, url: str) -> AsyncIterator[Lives]:
    """Start the process that the lives are forked from."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(VICTIM),
        store,
        url,
        SECRET,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    told = Lives(process)
    async with asyncio.TaskGroup() as group:
        group.create_task(told.listen())
        try:
            yield told
        finally:
            told.end()
            await process.wait()


async def kill_again_and_again(kills: int, seed: int, store: str = "") -> Figures:
    """Kill `kills` times, let the rest be delivered, and judge; `store` is the URL of an empty database."""
    chance, began = Random(seed), monotonic()
    application = Application(Random(seed))
    with tempfile.TemporaryDirectory() as folder:
        store = store or f"sqlite:///{folder}/calls.db"
        async with serving(application) as url, lives(store, url) as told:
            for number in range(1, kills + 1):
                told.at_work.clear()
                life = await told.begin(str(number))
                if number % 2:  # every other life is killed at work, however long it takes to begin
                    async with asyncio.timeout(DRAIN_S):
                        await told.at_work.wait()
                await asyncio.sleep(chance.random() * LONGEST_LIFE_S)
                os.kill(life, signal.SIGKILL)
                if number % 100 == 0:
                    print(f"{number} kills, {len(told.committed)} events", file=sys.stderr, flush=True)
            life = await told.begin("drain")
            try:
                await _drained(store)
            finally:
                os.kill(life, signal.SIGKILL)
        known = _known(store)
    return judge(kills, application, set(told.committed), known, monotonic() - began)


async def _drained(store: str) -> None:
    """Wait until nothing is pending; only the database can tell, so it is asked again and again."""
    async with asyncio.timeout(DRAIN_S):
        while "pending" in (await asyncio.to_thread(_known, store)).values():  # noqa: ASYNC110 - it rings no bell
            await asyncio.sleep(LOOK_S)


def _known(store: str) -> dict[str, str]:
    """Return the state of every event."""
    engine = open_engine(store)
    try:
        if not inspect(engine).has_table("events"):
            return {"none": "pending"}
        with engine.connect() as connection:
            return {row[0]: row[1] for row in connection.exec_driver_sql("select id, state from events")}
    finally:
        engine.dispose()


def judge(kills: int, application: Application, committed: set[str], known: dict[str, str], seconds: float) -> Figures:
    """Compare what was committed with what arrived."""
    ids = committed | set(known)
    newest: dict[str, int] = {}
    out_of_order = 0
    for event_id in application.first:
        _, call, sequence, kind = event_id.split("_")
        if kind == "live":
            out_of_order += int(sequence) < newest.get(call, 0)
            newest[call] = max(newest.get(call, 0), int(sequence))
    return Figures(
        lost=len(ids - set(application.first)),
        out_of_order=out_of_order,
        changed=application.changed,
        not_settled=sum(state != "delivered" for state in known.values()) + len(committed - set(known)),
        kills=kills,
        committed=len(ids),
        delivered=len(application.first),
        twice=sum(count > 1 for count in application.times.values()),
        seconds=round(seconds, 1),
    )


def main() -> int:
    """Print the figures as JSON; the exit code is 0 when nothing was lost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--store", default="", metavar="URL", help="an empty database; an SQLite file of its own unless given"
    )
    arguments = parser.parse_args()
    if arguments.store:
        try:
            open_engine(arguments.store).dispose()
        except ConfigurationError as error:
            parser.error(str(error))
    figures = asyncio.run(kill_again_and_again(arguments.kills, arguments.seed, arguments.store))
    print(json.dumps(asdict(figures)))
    return 0 if figures.good else 1


if __name__ == "__main__":
    sys.exit(main())
