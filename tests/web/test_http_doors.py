"""Twilio's HTTP doors: who may enter, what is served, and what of it counts only once."""

import asyncio
from xml.etree import ElementTree as ET

import pytest

from voicebot import live

VOICE = "/twilio/voice"
DOORS = ["voice", "connected", "dialed", "stream-status", "status"]
CALL = "CA" + "a" * 32
HANG_UP = {"type": "hangup"}


def verbs(text):
    return [element.tag for element in ET.fromstring(text)]


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(
    ("signature", "why"),
    [pytest.param("bm90IG91cnM=", "wrong signature", id="wrong"), pytest.param("", "no signature", id="missing")],
)
async def test_what_twilio_did_not_sign_is_refused(house, carrier, logs, door, signature, why):
    h = await house()
    async with carrier(h) as twilio:
        status, text = await twilio.post(f"/twilio/{door}", twilio.form(CALL), signature=signature)
    assert status == 403
    assert text.startswith(f"{why}: this must be signed for https://voice.example.com/twilio/{door} ")
    assert h.metric("refused_total", door=door, why=why) == 1
    assert [entry["why"] for entry in logs if entry["event"] == "door.refused"] == [why]
    assert len(h.service.calls) == 0


async def test_a_changed_form_is_refused(house, carrier):
    h = await house()
    async with carrier(h) as twilio:
        form = twilio.form(CALL)
        signature = twilio.validator.compute_signature("https://voice.example.com/twilio/voice", form)
        status, _ = await twilio.post(VOICE, form | {"From": "+15550000"}, signature=signature)
    assert status == 403


async def test_the_query_of_a_door_is_signed_too(house, carrier):
    h = await house()
    async with carrier(h) as twilio:
        status, text = await twilio.post(VOICE, twilio.form(CALL), query="?tenant=a%20b&x=1")
        assert (status, verbs(text)) == (200, ["Connect", "Redirect"])
        wrong = twilio.validator.compute_signature("https://voice.example.com/twilio/voice", twilio.form(CALL))
        status, _ = await twilio.post(VOICE, twilio.form(CALL), query="?x=1", signature=wrong)
        assert status == 403
        await twilio.post("/twilio/status", twilio.form(CALL, CallStatus="completed"))
        await h.empty()


async def test_signatures_can_be_switched_off_for_tools_and_the_log_warns(house, carrier, logs):
    h = await house(twilio={"check_signatures": False})
    async with carrier(h) as twilio:
        status, _ = await twilio.post("/twilio/status", twilio.form(CALL), signature="")
    assert status == 200
    assert any("not checked" in entry["event"] for entry in logs if entry["log_level"] == "warning")


async def test_another_account_is_refused(house, carrier):
    h = await house(twilio={"account_sid": "AC" + "1" * 32})
    async with carrier(h) as twilio:
        status, text = await twilio.post(VOICE, twilio.form(CALL))
        assert (status, text) == (403, "another account's request\n")
        call_sid, _ = await twilio.ring(AccountSid="AC" + "1" * 32)
        await twilio.post("/twilio/status", twilio.form(call_sid, CallStatus="completed", AccountSid="AC" + "1" * 32))
        await h.empty()
    assert h.metric("refused_total", door="voice", why="wrong account") == 1


@pytest.mark.parametrize(
    ("request_body", "status", "why"),
    [
        pytest.param({"data": b"x" * 70_000}, 413, "too large", id="too large"),
        pytest.param({"data": b"From=%2B1"}, 400, "no CallSid", id="no CallSid"),
        pytest.param(
            {"data": b"From=\xff\xfe", "headers": {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}},
            400,
            "not a form",
            id="not UTF-8",
        ),
        pytest.param(
            {"data": b"From=a", "headers": {"Content-Type": "application/x-www-form-urlencoded; charset=klingon"}},
            400,
            "not a form",
            id="unknown charset",
        ),
        pytest.param(
            {"data": b"--x\r\nbroken", "headers": {"Content-Type": "multipart/form-data; boundary=x"}},
            400,
            "not a form",
            id="broken multipart",
        ),
        pytest.param(
            {"data": b"x", "headers": {"Content-Type": "multipart/form-data"}}, 400, "not a form", id="no boundary"
        ),
        pytest.param(
            {"data": b'{"CallSid": "CA1"}', "headers": {"Content-Type": "application/json"}},
            400,
            "not a form",
            id="JSON",
        ),
    ],
)
async def test_forms_that_are_none(house, carrier, request_body, status, why, logs):
    h = await house(twilio={"check_signatures": False})
    async with carrier(h) as twilio:
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        found, _ = await twilio.post(VOICE, {}, **({"headers": headers} | request_body))
        assert found == status
        assert h.metric("refused_total", door="voice", why=why) == 1
        assert (await twilio.get("/healthz"))[0] == 200
    assert len(h.service.calls) == 0


async def test_a_file_is_no_form_field(house, carrier):
    import aiohttp

    h = await house(twilio={"check_signatures": False})
    async with carrier(h) as twilio:
        data = aiohttp.FormData({"CallSid": CALL})
        data.add_field("From", b"x", filename="from.txt")
        status, _ = await twilio.post(VOICE, {}, data=data)
    assert status == 400
    assert h.metric("refused_total", door="voice", why="not a form") == 1


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", VOICE, 405), ("GET", "/", 404), ("GET", "/twilio/x", 404)]
)
async def test_other_methods_and_paths(house, carrier, method, path, status):
    h = await house()
    async with carrier(h) as twilio:
        assert (await twilio.get(path))[0] == status


# --- the voice webhook ----------------------------------------------------------------------------


async def test_the_document_of_the_voice_webhook(house, carrier):
    h = await house()
    async with carrier(h) as twilio:
        form = twilio.form(CALL)
        async with twilio.session.post(
            f"{h.address}{VOICE}",
            data=form,
            headers={
                "X-Twilio-Signature": twilio.validator.compute_signature(f"https://voice.example.com{VOICE}", form)
            },
        ) as answer:
            assert answer.content_type == "text/xml"
            text = await answer.text()
        await twilio.post("/twilio/status", twilio.form(CALL, CallStatus="completed"))
        await h.empty()
    connect, redirect = ET.fromstring(text)
    assert connect.attrib == {}, "an action that could not be fetched would end the call"
    assert redirect.text.partition("#")[::2] == (
        "https://voice.example.com/twilio/connected",
        "ct=2000&rt=5000&tt=15000&rc=5&rp=all",
    )
    [stream] = connect
    assert stream.get("url") == "wss://voice.example.com/twilio/media"
    assert stream.get("statusCallback") == "https://voice.example.com/twilio/stream-status"
    assert stream.get("track") is None  # a two-way stream has no choice of tracks
    [token] = stream
    assert token.get("name") == "token"
    assert len(token.get("value")) >= 32
    assert redirect.tag == "Redirect"


async def test_the_voice_webhook_asked_twice_is_one_call_and_one_document(house, carrier):
    h = await house()
    async with carrier(h) as twilio:
        answers = [await twilio.post(VOICE, twilio.form(CALL)) for _ in range(3)]
        assert len(set(answers)) == 1
        assert len(h.service.calls) == 1
        await twilio.post("/twilio/status", twilio.form(CALL, CallStatus="canceled"))
        await h.empty()
    assert h.app.types == ["call.started", "call.ended"]
    assert len(h.tap.stt) == 1


async def test_the_greeting_is_asked_for_and_spoken_into_the_pipe_while_it_still_rings(house, carrier):
    h = await house()
    h.app.on("call.started", {"actions": [{"type": "say", "text": "Good morning."}]})
    async with carrier(h) as twilio:
        call_sid, token = await twilio.ring()
        await h.app.until("call.started")
        await h.tap.changed.until(lambda message: "Good morning." in str(message))
        await h.tap.sessions.until(lambda session: "transcribe" in session.path)
        # Recogniser, application and synthesiser have been asked; only now the carrier opens its stream.
        async with twilio.stream(call_sid) as stream:
            await stream.connected()
            await stream.start(token)
            assert (await stream.until("media"))["streamSid"] == stream.sid
            mark = await stream.until("mark")
            await stream.echo(mark["mark"]["name"])
            await h.app.until("speech.finished")
            await stream.stop()
            await stream.closed()
        await h.empty()


async def test_a_call_whose_stream_never_comes_is_given_up(house, carrier):
    h = await house(twilio={"ring_timeout_s": 0.2})
    async with carrier(h) as twilio:
        call_sid, token = await twilio.ring()
        await h.empty()
        assert h.app.events[-1]["data"]["reason"] == "no_stream"
        assert h.tap.stt[0].closed
        async with twilio.stream(call_sid) as stream:
            await stream.start(token)
            assert (await stream.closed())[0] == 1008


async def test_admission_is_exact(house, carrier):
    h = await house(limits={"max_calls": 3})
    async with carrier(h) as twilio:
        ids = [f"CA{number:032d}" for number in range(20)]
        async with asyncio.TaskGroup() as group:
            asked = [group.create_task(twilio.post(VOICE, twilio.form(one))) for one in ids]
        answers = [task.result() for task in asked]
        taken = [one for one, (_, text) in zip(ids, answers, strict=True) if verbs(text)[0] == "Connect"]
        assert len(taken) == 3 == len(h.service.calls) == h.metric("calls")
        refused = next(text for _, text in answers if verbs(text)[0] == "Say")
        assert verbs(refused) == ["Say", "Hangup"]
        assert "busy" in refused
        assert {status for status, _ in answers} == {200}
        assert h.metric("refused_total", door="voice", why="busy") == 17
        assert (await twilio.get("/readyz"))[0] == 503
        # Asking again for a call that is there is no further call.
        assert verbs((await twilio.post(VOICE, twilio.form(taken[0])))[1])[0] == "Connect"
        await twilio.post("/twilio/status", twilio.form(taken[0], CallStatus="completed"))
        await h.live(live.CallClosed)
        await h.app.until("call.ended")
        while (await twilio.get("/readyz"))[0] != 200:
            pass  # the call has still to be counted out
        assert verbs((await twilio.post(VOICE, twilio.form("CA" + "f" * 32)))[1])[0] == "Connect"
        await h.service.calls.end_all()


# --- what follows a stream ------------------------------------------------------------------------


@pytest.mark.parametrize("door", ["connected", "dialed"])
async def test_what_follows_an_unknown_call_is_its_end(house, carrier, door):
    h = await house()
    async with carrier(h) as twilio:
        status, text = await twilio.post(f"/twilio/{door}", twilio.form(CALL, CallStatus="in-progress"))
    assert (status, verbs(text)) == (200, ["Hangup"])


@pytest.mark.parametrize("door", ["status", "stream-status"])
async def test_news_of_an_unknown_call_is_taken_quietly(house, carrier, door):
    h = await house()
    async with carrier(h) as twilio:
        status, text = await twilio.post(f"/twilio/{door}", twilio.form(CALL, CallStatus="completed"))
    assert (status, verbs(text)) == (200, [])


async def test_a_stream_that_twilio_could_not_open_is_in_the_log(house, carrier, logs):
    h = await house()
    async with carrier(h) as twilio:
        form = twilio.form(CALL, StreamEvent="stream-error", StreamError="31920 handshake", StreamSid="MZ1")
        assert (await twilio.post("/twilio/stream-status", form))[0] == 200
    [entry] = [entry for entry in logs if entry["log_level"] == "error"]
    assert (entry["call"], entry["error"]) == (CALL, "31920 handshake")


async def test_what_follows_send_digits_is_the_same_when_asked_twice(house, carrier):
    h = await house()
    h.app.on("call.started", {"actions": [{"type": "send_digits", "digits": "1"}]})
    async with carrier(h) as twilio:
        async with twilio.talking() as stream:
            await stream.closed()
        form = twilio.form(stream.call_sid, CallStatus="in-progress")
        first, second = [await twilio.post("/twilio/connected", form) for _ in range(2)]
        assert verbs(first[1]) == ["Play", "Connect", "Redirect"]
        assert first == second
        await twilio.post("/twilio/status", twilio.form(stream.call_sid, CallStatus="completed"))
        await h.empty()


async def test_the_way_back_from_a_failed_transfer_is_the_same_when_asked_twice(house, carrier):
    h = await house()
    h.app.on("call.started", {"actions": [{"type": "transfer", "to": "+15550100"}]})
    async with carrier(h) as twilio:
        async with twilio.talking() as stream:
            await stream.closed()
        form = twilio.form(stream.call_sid, CallStatus="in-progress")
        for _ in range(2):
            assert verbs((await twilio.post("/twilio/connected", form))[1]) == ["Dial"]
        form |= {"DialCallStatus": "busy"}
        first, second = [await twilio.post("/twilio/dialed", form) for _ in range(2)]
        assert verbs(first[1]) == ["Connect", "Redirect"]
        assert first == second
        await h.app.until("transfer.failed")
        await twilio.post("/twilio/status", twilio.form(stream.call_sid, CallStatus="completed"))
        await h.empty()
    assert len(h.app.of("transfer.failed")) == 1


async def test_a_caller_who_vanishes_between_the_stream_and_the_transfer_is_not_waited_for(house, carrier):
    h = await house(twilio={"ring_timeout_s": 0.3})
    h.app.on("call.started", {"actions": [{"type": "transfer", "to": "+15550100"}]})
    async with carrier(h) as twilio:
        async with twilio.talking() as stream:
            await stream.closed()
        await h.empty()
    assert h.app.events[-1]["data"]["reason"] == "caller_hangup"


async def test_a_transfer_is_waited_for_longer_than_a_stream(house, carrier):
    h = await house(twilio={"ring_timeout_s": 0.05, "transfer_timeout_s": 1_000})
    h.app.on("call.started", {"actions": [{"type": "transfer", "to": "+15550100", "timeout": 5}]})
    async with carrier(h) as twilio:
        call_sid, token = await twilio.ring()
        async with twilio.stream(call_sid) as stream:
            await stream.start(token)
            await stream.closed()
        form = twilio.form(call_sid, CallStatus="in-progress")
        assert verbs((await twilio.post("/twilio/connected", form))[1]) == ["Dial"]
        route = h.service.calls.find(call_sid).route
        left_s = route.give_up_at() - asyncio.get_running_loop().time()
        assert 900 < left_s <= 1_005
        assert route.given_up() == "transferred"
        await twilio.post("/twilio/status", twilio.form(call_sid, CallStatus="completed"))
        await h.empty()


async def test_the_end_of_the_call_may_be_told_by_the_action(house, carrier):
    h = await house()
    async with carrier(h) as twilio:
        call_sid, _ = await twilio.ring()
        form = twilio.form(call_sid, CallStatus="completed")
        status, text = await twilio.post("/twilio/connected", form)
        assert (status, verbs(text)) == (200, [])
        await h.empty()
    assert h.app.events[-1]["data"]["reason"] == "caller_hangup"


async def test_health_and_metrics(house, carrier):
    h = await house()
    async with carrier(h) as twilio:
        assert await twilio.get("/healthz") == (200, "alive\n")
        assert await twilio.get("/readyz") == (200, "ready\n")
        status, text = await twilio.get("/metrics")
        assert status == 200
        assert 'voicebot_calls{direction="inbound",mode="bot"} 0.0' in text


async def test_a_redirect_waits_for_the_carrier_to_ask_where_to(house, carrier):
    """The carrier's request is on its way for a while; until it comes the decision must be kept."""
    h = await house()
    h.app.on("call.started", {"actions": [{"type": "redirect", "url": "https://elsewhere.example.com/twiml"}]})
    async with carrier(h) as twilio:
        async with twilio.talking() as stream:
            await stream.closed()
        await h.tap.changed.until(lambda news: news == "closed")  # the recogniser has finished long ago
        status, text = await twilio.post("/twilio/connected", twilio.form(stream.call_sid, CallStatus="in-progress"))
        assert (status, verbs(text)) == (200, ["Redirect"])
        assert ET.fromstring(text)[0].text == "https://elsewhere.example.com/twiml"
        await h.empty()
    assert h.app.events[-1]["data"]["reason"] == "redirected"
