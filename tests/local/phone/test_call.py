"""A whole call: the webhooks and what they carry, TwiML verb by verb, and every way a call can end."""

import asyncio
import re
import ssl

import pytest
import soundfile
import trustme
from aiohttp import web

from voicebot.local.phone.caller import PhoneCall, call
from voicebot.local.phone.options import DialOutcome, Limits
from voicebot.local.phone.scenario import HangUp, Play, Wait, WaitFor

LISTEN = (WaitFor(wait_for="hangup", timeout=10),)


def xml(text: str, **changes) -> web.Response:
    return web.Response(**({"text": text, "content_type": "text/xml"} | changes))


def verbs(report) -> list[str]:
    return [verb.verb for verb in report.verbs]


async def test_the_voice_webhook_is_what_twilio_sends(service):
    service.pages["/voice"] = "<Response><Hangup/></Response>"
    report = await call(service.options(parameters={"StirVerstat": "TN-Validation-Passed-A"}))
    request = service.asked("/voice")[0]
    assert request.signed
    assert request.method == "POST"
    assert request.headers["Content-Type"] == "application/x-www-form-urlencoded; charset=UTF-8"
    assert request.headers["Host"] == "voice.example.com"
    assert request.headers["User-Agent"] == "TwilioProxy/1.1"
    form = request.form
    assert re.fullmatch("CA[0-9a-f]{32}", form["CallSid"])
    assert {name: form[name] for name in ("AccountSid", "ApiVersion", "CallStatus", "Direction")} == {
        "AccountSid": report.account_sid,
        "ApiVersion": "2010-04-01",
        "CallStatus": "ringing",
        "Direction": "inbound",
    }
    assert form["From"] == form["Caller"] == "+4915112345678"
    assert form["To"] == form["Called"] == "+493012345678"
    assert form["FromCountry"] == "DE"
    assert form["FromCity"] == ""
    assert form["StirVerstat"] == "TN-Validation-Passed-A"
    assert report.ended == "service"
    assert report.exit_code == 0


async def test_a_get_webhook_carries_its_parameters_in_the_url(service):
    service.pages["/voice"] = "<Response/>"
    await call(service.options(voice_method="GET", voice_url="https://voice.example.com/voice?tenant=a%20b"))
    request = service.asked("/voice")[0]
    assert (request.method, request.form, request.signed) == ("GET", {}, True)
    assert request.query.startswith("tenant=a b&AccountSid=AC")


async def test_a_connection_override_is_obeyed_and_not_sent(service):
    service.pages["/voice"] = "<Response/>"
    await call(service.options(voice_url="https://voice.example.com/voice#rc=0&rt=900"))
    assert service.asked("/voice")[0].signed


async def test_what_follows_connect_without_an_action(service):
    service.pages["/voice"] = service.connect(after="<Say>goodbye</Say><Redirect>/next</Redirect><Say>never</Say>")
    service.pages["/next"] = "<Response><Hangup/><Say>never</Say></Response>"
    service.behaviour = close_soon
    report = await call(service.options())
    assert verbs(report) == ["Connect", "Say", "Redirect", "Hangup"]
    assert report.said == ["goodbye"]
    assert service.asked("/next")[0].signed
    assert service.asked("/next")[0].form["CallStatus"] == "in-progress"


async def test_the_action_of_connect_takes_over(service):
    service.pages["/voice"] = service.connect(after="<Say>never</Say>", action="after?x=1")
    service.pages["/after"] = "<Response><Pause length='0'/></Response>"
    service.behaviour = close_soon
    report = await call(service.options())
    assert verbs(report) == ["Connect", "Pause"]
    request = service.asked("/after")[0]
    assert request.signed
    assert request.form["CallSid"] == report.call_sid
    assert report.ended_detail == "nothing was left in the document"


async def test_the_caller_hangs_up_during_a_stream(service):
    service.pages["/voice"] = service.connect(after="<Say>never</Say>", action="/after")
    report = await call(service.options(steps=(Wait(wait=0.2), HangUp())))
    assert service.sockets[0].messages[-1]["event"] == "stop"
    assert verbs(report) == ["Connect"]
    assert service.asked("/after") == []
    assert (report.ended, report.exit_code) == ("caller", 2)


@pytest.mark.parametrize(
    ("outcome", "told"),
    [
        pytest.param(DialOutcome("busy", ring_s=0.1), {"DialCallStatus": "busy"}, id="busy"),
        pytest.param(DialOutcome("no-answer", ring_s=0.1), {"DialCallStatus": "no-answer"}, id="no-answer"),
        pytest.param(DialOutcome("failed", ring_s=0.1), {"DialCallStatus": "failed"}, id="failed"),
        pytest.param(
            DialOutcome("completed", talk_s=0.5, ring_s=0.1),
            {"DialCallStatus": "completed", "DialCallDuration": "1", "DialBridged": "true"},
            id="answered",
        ),
    ],
)
async def test_dial_asks_its_action(service, outcome, told):
    service.pages["/voice"] = "<Response><Dial action='/dialed'><Number>+4912</Number></Dial></Response>"
    service.pages["/dialed"] = "<Response><Hangup/></Response>"
    report = await call(service.options(dial=outcome))
    request = service.asked("/dialed")[0]
    assert request.signed
    assert re.fullmatch("CA[0-9a-f]{32}", request.form["DialCallSid"])
    assert {name: value for name, value in request.form.items() if name.startswith("Dial")} == told | {
        "DialCallSid": request.form["DialCallSid"]
    }
    assert report.dialled[0].numbers == ["+4912"]
    assert report.dialled[0].status == outcome.status


async def test_dial_without_an_action_goes_on(service):
    service.pages["/voice"] = "<Response><Dial>+4912</Dial><Say>nobody</Say></Response>"
    report = await call(service.options(dial=DialOutcome("busy", ring_s=0)))
    assert report.said == ["nobody"]


async def test_hanging_up_during_a_dial_still_asks_the_action(service):
    service.pages["/voice"] = "<Response><Dial action='/dialed'>+4912</Dial></Response>"
    service.pages["/dialed"] = "<Response><Say>never</Say></Response>"
    report = await call(service.options(dial=DialOutcome("completed", talk_s=60, ring_s=0), steps=(Wait(wait=0.3),)))
    assert service.asked("/dialed")[0].form["CallStatus"] == "completed"
    assert report.said == []
    assert report.duration_ms < 20_000


async def test_a_status_callback_hears_of_everything(service):
    service.pages["/voice"] = "<Response><Say>hello</Say></Response>"
    report = await call(service.options(status_callback="https://voice.example.com/status"))
    requests = service.asked("/status")
    assert all(request.signed for request in requests)
    forms = [request.form for request in requests]
    assert [form["CallStatus"] for form in forms] == ["initiated", "ringing", "in-progress", "completed"]
    assert [form["SequenceNumber"] for form in forms] == ["0", "1", "2", "3"]
    assert {form["CallbackSource"] for form in forms} == {"call-progress-events"}
    assert re.fullmatch(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d \+0000", forms[0]["Timestamp"])
    assert (forms[3]["Duration"], forms[3]["SipResponseCode"]) == (
        "0" if forms[3]["CallDuration"] == "0" else "1",
        "200",
    )
    assert report.exit_code == 0


async def test_a_rejected_call_is_never_answered(service):
    service.pages["/voice"] = "<Response><Pause length='0'/><Reject reason='busy'/></Response>"
    report = await call(service.options(status_callback="https://voice.example.com/status", steps=LISTEN))
    assert report.answered_ms is None
    assert (report.ended, report.ended_detail) == ("rejected", "busy")
    assert [request.form["CallStatus"] for request in service.asked("/status")] == ["initiated", "ringing", "busy"]


async def test_say_takes_time_and_play_plays(service, tmp_path):
    soundfile.write(tmp_path / "a.wav", soundfile.read(wav_file(service, tmp_path))[0], 8000)
    content = (tmp_path / "a.wav").read_bytes()
    service.pages["/voice"] = "<Response><Say>0123456789</Say><Play loop='2'>a.wav</Play><Play digits='1w'/></Response>"
    service.pages["/a.wav"] = lambda _form: web.Response(body=content, content_type="audio/wav")
    report = await call(service.options(record=tmp_path / "call.wav"))
    assert report.played == ["https://voice.example.com/a.wav", "digits 1w"]
    assert report.heard_ms == pytest.approx(800, abs=60)
    assert report.first_audio_ms == pytest.approx(600, abs=250)
    assert service.asked("/a.wav")[0].method == "GET"
    assert service.asked("/a.wav")[0].signed


async def test_a_voice_speaks_the_verb_say(service):
    async def voice(text: str) -> bytes:
        return service.tone(len(text) * 100)

    service.pages["/voice"] = "<Response><Say>four</Say></Response>"
    report = await call(service.options(bot_voice=voice))
    assert report.heard_ms == pytest.approx(400, abs=20)


@pytest.mark.parametrize(
    ("page", "codes"),
    [
        pytest.param(lambda _: web.Response(status=500, text="oops"), [11200], id="500"),
        pytest.param(lambda _: xml("<Response/>", status=404), [11200], id="404"),
        pytest.param(lambda _: xml("<Response><Say>"), [12100], id="cut-xml"),
        pytest.param(lambda _: xml("<Response/>", content_type="application/json"), [12300], id="json"),
        pytest.param(lambda _: web.Response(status=302, headers={"Location": "/voice"}), [11200], id="redirect-loop"),
    ],
)
async def test_an_answer_twilio_cannot_use(service, page, codes):
    service.pages["/voice"] = page
    report = await call(service.options(steps=LISTEN))
    assert report.codes() == codes
    assert (report.ended, report.exit_code, report.outcome) == ("error", 3, "fail")
    assert report.answered_ms is None


async def test_redirects_of_a_webhook_are_followed_and_signed_again(service):
    service.pages["/voice"] = lambda _: web.Response(status=307, headers={"Location": "/moved"})
    service.pages["/moved"] = "<Response><Redirect>/last</Redirect></Response>"
    service.pages["/last"] = lambda _: web.Response(status=302, headers={"Location": "there"})
    service.pages["/there"] = "<Response><Hangup/></Response>"
    report = await call(service.options())
    assert report.exit_code == 0
    assert [(request.path, request.method) for request in service.requests] == [
        ("/voice", "POST"),
        ("/moved", "POST"),
        ("/last", "POST"),
        ("/there", "GET"),
    ]
    assert all(request.signed for request in service.requests)
    assert service.asked("/moved")[0].form["CallSid"] == report.call_sid
    assert service.asked("/there")[0].query == ""


async def test_cookies_last_for_the_call(service):
    service.pages["/voice"] = lambda _: xml(
        "<Response><Redirect>/next</Redirect></Response>", headers={"Set-Cookie": "seen=1"}
    )
    service.pages["/next"] = "<Response/>"
    await call(service.options())
    assert service.asked("/next")[0].headers["Cookie"] == "seen=1"


async def test_nobody_there(unused_tcp_port, service):
    options = service.options(connect_to={"https://voice.example.com": f"http://127.0.0.1:{unused_tcp_port}"})
    report = await call(options)
    assert report.codes() == [11205]
    assert report.exit_code == 5
    # Twilio tries a failed connection once more.
    assert [request.status for request in report.requests] == [0, 0]


async def test_the_fallback_url_is_told_what_failed(service):
    service.pages["/voice"] = lambda _: web.Response(status=503)
    service.pages["/fallback"] = "<Response><Say>sorry</Say></Response>"
    report = await call(service.options(fallback_url="https://voice.example.com/fallback"))
    form = service.asked("/fallback")[0].form
    assert (form["ErrorCode"], form["ErrorUrl"]) == ("11200", "https://voice.example.com/voice")
    assert report.said == ["sorry"]


async def test_a_slow_webhook_times_out(service):
    answered = asyncio.Event()

    async def slow(_request):
        await answered.wait()
        return web.Response()

    app = web.Application()
    app.router.add_post("/slow", slow)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = "http://{}:{}/slow".format(*runner.addresses[0][:2])
    reading = await call(service.options(voice_url=f"{url}#rt=200"))
    total = await call(service.options(voice_url=f"{url}#tt=200"))
    answered.set()
    await runner.cleanup()
    assert reading.codes() == [11200]
    assert total.codes() == [11203]
    assert "timed out" in reading.notes[0].message
    assert "within 0.2 s" in total.notes[0].message


async def test_a_loop_of_redirects_ends(service):
    service.pages["/voice"] = "<Response><Redirect/></Response>"
    report = await call(service.options(limits=Limits(documents=5)))
    assert len(service.asked("/voice")) == 5
    assert "a loop" in report.ended_detail


async def test_a_call_can_be_too_long(service):
    service.pages["/voice"] = "<Response><Pause length='3600'/></Response>"
    report = await call(service.options(limits=Limits(call_s=0.5)))
    assert report.ended == "time-limit"


async def test_hung_up_from_outside(service):
    service.pages["/voice"] = service.connect()
    running = PhoneCall(service.options())
    async with asyncio.TaskGroup() as group:
        making = group.create_task(running.run())
        await (await service.socket()).event("start")
        running.hang_up("rest", "because")
    assert making.result().ended_detail == "because"
    assert running.over


async def test_over_tls(service, tmp_path):
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("voice.example.com").configure_cert(context)
    app = web.Application()
    app.router.add_get("/media", service.media)
    app.router.add_route("*", "/{path:.*}", service.http)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    place = "https://{}:{}".format(*runner.addresses[0][:2])
    service.pages["/voice"] = service.connect()
    options = {"connect_to": {"https://voice.example.com": place}, "steps": (Wait(wait=0.2),)}
    trusted = await call(service.options(ca_file=tmp_path / "ca.pem", **options))
    distrusted = await call(service.options(**options))
    await runner.cleanup()
    assert trusted.codes() == []
    assert len(service.sockets) == 1
    assert distrusted.codes() == [11220]
    assert distrusted.exit_code == 5


async def test_the_recording_holds_what_was_heard(service, tmp_path):
    service.pages["/voice"] = service.connect()

    async def behaviour(socket) -> None:
        await socket.event("media", 5)
        await socket.play(service.tone(5000))
        await socket.event("media", 40)
        await socket.clear()

    service.behaviour = behaviour
    steps = (WaitFor(wait_for="speech"), WaitFor(wait_for="quiet"), Play(play=service.wav(service.tone(200))))
    report = await call(
        service.options(steps=steps, record=tmp_path / "call.wav", report=tmp_path / "call.json", pace=2.0)
    )
    samples, rate = soundfile.read(tmp_path / "call.wav")
    assert rate == 8000
    left, right = abs(samples[:, 0]) > 0.1, abs(samples[:, 1]) > 0.1
    assert left.any()
    assert right.any()
    # What was cleared is not in it, and the caller speaks only after the bot.
    assert right.sum() < 8000 * 3
    assert left.argmax() > len(right) - right[::-1].argmax()
    assert right.argmax() / 8 == pytest.approx(report.first_audio_ms, abs=25)
    assert (tmp_path / "call.json").read_text(encoding="utf-8") == report.model_dump_json(indent=2) + "\n"


async def close_soon(socket) -> None:
    await socket.event("media", 3)
    await socket.ws.close()


def wav_file(service, folder):
    path = folder / "source.wav"
    path.write_bytes(service.wav(service.tone(400)))
    return path
