"""`voicebot serve` as a process of its own, and Twilio's side of its doors."""

import asyncio
import json
import os
import secrets
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from xml.etree import ElementTree as ET

import aiohttp
import pytest
from twilio.request_validator import RequestValidator

from voicebot.local.phone.options import DEFAULT_ACCOUNT_SID, DEFAULT_AUTH_TOKEN

ORIGIN = "https://voice.example.com"
SECRET = "whsec_QUJDREVGR0hJSktMTU5PUFFSU1RVVldY"
DEADLINE_S = 40


class Process:
    """A running service and its log."""

    def __init__(self, process):
        self.process, self.log = process, []

    async def logged(self, event):
        async with asyncio.timeout(DEADLINE_S):
            while True:
                line = await self.process.stderr.readline()
                assert line, f"it has ended; its log: {self.log}"
                self.log.append(json.loads(line))
                if self.log[-1]["event"] == event:
                    return self.log[-1]

    async def end(self):
        async with asyncio.timeout(DEADLINE_S):
            _, err = await self.process.communicate()
        self.log += [json.loads(line) for line in err.splitlines()]
        return self.process.returncode

    @property
    def told(self):
        """The service's own steps, in their order."""
        return [entry["event"].removeprefix("service.") for entry in self.log if entry["event"].startswith("service.")]

    @property
    def faults(self):
        return [entry for entry in self.log if entry["level"] in {"error", "critical"}]


def environment(h, folder, **changes):
    """What the house's settings are as variables."""
    settings = h.settings
    clean = {
        name: value for name, value in os.environ.items() if not name.startswith(("VOICEBOT_", "SONIOX_", "TWILIO_"))
    }
    return clean | {
        "VOICEBOT_PUBLIC_URL": settings.public_url,
        "TWILIO_AUTH_TOKEN": DEFAULT_AUTH_TOKEN,
        "SONIOX_API_KEY": settings.soniox.api_key.get_secret_value(),
        "VOICEBOT_SONIOX__STT_URL": settings.soniox.stt_url,
        "VOICEBOT_SONIOX__TTS_URL": settings.soniox.tts_url,
        "VOICEBOT_WEBHOOK__URL": settings.webhook.url,
        "VOICEBOT_WEBHOOK__SECRETS": SECRET,
        "VOICEBOT_STORE__URL": f"sqlite:///{folder}/served.db",
        **changes,
    }


@pytest.fixture
def serving(tmp_path):
    """Start the service on a free port: `async with serving(h, NAME=VALUE) as served:`; the phone of the house calls it."""

    @asynccontextmanager
    async def start(h, **changes):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "voicebot", "serve", "--host", "127.0.0.1", "--port", "0"),
            env=environment(h, tmp_path, **changes),
            cwd=tmp_path,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        served = Process(process)
        try:
            listening = await served.logged("service.listening")
            h.port = int(listening["address"].rpartition(":")[2])
            yield served
        finally:
            if process.returncode is None:
                process.kill()
                await process.communicate()

    return start


class Twilio:
    """Makes Twilio's requests of one house, and an operator's."""

    def __init__(self, h, session):
        self.h, self.session = h, session
        self.validator = RequestValidator(DEFAULT_AUTH_TOKEN)

    async def post(self, door, call, query="", **changes):
        """Ask one of the HTTP doors; the TwiML's root."""
        form = {"CallSid": call, "AccountSid": DEFAULT_ACCOUNT_SID, "From": "+15550123", "To": "+15550199"} | changes
        path = f"/twilio/{door}{query}"
        headers = {"X-Twilio-Signature": self.validator.compute_signature(ORIGIN + path, form)}
        async with self.session.post(self.h.address + path, data=form, headers=headers) as answer:
            assert answer.status == 200, await answer.text()
            return ET.fromstring(await answer.text())

    async def verbs(self, door, call, query="", **changes):
        return [verb.tag for verb in await self.post(door, call, query, **changes)]

    async def ring(self, call=None, **changes):
        """Ask the voice webhook; the first verb, which is Connect for a call that is taken."""
        return (await self.verbs("voice", call or "CA" + secrets.token_hex(16), **changes))[0]

    async def over(self, call, query=""):
        return await self.post("status", call, query, CallStatus="completed")

    async def get(self, path, **request):
        async with self.session.get(self.h.address + path, **request) as answer:
            return answer.status, await answer.text()


@pytest.fixture
def twilio():
    """`async with twilio(h) as carrier:`."""

    @asynccontextmanager
    async def open_carrier(h):
        async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
            yield Twilio(h, session)

    return open_carrier


class Orders:
    """Twilio's REST API: it takes orders and lets them ring."""

    def __init__(self):
        self.forms, self.sids, self.url = [], [], ""
        self.came = asyncio.Event()

    async def handle(self, request):
        form = dict(await request.post())
        self.forms.append(form)
        self.came.set()
        if "Url" in form:
            self.sids.append("CA" + secrets.token_hex(16))
            return aiohttp.web.json_response({"sid": self.sids[-1]}, status=201)
        return aiohttp.web.json_response({})

    @property
    def tickets(self):
        """What the voice URL of each ordered call ends with."""
        return ["?" + form["Url"].partition("?")[2] for form in self.forms if "Url" in form]


KEPT = 4
"""Idle connections that a pool may have opened more, and their tasks; what suffers is more than that."""
STILL_S = 30


def open_files():
    """How many descriptors the process has, sockets included."""
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.fixture
def level():
    """`async with level():`: what is opened inside is closed again; tasks, files and sockets."""

    @asynccontextmanager
    async def stay(kept=KEPT):
        tasks, files = len(asyncio.all_tasks()), open_files()
        yield
        try:
            async with asyncio.timeout(STILL_S):
                # Connections end by themselves a moment later, and nobody tells.
                while len(asyncio.all_tasks()) > tasks + kept or open_files() > files + kept:
                    await asyncio.sleep(0.02)
        except TimeoutError:
            left = [repr(task)[:200] for task in asyncio.all_tasks()]
            raise AssertionError(
                f"{files} descriptors before, {open_files()} after; {tasks} tasks before, {left}"
            ) from None

    return stay


@pytest.fixture
async def orders():
    made = Orders()
    application = aiohttp.web.Application()
    application.router.add_post("/{path:.*}", made.handle)
    runner = aiohttp.web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = aiohttp.web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.url = f"http://127.0.0.1:{site.port}"
    yield made
    await runner.cleanup()
