"""What the lanes leave behind is delivered later: in order, one at a time per call, along the schedule."""

import asyncio
from datetime import timedelta

import aiohttp
import pytest
import structlog
from aiohttp import web
from standardwebhooks import Webhook

from voicebot.courier import Replied
from voicebot.store import EndpointResume
from voicebot.wire.webhook import encode

from .background import Clock, attempts, running, until
from .conftest import SECRET

SOON = {"schedule_s": (0.05,) * 20}


# --- what a killed process left --------------------------------------------------------------------


async def test_what_a_dead_process_left_goes_out_at_once_in_order(app, bench):
    async with running(bench) as service:
        await service.put(app.url, 1, 2, live=False)
        await service.put(app.url, 3, 4)
        await service.settled(*["delivered"] * 4)
    assert app.sequences == [1, 2, 3, 4]
    assert app.most_in_flight == 1
    request = app.requests[2]
    assert request.headers["webhook-id"] == "evt_CA1_3"
    assert Webhook(SECRET).verify(request.body, request.headers)["sequence"] == 3
    assert request.body == encode(bench.live(3)), "the bytes that were kept"


async def test_a_late_reply_is_recorded_and_never_performed(app, bench):
    app.answers = [app.reply({"actions": [{"type": "hangup"}]})]
    async with running(bench) as service:
        await service.put(app.url, 1)
        await service.put(app.url, 2, live=False)
        await service.settled("delivered", "delivered")
    assert attempts(bench, "attempt", "status", "error") == [(1, 200, "too late: not performed"), (1, 200, None)]


async def test_an_address_that_is_none_holds_nobody_up(app, bench):
    async with running(bench, calls=["CA1", "CA2"], **SOON) as service:
        await service.put("http://app..example/", 1, call="CA1")
        await until(bench, "select count(*) > 0 from deliveries", [(1,)])
        await service.put(app.url, 1, call="CA2")
        await app.wait_for(1)
    assert "label empty" in attempts(bench, "error")[0][0]


async def test_a_bug_with_one_event_holds_nobody_else_up(app, bench):
    async def break_at(_session, _context, asked):
        if asked.url.path == "/broken":
            raise RuntimeError("a bug")

    tracing = aiohttp.TraceConfig()
    tracing.on_request_start.append(break_at)
    tracing.freeze()
    bench.session.trace_configs.append(tracing)
    async with running(bench, calls=["CA1", "CA2"], **SOON) as service:
        with structlog.testing.capture_logs() as log:
            await service.put(app.url.replace("/hook", "/broken"), 1)
            await service.put(app.url, 1, call="CA2")
            await service.settled("pending", "delivered")
            await service.put(app.url, 2, call="CA2")
            await service.settled("pending", "delivered", "delivered")
    (broken,) = [line for line in log if line["log_level"] == "error"]
    assert (broken["event"], broken["event_id"]) == ("webhook.delivery_broken", "evt_CA1_1")


async def test_calls_go_side_by_side_up_to_a_bound(app, bench):
    gate = asyncio.Event()

    async def wait(_):
        await gate.wait()
        return web.Response()

    app.answers = [wait]
    names = [f"CA{n}" for n in range(6)]
    async with running(bench, calls=names, background_requests=3) as service:
        for name in names:
            await service.put(app.url, 1, 2, call=name)
        await app.wait_for(3)
        assert app.in_flight == 3
        gate.set()
        await service.settled(*["delivered"] * 12)
    assert app.most_in_flight == 3
    for name in names:
        got = [r.sequence for r in app.requests if f'"{name}"'.encode() in r.body]
        assert got == [1, 2]


async def test_a_streamed_answer_is_not_heard_to_its_end(app, bench, writing):
    app.answers = [writing.answer]
    async with running(bench) as service:
        await service.put(app.url, 1)
        await app.wait_for(1)
        writing.write({"type": "say", "text": "One."})
        await service.settled("delivered")
        await writing.gone.wait()


# --- the schedule ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param({"status": 500}, id="500"),
        pytest.param({"status": 429}, id="429"),
        pytest.param({"status": 302, "headers": {"Location": "/elsewhere"}}, id="redirect"),
    ],
)
async def test_the_first_of_a_call_holds_up_the_others_until_it_is_through(app, bench, fault):
    app.answers = [app.reply(**fault), app.reply(**fault), app.reply()]
    async with running(bench, **SOON) as service:
        await service.put(app.url, 1, 2)
        await service.settled("delivered", "delivered")
    assert app.sequences == [1, 1, 1, 2]
    assert len({r.headers["webhook-id"] for r in app.requests[:3]}) == 1
    assert attempts(bench, "attempt")[:3] == [(1,), (2,), (3,)]


async def test_at_the_end_of_the_schedule_it_is_dead(app, bench):
    app.answers = [app.reply(status=500)] * 3 + [app.reply()]
    async with running(bench, schedule_s=(0.02, 0.03)) as service:
        await service.put(app.url, 1, 2)
        await service.settled("dead", "delivered")
    assert app.sequences == [1, 1, 1, 2]
    assert bench.look("select last_error, next_attempt_at from events where sequence = 1") == [
        ("status 500, at the end of the schedule", None)
    ]


async def test_a_refusal_is_final(app, bench):
    app.answers = [app.reply(status=404), app.reply()]
    async with running(bench, **SOON) as service:
        await service.put(app.url, 1, 2)
        await service.settled("dead", "delivered")
    assert app.sequences == [1, 2]


async def test_retry_after_is_honoured(app, bench):
    app.answers = [app.reply(status=503, headers={"Retry-After": "3600"}), app.reply()]
    clock = Clock()
    bench.courier["now"] = clock
    async with running(bench, **SOON) as service:
        await service.put(app.url, 1)
        await until(bench, "select attempts from events", [(1,)])
        record = await bench.store.outbox.event("evt_CA1_1")
        assert timedelta(minutes=59) < record.summary.next_attempt_at - clock() <= timedelta(hours=1)
        clock.ahead = timedelta(minutes=50)
        assert [r.sequence for r in app.requests] == [1]
        clock.ahead = timedelta(hours=1)
        await service.settled("delivered")
    assert app.sequences == [1, 1]


async def test_waits_grow_along_the_schedule(app, bench):
    app.answers = [app.reply(status=500)]
    clock = Clock()
    bench.courier["now"] = clock
    waits = (100, 1_000, 10_000)
    async with running(bench, schedule_s=waits) as service:
        await service.put(app.url, 1)
        for number, wait in enumerate(waits, 1):
            await until(bench, "select attempts from events", [(number,)])
            record = await bench.store.outbox.event("evt_CA1_1")
            left = (record.summary.next_attempt_at - clock()).total_seconds()
            assert wait - 30 < left <= wait * 1.25
            clock.ahead += timedelta(seconds=wait * 1.3)
        await service.settled("dead")
    assert len(app.requests) == 4


async def test_nobody_there(bench):
    async with running(bench, schedule_s=(3_600,)) as service:
        await service.put("http://127.0.0.1:9/", 1)
        await until(bench, "select attempts, state from events", [(1, "pending")])


async def test_a_slow_application_is_cut_off(app, bench):
    app.answers = [app.hang, app.reply()]
    async with running(bench, background_timeout_s=0.1, **SOON) as service:
        await service.put(app.url, 1)
        await service.settled("delivered")
    assert "no answer within" in attempts(bench, "error")[0][0]


# --- endpoints that stop ---------------------------------------------------------------------------


async def test_gone_stops_the_endpoint_until_it_is_resumed(app, bench):
    app.answers = [app.reply(status=410), app.reply()]
    async with running(bench, calls=("CA1", "CA2"), **SOON) as service:
        await service.put(app.url, 1, 2)
        await until(bench, "select url from endpoints", [(app.url,)])
        line = service.line(app.url, "CA2")
        await line.lane.post(bench.live(1, "CA2"))
        line.lane.close()
        await line.running
        assert [told.detail for told in line.told] == ["the endpoint has answered 410 before"]
        assert [s for (s,) in bench.look("select state from events")] == ["pending"] * 3
        assert app.sequences == [1]
        await bench.store.write(EndpointResume(app.url))
        await service.settled(*["delivered"] * 3)
        line = service.line(app.url, "CA2")
        await line.lane.post(bench.live(2, "CA2"))
        await line.wait_for(Replied)
        line.lane.close()
    assert len(app.requests) == 5
