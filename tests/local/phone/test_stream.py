"""The media stream against a real server: handshake, messages, playback, marks, two tracks, and how it ends."""

import asyncio
import base64
import re

import pytest
from twilio.request_validator import RequestValidator

from voicebot.local.phone.caller import call
from voicebot.local.phone.options import DEFAULT_AUTH_TOKEN, DialOutcome, Limits
from voicebot.local.phone.scenario import Dtmf, Expect, Expectation, HangUp, Play, Wait, WaitFor
from voicebot.local.phone.sound import is_loud

SHORT = Wait(wait=0.3)


async def test_opens_the_socket_as_twilio_does(service):
    service.pages["/voice"] = service.connect(url=f"{service.media_url}?secret=1")
    await call(service.options(steps=(SHORT,)))
    socket = service.sockets[0]
    assert socket.path_qs == "/media"
    headers = {name.lower(): value for name, value in socket.headers}
    assert len(headers) == len(socket.headers)
    assert headers.pop("x-twilio-signature") == RequestValidator(DEFAULT_AUTH_TOKEN).compute_signature(
        f"{service.media_url}?secret=1", {}
    )
    assert re.fullmatch(r"[\w+/]{22}==", headers.pop("sec-websocket-key"))
    assert headers == {
        "host": "voice.example.com",
        "upgrade": "websocket",
        "connection": "Upgrade",
        "sec-websocket-version": "13",
        "user-agent": "Twilio.TmeWs/1.0",
        "accept-encoding": "gzip",
    }


async def test_sends_what_twilio_sends(service):
    service.pages["/voice"] = service.connect('<Parameter name="token" value="abc"/><Parameter name="empty" value=""/>')
    report = await call(service.options(steps=(SHORT, Dtmf(dtmf="1#"), HangUp()), call_sid="CA" + "1" * 32))
    first, begin, *rest = service.sockets[0].messages
    sid = begin["streamSid"]
    assert first == {"event": "connected", "protocol": "Call", "version": "1.0.0"}
    assert re.fullmatch("MZ[0-9a-f]{32}", sid)
    assert begin == {
        "event": "start",
        "sequenceNumber": "1",
        "start": {
            "accountSid": report.account_sid,
            "streamSid": sid,
            "callSid": "CA" + "1" * 32,
            "tracks": ["inbound"],
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
            "customParameters": {"token": "abc", "empty": ""},
        },
        "streamSid": sid,
    }
    assert [message["sequenceNumber"] for message in rest] == [str(number) for number in range(2, len(rest) + 2)]
    assert {message["streamSid"] for message in rest} == {sid}
    assert [message["dtmf"] for message in service.sockets[0].events("dtmf")] == [
        {"track": "inbound_track", "digit": "1"},
        {"track": "inbound_track", "digit": "#"},
    ]
    assert rest[-1]["event"] == "stop"
    assert rest[-1]["stop"] == {"accountSid": report.account_sid, "callSid": report.call_sid}
    assert service.sockets[0].ws.close_code == 1000
    assert report.streams[0].digits == "1#"


async def test_frames_look_like_captured_ones(service):
    service.pages["/voice"] = service.connect()
    await call(service.options(steps=(Wait(wait=1.5),)))
    media = [message["media"] for message in service.sockets[0].events("media")]
    assert len(media) > 60
    assert [frame["chunk"] for frame in media] == [str(number) for number in range(1, len(media) + 1)]
    assert {frame["track"] for frame in media} == {"inbound"}
    stamps = [int(frame["timestamp"]) for frame in media]
    assert stamps[0] == 155
    assert stamps[50] == round(155 + 50 * 19.97)
    assert {len(base64.b64decode(frame["payload"])) for frame in media} == {160}
    assert set(base64.b64decode(media[0]["payload"])) == {0x7F, 0xFF}


async def test_pacing_does_not_drift(service):
    service.pages["/voice"] = service.connect()
    report = await call(service.options(steps=(Wait(wait=4),)))
    stream = report.streams[0]
    # Late ticks are made up for, so the count follows the clock even on a busy machine.
    assert stream.frames_sent == pytest.approx((stream.closed_ms - stream.opened_ms) / 20, abs=15)


async def test_caller_is_heard_as_spoken(service):
    service.pages["/voice"] = service.connect()
    spoken = service.tone(500)
    await call(service.options(steps=(Play(play=service.wav(spoken)), Wait(wait=0.2))))
    payloads = [base64.b64decode(message["media"]["payload"]) for message in service.sockets[0].events("media")]
    assert b"".join(payload for payload in payloads if is_loud(payload)).strip(b"\x7f\xff") in spoken


async def test_a_suppressed_silence_leaves_gaps(service):
    service.pages["/voice"] = service.connect()
    steps = (
        Wait(wait=0.4),
        Play(play=service.wav(service.tone(100))),
        Wait(wait=0.4),
        Play(play=service.wav(service.tone(100))),
    )
    await call(service.options(steps=steps, quiet="suppress"))
    media = [message["media"] for message in service.sockets[0].events("media")]
    assert len(media) == 10
    assert [frame["chunk"] for frame in media] == [str(number) for number in range(1, 11)]
    stamps = [int(frame["timestamp"]) for frame in media]
    assert stamps[0] > 155 + 300
    assert stamps[5] - stamps[4] > 300


async def test_marks_come_back_when_their_audio_has_played(service):
    service.pages["/voice"] = service.connect()

    async def behaviour(socket):
        await socket.event("start")
        await socket.mark("at once")
        await socket.event("mark")
        await socket.play(service.tone(600))
        await socket.mark("half")
        await socket.play(service.tone(400))
        await socket.mark("whole")

    service.behaviour = behaviour
    report = await call(service.options(steps=(WaitFor(wait_for="mark", name="whole"), HangUp())))
    marks = report.marks
    assert [(mark.name, mark.cleared) for mark in marks] == [("at once", False), ("half", False), ("whole", False)]
    assert marks[1].echoed_ms - marks[1].received_ms == pytest.approx(600, abs=200)
    assert marks[2].echoed_ms - marks[1].echoed_ms == pytest.approx(400, abs=200)
    assert [message["mark"] for message in service.sockets[0].events("mark")] == [
        {"name": "at once"},
        {"name": "half"},
        {"name": "whole"},
    ]
    assert report.heard_ms == pytest.approx(1000, abs=20)
    assert report.streams[0].media_received_ms == 1000


async def test_clear_silences_and_sends_every_mark_back(service):
    service.pages["/voice"] = service.connect()

    async def behaviour(socket):
        await socket.event("start")
        await socket.play(service.tone(8000))
        await socket.mark("one")
        await socket.mark("two")
        await socket.event("media", 10)
        await socket.clear()
        await socket.event("mark", 2)
        await socket.mark("three")

    service.behaviour = behaviour
    report = await call(service.options(steps=(WaitFor(wait_for="mark", name="three"), Wait(wait=0.5))))
    assert [(mark.name, mark.cleared) for mark in report.marks] == [("one", True), ("two", True), ("three", False)]
    assert len(report.clears) == 1
    assert report.heard_ms < 4000
    assert report.exit_code == 0


@pytest.mark.parametrize(
    ("send", "code"),
    [
        pytest.param(b"\x00", 31950, id="binary"),
        pytest.param("hello", 31951, id="no-json"),
        pytest.param('{"event":"clear","streamSid":"MZwrong"}', 31951, id="wrong-stream"),
    ],
)
async def test_a_wrong_message_is_ignored_and_noted_once(service, send, code):
    service.pages["/voice"] = service.connect()

    async def behaviour(socket):
        await socket.event("start")
        for _ in range(3):
            await (socket.ws.send_bytes(send) if isinstance(send, bytes) else socket.ws.send_str(send))
        await socket.mark("still alive")

    service.behaviour = behaviour
    report = await call(service.options(steps=(WaitFor(wait_for="mark"),)))
    assert report.codes() == [code]
    assert report.exit_code == 3
    assert report.notes[0].level == "warning"


async def test_more_than_ten_minutes_of_audio_are_thrown_away(service):
    service.pages["/voice"] = service.connect()

    async def behaviour(socket):
        await socket.event("start")
        for _ in range(11):
            await socket.play(b"\xff" * 60 * 8000)
        await socket.clear()

    service.behaviour = behaviour
    report = await call(service.options(steps=(Wait(wait=0.1), Expect(expect=Expectation(clears=1), within=30))))
    assert report.codes() == [31931]
    assert report.streams[0].media_received_ms == 660_000


async def test_both_tracks_share_chunks_and_timestamps(service):
    service.pages["/voice"] = service.start("both_tracks", "<Dial>+491</Dial>")
    options = service.options(
        dial=DialOutcome("completed", talk_s=0.8, ring_s=0.1),
        agent_audio=service.wav(service.tone(400)),
        steps=(Wait(wait=5),),
    )
    report = await call(options)
    socket = service.sockets[0]
    assert socket.events("start")[0]["start"]["tracks"] == ["inbound", "outbound"]
    media = [message["media"] for message in socket.events("media")]
    assert [frame["chunk"] for frame in media] == [str(number) for number in range(1, len(media) + 1)]
    assert [frame["track"] for frame in media[:4]] == ["outbound", "inbound"] * 2
    assert all(one["timestamp"] == two["timestamp"] for one, two in zip(media[::2], media[1::2], strict=False))
    loud = {frame["track"] for frame in media if is_loud(base64.b64decode(frame["payload"]))}
    assert loud == {"outbound"}
    assert report.ended == "service"
    assert report.streams[0].tracks == ["inbound", "outbound"]


async def test_one_track_only(service):
    service.pages["/voice"] = service.start("outbound_track", "<Say>hello</Say>")
    await call(service.options(steps=(Wait(wait=5),)))
    assert {message["media"]["track"] for message in service.sockets[0].events("media")} == {"outbound"}


async def test_a_listening_stream_takes_no_messages_and_no_keys(service):
    service.pages["/voice"] = service.start(after="<Pause length='1'/>")

    async def behaviour(socket):
        await socket.event("start")
        await socket.play(service.tone(100))
        await socket.mark("x")

    service.behaviour = behaviour
    report = await call(service.options(steps=(Wait(wait=0.2), Dtmf(dtmf="1"))))
    assert 31924 in report.codes()
    assert report.heard_ms == 0
    assert not service.sockets[0].events("mark")
    assert [failure.found for failure in report.failures] == ["none"]


async def test_stop_ends_a_stream_by_name_and_the_call_goes_on(service):
    attributes = ' name="ear" statusCallback="/stream-status"'
    after = '<Pause length="1"/><Stop><Stream name="ear"/></Stop><Stop><Stream name="eye"/></Stop><Pause length="1"/>'
    service.pages["/voice"] = service.start(after=after, attributes=attributes)
    report = await call(service.options())
    stream = report.streams[0]
    assert stream.name == "ear"
    assert stream.closed_ms < report.duration_ms - 500
    assert service.sockets[0].messages[-1]["event"] == "stop"
    assert [request.form["StreamEvent"] for request in service.asked("/stream-status")] == [
        "stream-started",
        "stream-stopped",
    ]
    assert report.codes() == [12200]


async def test_stream_callbacks_carry_every_field(service):
    service.pages["/voice"] = service.connect(attributes=' name="bot" statusCallback="/stream-status"')
    report = await call(service.options(steps=(SHORT,)))
    first, last = service.asked("/stream-status")
    assert first.signed
    assert last.signed
    assert first.form.pop("Timestamp").endswith("Z")
    assert first.form == {
        "AccountSid": report.account_sid,
        "CallSid": report.call_sid,
        "StreamSid": service.sockets[0].sid,
        "StreamName": "bot",
        "StreamEvent": "stream-started",
    }
    assert last.form["StreamEvent"] == "stream-stopped"


@pytest.mark.parametrize(
    ("url", "code", "exit_code"),
    [
        pytest.param("https://voice.example.com/media", 31922, 3, id="https"),
        pytest.param("ws://voice.example.com/media", 31922, 3, id="ws-elsewhere"),
        pytest.param("wss://[broken/media", 31923, 3, id="malformed"),
        pytest.param("wss:///media", 31923, 3, id="no-host"),
        pytest.param("wss://voice.example.com/nothing-here", 31920, 3, id="not-101"),
        pytest.param("ws://127.0.0.1:1/media", 31902, 5, id="refused"),
    ],
)
async def test_a_stream_that_cannot_be_opened(service, url, code, exit_code):
    service.pages["/voice"] = service.connect(url=url, attributes=' statusCallback="/stream-status"', after="<Hangup/>")
    report = await call(service.options())
    assert report.codes() == [code]
    assert report.exit_code == exit_code
    assert [verb.verb for verb in report.verbs] == ["Connect", "Hangup"]
    request = service.asked("/stream-status")[0]
    assert request.form["StreamEvent"] == "stream-error"
    assert request.form["StreamError"] == report.notes[0].message


async def test_a_server_that_never_answers_the_handshake(service):
    async def silent(_reader, writer) -> None:
        await gone.wait()
        writer.close()

    gone = asyncio.Event()
    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    service.pages["/voice"] = service.connect(url=f"ws://{host}:{port}/media", after="<Hangup/>")
    report = await call(service.options(limits=Limits(handshake_s=0.2)))
    gone.set()
    server.close()
    await server.wait_closed()
    assert report.codes() == [31901]
    assert report.exit_code == 5


async def test_redirects_of_the_handshake_are_not_followed(service):
    service.pages["/voice"] = service.connect()
    service.refuse_handshake = 302
    report = await call(service.options())
    assert report.codes() == [31920]
    assert report.streams[0].handshake_status == 302


@pytest.mark.parametrize(("close", "codes"), [(1000, []), (1008, [31921]), (1011, [31921])])
async def test_the_service_closes_and_the_next_verb_follows(service, close, codes):
    service.pages["/voice"] = service.connect(
        after="<Say>bye</Say><Hangup/>", attributes=' statusCallback="/stream-status"'
    )

    async def behaviour(socket):
        await socket.event("media", 3)
        await socket.ws.close(code=close, message=b"enough")

    service.behaviour = behaviour
    report = await call(service.options())
    assert report.said == ["bye"]
    assert report.codes() == codes
    assert (report.streams[0].close_code, report.streams[0].close_reason) == (close, "enough")
    assert service.asked("/stream-status")[-1].form["StreamEvent"] == "stream-stopped"
    assert not service.sockets[0].events("stop")


async def test_a_dead_connection_is_a_broken_pipe(service):
    service.pages["/voice"] = service.connect(attributes=' statusCallback="/stream-status"')

    async def behaviour(socket):
        await socket.event("media", 3)
        socket.ws._req.transport.abort()

    service.behaviour = behaviour
    report = await call(service.options())
    assert report.codes() == [31903]
    assert service.asked("/stream-status")[-1].form["StreamEvent"] == "stream-error"
    assert report.streams[0].close_code == 1006
