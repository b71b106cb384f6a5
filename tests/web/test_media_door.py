"""The WebSocket door: who may stream, and what is refused before `start`."""

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from voicebot import live

HELLO = [{"at_ms": 300, "say": "hello there", "until_ms": 600, "end_ms": 800}]
FAR = [{"at_ms": 2_000, "say": "far away", "until_ms": 2_400, "end_ms": 2_600}]
HANG_UP = {"type": "hangup"}


async def finish(h, stream):
    """The caller hangs up; the last of the call."""
    await stream.stop()
    await stream.closed()
    await h.empty()
    return h.app.events[-1]["data"]


# --- who may enter --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("signature", "why"),
    [pytest.param("bm90IG91cnM=", "wrong signature", id="wrong"), pytest.param("", "no signature", id="missing")],
)
async def test_a_handshake_that_twilio_did_not_sign_is_refused(house, carrier, signature, why):
    h = await house(HELLO)
    h.app.on("turn.completed", {"actions": [HANG_UP]})
    good = h.dial()
    async with carrier(h) as twilio:
        call_sid, _ = await twilio.ring()
        with pytest.raises(InvalidStatus) as refused:
            async with twilio.stream(call_sid, signature=signature):
                pass
        assert refused.value.response.status_code == 403
        assert why in refused.value.response.body.decode()
        assert h.metric("refused_total", door="media", why=why) == 1
        await twilio.post("/twilio/status", twilio.form(call_sid, CallStatus="completed"))
    assert (await good.report()).exit_code in {0, 2}
    await h.empty()
    assert h.app.of("turn.completed", good.sid)[0]["data"]["turn"]["text"] == "hello there"


@pytest.mark.parametrize("url", ["wss://voice.example.com/twilio/media/", "wss://voice.example.com:443/twilio/media"])
async def test_spellings_of_the_address_that_twilio_may_sign(house, carrier, url):
    h = await house()
    async with carrier(h) as twilio:
        call_sid, token = await twilio.ring()
        async with twilio.stream(call_sid, signature=twilio.validator.compute_signature(url, {})) as stream:
            await stream.start(token)
            await h.live(live.StreamOpened)
            await finish(h, stream)


@pytest.mark.parametrize(
    ("token", "why"),
    [
        pytest.param("guessed", "wrong stream token", id="wrong"),
        pytest.param(None, "wrong stream token", id="missing"),
        pytest.param("\ud800", "malformed message", id="no text"),
    ],
)
async def test_a_stream_without_its_token_is_refused(house, carrier, token, why):
    h = await house()
    async with carrier(h) as twilio:
        call_sid, _ = await twilio.ring()
        async with twilio.stream(call_sid) as stream:
            await stream.connected()
            await stream.start(token)
            assert (await stream.closed())[0] == 1008
        assert h.metric("refused_total", door="media", why=why) == 1
        await twilio.post("/twilio/status", twilio.form(call_sid, CallStatus="completed"))
        await h.empty()
    assert h.app.types == ["call.started", "call.ended"]


async def test_the_token_of_another_call_is_refused(house, carrier):
    h = await house()
    async with carrier(h) as twilio:
        mine, token = await twilio.ring()
        other, others_token = await twilio.ring()
        async with twilio.stream(mine) as stream:
            await stream.start(others_token)
            assert (await stream.closed())[0] == 1008
        async with twilio.stream(other) as stream:
            await stream.start(token)
            assert (await stream.closed())[0] == 1008
        assert h.metric("refused_total", door="media", why="wrong stream token") == 2
        # Neither attempt has used a token up.
        async with twilio.stream(mine) as stream:
            await stream.start(token)
            await h.live(live.StreamOpened)
            await stream.stop()
            await stream.closed()
        await twilio.post("/twilio/status", twilio.form(other, CallStatus="completed"))
        await h.empty()


async def test_a_token_opens_one_stream_and_the_second_does_not_hurt_the_first(house, carrier):
    h = await house(HELLO)
    async with carrier(h) as twilio:
        call_sid, token = await twilio.ring()
        async with twilio.stream(call_sid) as first, twilio.stream(call_sid) as second:
            await first.start(token)
            await h.live(live.StreamOpened)
            await second.start(token)
            assert await second.closed() == (1008, "the stream token was used before")
            await first.media(60)
            await h.app.until("turn.completed")
            assert (await finish(h, first))["reason"] == "caller_hangup"
        async with twilio.stream(call_sid) as third:
            await third.start(token)
            assert (await third.closed())[0] == 1008
    assert h.metric("refused_total", door="media", why="the stream token was used before") == 1
    assert h.metric("refused_total", door="media", why="unknown call") == 1


async def test_the_phone_with_two_sockets(house):
    from voicebot.local.phone.faults import PhoneFaults

    h = await house(HELLO)
    h.app.on("turn.completed", {"actions": [HANG_UP]})
    report = await h.call(faults=PhoneFaults(duplicate_socket=True))
    assert report.ended == "service"
    assert len(h.app.of("turn.completed")) == 1
    assert len(h.tap.stt) == 1


async def test_a_stream_for_a_call_that_nobody_announced_is_refused(house, carrier):
    h = await house()
    async with carrier(h) as twilio, twilio.stream("CA" + "0" * 32) as stream:
        await stream.start("token")
        assert (await stream.closed())[0] == 1008
    assert h.metric("refused_total", door="media", why="unknown call") == 1
    assert len(h.service.calls) == 0


# --- before the start -----------------------------------------------------------------------------


async def test_no_start_in_time(house, carrier):
    h = await house(twilio={"start_timeout_s": 0.1})
    async with carrier(h) as twilio, twilio.stream("CA1") as stream:
        await stream.connected()
        assert await stream.closed() == (1008, "no start message in time")
    assert h.metric("refused_total", door="media", why="no start message in time") == 1


BAD_FORMAT = {"mediaFormat": {"encoding": "audio/l16", "sampleRate": 16000, "channels": 1}}


@pytest.mark.parametrize(
    ("message", "why"),
    [
        pytest.param("{", "malformed message", id="cut JSON"),
        pytest.param("[]", "malformed message", id="no object"),
        pytest.param('{"event": 5}', "malformed message", id="wrong type"),
        pytest.param('{"event": "start"}', "malformed message", id="empty start"),
        pytest.param(
            '{"event":"media","media":{"track":"inbound","timestamp":"1","payload":"/w=="}}',
            "start expected",
            id="media first",
        ),
        pytest.param('{"event":"dtmf","dtmf":{"digit":"1"}}', "start expected", id="key first"),
        pytest.param('{"event":"stop"}', "start expected", id="stop first"),
        pytest.param(b"\x00\x01", "ended early", id="binary"),
    ],
)
async def test_what_may_not_come_before_the_start(house, carrier, message, why):
    h = await house()
    async with carrier(h) as twilio, twilio.stream("CA1") as stream:
        await stream.connected()
        await stream.raw(message)
        assert (await stream.closed())[0] == 1008
    assert h.metric("refused_total", door="media", why=why) == 1


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param(BAD_FORMAT, id="L16"),
        pytest.param({"mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 2}}, id="stereo"),
        pytest.param(
            {"mediaFormat": {"encoding": "😀" * 200, "sampleRate": 8000, "channels": 1}}, id="long foreign name"
        ),
        pytest.param({"mediaFormat": {"encoding": "\ud83d", "sampleRate": 8000, "channels": 1}}, id="half a character"),
    ],
)
async def test_another_media_format_is_refused(house, carrier, changes):
    h = await house()
    async with carrier(h) as twilio:
        call_sid, token = await twilio.ring()
        async with twilio.stream(call_sid) as stream:
            await stream.start(token, **changes)
            code, reason = await stream.closed()
            assert code == 1008
            assert reason
        # The token was not used up.
        async with twilio.stream(call_sid) as stream:
            await stream.start(token)
            await h.live(live.StreamOpened)
            await finish(h, stream)


async def test_a_client_that_leaves_before_the_start(house, carrier, logs):
    h = await house()
    async with carrier(h) as twilio, twilio.stream("CA1") as stream:
        await stream.connected()
        await stream.socket.close()
    await logs.until(lambda entry: entry.get("why") == "ended early")
    assert h.metric("refused_total", door="media", why="ended early") == 1


async def test_plain_http_on_the_websocket_door(house, carrier):
    h = await house()
    async with carrier(h) as twilio:
        assert (await twilio.get("/twilio/media"))[0] == 403
        signature = twilio.validator.compute_signature("wss://voice.example.com/twilio/media", {})
        async with twilio.session.get(f"{h.address}/twilio/media", headers={"X-Twilio-Signature": signature}) as answer:
            assert answer.status == 400
        assert (await twilio.get("/healthz"))[0] == 200


async def test_the_handshake_offers_what_twilio_knows(house, carrier):
    """No compression and no subprotocol, whatever a client asks for."""
    h = await house()
    async with carrier(h) as twilio:
        signature = twilio.validator.compute_signature("wss://voice.example.com/twilio/media", {})
        url = h.address.replace("http", "ws", 1) + "/twilio/media"
        async with connect(url, additional_headers={"x-twilio-signature": signature}, proxy=None) as socket:
            assert "Sec-WebSocket-Extensions" not in socket.response.headers
            assert "Sec-WebSocket-Protocol" not in socket.response.headers
