"""One media stream after its start: what a call survives, what keeps its time, and how a stream ends."""

import asyncio
import json

import pytest
from aiohttp import web

from tests.web.conftest import DEADLINE_S
from voicebot import live
from voicebot.web.media_socket import MediaWebSocket

HELLO = [{"at_ms": 300, "say": "hello there", "until_ms": 600, "end_ms": 800}]
FAR = [{"at_ms": 2_000, "say": "far away", "until_ms": 2_400, "end_ms": 2_600}]
HANG_UP = {"type": "hangup"}


async def finish(h, stream):
    """The caller hangs up; the last of the call."""
    await stream.stop()
    await stream.closed()
    await h.empty()
    return h.app.events[-1]["data"]


# --- in mid-stream --------------------------------------------------------------------------------

MESSAGES = {
    "cut JSON": '{"event":"media","media":{"payload":',
    "no object": "[1]",
    "no event": "{}",
    "event of a wrong type": '{"event": {"a": 1}}',
    "media without a body": '{"event":"media"}',
    "payload of a wrong type": '{"event":"media","media":{"track":"inbound","timestamp":"1","payload":7}}',
    "payload that is no base64": '{"event":"media","media":{"track":"inbound","timestamp":"1","payload":"@@@"}}',
    "timestamp of a wrong type": '{"event":"media","media":{"track":"inbound","timestamp":[],"payload":"/w=="}}',
    "timestamp below zero": '{"event":"media","media":{"track":"inbound","timestamp":"-5","payload":"/w=="}}',
    "endless timestamp": '{"event":"media","media":{"track":"inbound","timestamp":"'
    + "9" * 400
    + '","payload":"/w=="}}',
    "unknown track": '{"event":"media","media":{"track":"sideways","timestamp":"1","payload":"/w=="}}',
    "key that is none": '{"event":"dtmf","dtmf":{"digit":"12"}}',
    "mark without a name": '{"event":"mark","mark":{}}',
    "deep nesting": '{"event":' + "[" * 30_000,
    "huge number": '{"event":"media","n":' + "9" * 5_000 + "}",
}


@pytest.mark.parametrize("name", MESSAGES)
async def test_a_call_survives_a_message_that_cannot_be_read(house, carrier, logs, name):
    h = await house(HELLO)
    async with carrier(h) as twilio, twilio.talking() as stream:
        await stream.media(10)
        await stream.raw(MESSAGES[name])
        await stream.media(50)
        turn = await h.app.until("turn.completed")
        assert turn["data"]["turn"]["text"] == "hello there"
        assert (await finish(h, stream))["reason"] == "caller_hangup"
    assert h.metric("refused_total", door="media", why="malformed message") == 1
    assert len([entry for entry in logs if entry.get("why") == "malformed message"]) == 1


async def test_a_call_survives_binary_messages_and_a_second_start(house, carrier):
    h = await house(HELLO)
    async with carrier(h) as twilio:
        call_sid, token = await twilio.ring()
        async with twilio.stream(call_sid) as stream:
            await stream.start(token)
            await stream.raw(b"\x00" * 320)
            await stream.start(token)
            await stream.media(60)
            await h.app.until("turn.completed")
            assert (await finish(h, stream))["reason"] == "caller_hangup"
    assert h.metric("refused_total", door="media", why="binary message") == 1
    assert h.metric("refused_total", door="media", why="second start") == 1
    assert len(h.tap.stt) == 1


async def test_unknown_events_and_fields_mean_nothing(house, carrier):
    h = await house(HELLO)
    async with carrier(h) as twilio, twilio.talking() as stream:
        await stream.raw('{"event":"weather","weather":{"sky":"clear"}}')
        await stream.raw('{"event":"mark","mark":{"name":"of somebody else"},"future":[1]}')
        await stream.media(60)
        await h.app.until("turn.completed")
        await finish(h, stream)
    assert (
        h.service.metrics.registry.get_sample_value(
            "voicebot_refused_total", {"door": "media", "why": "malformed message"}
        )
        is None
    )


async def test_an_oversized_message_ends_its_stream_alone_and_the_last_words_come(house, carrier):
    h = await house([{"at_ms": 300, "partial": " not finished"}], twilio={"resume_timeout_s": 0.2})
    good = h.dial()
    async with carrier(h) as twilio, twilio.talking() as stream:
        await stream.media(30)
        await h.live(live.Partial, lambda event: event.call == stream.call_sid)
        await stream.raw(json.dumps({"event": "media", "media": {"payload": "A" * 100_000}}))
        assert (await stream.closed())[0] == 1009
        turn = await h.app.until("turn.completed", call=stream.call_sid)
        assert turn["data"]["turn"]["text"] == "not finished"
        ended = await h.app.until("call.ended", call=stream.call_sid)
    assert ended["data"]["reason"] == "stream_lost"
    assert h.metric("refused_total", door="media", why="oversized message") == 1
    assert h.service.calls.find(good.sid) is not None
    await good.hang_up()
    await h.empty()


# --- order and time -------------------------------------------------------------------------------


async def test_what_comes_twice_or_late_is_heard_once_and_counted(house, carrier):
    h = await house(HELLO)
    async with carrier(h) as twilio, twilio.talking() as stream:
        marked = [bytes([0x20 + number]) * 160 for number in range(8)]
        for payload in marked:
            await stream.media(payload=payload)
        stream.timestamp -= 60
        for payload in marked[5:]:
            await stream.media(payload=payload)  # again
        await stream.media(50)
        await h.app.until("turn.completed")
        await finish(h, stream)
    audio = h.tap.stt[0].audio
    assert audio.startswith(b"".join(marked) + b"\x7f" * 160)
    assert h.metric("media_out_of_order_total") == 3


async def test_holes_are_filled_so_that_words_keep_their_time(house, carrier):
    """The recogniser counts bytes: without the hole its words would come later than the caller's."""
    h = await house(FAR)
    async with carrier(h) as twilio, twilio.talking() as stream:
        await stream.media(10)
        stream.timestamp += 2_000
        await stream.media(40)
        turn = await h.app.until("turn.completed")
        await finish(h, stream)
    assert turn["data"]["turn"]["words"][0]["start_ms"] == 2_000
    audio = h.tap.stt[0].audio
    assert audio[1_600:17_600] == b"\xff" * 16_000
    assert audio[17_600:17_760] == b"\x7f" * 160


async def test_a_hole_without_an_end_is_filled_up_to_a_limit(house, carrier):
    h = await house(FAR, twilio={"max_gap_ms": 500})
    async with carrier(h) as twilio, twilio.talking() as stream:
        await stream.media(10)
        stream.timestamp += 3_600_000
        await stream.media(10)
        await h.tap.changed.until(lambda message: isinstance(message, bytes) and message.endswith(b"\x7f"))
        await finish(h, stream)
    assert len(h.tap.stt[0].audio) == 160 * 20 + 500 * 8


@pytest.mark.parametrize("size", [1, 80, 1_600, 16_000])
async def test_frames_of_any_size(house, carrier, size):
    h = await house(HELLO)
    async with carrier(h) as twilio, twilio.talking() as stream:
        for start in range(0, 8_000, size):
            stream.timestamp = 155 + start // 8
            if size >= 8 or start % 8 == 0:
                await stream.media(payload=b"\x7f" * max(size, 8))
        await h.app.until("turn.completed")
        await finish(h, stream)


async def test_the_other_track_is_not_heard_on_a_stream_with_a_bot(house, carrier):
    h = await house(HELLO)
    async with carrier(h) as twilio, twilio.talking() as stream:
        await stream.media(40, track="outbound", payload=b"\x11" * 160)
        await stream.media(60)
        await h.app.until("turn.completed")
        await finish(h, stream)
    assert b"\x11" not in h.tap.stt[0].audio


# --- the end --------------------------------------------------------------------------------------


async def test_a_stream_that_falls_silent_for_good_is_given_up_on(house, carrier):
    h = await house(
        [{"at_ms": 300, "partial": " last words"}],
        twilio={"resume_timeout_s": 0.2, "silence_timeout_s": 0.3, "ping_s": 600},
    )
    async with carrier(h) as twilio, twilio.talking() as stream:
        await stream.media(30)
        # Neither stop nor close.
        turn = await h.app.until("turn.completed")
        await h.app.until("call.ended")
    assert turn["data"]["turn"]["text"] == "last words"
    assert h.app.events[-1]["data"]["reason"] == "stream_lost"
    await h.empty()


async def test_a_peer_that_answers_no_ping_is_given_up_on(house, carrier, logs):
    h = await house(twilio={"resume_timeout_s": 0.2, "ping_s": 0.2})
    async with carrier(h) as twilio:
        call_sid, token = await twilio.ring()
        async with twilio.stream(call_sid, close_timeout=0.1) as stream:
            await stream.start(token)
            await h.live(live.StreamOpened)
            stream.socket.transport.pause_reading()
            await h.app.until("call.ended")
            stream.socket.transport.abort()
    assert h.app.events[-1]["data"]["reason"] == "stream_lost"
    await h.empty()


async def test_a_muted_caller_whose_carrier_answers_pings_stays(house, carrier, monkeypatch):
    pinged = asyncio.Semaphore(0)
    ping = MediaWebSocket.ping

    async def counted(ws, *message):
        await ping(ws, *message)
        pinged.release()

    monkeypatch.setattr(MediaWebSocket, "ping", counted)
    h = await house([{"at_ms": 300, "final": " here again", "end": True}], twilio={"ping_s": 2})
    async with carrier(h) as twilio, twilio.talking() as stream:
        await h.live(live.StreamOpened)
        async with asyncio.timeout(DEADLINE_S):
            for _ in range(2):
                await pinged.acquire()
        await stream.media(30)
        turn = await h.app.until("turn.completed")
        await finish(h, stream)
    assert turn["data"]["turn"]["text"] == "here again"
    assert h.app.of("call.resumed") == []


@pytest.mark.parametrize("code", [1000, 1001, 1011])
async def test_a_stream_that_is_closed_without_stop(house, carrier, code):
    h = await house(twilio={"resume_timeout_s": 0.2})
    async with carrier(h) as twilio, twilio.talking() as stream:
        await h.live(live.StreamOpened)
        await stream.socket.close(code)
        await h.empty()
    assert h.app.events[-1]["data"]["reason"] == "stream_lost"


async def test_a_line_that_breaks(house, carrier):
    h = await house(twilio={"resume_timeout_s": 0.2})
    async with carrier(h) as twilio, twilio.talking() as stream:
        await h.live(live.StreamOpened)
        stream.socket.transport.abort()
        await h.empty()
    assert h.app.events[-1]["data"]["reason"] == "stream_lost"


async def test_a_carrier_that_reports_no_mark_does_not_hold_the_hangup(house, carrier):
    h = await house(limits={"hangup_timeout_s": 0.3})
    h.app.on("call.started", {"actions": [{"type": "say", "text": "Bye."}, HANG_UP]})
    async with carrier(h) as twilio, twilio.talking() as stream:
        await stream.until("mark")
        assert (await stream.closed())[0] == 1000
        await h.empty()
    await h.trouble("did not report the end")
    assert h.app.events[-1]["data"]["reason"] == "bot_hangup"


async def test_a_mark_from_before_an_interruption_proves_nothing(house, carrier):
    h = await house([{"at_ms": 100, "say": "wait", "until_ms": 200, "end_ms": 300}])
    h.app.on("call.started", {"actions": [{"type": "say", "text": "A long sentence that nobody hears to its end."}]})
    h.app.on("turn.completed", {"actions": [{"type": "say", "text": "Yes?"}]})
    async with carrier(h) as twilio, twilio.talking() as stream:
        old = await stream.until("mark")
        await stream.media(30)
        await stream.until("clear")
        await stream.echo(old["mark"]["name"])
        new = await stream.until("mark")
        assert new["mark"]["name"] != old["mark"]["name"]
        await stream.echo(old["mark"]["name"])
        await stream.echo("nobody's")
        await stream.echo(new["mark"]["name"])
        finished = await h.app.until("speech.finished")
        await finish(h, stream)
    assert finished["data"]["text"] == "Yes?"
    assert len(h.app.of("speech.interrupted")) == len(h.app.of("speech.finished")) == 1


async def test_the_streams_parameters_are_kept_for_the_whole_call(house, carrier):
    h = await house()
    h.app.on("call.started", {"actions": [{"type": "send_digits", "digits": "1"}]})
    async with carrier(h) as twilio:
        call_sid, token = await twilio.ring()
        async with twilio.stream(call_sid) as stream:
            await stream.start(token, customParameters={"token": token, "campaign": "spring"})
            await stream.closed()
        _, text = await twilio.post("/twilio/connected", twilio.form(call_sid, CallStatus="in-progress"))
        async with twilio.stream(call_sid) as stream:
            await stream.start(twilio.token_of(text))
            await h.live(live.StreamOpened, count=2)
            await finish(h, stream)
    assert h.app.events[-1]["call"]["parameters"] == {"campaign": "spring"}


async def test_an_answer_that_comes_between_two_streams_is_dropped_and_the_caller_is_waited_for(house, carrier):
    h = await house([{"at_ms": 300, "partial": " one more thing"}], default={"turns": {"no_input_ms": 200}})

    async def when_words_have_come(_event):
        await h.live(live.Partial)
        return web.json_response({"actions": [{"type": "send_digits", "digits": "1"}]})

    h.app.on("call.started", when_words_have_come)
    h.app.on("turn.completed", {"actions": [{"type": "say", "text": "Between two streams."}]})
    async with carrier(h) as twilio:
        async with twilio.talking() as stream:
            await stream.media(30)
            await stream.closed()
        await h.live(live.ReplyTaken, lambda event: event.dropped is not None)
        form = twilio.form(stream.call_sid, CallStatus="in-progress")
        token = twilio.token_of((await twilio.post("/twilio/connected", form))[1])
        async with twilio.stream(stream.call_sid) as second:
            await second.start(token)
            await h.app.until("no_input")
            await finish(h, second)
    assert h.app.of("turn.completed")[0]["data"]["turn"]["text"] == "one more thing"
    assert h.tap.spoken() == []
