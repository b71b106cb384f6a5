"""Services of several workers, as processes of their own, with everything of a house around them."""

import asyncio
import json
import os
import secrets
import shutil
import signal
import socket
import sys
import tempfile
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from twilio.request_validator import RequestValidator
from yarl import URL

from voicebot.app import running
from voicebot.core.shares import Share
from voicebot.local.phone.options import DEFAULT_AUTH_TOKEN
from voicebot.workers.crew import Crew as WorkerCrew
from voicebot.workers.place import Place

DEADLINE_S = 200
ORIGIN = "https://voice.example.com"
SECRET = "whsec_QUJDREVGR0hJSktMTU5PUFFSU1RVVldY"
TOKENS = [{"name": "t", "token": "token-of-the-tests-0123456789", "scopes": ["admin"]}]
BEARER = {"Authorization": f"Bearer {TOKENS[0]['token']}"}


class Lines:
    """What a process logs, and whoever waits for it."""

    def __init__(self):
        self.all = []
        self._news = asyncio.Event()

    def add(self, line):
        self.all.append(line)
        self._news.set()

    async def until(self, event, count=1, **values):
        """Wait for the `count`th line of this kind."""
        async with asyncio.timeout(DEADLINE_S):
            while len(found := self.of(event, **values)) < count:
                self._news.clear()
                await self._news.wait()
        return found[count - 1]

    def of(self, event, **values):
        return [line for line in self.all if line["event"] == event and values.items() <= line.items()]


class Crew:
    """A supervisor and its workers."""

    def __init__(self, house, process, directory, workers):
        self.house, self.process, self.directory, self.workers = house, process, directory, workers
        self.log = Lines()
        self.words = []
        """What it said that was no log."""

    async def read(self):
        async for line in self.process.stderr:
            try:
                self.log.add(json.loads(line))
            except ValueError:
                self.words.append(line.decode().rstrip("\n"))

    @property
    def pids(self):
        """The processes of the workers, by their index."""
        found = {}
        for child in Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split():
            words = Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")
            found[json.loads(words[words.index(b"--worker") + 1])["index"]] = int(child)
        return found

    def kill(self, index):
        pid = self.pids[index]
        os.kill(pid, signal.SIGKILL)
        return pid

    def owner(self, call):
        return Share(0, self.workers).owner(call)

    @asynccontextmanager
    async def worker(self, index):
        """A session that asks one worker, as if the port had chosen it."""
        [folder] = self.directory.glob("voicebot-*")
        connector = aiohttp.UnixConnector(str(folder / f"{index}.http"), force_close=True)
        headers = BEARER | {"X-Voicebot-Hops": "0"}
        async with aiohttp.ClientSession("http://worker", connector=connector, headers=headers) as session:
            yield session

    @asynccontextmanager
    async def port(self):
        """A session that asks whoever takes the connection."""
        connector = aiohttp.TCPConnector(force_close=True)
        async with aiohttp.ClientSession(self.house.address, connector=connector, headers=BEARER) as session:
            yield session

    async def stop(self, *signals):
        for number in signals or (signal.SIGTERM,):
            self.process.send_signal(number)
        return await self.end()

    async def end(self):
        async with asyncio.timeout(DEADLINE_S):
            return await self.process.wait()


def environment(h, folder, **changes):
    """What the house's settings are as variables."""
    settings = h.settings
    clean = {
        name: value for name, value in os.environ.items() if not name.startswith(("VOICEBOT_", "SONIOX_", "TWILIO_"))
    }
    return clean | {
        "TMPDIR": str(folder),
        "VOICEBOT_PUBLIC_URL": settings.public_url,
        "TWILIO_AUTH_TOKEN": DEFAULT_AUTH_TOKEN,
        "SONIOX_API_KEY": settings.soniox.api_key.get_secret_value(),
        "VOICEBOT_SONIOX__STT_URL": settings.soniox.stt_url,
        "VOICEBOT_SONIOX__TTS_URL": settings.soniox.tts_url,
        "VOICEBOT_WEBHOOK__URL": settings.webhook.url,
        "VOICEBOT_WEBHOOK__SECRETS": SECRET,
        "VOICEBOT_API__TOKENS": json.dumps(TOKENS),
        "VOICEBOT_STORE__URL": f"sqlite:///{folder}/served.db",
        "VOICEBOT_LOG__LEVEL": "debug",
        **changes,
    }


@pytest.fixture
async def crew(house):
    """Start a service: `await crew(script, workers=2, VOICEBOT_…="…")`; with `wait=False` it need not come up."""
    # A short path: a Unix socket's has 107 bytes at most (unix(7)).
    directory = Path(tempfile.mkdtemp(prefix="vb"))
    opened = []

    async def open_crew(script=None, *, workers=2, wait=True, port=0, faults=None, **changes):
        h = await house(script, faults, serve=False)
        words = ("serve", "--host", "127.0.0.1", "--port", str(port), "--workers", str(workers))
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "voicebot",
            *words,
            env=environment(h, directory, **changes),
            cwd=directory,
            stderr=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            limit=2**20,
        )
        made = Crew(h, process, directory, workers)
        reading = asyncio.create_task(made.read())
        opened.append((made, reading))
        if wait:
            up = asyncio.create_task(made.log.until("service.listening" if workers == 1 else "service.workers"))
            await asyncio.wait((up, reading), return_when=asyncio.FIRST_COMPLETED)
            assert up.done(), (made.words, made.log.all)
            h.port = int((await up)["address"].rpartition(":")[2])
        return made

    yield open_crew
    for made, reading in opened:
        if made.process.returncode is None:
            pids = made.pids.values()
            made.process.kill()
            for pid in pids:
                os.kill(pid, signal.SIGKILL)
            await made.process.wait()
        await reading
    shutil.rmtree(directory)


class Pair:
    """Two workers in this process, each with a port of its own, so that a test decides who is asked."""

    def __init__(self, house):
        self.house, self.services, self.stops = house, [], []

    def address(self, index):
        return f"http://127.0.0.1:{self.services[index].port}"

    def call_of(self, index):
        """The name of a call that is this worker's."""
        while (share := Share(index, 2)) and not share.has(call := f"CA{secrets.token_hex(16)}"):
            pass
        return call

    @asynccontextmanager
    async def worker(self, index):
        connector = aiohttp.TCPConnector(force_close=True)
        async with aiohttp.ClientSession(self.address(index), connector=connector, headers=BEARER) as session:
            yield session

    async def webhook(self, index, path, form):
        """Post what Twilio would; the status and the text."""
        signature = RequestValidator(DEFAULT_AUTH_TOKEN).compute_signature(f"{ORIGIN}{path}", form)
        url = URL(f"{self.address(index)}{path}", encoded=True)
        async with (
            aiohttp.ClientSession() as session,
            session.post(url, data=form, headers={"X-Twilio-Signature": signature}) as answer,
        ):
            return answer.status, await answer.text()

    async def end(self, index):
        """One worker goes."""
        stop, owner = self.stops[index]
        stop.set()
        await owner


@pytest.fixture
async def pair(house):
    """Open two workers: `await pair(script, **settings)`."""
    directory = tempfile.mkdtemp(prefix="vb")
    opened = []

    async def own(made, index, ready, stop):
        ours, theirs = socket.socketpair()
        listening = socket.create_server(("127.0.0.1", 0))
        place = Place(index, 2, directory, listening.detach(), theirs.detach())
        with ours:
            async with running(made.house.settings, crew=WorkerCrew(place)) as service:
                ready.set_result(service)
                await stop.wait()

    async def start(made, index):
        ready, stop = asyncio.get_running_loop().create_future(), asyncio.Event()
        owner = asyncio.create_task(own(made, index, ready, stop))
        await asyncio.wait([owner, ready], return_when=asyncio.FIRST_COMPLETED)
        if not ready.done():
            await owner
        made.services[index:], made.stops[index:] = [ready.result()], [(stop, owner)]
        made.house.service = made.services[0]

    async def open_pair(script=None, faults=None, **settings):
        made = Pair(await house(script, faults, serve=False, api={"tokens": TOKENS}, **settings))
        opened.append(made)
        for index in range(2):
            await start(made, index)
        made.start = lambda index: start(made, index)
        return made

    yield open_pair
    for made in opened:
        for index in (1, 0):
            await made.end(index)
        made.house.service = None
    shutil.rmtree(directory)


def pytest_collection_modifyitems(items):
    """Several processes start, each with everything that it imports."""
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.timeout(400))
