"""A reply that is performed while the application is still writing it, and what ends it early."""

import asyncio
import gzip
import json
import re

import pytest
from aiohttp import web

from voicebot.core.actions import Action, HangUp, Say
from voicebot.courier import Attempted, Replied, ReplyFailed, Streamed
from voicebot.wire.webhook_reply import UNSET, Reply

ONE = {"type": "say", "text": "One."}
TWO = {"type": "say", "text": "Two."}
HANG_UP = {"type": "hangup"}


def actions(line) -> list[Action]:
    return [action for told in line.of(Streamed) for action in told.actions]


def texts(line) -> list[str]:
    return [action.text for action in actions(line)]


async def one_event(bench) -> dict[str, object]:
    (row,) = await bench.store.events("CA1")
    return dict(row)


# --- as it comes -----------------------------------------------------------------------------------


async def test_the_first_sentence_is_handed_over_while_the_second_is_unwritten(app, bench, writing):
    app.answers = [writing.answer]
    async with bench.line(app.url) as line:
        await line.lane.post(bench.live(1))
        writing.write(ONE)
        first = await line.wait_for(Streamed)
        assert line.of(Replied) == line.of(Attempted) == []
        writing.write({"state": [1]}, HANG_UP)
        writing.end()
        last = await line.wait_for(Replied)
        await line.wait_for(Attempted)
    assert (first.event_id, first.sequence, first.event_type) == ("evt_CA1_1", 1, "no_input")
    assert (first.actions, first.state) == ((Say(text="One."),), UNSET)
    assert first.sent_at <= first.first_byte_at <= first.at <= last.done_at
    assert (last.reply, last.streamed, last.attempts) == (Reply(), True, 1)
    assert (last.sent_at, last.first_byte_at) == (first.sent_at, first.first_byte_at)
    assert actions(line) == [Say(text="One."), HangUp()]
    assert [told.state for told in line.of(Streamed) if told.state is not UNSET] == [[1]]
    assert line.of(ReplyFailed) == []
    row = await one_event(bench)
    assert (row["state"], row["last_status"], row["last_error"]) == ("delivered", 200, None)


async def test_an_event_stream_in_crumbs(app, bench, writing):
    writing.content_type = "text/event-stream; charset=utf-8"
    app.answers = [writing.answer]
    body = 'data: {"type":"say","text":"Grüezi, "\r\ndata: ,"more":true}\r\n\r\n: ping\r\n\r\n'
    body += 'data: {"type":"say","text":"Ada."}'
    async with bench.line(app.url) as line:
        await line.lane.post(bench.live(1))
        encoded = body.encode()
        writing.write(*(encoded[at : at + 1] for at in range(len(encoded))))
        await line.wait_for(Streamed)
        assert texts(line) == ["Grüezi, "]
        writing.end()
        await line.wait_for(Replied)
    assert texts(line) == ["Grüezi, ", "Ada."], "the end of the stream completes its last message"
    assert [told.actions[0].more for told in line.of(Streamed)] == [True, False]


async def test_a_state_waits_for_the_first_action(app, bench, writing):
    app.answers = [writing.answer]
    async with bench.line(app.url) as line:
        await line.lane.post(bench.live(1))
        writing.write({"state": 1}, b"\n", {"state": 2})
        writing.write(ONE)
        assert (await line.wait_for(Streamed)).state == 2
        writing.write({"state": 3})
        told = await line.wait_for(Streamed, 2)
        assert (told.actions, told.state) == ((), 3)
        writing.end()
        await line.wait_for(Replied)


async def test_a_stream_without_actions_is_an_ordinary_reply(app, bench, writing):
    app.answers = [writing.answer]
    async with bench.line(app.url) as line:
        await line.lane.post(bench.live(1))
        writing.write(b"\n", {"state": {"n": 1}})
        writing.end()
        told = await line.wait_for(Replied)
    assert (told.reply, told.streamed) == (Reply((), {"n": 1}), False)
    assert line.of(Streamed) == []


async def test_the_time_that_actions_wait_here_is_not_the_applications(app, bench, writing):
    app.answers = [writing.answer]
    async with bench.line(app.url, stream_idle_s=0.5) as line:
        tell = line.lane._report._tell

        async def slow(outcome):
            if isinstance(outcome, Streamed):
                await asyncio.sleep(0.8)
            await tell(outcome)

        line.lane._report._tell = slow
        await line.lane.post(bench.live(1))
        writing.write(ONE)
        writing.end()
        await line.wait_for(Replied)
    assert texts(line) == ["One."]


# --- before the first action -----------------------------------------------------------------------


@pytest.mark.parametrize("before", [b"", b"\n\n", b'{"state":1}\n', b'{"type":"say","te'])
async def test_what_breaks_before_its_first_action_is_tried_again(app, bench, writing, before):
    app.answers = [writing.answer, app.reply({"actions": [TWO]})]
    async with bench.line(app.url) as line:
        await line.lane.post(bench.live(1))
        writing.write(before, b"abort")
        told = await line.wait_for(Replied)
    assert (told.attempts, told.reply) == (2, Reply((Say(text="Two."),)))
    assert line.of(Attempted)[0].status is None
    assert line.of(Streamed) == line.of(ReplyFailed) == []


@pytest.mark.parametrize(
    ("first", "detail"),
    [
        pytest.param(b"[DONE]\n", "line 1: $: is no JSON", id="no-json"),
        pytest.param(b'{"type":"say"}\n', "line 1: $.text: is missing", id="missing"),
        pytest.param(b" " * 1_025, "$: is larger than 1024 bytes", id="too-long"),
    ],
)
async def test_what_is_malformed_before_its_first_action_is_refused(app, bench, writing, first, detail):
    app.answers = [writing.answer]
    async with bench.line(app.url, max_reply_bytes=1_024) as line:
        await line.lane.post(bench.live(1))
        writing.write(first)
        told = await line.wait_for(ReplyFailed)
        assert told.reason == "refused"
        assert detail in told.detail
        await writing.gone.wait()  # nothing more of it is read
    assert len(app.requests) == 1
    assert (await one_event(bench))["state"] == "delivered"


async def test_an_encoded_stream_is_refused(app, bench, writing):
    writing.headers["Content-Encoding"] = "gzip"
    app.answers = [writing.answer]
    async with bench.line(app.url) as line:
        await line.lane.post(bench.live(1))
        writing.write(gzip.compress(json.dumps(ONE).encode() + b"\n"))
        writing.end()
        assert "is encoded (gzip)" in (await line.wait_for(ReplyFailed)).detail


async def test_the_first_action_has_a_deadline(app, bench, writing):
    app.answers = [writing.answer]
    async with bench.line(app.url, reply_deadline_s=0.2) as line:
        await line.lane.post(bench.live(1))
        writing.write(b"\n")
        assert (await line.wait_for(ReplyFailed)).detail == "no reply within 0.2 s"
        writing.write(ONE)
        attempt = await line.wait_for(Attempted)
        assert (attempt.status, attempt.error) == (200, "too late: not performed")
        await writing.gone.wait()
    assert line.of(Streamed) == line.of(Replied) == []
    assert len(line.of(ReplyFailed)) == 1


async def test_a_stream_without_an_action_in_time_is_tried_again(app, bench, writing):
    app.answers = [writing.answer, app.reply({"actions": [TWO]})]
    async with bench.line(app.url, attempt_timeout_s=0.2, reply_deadline_s=20) as line:
        await line.lane.post(bench.live(1))
        writing.write(b"\n")
        assert (await line.wait_for(Replied)).attempts >= 2
        await writing.gone.wait()


# --- behind the first action -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("then", "detail"),
    [
        pytest.param([b"abort"], "Payload|reset|closed|Disconnected", id="connection"),
        pytest.param([b'{"type":"say"}\n'], "line 2: .*text: is missing", id="malformed"),
        pytest.param([b"data: [DONE]\n", TWO], "line 2: .*is no JSON", id="no-json"),
        pytest.param([{"type": "say", "text": "x" * 1_024}], "is larger than 1024 bytes", id="too-long"),
        pytest.param([b" " * 600, b" " * 600], "is larger than 1024 bytes", id="endless-line"),
        pytest.param([HANG_UP, TWO], "line 3: .*say comes after hangup", id="order"),
    ],
)
async def test_what_came_before_a_fault_stands(app, bench, writing, then, detail):
    app.answers = [writing.answer, app.reply()]
    async with bench.line(app.url, max_reply_bytes=1_024) as line:
        await line.lane.post(bench.live(1))
        writing.write(ONE)
        await line.wait_for(Streamed)
        writing.write(*then)
        told = await line.wait_for(ReplyFailed)
        attempt = await line.wait_for(Attempted)
        await line.lane.post(bench.live(2))
        assert (await line.wait_for(Replied)).sequence == 2, "the lane goes on"
    assert told.reason == "broken"
    assert re.search(detail, told.detail)
    assert (attempt.status, attempt.error) == (200, told.detail)
    assert app.sequences == [1, 2], "what was performed is not asked for again"
    assert not {"Two.", "x" * 1_024} & {getattr(action, "text", "") for action in actions(line)}
    first, _ = await bench.store.events("CA1")
    assert (first["state"], first["last_status"], first["last_error"]) == ("delivered", 200, told.detail)


async def test_a_fault_in_the_same_packet_does_not_undo_what_came_before(app, bench):
    body = b'{"type":"say","text":"One."}\n{"state":1}\n[]\n{"type":"say","text":"Two."}\n'
    app.answers = [app.raw(body, "application/x-ndjson")]
    async with bench.line(app.url) as line:
        await line.lane.post(bench.live(1))
        told = await line.wait_for(ReplyFailed)
    assert (told.reason, actions(line), line.of(Streamed)[-1].state) == ("broken", [Say(text="One.")], 1)
    assert "line 3: $: should be an object" in told.detail


async def test_a_silent_stream_is_cut_off(app, bench, writing):
    app.answers = [writing.answer]
    async with bench.line(app.url, stream_idle_s=0.1) as line:
        await line.lane.post(bench.live(1))
        writing.write(ONE)
        told = await line.wait_for(ReplyFailed)
        assert told.reason == "broken"
        assert told.detail.endswith("nothing came for 0.1 s")
        await writing.gone.wait()
    assert (await one_event(bench))["state"] == "delivered"


async def test_a_stream_that_never_ends_is_cut_off(app, bench):
    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b'data: {"type":"say","text":"One."}\n\n')
        while True:
            await response.write(b": ping\n\n")
            await asyncio.sleep(0.01)

    app.answers = [endless]
    async with bench.line(app.url, stream_timeout_s=0.3) as line:
        await line.lane.post(bench.live(1))
        told = await line.wait_for(ReplyFailed)
    assert (told.reason, actions(line)) == ("broken", [Say(text="One.")])
    assert told.detail.endswith("the stream took longer than 0.3 s")


async def test_connections_are_used_again_or_closed(app, bench, writing):
    app.answers = [writing.answer]
    async with bench.line(app.url) as line:
        for number in (1, 2):
            await line.lane.post(bench.live(number))
            writing.write(ONE)
            writing.end()
            await line.wait_for(Replied, number)
        await line.lane.post(bench.live(3))
        writing.write(ONE)
        await line.wait_for(Streamed, 3)
        line.lane.cancel(3)
        await line.wait_for(ReplyFailed)
        await writing.gone.wait()
        async with bench.session.get(app.url) as response:  # the pool is in order
            assert response.status == 405
    assert len({request.peer for request in app.requests}) == 1, "a stream that has ended leaves its connection open"
