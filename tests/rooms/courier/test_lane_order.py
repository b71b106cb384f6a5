"""Many events on their way: in order, one at a time, and nobody on the phone waits for information."""

import asyncio

import pytest
from aiohttp import web

from voicebot.courier import Attempted, Delivered, Replied, ReplyFailed, Undelivered, lane

DEADLINE_S = 20


async def test_events_leave_in_order_one_at_a_time(app, bench):
    async with bench.line(app.url) as line:
        for sequence in range(1, 21):
            await line.lane.post(bench.live(sequence) if sequence % 3 == 0 else bench.info(sequence))
        line.lane.close()
        await line.running
    assert app.sequences == list(range(1, 21))
    assert app.most_in_flight == 1
    assert len(line.of(Delivered)) == 14
    assert len(line.of(Replied)) == 6
    assert await line.states() == ["delivered"] * 20


async def test_events_posted_at_once_leave_in_order(app, bench):
    async with bench.line(app.url) as line:
        async with asyncio.TaskGroup() as group:
            for sequence in range(1, 11):
                group.create_task(line.lane.post(bench.info(sequence)))
        await line.wait_for(Delivered, 10)
    assert app.sequences == list(range(1, 11))


async def test_a_request_leaves_in_the_step_that_hears_of_the_commit(app, bench):
    bench.store._group._way_s = DEADLINE_S
    turns = []
    async with bench.line(app.url) as line:
        await asyncio.sleep(0)  # it runs
        asyncio.get_running_loop().call_soon(turns.append, "another")
        await line.lane.post(bench.live(1))
        assert line.lane._flight is not None
        assert turns == [], "nobody else had his turn"
        await line.wait_for(Replied)
    assert await line.states() == ["delivered"]


async def test_closing_drains(app, bench):
    gate = asyncio.Event()

    async def slow(_: web.Request) -> web.Response:
        await gate.wait()
        return web.Response(status=204)

    app.answers = [slow]
    async with bench.line(app.url) as line:
        for sequence in (1, 2, 3):
            await line.lane.post(bench.info(sequence))
        await app.wait_for(1)
        line.lane.close()
        gate.set()
        await line.running
    assert app.sequences == [1, 2, 3]
    assert await line.states() == ["delivered"] * 3, "attempts are recorded before run returns"


async def test_information_is_tried_once(app, bench):
    app.answers = [app.reply(status=500)]
    async with bench.line(app.url) as line:
        await line.lane.post(bench.info(1))
        assert (await line.wait_for(Undelivered)).detail == "status 500"
        await line.lane.post(bench.info(2))
        await line.wait_for(Undelivered, 2)
    assert app.sequences == [1, 2]
    assert await line.states() == ["pending"] * 2


async def test_information_has_a_short_time(app, bench):
    app.answers = [app.hang]
    async with bench.line(app.url, inform_timeout_s=0.1) as line:
        await line.lane.post(bench.info(1))
        assert "no answer within" in (await line.wait_for(Undelivered)).detail
    assert await line.states() == ["pending"]


@pytest.mark.parametrize("backlog", [1, 5])
async def test_a_live_event_does_not_wait_for_information(app, bench, backlog):
    app.answers = [app.hang, app.reply()]
    async with bench.line(app.url, inform_timeout_s=1_000) as line:
        for sequence in range(1, backlog + 1):
            await line.lane.post(bench.info(sequence))
        await app.wait_for(1)
        await line.lane.post(bench.live(backlog + 1))
        await line.wait_for(Replied)
        abandoned = line.of(Undelivered)
    assert abandoned[0].sequence == 1
    assert app.sequences[-1] == backlog + 1
    assert app.sequences == sorted(app.sequences)
    states = await line.states()
    assert (states[0], states[-1]) == ("pending", "delivered")


async def test_all_information_together_has_one_short_time(app, bench, monkeypatch):
    monkeypatch.setattr(lane, "PATIENCE_S", 0.0)
    app.answers = [app.hang, app.reply()]
    async with bench.line(app.url, inform_timeout_s=1_000) as line:
        for sequence in (1, 2, 3):
            await line.lane.post(bench.info(sequence))
        await app.wait_for(1)
        await line.lane.post(bench.live(4))
        await line.wait_for(Replied)
    assert app.sequences == [1, 4]
    assert "left for later" in line.of(Undelivered)[-1].detail
    assert await line.states() == ["pending", "pending", "pending", "delivered"]


async def test_a_late_attempt_makes_way_for_the_next_turn(app, bench):
    app.answers = [app.hang, app.reply()]
    async with bench.line(app.url, reply_deadline_s=3, attempt_timeout_s=1_000) as line:
        await line.lane.post(bench.live(1))
        await line.wait_for(ReplyFailed)
        await line.lane.post(bench.live(2))
        told = await line.wait_for(Replied)
    assert told.sequence == 2
    assert line.of(Attempted)[0].error.startswith("no answer")


async def test_a_live_event_that_waited_too_long_is_not_sent(app, bench):
    app.answers = [app.hang, app.reply()]
    async with bench.line(app.url, reply_deadline_s=0.2, attempt_timeout_s=1_000) as line:
        await line.lane.post(bench.live(1))
        await app.wait_for(1)
        await line.lane.post(bench.live(2))
        await line.wait_for(ReplyFailed, 2)
    assert "waited too long" in line.of(ReplyFailed)[1].detail
    assert app.sequences == [1]
    assert await line.states() == ["pending"] * 2


async def test_an_overflow_of_information_is_left_to_the_store(app, bench, monkeypatch):
    monkeypatch.setattr(lane, "MAX_WAITING", 2)
    app.answers = [app.hang, app.reply()]
    async with bench.line(app.url, inform_timeout_s=1_000) as line:
        await line.lane.post(bench.info(1))
        await app.wait_for(1)
        for sequence in (2, 3, 4, 5):
            await line.lane.post(bench.info(sequence))
        await line.lane.post(bench.live(6))
        await line.wait_for(Replied)
    assert not {4, 5} & set(app.sequences)
    assert (await line.states())[3:] == ["pending", "pending", "delivered"]


async def test_calls_do_not_wait_for_each_other(app, bench):
    app.answers = [app.hang, app.reply()]
    async with bench.line(app.url, "CA1", reply_deadline_s=0.5, attempt_timeout_s=0.1, retry_waits_s=(100,)) as stuck:
        await stuck.lane.post(bench.live(1, "CA1"))
        await app.wait_for(1)
        async with bench.line(app.url, "CA2") as other:
            await other.lane.post(bench.live(1, "CA2"))
            await other.wait_for(Replied)


async def test_a_cancelled_lane_leaves_its_events_pending(app, bench):
    app.answers = [app.hang]
    async with bench.line(app.url) as line:
        await line.lane.post(bench.live(1))
        await line.lane.post(bench.info(2))
        await app.wait_for(1)
        line.running.cancel()
        await asyncio.wait({line.running})
    assert line.running.cancelled()
    assert await line.states() == ["pending"] * 2
    assert line.of(Attempted) == []
