"""Each fault of the phone does what it says, seen from the service."""

import json
from socket import SO_RCVBUF, SOL_SOCKET

import pytest

from voicebot.local.phone.caller import call
from voicebot.local.phone.faults import PhoneFaults
from voicebot.local.phone.options import Limits
from voicebot.local.phone.scenario import Wait

STAY = (Wait(wait=0.6),)


async def test_no_stop(service):
    service.pages["/voice"] = service.connect()
    await call(service.options(faults=PhoneFaults(no_stop=True), steps=STAY))
    socket = service.sockets[0]
    await socket.closed.wait()
    assert not socket.events("stop")
    assert socket.ws.close_code == 1006


async def test_dies_in_mid_call(service):
    service.pages["/voice"] = service.connect(after="<Hangup/>")
    report = await call(service.options(faults=PhoneFaults(die_after_frames=5)))
    socket = service.sockets[0]
    await socket.closed.wait()
    assert socket.ws.close_code == 1006
    assert len(socket.events("media")) <= 5
    assert report.codes() == [31903]


async def test_freezes(service):
    service.pages["/voice"] = service.connect()
    await call(service.options(faults=PhoneFaults(freeze_after_frames=5), steps=STAY))
    assert len(service.sockets[0].events("media")) == 5
    assert service.sockets[0].events("stop")


async def test_never_starts(service):
    service.pages["/voice"] = service.connect()
    await call(service.options(faults=PhoneFaults(never_start=True), steps=STAY))
    assert [message["event"] for message in service.sockets[0].messages] == ["connected", "stop"]


async def test_starts_twice_and_for_another_call(service):
    service.pages["/voice"] = service.connect()
    await call(service.options(faults=PhoneFaults(start_twice=True, start_call_sid="CAother"), steps=STAY))
    starts = service.sockets[0].events("start")
    assert [start["start"]["callSid"] for start in starts] == ["CAother", "CAother"]
    assert [start["sequenceNumber"] for start in starts] == ["1", "2"]


async def test_wrong_parameter(service):
    service.pages["/voice"] = service.connect('<Parameter name="token" value="right"/>')
    await call(service.options(faults=PhoneFaults(parameters={"token": "wrong"}), steps=STAY))
    assert service.sockets[0].events("start")[0]["start"]["customParameters"] == {"token": "wrong"}


async def test_a_second_socket_for_the_same_call(service):
    service.pages["/voice"] = service.connect(attributes=' statusCallback="/stream-status"')

    async def behaviour(socket) -> None:
        await socket.event("start")
        if socket is service.sockets[1]:
            await socket.ws.close(code=1008)

    async def both(socket) -> None:
        await service.socket(1)
        await behaviour(socket)

    service.behaviour = both
    report = await call(service.options(faults=PhoneFaults(duplicate_socket=True), steps=STAY))
    kinds = {stream.kind: stream.close_code for stream in report.streams}
    assert set(kinds) == {"connect", "duplicate"}
    assert sorted(kinds.values()) == [1000, 1008]
    first, second = (socket.events("start")[0]["start"] for socket in service.sockets)
    assert first["callSid"] == second["callSid"]
    assert first["streamSid"] != second["streamSid"]
    assert len(service.asked("/stream-status")) == 2


@pytest.mark.parametrize(
    ("faults", "webhook", "handshake"),
    [
        pytest.param(PhoneFaults(bad_webhook_signature=True), "bad", "good", id="webhook"),
        pytest.param(PhoneFaults(bad_socket_signature=True), "good", "bad", id="handshake"),
        pytest.param(PhoneFaults(no_signature=True), "none", "none", id="none"),
    ],
)
async def test_signatures(service, faults, webhook, handshake):
    service.pages["/voice"] = service.connect()
    await call(service.options(steps=STAY))
    good = dict(service.sockets[0].headers)["x-twilio-signature"]
    await call(service.options(faults=faults, steps=STAY))
    request = service.asked("/voice")[1]
    found = "none" if "X-Twilio-Signature" not in request.headers else "good" if request.signed else "bad"
    assert found == webhook
    sent = dict(service.sockets[1].headers).get("x-twilio-signature")
    assert {None: "none", good: "good"}.get(sent, "bad") == handshake


async def test_the_webhook_comes_twice(service):
    service.pages["/voice"] = service.connect()
    await call(service.options(faults=PhoneFaults(webhook_twice=True), steps=STAY))
    first, second = service.asked("/voice")
    assert first.form == second.form
    assert len(service.sockets) == 1


async def test_spoiled_messages_arrive_spoiled(service):
    service.pages["/voice"] = service.connect()
    faults = PhoneFaults(
        swap_every=4,
        duplicate_every=7,
        unknown_event_every=5,
        unknown_fields=True,
        malformed_before_frame=3,
        binary_before_frame=6,
        oversized_frame=9,
    )
    await call(service.options(faults=faults, steps=STAY))
    socket = service.sockets[0]
    numbers = [int(message["sequenceNumber"]) for message in socket.events("media")]
    assert numbers != sorted(numbers)
    assert len(set(numbers)) < len(numbers)
    assert socket.events("weather")
    assert socket.events("unreadable")
    assert max(len(raw) for raw in socket.raw) > 2_000_000
    assert any(isinstance(raw, bytes) for raw in socket.raw)
    assert all("futureField" in json.loads(raw) for raw in socket.raw[:3])


async def test_a_service_that_floods_a_phone_that_does_not_read(service):
    service.pages["/voice"] = service.connect()

    async def behaviour(socket) -> None:
        await socket.event("start")
        while True:
            await socket.play(b"\xff" * 80_000)

    service.behaviour = behaviour
    faults, limits = PhoneFaults(stop_reading=True), Limits(close_s=0.3)
    report = await call(service.options(faults=faults, limits=limits, steps=STAY))
    assert report.heard_ms == 0
    assert report.streams[0].media_received == 0


async def test_a_service_that_does_not_read_loses_audio(service):
    service.pages["/voice"] = service.connect()

    async def deaf(socket) -> None:
        transport = socket.ws._req.transport
        transport.pause_reading()
        transport.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_RCVBUF, 4096)

    service.behaviour = deaf
    limits = Limits(uplink_messages=5, close_s=0.3)
    report = await call(service.options(limits=limits, steps=(Wait(wait=60),), pace=60.0))
    service.sockets[0].ws._req.transport.abort()
    await service.sockets[0].closed.wait()
    assert 31930 in report.codes()
    assert report.streams[0].frames_dropped > 0
