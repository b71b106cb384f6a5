import base64
import json

import pytest

from voicebot.local.phone import messages

IDENTITY = messages.StreamIdentity("AC1", "CA1", "MZ1")


def test_connected():
    assert json.loads(messages.connected()) == {"event": "connected", "protocol": "Call", "version": "1.0.0"}


def test_a_stream_as_twilio_documents_it():
    writer = messages.MessageWriter(IDENTITY)
    out = [
        json.loads(text)
        for text in (
            writer.start(("inbound",), {"token": "t"}),
            writer.media("inbound", 155, b"\xff\x7f"),
            writer.dtmf("1"),
            writer.mark("m"),
            writer.media("inbound", 175, b""),
            writer.stop(),
        )
    ]
    assert out == [
        {
            "event": "start",
            "sequenceNumber": "1",
            "start": {
                "accountSid": "AC1",
                "streamSid": "MZ1",
                "callSid": "CA1",
                "tracks": ["inbound"],
                "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
                "customParameters": {"token": "t"},
            },
            "streamSid": "MZ1",
        },
        {
            "event": "media",
            "sequenceNumber": "2",
            "media": {"track": "inbound", "chunk": "1", "timestamp": "155", "payload": "/38="},
            "streamSid": "MZ1",
        },
        {"event": "dtmf", "sequenceNumber": "3", "dtmf": {"track": "inbound_track", "digit": "1"}, "streamSid": "MZ1"},
        {"event": "mark", "sequenceNumber": "4", "mark": {"name": "m"}, "streamSid": "MZ1"},
        {
            "event": "media",
            "sequenceNumber": "5",
            "media": {"track": "inbound", "chunk": "2", "timestamp": "175", "payload": ""},
            "streamSid": "MZ1",
        },
        {"event": "stop", "sequenceNumber": "6", "stop": {"accountSid": "AC1", "callSid": "CA1"}, "streamSid": "MZ1"},
    ]


def text(**fields) -> str:
    return json.dumps({"streamSid": "MZ1"} | fields)


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        pytest.param(
            text(event="media", media={"payload": base64.b64encode(b"abc").decode()}),
            messages.PlayAudio(b"abc"),
            id="media",
        ),
        pytest.param(text(event="mark", mark={"name": "x"}), messages.PlaceMark("x"), id="mark"),
        pytest.param(text(event="clear"), messages.ClearBuffer(), id="clear"),
    ],
)
def test_read(sent, read):
    assert messages.read(sent, "MZ1") == read


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        pytest.param("not json", "Invalid JSON", id="no-json"),
        pytest.param("[]", "message", id="list"),
        pytest.param(text(event="media", media={"payload": "*"}), "base64", id="base64"),
        pytest.param(
            text(event="media", media={"payload": "aGk=", "track": "outbound"}), "media.track", id="extra-inner"
        ),
        pytest.param(text(event="mark", mark={"name": "x"}, sequenceNumber="1"), "sequenceNumber", id="extra-outer"),
        pytest.param(text(event="mark", mark={}), "mark.name", id="missing"),
        pytest.param(text(event="mark", mark={"name": 7}), "mark.name", id="type"),
        pytest.param(text(event="dtmf", dtmf={"digit": "1"}), "event", id="unknown-event"),
        pytest.param(json.dumps({"event": "clear"}), "streamSid", id="no-stream"),
        pytest.param(text(event="clear", streamSid="MZ2"), "MZ2", id="other-stream"),
    ],
)
def test_invalid(sent, words):
    found = messages.read(sent, "MZ1")
    assert isinstance(found, messages.Invalid)
    assert found.code == 31951
    assert words in found.message
