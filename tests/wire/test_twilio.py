"""Twilio's messages, read and written exactly."""

import base64
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.wire.nearly import damaged, nearly
from voicebot.core.events import Digit, Ignored, MarkReached, Media, StreamStarted, StreamStopped
from voicebot.errors import PeerProtocolError
from voicebot.wire import twilio

START = {
    "event": "start",
    "sequenceNumber": "1",
    "start": {
        "accountSid": "AC1",
        "streamSid": "MZ1",
        "callSid": "CA1",
        "tracks": ["inbound", "outbound"],
        "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
        "customParameters": {"token": "t", "name": "Größe"},
    },
    "streamSid": "MZ1",
}


def text(**message):
    return json.dumps(message)


def start(**changes):
    return json.dumps(START | {"start": START["start"] | changes})


def media(**changes):
    return text(
        event="media", media={"track": "inbound", "chunk": "1", "timestamp": "155", "payload": "/38="} | changes
    )


@pytest.mark.parametrize(
    ("message", "event"),
    [
        pytest.param(text(event="connected", protocol="Call", version="1.0.0"), Ignored("connected"), id="connected"),
        pytest.param(
            json.dumps(START),
            StreamStarted(
                stream_id="MZ1",
                call_id="CA1",
                account_id="AC1",
                tracks=("caller", "agent"),
                encoding="audio/x-mulaw",
                sample_rate=8000,
                channels=1,
                parameters={"token": "t", "name": "Größe"},
            ),
            id="start",
        ),
        pytest.param(media(), Media("caller", 155, b"\xff\x7f"), id="media"),
        pytest.param(media(track="outbound"), Media("agent", 155, b"\xff\x7f"), id="media of the other side"),
        pytest.param(media(timestamp=155), Media("caller", 155, b"\xff\x7f"), id="a number as a number"),
        pytest.param(text(event="dtmf", dtmf={"track": "inbound_track", "digit": "#"}), Digit("#"), id="key"),
        pytest.param(text(event="mark", mark={"name": "1:2"}), MarkReached("1:2"), id="mark"),
        pytest.param(text(event="stop", stop={"callSid": "CA1"}), StreamStopped("stop"), id="stop"),
        pytest.param(text(event="stop"), StreamStopped("stop"), id="bare stop"),
        pytest.param(text(event="weather", sky="clear"), Ignored("weather"), id="unknown event"),
        pytest.param(media(future={"a": 1}), Media("caller", 155, b"\xff\x7f"), id="unknown field"),
    ],
)
def test_messages(message, event):
    assert twilio.read(message) == event
    assert twilio.read(message.encode()) == event


def test_start_without_parameters():
    message = json.loads(json.dumps(START))
    del message["start"]["customParameters"]
    assert twilio.read(json.dumps(message)).parameters == {}


@pytest.mark.parametrize(
    ("message", "field"),
    [
        pytest.param("", "not JSON", id="empty"),
        pytest.param("{", "not JSON", id="cut"),
        pytest.param("[" * 100_000, "not JSON", id="deep"),
        pytest.param("[]", "not a JSON object", id="list"),
        pytest.param("null", "not a JSON object", id="null"),
        pytest.param("{}", "event is not a string", id="no event"),
        pytest.param(text(event=None), "event is not a string", id="null event"),
        pytest.param(text(event="media"), "media is not an object", id="no media"),
        pytest.param(media(payload="@"), "media.payload is not base64", id="payload"),
        pytest.param(media(payload=""), "media.payload is not a string", id="empty payload"),
        pytest.param(media(payload="/38"), "media.payload is not base64", id="unpadded payload"),
        pytest.param(media(track="inbound_track"), "neither inbound nor outbound", id="track in TwiML's spelling"),
        pytest.param(media(timestamp="1.5"), "media.timestamp is not a whole number", id="fraction"),
        pytest.param(media(timestamp=1.5), "media.timestamp is not a whole number", id="fraction as a number"),
        pytest.param(media(timestamp=True), "media.timestamp is not a whole number", id="true"),
        pytest.param(media(timestamp="-1"), "media.timestamp is not a whole number", id="negative"),
        pytest.param(media(timestamp="²"), "media.timestamp is not a whole number", id="superscript"),
        pytest.param(media(timestamp="9" * 19), "media.timestamp is not a whole number", id="too long"),
        pytest.param(text(event="dtmf", dtmf={"digit": "E"}), "dtmf.digit is not a key", id="no key"),
        pytest.param(text(event="mark", mark={"name": ""}), "mark.name is not a string", id="mark without a name"),
        pytest.param(start(streamSid=1), "start.streamSid is not a string", id="stream id"),
        pytest.param(start(callSid=""), "start.callSid is not a string", id="call id"),
        pytest.param(start(tracks=[]), "start.tracks", id="no tracks"),
        pytest.param(start(tracks="inbound"), "start.tracks", id="tracks as a text"),
        pytest.param(start(tracks=[{}]), "neither inbound nor outbound", id="track of a wrong type"),
        pytest.param(start(customParameters={"a": 1}), "customParameters", id="parameter of a wrong type"),
        pytest.param(start(customParameters={"a": "\ud800"}), "customParameters", id="half a character"),
        pytest.param(start(customParameters=["a"]), "customParameters", id="parameters as a list"),
        pytest.param(start(mediaFormat=None), "start.mediaFormat is not an object", id="no format"),
        pytest.param(
            start(mediaFormat={"encoding": "x", "sampleRate": "fast", "channels": 1}), "sampleRate", id="rate"
        ),
    ],
)
def test_what_cannot_be_read_names_its_fault(message, field):
    with pytest.raises(PeerProtocolError, match=r"^twilio: ") as raised:
        twilio.read(message)
    assert field in str(raised.value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)
BODIES = st.fixed_dictionaries(
    {"event": st.sampled_from(["media", "start", "dtmf", "mark", "stop", "connected"]) | JSON},
    optional={
        "media": st.fixed_dictionaries({}, optional={"track": JSON, "timestamp": JSON, "payload": JSON}) | JSON,
        "start": st.fixed_dictionaries({}, optional={"tracks": JSON, "mediaFormat": JSON, "customParameters": JSON}),
        "dtmf": JSON,
        "mark": JSON,
    },
)


@settings(max_examples=60)
@given(BODIES)
def test_nothing_else_is_ever_raised(message):
    try:
        twilio.read(json.dumps(message))
    except PeerProtocolError:
        return


@given(st.binary(max_size=200))
def test_not_even_for_bytes_that_are_no_text(message):
    try:
        twilio.read(message)
    except PeerProtocolError:
        return


@given(st.binary(min_size=1, max_size=2_000), st.text(min_size=1))
def test_media_is_written_as_json(payload, stream_id):
    message = json.loads(twilio.media(stream_id, payload))
    assert message == {
        "event": "media",
        "streamSid": stream_id,
        "media": {"payload": base64.b64encode(payload).decode()},
    }


def test_mark_and_clear_are_written_as_json():
    assert json.loads(twilio.mark("MZ1", '1:"2"')) == {
        "event": "mark",
        "streamSid": "MZ1",
        "mark": {"name": '1:"2"'},
    }
    assert json.loads(twilio.clear("MZ1")) == {"event": "clear", "streamSid": "MZ1"}


# --- the short way --------------------------------------------------------------------------------

NUMERALS = (st.integers(0, 10**9) | st.integers(0, 10**20)).map(str)
MEDIA = st.fixed_dictionaries(
    {
        "event": st.just("media"),
        "sequenceNumber": NUMERALS,
        "media": st.fixed_dictionaries(
            {
                "track": st.sampled_from(["inbound", "outbound"]),
                "chunk": NUMERALS,
                "timestamp": NUMERALS,
                "payload": st.binary(min_size=1, max_size=400).map(lambda raw: base64.b64encode(raw).decode()),
            }
        ),
        "streamSid": st.just("MZ1"),
    }
)
MESSAGES = nearly(MEDIA).map(lambda written: written.encode(errors="surrogatepass"))


def outcome(read, message):
    try:
        return read(message)
    except PeerProtocolError as error:
        return str(error)


@given(MESSAGES | damaged(MESSAGES, st.binary(max_size=2)))
@settings(max_examples=500)
def test_the_short_way_and_the_long_way_agree(message):
    assert outcome(twilio.read, message) == outcome(twilio.read_any, message)


@given(st.binary(min_size=1, max_size=800), st.integers(0, 10**9), st.sampled_from(["inbound", "outbound"]))
def test_media_as_documented_takes_the_short_way(payload, timestamp, track):
    message = json.dumps(
        {
            "event": "media",
            "sequenceNumber": "3",
            "media": {
                "track": track,
                "chunk": "1",
                "timestamp": str(timestamp),
                "payload": base64.b64encode(payload).decode(),
            },
            "streamSid": "MZ1",
        }
    ).encode()
    frame = twilio.read_frame(message)
    assert frame is not None
    assert frame == twilio.read_any(message)


@pytest.mark.parametrize(
    "message",
    [
        pytest.param(media().replace('"chunk": "1"', '"chunk": "²"'), id="a letter beyond ASCII"),
        pytest.param(media(timestamp=155), id="a number as a number"),
        pytest.param(media(payload=""), id="no audio"),
        pytest.param(media(timestamp="²"), id="a digit that is no number"),
        pytest.param(media() + "x", id="something behind it"),
        pytest.param(media()[:-1] + ',"event":"stop"}', id="another event behind it"),
    ],
)
def test_anything_else_takes_the_long_way(message):
    assert twilio.read_frame(message.encode()) is None
    assert outcome(twilio.read, message.encode()) == outcome(twilio.read_any, message.encode())
