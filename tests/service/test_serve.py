"""`voicebot serve` as a process of its own: how it starts and how it ends."""

import asyncio
import json
import os
import signal
import sys
from contextlib import asynccontextmanager

import aiohttp
from twilio.request_validator import RequestValidator

from voicebot.local.phone.options import DEFAULT_ACCOUNT_SID, DEFAULT_AUTH_TOKEN

DEADLINE_S = 40
SECRET = "whsec_QUJDREVGR0hJSktMTU5PUFFSU1RVVldY"
HELLO = [{"at_ms": 300, "say": "hello there", "until_ms": 600, "end_ms": 800}]


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


@asynccontextmanager
async def serving(h, folder, **changes):
    """Start the service on a free port; the phone of the house calls it there."""
    process = await spawn(environment(h, folder, **changes), folder, "serve", "--host", "127.0.0.1", "--port", "0")
    served = Process(process)
    try:
        listening = await served.logged("service.listening")
        h.port = int(listening["address"].rpartition(":")[2])
        yield served
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


async def spawn(env, folder, *words):
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "voicebot",
        *words,
        env=env,
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def get(h, path):
    async with aiohttp.ClientSession() as session, session.get(f"{h.address}{path}") as answer:
        return answer.status


async def ring(h):
    """What a further caller is told."""
    form = {"CallSid": "CA" + "9" * 32, "AccountSid": DEFAULT_ACCOUNT_SID, "From": "+1555", "To": "+1556"}
    url = "https://voice.example.com/twilio/voice"
    headers = {"X-Twilio-Signature": RequestValidator(DEFAULT_AUTH_TOKEN).compute_signature(url, form)}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{h.address}/twilio/voice", data=form, headers=headers) as answer,
    ):
        return answer.status, await answer.text()


async def test_sigterm_lets_the_running_call_finish_and_takes_no_further_one(house, tmp_path):
    h = await house(HELLO, serve=False)
    release = asyncio.Event()

    async def answer(_event):
        await release.wait()
        return aiohttp.web.json_response({"actions": [{"type": "say", "text": "Bye."}, {"type": "hangup"}]})

    h.app.on("turn.completed", answer)
    async with serving(h, tmp_path) as served:
        assert await get(h, "/readyz") == 200
        phone = h.dial(pace=4.0)
        await h.app.until("turn.completed")
        served.process.send_signal(signal.SIGTERM)
        draining = await served.logged("service.draining")
        assert draining["calls"] == 1
        assert await get(h, "/readyz") == 503
        assert await get(h, "/healthz") == 200
        status, refusal = await ring(h)
        assert status == 200
        assert "<Say>" in refusal
        assert "<Hangup" in refusal
        release.set()
        report = await phone.report()
        assert report.ended == "service"
        assert report.heard_ms > 0
        assert await served.end() == 0
    assert h.app.events[-1]["type"] == "call.ended"
    assert h.app.events[-1]["data"]["reason"] == "bot_hangup"
    assert [entry for entry in served.log if entry["level"] in {"error", "critical"}] == []


async def test_a_second_signal_ends_the_running_calls_too(house, tmp_path):
    h = await house([{"at_ms": 300, "partial": " unfinished words"}], serve=False)
    async with serving(h, tmp_path, VOICEBOT_DEFAULT__TURNS__COMMIT_AFTER_MS="30000") as served:
        phone = h.dial(pace=4.0)
        await h.tap.answered.until(lambda message: "words" in message)
        served.process.send_signal(signal.SIGTERM)
        await served.logged("service.draining")
        served.process.send_signal(signal.SIGINT)
        await phone.report()
        assert await served.end() == 0
    turn, ended = h.app.events[-2:]
    assert turn["data"]["turn"]["text"] == "unfinished words"
    assert ended["data"]["reason"] == "shutdown"
