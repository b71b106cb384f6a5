"""The application is down, slow, hangs, answers garbage or wants no more: its calls go on, the events wait, others do not notice."""

import asyncio
import re
from contextlib import suppress

import pytest
from aiohttp import web
from lives import free_port

from voicebot import live
from voicebot.local.phone.scenario import HangUp, Wait

HELLO = [{"at_ms": 300, "say": "hello there", "until_ms": 600, "end_ms": 800}]
SAY = {"actions": [{"type": "say", "text": "An answer."}, {"type": "listen", "expect": {"digits": 1}}]}
BAD = "+15550150"
CALLS = 6
QUICK = {
    "reply_deadline_s": 0.8,
    "attempt_timeout_s": 0.4,
    "inform_timeout_s": 0.4,
    "background_timeout_s": 0.4,
    "schedule_s": [0.1] * 300,
}
GARBAGE = b'\xff\xfe{"actions": [{"type": "dance"'


@pytest.fixture
async def suffering(house, level):
    """Calls to a number whose application answers so, beside a good one; returns the house and the bad calls' ids."""

    async def suffer(faulty, *, url=""):
        server = await listen(faulty, 0) if faulty else None
        port = server.addresses[0][1] if server else free_port()
        numbers = {BAD: {"webhook_url": url or f"http://127.0.0.1:{port}/hook"}}
        h = await house(HELLO, webhook=QUICK, numbers=numbers)
        h.port_of_bad = port
        h.app.on("turn.completed", SAY)
        h.app.on("digits.completed", SAY)
        await h.call(HangUp())
        good = h.dial(pace=1.0)
        await h.app.until("speech.finished", call=good.sid)
        async with level():
            bad = [h.dial(Wait(wait=9), HangUp(), to=BAD) for _ in range(CALLS)]
            for phone in bad:
                report = await phone.report()
                assert report.ended == "caller"
                await h.live(live.CallClosed, lambda event, sid=phone.sid: event.call == sid)
                assert h.service.calls.find(good.sid) is not None
            good.press("1")
            await h.app.until("digits.completed", call=good.sid)
            await h.app.until("speech.finished", 2, call=good.sid)
            async with asyncio.timeout(30):
                while len(h.service.calls) > 1:  # their last events are tried
                    await asyncio.sleep(0.02)
            if server:
                await server.cleanup()
        report = await good.hang_up()
        assert report.notes == []
        await h.empty()
        assert h.app.of("call.ended", good.sid)[0]["data"]["totals"]["missed_replies"] == 0
        return h, [phone.sid for phone in bad]

    return suffer


async def listen(handler, port):
    application = web.Application()
    application.router.add_post("/hook", handler)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    return runner


async def heals(h, calls):
    """The application works again: every event comes, once as the application counts, each call's in order."""
    runner = await listen(h.app.handle, h.port_of_bad)
    for call in calls:
        await h.app.until("call.ended", call=call)
        told = [event for event in h.app.events if event["call"]["id"] == call]
        assert [event["sequence"] for event in told] == list(range(1, len(told) + 1))
        assert [event["type"] for event in told][0 :: len(told) - 1] == ["call.started", "call.ended"]
        assert told[-1]["data"]["reason"] == "caller_hangup"
        assert told[-1]["data"]["totals"]["turns"] == 1
    await runner.cleanup()


def missing(h, call):
    """Why replies were missing."""
    return [event.reason for event in h.seen if isinstance(event, live.ReplyMissing) and event.call == call]


async def test_down(suffering):
    h, calls = await suffering(None)
    assert all(missing(h, call) for call in calls)
    await heals(h, calls)


async def test_it_hangs(suffering):
    async def hang(_request):
        await asyncio.Event().wait()

    h, calls = await suffering(hang)
    assert all(missing(h, call) for call in calls)
    await heals(h, calls)


async def test_slow(suffering, house):
    """Slower than anybody likes and in time: the answers are spoken, nothing is tried twice."""
    taken = []

    async def slow(request):
        taken.append(await request.json())
        await asyncio.sleep(0.2)
        return web.json_response(SAY)

    h, calls = await suffering(slow)
    assert [missing(h, call) for call in calls] == [[]] * CALLS
    said = [event.call for event in h.seen if isinstance(event, live.BotSaid)]
    assert set(calls) <= set(said)
    assert len({event["id"] for event in taken}) == len(taken)
    for call in calls:
        told = [event["sequence"] for event in taken if event["call"]["id"] == call]
        assert told == sorted(told)


async def test_garbage(suffering):
    """It is taken and cannot be used: each reply is refused and told, nothing is sent again."""
    taken = []

    async def garbage(request):
        taken.append(await request.json())
        return web.Response(body=GARBAGE, content_type="application/json")

    h, calls = await suffering(garbage)
    assert all(missing(h, call) for call in calls)
    ended = {event["call"]["id"]: event["data"] for event in taken if event["type"] == "call.ended"}
    assert set(ended) == set(calls)
    assert {data["totals"]["turns"] for data in ended.values()} == {1}
    assert all(data["totals"]["refused_replies"] >= 1 for data in ended.values())


async def test_gone(suffering):
    """410: the endpoint is stopped for all calls; their events wait until somebody resumes it."""
    asked = []

    async def gone(request):
        asked.append(request.path)
        return web.Response(status=410)

    h, calls = await suffering(gone)
    assert len(asked) < 3 * CALLS, "once stopped, nobody is asked"
    assert h.metric("endpoints_stopped") in {0, 1}, "counted when somebody asks"
    assert [event for event in h.app.events if event["call"]["id"] in calls] == []
    assert {event.reason for event in h.seen if isinstance(event, live.CallClosed) and event.call in calls} == {
        "caller_hangup"
    }


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(b"200 Gr\xfc\xdfe\r\nContent-Type: application/\xff\xfe", id="content-type"),
        pytest.param(b"200 OK\r\nContent-Type: application/json\r\nContent-Encoding: \xff\xfe", id="content-encoding"),
        pytest.param(b"500 \xff\xfe\r\nRetry-After: \xff\xfe", id="reason"),
    ],
)
async def test_bytes_in_the_head_that_are_no_text(suffering, head):
    """No socket, file or database takes what they are read as: it is told in other signs."""

    async def answer(reader, writer):
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            asked = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(int(re.search(rb"content-length: (\d+)", asked, re.IGNORECASE)[1]))
            writer.write(b"HTTP/1.1 " + head + b"\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}")
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        h, calls = await suffering(None, url=f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook")
    assert all(missing(h, call) for call in calls)
    assert [event for event in h.seen if isinstance(event, live.Trouble) and event.call in calls] == []
