"""`voicebot serve --workers 2` as processes: one that is killed, the end, and starts that go wrong."""

import asyncio
import signal
import socket

import pytest

from voicebot.local.phone.options import Limits
from voicebot.local.phone.scenario import Wait

SAY = {"actions": [{"type": "say", "text": "Still here."}]}


async def phones_on_both(c, **changes):
    """A call on each worker, by name."""
    found = {}
    while len(found) < c.workers:
        phone = c.house.dial(Wait(wait=600), limits=Limits(retry_wait_s=2.5), **changes)
        await phone.heard("StreamOpened")
        # The carrier says each of these once only; who takes it must not be killed meanwhile.
        for told in ("call status answered", "stream-started"):
            await phone.events.until(lambda event, told=told: getattr(event, "purpose", "") == told)
        if c.owner(phone.sid) in found:
            await phone.hang_up()
        else:
            found[c.owner(phone.sid)] = phone
    return [found[index] for index in sorted(found)]


async def test_one_worker_is_killed(crew):
    c = await crew()
    h = c.house
    lost, kept = await phones_on_both(c, pace=1.0)
    killed = c.kill(0)
    await c.log.until("worker.died", worker=0)
    async with c.worker(1) as session, session.post(f"/calls/{kept.sid}/actions", json=SAY) as answer:
        assert answer.status == 202
    await kept.heard("BotSpeaks")
    await c.log.until("worker.restarted", worker=0)
    assert c.pids[0] != killed
    async with c.port() as session:
        async with session.get(f"/calls/{lost.sid}") as answer:
            told = await answer.json()
            assert told.get("call", {}).get("id") == lost.sid, told
        async with session.get("/metrics") as answer:
            assert 'voicebot_worker_up{worker="0"} 1.0' in await answer.text()
    resumed = await h.app.until("call.resumed", call=lost.sid)
    assert resumed["sequence"] == 2
    again = await phones_on_both(c, pace=1.0)
    assert (await kept.hang_up()).notes == []
    for phone in (*again, lost):
        await phone.hang_up()
    for phone in (*again, lost, kept):
        await h.app.until("call.ended", call=phone.sid)
    assert await c.stop() == 0


async def test_sigterm_lets_the_calls_of_all_workers_finish(crew):
    c = await crew()
    phones = await phones_on_both(c, pace=1.0)
    c.process.send_signal(signal.SIGTERM)
    for index in range(2):
        await c.log.until("service.draining", worker=index)
    async with c.port() as session:
        async with session.get("/readyz") as answer:
            assert answer.status == 503
        for phone in phones:
            async with session.post(f"/calls/{phone.sid}/actions", json=SAY) as answer:
                assert answer.status == 202
    for phone in phones:
        await phone.heard("BotSpeaks")
    assert c.process.returncode is None
    # One after the other: the last call is still looked after when the other worker has gone.
    await phones[0].hang_up()
    await c.house.app.until("call.ended", call=phones[0].sid)
    await c.log.until("service.stopping", worker=0)
    async with c.port() as session, session.get(f"/calls/{phones[0].sid}") as answer:
        assert (await answer.json())["call"]["state"] == "ended"
    assert (await phones[1].hang_up()).notes == []
    assert await c.end() == 0
    ended = [event["data"]["reason"] for event in c.house.app.of("call.ended")]
    assert set(ended) == {"caller_hangup"}


async def test_a_second_signal_ends_the_calls_of_all(crew):
    c = await crew()
    phones = await phones_on_both(c, pace=1.0)
    c.process.send_signal(signal.SIGTERM)
    await c.log.until("service.draining", 2)
    assert await c.stop(signal.SIGINT) == 0
    for phone in phones:
        await phone.report()
        ended = await c.house.app.until("call.ended", call=phone.sid)
        assert ended["data"]["reason"] == "shutdown"


async def test_workers_end_when_their_supervisor_was_killed(crew):
    c = await crew()
    c.process.kill()
    for index in range(2):
        await c.log.until("service.stopping", worker=index)
    await c.end()


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        pytest.param({}, 1, "cannot listen on 127.0.0.1", id="port-taken"),
        pytest.param({"VOICEBOT_STORE__URL": "sqlite:////nowhere/at/all.db"}, 1, "store", id="no-store"),
        pytest.param({"VOICEBOT_TWILIO__DIRECT_STREAMS": "true"}, 3, "DIRECT_STREAMS", id="direct-streams"),
        pytest.param({"VOICEBOT_WEBHOOK__SECRETS": "[]"}, 3, "WEBHOOK__SECRETS", id="incomplete"),
    ],
)
async def test_a_start_that_goes_wrong_says_why_and_ends(crew, changes, code, words):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = 0 if changes else taken.getsockname()[1]
        c = await crew(wait=False, port=port, **changes)
        assert await c.end() == code
        async with asyncio.timeout(60):
            while not c.words:
                await asyncio.sleep(0.01)
    assert words in " ".join(c.words)
    assert len(c.words) == 1 + (code == 3)
    assert c.log.all == []
