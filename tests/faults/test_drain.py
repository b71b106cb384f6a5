"""A deploy: SIGTERM to a real process under calls, in every state that a call can be in."""

import asyncio
import json
import re
import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import aiohttp
import pytest

from voicebot.config import Settings
from voicebot.local.phone.options import DEFAULT_ACCOUNT_SID, DialOutcome

HELLO = [{"at_ms": 300, "say": "hello there", "until_ms": 600, "end_ms": 800}]
UNFINISHED = [{"at_ms": 300, "partial": " unfinished words"}]
BYE = {"actions": [{"type": "say", "text": "Bye."}, {"type": "hangup"}]}
TOKEN = "a-token-for-this-test"
API = {"VOICEBOT_API__TOKENS": json.dumps([{"name": "ops", "token": TOKEN, "scopes": ["control"]}])}
BEARER = {"Authorization": f"Bearer {TOKEN}"}
DEADLINE_S = 40
ROOT = Path(__file__).parents[2]
CLOSING_S = 5
"""For live readers, the server's last answers, the courier's records and the store."""


class Held:
    """A reply of the application that the test lets go."""

    def __init__(self, reply):
        self.release, self.reply = asyncio.Event(), reply

    async def __call__(self, _event):
        await self.release.wait()
        return aiohttp.web.json_response(self.reply)


async def dial_out(carrier):
    body = {"to": "+15550123", "from": "+15550199"}
    async with carrier.session.post(f"{carrier.h.address}/calls", json=body, headers=BEARER) as answer:
        return answer.status, await answer.json(content_type=None)


async def test_the_running_call_goes_on_and_no_further_one_is_taken(house, serving, twilio):
    h = await house(HELLO, serve=False)
    held = Held(BYE)
    h.app.on("turn.completed", held)
    words = "<Say>We move house.</Say><Pause length='1'/><Redirect method='POST'>/twilio/voice</Redirect>"
    async with serving(h, **API, VOICEBOT_LIMITS__DRAIN_TWIML=words) as served, twilio(h) as carrier:
        assert await carrier.get("/readyz") == (200, "ready\n")
        phone = h.dial(pace=4.0)
        await h.app.until("turn.completed")
        async with carrier.session.get(f"{h.address}/events", headers=BEARER) as reader:
            assert reader.status == 200
            served.process.send_signal(signal.SIGTERM)
            draining = await served.logged("service.draining")
            assert (draining["calls"], draining["ringing"]) == (1, 0)
            assert await carrier.get("/readyz") == (503, "draining\n")
            assert await carrier.get("/healthz") == (200, "alive\n")
            assert await carrier.verbs("voice", "CA" + "9" * 32) == ["Say", "Pause", "Redirect"]
            # Twilio asks again for the call that runs.
            assert await carrier.ring(phone.sid) == "Connect"
            status, problem = await dial_out(carrier)
            assert (status, problem["type"]) == (503, "urn:voicebot:problem:draining")
            assert "draining" in problem["detail"]
            _, page = await carrier.get("/metrics")
            assert 'voicebot_refused_total{door="voice",why="draining"} 1.0' in page
            assert 'voicebot_refused_total{door="api",why="draining"} 1.0' in page
            held.release.set()
            report = await phone.report()
            async with asyncio.timeout(DEADLINE_S):
                seen = (await reader.read()).decode()  # to the end of the stream
        assert "event: call.ended" in seen, seen[-500:]
        assert report.ended == "service"
        assert report.heard_ms > 0
        assert await served.end() == 0
    assert h.app.events[-1]["type"] == "call.ended"
    assert h.app.events[-1]["data"]["reason"] == "bot_hangup"
    assert served.told == ["listening", "draining", "stopping", "stopped"]
    assert served.faults == []


async def test_a_transfer_comes_back_while_it_drains(house, serving):
    h = await house(HELLO, serve=False)
    h.app.on("turn.completed", {"actions": [{"type": "transfer", "to": "+15550100"}]})
    h.app.on("transfer.failed", BYE)
    async with serving(h) as served:
        phone = h.dial(pace=4.0, dial=DialOutcome("busy", ring_s=8.0))
        await phone.events.until(lambda event: getattr(event, "verb", "") == "Dial")
        served.process.send_signal(signal.SIGTERM)
        await served.logged("service.draining")
        report = await phone.report()
        assert await served.end() == 0
    assert [each.verb for each in report.verbs if each.verb in {"Connect", "Dial"}] == ["Connect", "Dial", "Connect"]
    assert report.streams[1].media_received_ms > 0
    assert h.app.types.count("transfer.failed") == 1
    assert h.app.events[-1]["data"]["reason"] == "bot_hangup"
    assert served.faults == []


async def test_at_the_deadline_the_last_words_are_told(house, serving):
    h = await house(UNFINISHED, serve=False)
    changes = {"VOICEBOT_DEFAULT__TURNS__COMMIT_AFTER_MS": "30000", "VOICEBOT_LIMITS__DRAIN_TIMEOUT_S": "0.5"}
    async with serving(h, **changes) as served:
        phone = h.dial(pace=4.0)
        await h.tap.answered.until(lambda message: "words" in message)
        served.process.send_signal(signal.SIGTERM)
        await phone.report()
        assert await served.end() == 0
    turn, ended = h.app.events[-2:]
    assert turn["data"]["turn"]["text"] == "unfinished words"
    assert ended["data"]["reason"] == "shutdown"
    assert served.told == ["listening", "draining", "calls_at_deadline", "stopping", "stopped"]


async def test_a_second_signal_ends_the_running_calls_too(house, serving):
    h = await house(UNFINISHED, serve=False)
    async with serving(h, VOICEBOT_DEFAULT__TURNS__COMMIT_AFTER_MS="30000") as served:
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
    assert served.told == ["listening", "draining", "forced", "stopping", "stopped"]


STUCK = {
    "VOICEBOT_WEBHOOK__REPLY_DEADLINE_S": "600",
    "VOICEBOT_WEBHOOK__ATTEMPT_TIMEOUT_S": "600",
    "VOICEBOT_WEBHOOK__INFORM_TIMEOUT_S": "600",
}


@pytest.fixture
async def stuck(house):
    """An application that answers nothing, and lets nobody wait for it in vain at the end of the test."""
    h = await house(UNFINISHED, serve=False)
    held = Held({})
    for kind in ("call.started", "turn.completed", "call.ended"):
        h.app.on(kind, held)
    yield h
    held.release.set()


async def test_what_is_forced_is_bounded_although_the_application_hangs(stuck, serving):
    loop = asyncio.get_running_loop()
    async with serving(stuck, **STUCK, VOICEBOT_LIMITS__FORCE_TIMEOUT_S="0.5") as served:
        stuck.dial(pace=4.0)
        await stuck.tap.answered.until(lambda message: "words" in message)
        served.process.send_signal(signal.SIGTERM)
        await served.logged("service.draining")
        began = loop.time()
        served.process.send_signal(signal.SIGTERM)
        assert await served.end() == 0
        # Without the bound it were the 600 s of the reply.
        assert loop.time() - began < 20
    assert served.told == ["listening", "draining", "forced", "stopping", "calls_cut_off", "stopped"]


async def test_what_is_forced_is_bounded_although_the_database_hangs(house, serving, tmp_path):
    """The thread that writes waits for somebody else's lock for ever; no other thread could end it."""
    h = await house(UNFINISHED, serve=False)
    url = f"sqlite:///{tmp_path}/served.db?timeout=600"
    async with serving(h, VOICEBOT_STORE__URL=url, VOICEBOT_LIMITS__FORCE_TIMEOUT_S="0.5") as served:
        with closing(sqlite3.connect(tmp_path / "served.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            phone = h.dial(pace=4.0)
            await h.tap.answered.until(lambda message: "words" in message)
            served.process.send_signal(signal.SIGTERM)
            await served.logged("service.draining")
            served.process.send_signal(signal.SIGTERM)
            assert await served.end() == -signal.SIGALRM
        await phone.report()


async def test_a_third_signal_kills(stuck, serving):
    async with serving(stuck, **STUCK, VOICEBOT_LIMITS__FORCE_TIMEOUT_S="600") as served:
        stuck.dial(pace=4.0)
        await stuck.tap.answered.until(lambda message: "words" in message)
        served.process.send_signal(signal.SIGTERM)
        await served.logged("service.draining")
        served.process.send_signal(signal.SIGTERM)
        await served.logged("service.forced")
        served.process.send_signal(signal.SIGTERM)
        assert await served.end() == -signal.SIGTERM


async def test_it_listens_for_as_long_as_a_load_balancer_needs(house, serving, twilio):
    h = await house(serve=False)
    loop = asyncio.get_running_loop()
    async with serving(h, VOICEBOT_LIMITS__DRAIN_DELAY_S="2") as served, twilio(h) as carrier:
        began = loop.time()
        served.process.send_signal(signal.SIGTERM)
        await served.logged("service.draining")
        assert await carrier.get("/readyz") == (503, "draining\n")
        assert await carrier.ring() == "Say"
        assert await served.end() == 0
        assert loop.time() - began >= 2
    assert served.log[-2]["drained_s"] >= 2


ACCOUNT = {"TWILIO_ACCOUNT_SID": DEFAULT_ACCOUNT_SID}


async def test_a_call_that_rings_is_waited_for_and_taken(house, serving, twilio, orders):
    h = await house(serve=False)
    async with serving(h, **API, **ACCOUNT, VOICEBOT_TWILIO__API_URL=orders.url) as served, twilio(h) as carrier:
        assert (await dial_out(carrier))[0] == 201
        served.process.send_signal(signal.SIGTERM)
        assert (await served.logged("service.draining"))["ringing"] == 1
        [call], [ticket] = orders.sids, orders.tickets
        assert (await carrier.verbs("voice", call, ticket, Direction="outbound-api"))[0] == "Connect"
        assert await carrier.ring() == "Say"
        await h.app.until("call.started", call=call)
        await carrier.over(call, ticket)
        assert await served.end() == 0
    assert h.app.events[-1]["type"] == "call.ended"
    assert served.faults == []


async def test_a_call_that_still_rings_at_the_deadline_is_ended(house, serving, twilio, orders):
    h = await house(serve=False)
    changes = {"VOICEBOT_TWILIO__API_URL": orders.url, "VOICEBOT_LIMITS__DRAIN_TIMEOUT_S": "0.3"}
    async with serving(h, **API, **ACCOUNT, **changes) as served, twilio(h) as carrier:
        assert (await dial_out(carrier))[0] == 201
        served.process.send_signal(signal.SIGTERM)
        assert await served.end() == 0
    assert orders.forms[-1] == {"Status": "completed"}
    assert (await served_at_deadline(served))["ringing"] == 1


async def served_at_deadline(served):
    return next(entry for entry in served.log if entry["event"] == "service.calls_at_deadline")


PAGES = {
    "docs/operations.md": (
        r"terminationGracePeriodSeconds: (\d+)",
        r"TimeoutStopSec=(\d+)",
        r"docker stop --time (\d+)",
    ),
    "Dockerfile": (r"docker stop --time (\d+)",),
}


def test_the_pages_give_a_supervisor_time_enough():
    settings = Settings()
    needed = settings.limits.drain_timeout_s + settings.soniox.finish_timeout_s + settings.webhook.reply_deadline_s
    needed += settings.limits.force_timeout_s + CLOSING_S
    for page, patterns in PAGES.items():
        text = (ROOT / page).read_text(encoding="utf-8")
        for pattern in patterns:
            told = re.findall(pattern, text)
            assert told, (page, pattern)
            assert all(int(seconds) >= needed for seconds in told), (page, pattern, needed)
