"""Requests that end early: a reply that nobody wants, an event taken back, a newer one that cannot wait."""

import asyncio

import pytest

from voicebot.courier import Attempted, Delivered, Replied, ReplyFailed, Streamed, Undelivered

ONE = {"type": "say", "text": "One."}


# --- cancel ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("app", "seen"),
    [
        pytest.param(True, "CancelledError", id="handlers-are-cancelled"),
        pytest.param(False, "ClientConnectionResetError", id="writing-fails"),
    ],
    indirect=["app"],
)
async def test_a_cancelled_stream_is_closed_at_once(app, bench, writing, seen):
    app.answers = [writing.answer, app.reply()]
    async with bench.line(app.url) as line:
        await line.lane.post(bench.live(1))
        writing.write(ONE)
        await line.wait_for(Streamed)
        line.lane.cancel(1)
        told = await line.wait_for(ReplyFailed)
        while seen == "ClientConnectionResetError" and not writing.gone.is_set():
            writing.write(b"\n")  # without cancellation the application sees it when it writes
            await asyncio.sleep(0)
        await writing.gone.wait()
        await line.lane.post(bench.live(2))
        assert (await line.wait_for(Replied)).sequence == 2
    assert writing.seen == seen
    assert (told.reason, told.sequence) == ("cancelled", 1)
    assert "the reply is no longer wanted" in told.detail
    assert line.of(Attempted)[0].status == 200
    assert app.sequences == [1, 2]
    assert await line.states() == ["delivered"] * 2


async def test_what_is_not_answered_yet_goes_its_way(app, bench, writing):
    app.answers = [writing.answer]
    async with bench.line(app.url) as line:
        await line.lane.post(bench.live(1))
        await line.lane.post(bench.info(2))
        await app.wait_for(1)
        for sequence in (1, 2, 3):
            line.lane.cancel(sequence)
        writing.write(ONE)
        writing.end()
        await line.wait_for(Replied)
        writing.end()
        await line.wait_for(Delivered)
        line.lane.cancel(1)  # it is over
    assert line.of(ReplyFailed) == []
    assert await line.states() == ["delivered"] * 2


async def test_cancelling_another_event_does_not_matter(app, bench, writing):
    app.answers = [writing.answer]
    async with bench.line(app.url) as line:
        await line.lane.post(bench.live(2))
        writing.write(ONE)
        await line.wait_for(Streamed)
        line.lane.cancel(1)
        line.lane.withdraw(3)
        writing.write(ONE)
        writing.end()
        await line.wait_for(Replied)
    assert not writing.gone.is_set()


@pytest.mark.parametrize("begun", [True, False])
async def test_a_closed_lane_ends_a_stream(app, bench, writing, begun):
    app.answers = [writing.answer, app.reply()]
    async with bench.line(app.url) as line:
        await line.lane.post(bench.live(1))
        await line.lane.post(bench.info(2))
        await app.wait_for(1)
        if begun:
            writing.write(ONE)
            await line.wait_for(Streamed)
        line.lane.close()
        writing.write(ONE)
        await line.running
        await writing.gone.wait()
    assert line.of(ReplyFailed)[0].reason == "cancelled"
    assert app.sequences == [1, 2]
    assert await line.states() == ["delivered"] * 2


# --- withdraw --------------------------------------------------------------------------------------


async def test_an_event_taken_back_while_it_waits_is_not_sent(app, bench, writing):
    app.answers = [writing.answer]
    async with bench.line(app.url) as line:
        await line.lane.post(bench.info(1))
        await app.wait_for(1)
        await line.lane.post(bench.info(2))
        await line.lane.post(bench.live(3))
        line.lane.withdraw(3)
        writing.end()
        writing.end()
        told = await line.wait_for(ReplyFailed)
    assert (told.sequence, told.reason, told.detail) == (3, "cancelled", "the event was taken back")
    assert app.sequences[:1] == [1]
    assert 3 not in app.sequences
    assert (await line.states())[-1] == "withdrawn"
    assert await bench.store.deliveries("evt_CA1_3") == []


async def test_an_event_taken_back_hurries_nobody(app, bench, writing):
    app.answers = [writing.answer]
    async with bench.line(app.url) as line:
        await line.lane.post(bench.live(1))
        await app.wait_for(1)
        await line.lane.post(bench.info(2))
        await line.lane.post(bench.live(3))
        line.lane.withdraw(3)
        assert (await line.wait_for(ReplyFailed)).reason == "superseded"
        await app.wait_for(2)
        writing.end()
        assert (await line.wait_for(Delivered)).sequence == 2
        assert (await line.wait_for(ReplyFailed, 2)).reason == "cancelled"
    assert app.sequences == [1, 2]


@pytest.mark.parametrize("begun", [True, False])
async def test_an_event_taken_back_is_cut(app, bench, writing, begun):
    app.answers = [writing.answer, app.reply()]
    async with bench.line(app.url) as line:
        await line.lane.post(bench.live(1))
        await app.wait_for(1)
        if begun:
            writing.write(ONE)
            await line.wait_for(Streamed)
        line.lane.withdraw(1)
        line.lane.cancel(1)  # what came first counts
        told = await line.wait_for(ReplyFailed)
        await writing.gone.wait()
        await line.lane.post(bench.live(2))
        assert (await line.wait_for(Replied)).sequence == 2
    assert told.reason == "cancelled"
    assert "the event was taken back" in told.detail
    assert line.of(Attempted)[0].status == (200 if begun else None)
    assert app.sequences == [1, 2], "it is not tried again"
    assert await line.states() == ["withdrawn", "delivered"]


async def test_an_event_taken_back_between_two_attempts_is_not_tried_again(app, bench):
    app.answers = [app.reply(status=503), app.reply()]
    async with bench.line(app.url, retry_waits_s=(1_000,), reply_deadline_s=10_000) as line:
        await line.lane.post(bench.live(1))
        await line.wait_for(Attempted)
        line.lane.withdraw(1)
        assert (await line.wait_for(ReplyFailed)).reason == "cancelled"
    assert app.sequences == [1]
    assert await line.states() == ["withdrawn"]


async def test_an_event_taken_back_behind_its_deadline_is_cut_too(app, bench, writing):
    app.answers = [writing.answer]
    async with bench.line(app.url, reply_deadline_s=0.1, attempt_timeout_s=1_000) as line:
        await line.lane.post(bench.live(1))
        await line.wait_for(ReplyFailed)
        line.lane.withdraw(1)
        await line.wait_for(Attempted)
        await writing.gone.wait()
    assert [told.reason for told in line.of(ReplyFailed)] == ["deadline"]
    assert await line.states() == ["withdrawn"]


# --- a newer event that wants a reply ---------------------------------------------------------------


async def test_an_unanswered_event_makes_way_for_a_newer_one(app, bench, writing):
    app.answers = [writing.answer, app.reply()]
    async with bench.line(app.url, attempt_timeout_s=1_000, reply_deadline_s=1_000) as line:
        await line.lane.post(bench.live(1))
        await app.wait_for(1)
        await line.lane.post(bench.live(2))
        assert (await line.wait_for(Replied)).sequence == 2
        await writing.gone.wait()
    (failed,) = line.of(ReplyFailed)
    assert (failed.sequence, failed.reason) == (1, "superseded")
    assert line.of(Attempted)[0].error == failed.detail
    assert app.most_in_flight <= 2  # the application may notice the end of the first only after the second has begun
    assert await line.states() == ["pending", "delivered"]


async def test_a_stream_makes_way_for_a_newer_event(app, bench, writing):
    app.answers = [writing.answer, app.reply()]
    async with bench.line(app.url) as line:
        await line.lane.post(bench.live(1))
        writing.write(ONE)
        await line.wait_for(Streamed)
        await line.lane.post(bench.live(2))
        assert (await line.wait_for(Replied)).sequence == 2
        await writing.gone.wait()
    (failed,) = line.of(ReplyFailed)
    assert (failed.sequence, failed.reason) == (1, "superseded")
    assert await line.states() == ["delivered"] * 2


async def test_a_reply_within_the_patience_is_performed(app, bench, writing, monkeypatch):
    monkeypatch.setattr("voicebot.courier.lane.PATIENCE_S", 1_000)
    app.answers = [writing.answer, app.reply()]
    async with bench.line(app.url) as line:
        await line.lane.post(bench.live(1))
        await app.wait_for(1)
        await line.lane.post(bench.live(2))
        writing.write(ONE)
        writing.end()
        assert [(await line.wait_for(Replied, count)).sequence for count in (1, 2)] == [1, 2]
    assert line.of(ReplyFailed) == []
    assert app.most_in_flight == 1


async def test_an_event_between_two_attempts_makes_way_for_a_newer_one(app, bench):
    app.answers = [app.reply(status=503), app.reply()]
    async with bench.line(app.url, retry_waits_s=(1_000,), reply_deadline_s=10_000) as line:
        await line.lane.post(bench.live(1))
        await line.wait_for(Attempted)
        await line.lane.post(bench.live(2))
        assert (await line.wait_for(Replied)).sequence == 2
    assert [(told.sequence, told.reason) for told in line.of(ReplyFailed)] == [(1, "superseded")]
    assert await line.states() == ["pending", "delivered"]


async def test_an_older_question_is_put_before_the_newest(app, bench, writing):
    app.answers = [app.hang, app.hang, app.reply()]
    async with bench.line(app.url) as line:
        for sequence in (1, 2, 3):
            await line.lane.post(bench.live(sequence))
            await app.wait_for(1)
        assert (await line.wait_for(Replied)).sequence == 3
    assert app.sequences == [1, 2, 3]
    assert [(told.sequence, told.reason) for told in line.of(ReplyFailed)] == [(1, "superseded"), (2, "superseded")]


async def test_nothing_else_is_sent_while_a_stream_is_open(app, bench, writing):
    app.answers = [writing.answer, app.reply()]
    async with bench.line(app.url) as line:
        await line.lane.post(bench.live(1))
        writing.write(ONE)
        await line.wait_for(Streamed)
        await line.lane.post(bench.info(2))
        writing.write(ONE)
        await line.wait_for(Streamed, 2)
        assert app.sequences == [1]
        writing.end()
        await line.wait_for(Delivered)
    assert app.sequences == [1, 2]
    assert app.most_in_flight == 1
    assert line.of(Undelivered) == []
