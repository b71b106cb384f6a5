"""The API of two workers: whichever is asked, the answer is the service's."""

import asyncio
import json

import pytest

from voicebot.local.phone.scenario import Wait
from voicebot.workers import gate
from voicebot.workers.links import HOPS, LIVING, REMOTE

SAY = {"actions": [{"type": "say", "text": "Good news."}]}


async def get(session, path, **request):
    async with session.get(path, **request) as answer:
        return answer.status, json.loads(await answer.read())


async def post(session, path, body=None):
    async with session.post(path, json=body) as answer:
        return answer.status, json.loads(await answer.read() or b"null")


async def dial(p, index, **changes):
    """A call that this worker carries, though another one is asked first."""
    phone = p.house.dial(
        Wait(wait=600),
        call_sid=p.call_of(index),
        connect_to={"https://voice.example.com": p.address(1 - index)},
        **changes,
    )
    await phone.heard("StreamOpened")
    return phone


async def test_what_one_knows_all_tell(pair):
    p = await pair()
    phones = [await dial(p, index, pace=1.0) for index in (0, 1, 1)]
    sids = {phone.sid for phone in phones}
    assert [len(service.calls) for service in p.services] == [1, 2]
    for index in range(2):
        async with p.worker(index) as session:
            for query in ("?state=live", ""):
                _, listed = await get(session, f"/calls{query}")
                assert {(call["id"], call["state"]) for call in listed["items"]} == {(sid, "live") for sid in sids}
            assert (await get(session, "/calls?state=ended"))[1]["items"] == []
            for phone in phones:
                status, shown = await get(session, f"/calls/{phone.sid}")
                assert (status, shown["call"]["state"]) == (200, "live")
                assert (await post(session, f"/calls/{phone.sid}/actions", SAY))[0] == 202
                async with session.delete(f"/calls/{phone.sid}") as answer:
                    assert answer.status == 409
    for phone in phones:
        await phone.heard("BotSpeaks", 1)
    async with p.worker(0) as session:
        for phone in phones:
            assert (await post(session, f"/calls/{phone.sid}/finalize"))[0] == 202
            assert (await post(session, f"/calls/{phone.sid}/hangup"))[0] == 202
            await phone.report()
            await p.house.app.until("call.ended", call=phone.sid)
        for service in p.services:
            await service.calls.wait_empty()
        for phone in phones:
            assert (await get(session, f"/calls/{phone.sid}"))[1]["call"]["state"] == "ended"
            async with session.delete(f"/calls/{phone.sid}") as answer:
                assert answer.status == 204
            assert (await get(session, f"/calls/{phone.sid}"))[0] == 404


async def test_outsiders_are_not_taken_for_workers(pair):
    """The headers of workers are nobody else's, and their questions are answered to nobody else."""
    p = await pair()
    call = p.call_of(1)
    async with p.worker(0) as session:
        for path in (LIVING, "/workers/tickets/0.x"):
            async with session.get(path) as answer:
                assert answer.status == 404
        forged = {HOPS: "2", REMOTE: "192.0.2.1"}
        status, problem = await get(session, f"/calls/{call}", headers=forged)
        assert (status, problem["instance"]) == (404, f"/calls/{call}")
        # Wrong tokens are counted against the address that they come from, over whatever way.
        for _ in range(20):
            status, _ = await get(session, f"/calls/{call}", headers=forged | {"Authorization": "Bearer wrong"})
            assert status == 401
        assert (await get(session, f"/calls/{call}", headers={"Authorization": "Bearer wrong"}))[0] == 429
        assert (await get(session, f"/calls/{call}"))[0] == 429


async def test_a_session_is_good_on_every_worker(pair):
    p = await pair()
    token = {"token": "token-of-the-tests-0123456789"}
    async with p.worker(0) as session, session.post("/session", json=token) as answer:
        cookie = answer.headers["Set-Cookie"].partition(";")[0]
    async with p.worker(1) as session:
        for call in (p.call_of(0), p.call_of(1)):
            async with session.get(f"/calls/{call}", headers={"Cookie": cookie, "Authorization": ""}) as answer:
                assert answer.status == 404
        close = {"Cookie": cookie, "Authorization": "", "Origin": "https://voice.example.com"}
        async with session.delete("/session", headers=close) as answer:
            assert answer.status == 204
    for index in range(2):
        async with p.worker(index) as session, session.get("/session", headers=close) as answer:
            assert (answer.status, (await answer.json())["type"]) == (401, "urn:voicebot:problem:session-over")


async def test_metrics_are_those_of_the_service(pair):
    p = await pair()
    phones = [await dial(p, index, pace=1.0) for index in (0, 1, 1)]
    for index in range(2):
        async with p.worker(index) as session, session.get("/metrics") as answer:
            lines = (await answer.text()).splitlines()
        assert 'voicebot_calls{worker="0",direction="inbound",mode="bot"} 1.0' in lines
        assert 'voicebot_calls{worker="1",direction="inbound",mode="bot"} 2.0' in lines
        assert 'voicebot_worker_up{worker="1"} 1.0' in lines
        assert len([line for line in lines if line.startswith("# TYPE voicebot_calls ")]) == 1
    for phone in phones:
        await phone.hang_up()


async def test_a_worker_that_is_away(pair, monkeypatch):
    p = await pair()
    await p.end(1)
    monkeypatch.setattr(gate, "AWAY_S", 0.1)
    async with p.worker(0) as session:
        status, problem = await get(session, f"/calls/{p.call_of(1)}")
        assert (status, problem["type"]) == (503, "urn:voicebot:problem:worker-away")
        assert (await get(session, f"/calls/{p.call_of(0)}"))[0] == 404
        assert (await get(session, "/calls"))[0] == 200
        async with session.get("/metrics") as answer:
            assert 'voicebot_worker_up{worker="1"} 0.0' in await answer.text()
        async with session.get("/readyz") as answer:
            assert answer.status == 200
    monkeypatch.setattr(gate, "AWAY_S", 30)
    async with p.worker(0) as session, asyncio.TaskGroup() as group:
        asked = group.create_task(get(session, f"/calls/{p.call_of(1)}"))
        await asyncio.sleep(0.1)
        assert not asked.done()
        await p.start(1)
    assert asked.result()[0] == 404


async def test_ready_as_long_as_any_worker_is(pair):
    p = await pair()
    for index, wanted in ((0, 200), (1, 503)):
        await p.services[index].calls.drain()
        for asked in range(2):
            async with p.worker(asked) as session, session.get("/readyz") as answer:
                assert answer.status == wanted


@pytest.mark.parametrize("path", ["/calls/%ED%A0%80", "/calls/..%2F..", "/twilio/media/%00", "/calls/" + "x" * 3000])
async def test_odd_names(pair, path):
    p = await pair()
    for index in range(2):
        reader, writer = await asyncio.open_connection("127.0.0.1", p.services[index].port)
        head = f"GET {path} HTTP/1.1\r\nHost: x\r\nX-Odd: \udcff\r\nConnection: close\r\nAuthorization: Bearer token-of-the-tests-0123456789\r\n\r\n"
        writer.write(head.encode(errors="surrogateescape"))
        assert (await reader.readline()).split()[1] in {b"404", b"403", b"400"}
        writer.close()
        await writer.wait_closed()
