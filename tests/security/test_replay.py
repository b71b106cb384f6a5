"""What somebody does with requests, handshakes and tokens that he has seen: again, or for another call."""

import asyncio
import json

import pytest
from websockets.exceptions import InvalidStatus

from voicebot import live

VOICE, CONNECTED, DIALED, STATUS = (f"/twilio/{name}" for name in ("voice", "connected", "dialed", "status"))
TRANSFER = {"type": "transfer", "to": "+15550100"}
DIGITS = {"type": "send_digits", "digits": "1"}


async def completed(twilio, call_sid):
    await twilio.post(STATUS, twilio.form(call_sid, CallStatus="completed"))


# --- requests -------------------------------------------------------------------------------------------


async def test_a_voice_webhook_that_is_sent_again(house, carrier):
    """While the call lives it is the same call; once it is over there is none."""
    h = await house()
    async with carrier(h) as twilio:
        call_sid, token = await twilio.ring()
        assert await twilio.ring(call_sid) == (call_sid, token)
        assert len(h.service.calls) == 1
        await completed(twilio, call_sid)
        await h.empty()
        status, text = await twilio.post(VOICE, twilio.form(call_sid))
        assert (status, "<Hangup" in text, "<Stream" in text) == (200, True, False)
        assert len(h.service.calls) == 0
        assert h.metric("refused_total", door="voice", why="call is over") == 1
    assert h.app.types == ["call.started", "call.ended"]


@pytest.mark.parametrize("path", [CONNECTED, DIALED])
async def test_the_end_may_be_told_at_any_door(house, carrier, path):
    h = await house()
    async with carrier(h) as twilio:
        call_sid, _ = await twilio.ring()
        form = twilio.form(call_sid, CallStatus="completed", DialCallStatus="canceled")
        await twilio.post(path, form)
        await h.empty()
        assert "<Stream" not in (await twilio.post(VOICE, twilio.form(call_sid)))[1]


async def test_a_call_that_was_handed_over_may_come_back(house, carrier):
    """It is the same carrier call, and no replay: its own end has not been told."""
    h = await house()
    h.app.on("call.started", {"actions": [{"type": "redirect", "twiml": "<Response><Pause/></Response>"}]}, {})
    async with carrier(h) as twilio:
        async with twilio.talking() as stream:
            await stream.closed()
        await twilio.post(CONNECTED, twilio.form(stream.call_sid, CallStatus="in-progress"))
        await h.empty()
        await twilio.ring(stream.call_sid)
        started = await h.app.until("call.started", 2)
        assert started["call"]["id"] == f"{stream.call_sid}.2"
        await completed(twilio, stream.call_sid)
        await h.empty()


async def test_a_replay_that_nobody_can_tell_from_a_call_is_given_up(house, carrier):
    """After a restart nothing is known of old calls: one that no stream comes for costs a recogniser for ring_timeout_s."""
    h = await house(twilio={"ring_timeout_s": 0.3})
    async with carrier(h) as twilio:
        await twilio.ring()
        await h.empty()
    assert h.app.events[-1]["data"]["reason"] == "no_stream"


@pytest.mark.parametrize("path", [VOICE, CONNECTED, DIALED, STATUS, "/twilio/stream-status"])
async def test_a_signature_is_good_for_its_own_door_call_and_query_alone(house, carrier, path):
    h = await house()
    async with carrier(h) as twilio:
        mine, _ = await twilio.ring()
        form = twilio.form(mine, CallStatus="completed")
        signed = twilio.validator.compute_signature(f"https://voice.example.com{path}", form)
        other = twilio.form("CA" + "0" * 32, CallStatus="completed")
        elsewhere = STATUS if path != STATUS else CONNECTED
        for changed, door, query in ((other, path, ""), (form, elsewhere, ""), (form, path, "?dial=x")):
            status, _ = await twilio.post(door, changed, signature=signed, query=query)
            assert status == 403
        assert h.service.calls.find(mine) is not None
        await completed(twilio, mine)
        await h.empty()


@pytest.mark.parametrize("path", [VOICE, CONNECTED, DIALED, STATUS])
async def test_another_account_moves_nothing(house, carrier, path):
    ours = "AC" + "1" * 32
    h = await house(twilio={"account_sid": ours})
    async with carrier(h) as twilio:
        mine, _ = await twilio.ring(AccountSid=ours)
        theirs = twilio.form(mine, CallStatus="completed", AccountSid="AC" + "2" * 32)
        assert (await twilio.post(path, theirs))[0] == 403
        assert h.service.calls.find(mine) is not None
        assert "<Stream" in (await twilio.post(VOICE, twilio.form(mine, AccountSid=ours)))[1]
        await twilio.post(STATUS, twilio.form(mine, CallStatus="completed", AccountSid=ours))
        await h.empty()


async def test_the_body_of_one_who_cannot_sign_is_not_read(house, carrier):
    h = await house()
    async with carrier(h) as twilio:
        status, _ = await twilio.post(VOICE, {}, signature="", data=b"x=" + b"y" * 70_000, headers=FORM)
        assert status == 403, "a body that is too large would be told so if it were read"


FORM = {"Content-Type": "application/x-www-form-urlencoded"}


async def test_a_form_that_trickles_is_cut(house):
    h = await house(twilio={"form_timeout_s": 0.2})

    host, port = h.address.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    head = f"POST {VOICE} HTTP/1.1\r\nHost: x\r\nX-Twilio-Signature: bm90\r\nContent-Length: 900\r\n"
    writer.write(f"{head}Content-Type: {FORM['Content-Type']}\r\n\r\nCallSid=CA".encode())
    async with asyncio.timeout(20):
        answer = await reader.read()
    assert answer.startswith(b"HTTP/1.1 408 ")
    writer.close()
    await writer.wait_closed()
    assert h.metric("refused_total", door="voice", why="too slow") == 1


# --- streams ----------------------------------------------------------------------------------------------


async def refused(twilio, call_sid, token):
    """Try a stream with the signature that every handshake has; the reason why not."""
    async with twilio.stream(call_sid) as stream:
        await stream.connected()
        await stream.start(token)
        code, why = await stream.closed()
        assert code == 1008
        return why


async def test_a_handshake_that_was_seen_opens_nothing_by_itself(house, carrier):
    """Twilio signs the address alone, so that the signature is the same for all calls: the token is what counts."""
    h = await house()
    async with carrier(h) as twilio:
        call_sid, token = await twilio.ring()
        assert await refused(twilio, call_sid, None) == "wrong stream token"
        assert await refused(twilio, "CA" + "0" * 32, token) == "no call of this CallSid is waiting for a stream"
        with pytest.raises(InvalidStatus, match="403"):
            async with twilio.stream(call_sid, signature="bm90IG91cnM="):
                pass  # the right token would not help
        await completed(twilio, call_sid)
        await h.empty()
        assert await refused(twilio, call_sid, token) == "no call of this CallSid is waiting for a stream"


async def test_the_token_of_an_earlier_leg(house, carrier):
    h = await house()
    h.app.on("call.started", {"actions": [DIGITS]})
    async with carrier(h) as twilio:
        call_sid, first = await twilio.ring()
        async with twilio.stream(call_sid) as stream:
            await stream.start(first)
            await stream.closed()
        _, text = await twilio.post(CONNECTED, twilio.form(call_sid, CallStatus="in-progress"))
        second = twilio.token_of(text)
        assert second != first
        assert await refused(twilio, call_sid, first) == "wrong stream token"
        async with twilio.stream(call_sid) as stream:
            await stream.start(second)
            await h.live(live.StreamOpened, count=2)
        await completed(twilio, call_sid)
        await h.empty()


async def test_the_token_of_a_call_that_has_ended_meanwhile(house, carrier):
    h = await house(twilio={"ring_timeout_s": 0.3})
    async with carrier(h) as twilio:
        call_sid, token = await twilio.ring()
        await h.empty()
        assert await refused(twilio, call_sid, token) == "no call of this CallSid is waiting for a stream"


async def test_no_direct_stream_where_a_bot_answers(house, carrier):
    h = await house(twilio={"direct_streams": True})
    async with carrier(h) as twilio:
        assert "not in the mode transcribe" in await refused(twilio, "CA" + "0" * 32, None)
        call_sid, _ = await twilio.ring()
        assert await refused(twilio, call_sid, None) == "wrong stream token", "nor one into a call that is there"
        await completed(twilio, call_sid)
        await h.empty()


# --- replies ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "reply",
    [
        {"call": "CA2", "actions": [{"type": "hangup"}]},
        {"actions": [{"type": "hangup", "call": "CA2"}]},
        {"call": {"id": "CA2"}, "state": 1},
    ],
)
async def test_a_reply_speaks_of_its_own_call_alone(house, reply):
    h = await house()
    other = h.dial()
    await h.app.until("call.started")
    h.app.on("call.started", json.loads(json.dumps(reply).replace("CA2", other.sid)))
    mine = h.dial()
    missing = await h.live(live.ReplyMissing)
    assert (missing.call, missing.reason) == (mine.sid, "refused")
    assert h.service.calls.find(other.sid) is not None
    for phone in (other, mine):
        await phone.hang_up()
    await h.empty()
