"""The documents that we serve, as XML."""

from xml.etree import ElementTree as ET

import pytest

from voicebot.core.actions import Transfer
from voicebot.local.phone import twiml as phone
from voicebot.wire import twiml
from voicebot.wire.twiml import Doors

DOORS = Doors("https://voice.example.com")
BELOW = Doors("https://example.com/bots/a")


def outline(text):
    """Tags, attributes and texts, nested."""

    def of(element):
        return (element.tag, dict(element.attrib), (element.text or "").strip(), [of(child) for child in element])

    return of(ET.fromstring(text))


def test_addresses():
    assert DOORS.media == "wss://voice.example.com/twilio/media"
    assert DOORS.at("connected") == "https://voice.example.com/twilio/connected"
    assert BELOW.media == "wss://example.com/bots/a/twilio/media"
    assert Doors("http://127.0.0.1:8080").media == "ws://127.0.0.1:8080/twilio/media"
    assert Doors("http://http.example.com").media == "ws://http.example.com/twilio/media"


def test_a_two_way_stream():
    tag, _, _, verbs = outline(twiml.connect(DOORS, "T"))
    assert tag == "Response"
    stream = (
        "Stream",
        {
            "url": "wss://voice.example.com/twilio/media",
            "statusCallback": "https://voice.example.com/twilio/stream-status",
            "statusCallbackMethod": "POST",
        },
        "",
        [("Parameter", {"name": "token", "value": "T"}, "", [])],
    )
    assert verbs == [
        ("Connect", {}, "", [stream]),
        ("Redirect", {"method": "POST"}, "https://voice.example.com/twilio/connected" + twiml.PATIENCE, []),
    ]


def test_keys_before_a_two_way_stream():
    verbs = ET.fromstring(twiml.connect(DOORS, "T", digits="1w#"))
    assert [verb.tag for verb in verbs] == ["Play", "Connect", "Redirect"]
    assert verbs[0].get("digits") == "1w#"


@pytest.mark.parametrize("track", ["inbound_track", "outbound_track", "both_tracks"])
def test_a_one_way_stream_and_what_goes_on_beside_it(track):
    text = twiml.start(
        DOORS, "T", track=track, then='<Say language="de-DE">Grüße &amp; Küsse</Say><Dial>+15550100</Dial>'
    )
    _, _, _, [start, say, dial] = outline(text)
    assert start[0] == "Start"
    assert start[3][0][1]["track"] == track
    assert start[3][0][3] == [("Parameter", {"name": "token", "value": "T"}, "", [])]
    assert say == ("Say", {"language": "de-DE"}, "Grüße & Küsse", [])
    assert dial == ("Dial", {}, "+15550100", [])
    assert text.startswith('<?xml version="1.0" encoding="UTF-8"?>')


@pytest.mark.parametrize(
    ("to", "child"),
    [
        pytest.param("+15550100", ("Number", "+15550100"), id="number"),
        pytest.param("sip:desk@example.com;transport=tls?X-A=1&X-B=2", None, id="SIP with a query"),
        pytest.param("sips:desk@example.com", ("Sip", "sips:desk@example.com"), id="secure SIP"),
        pytest.param("client:alice", ("Client", "alice"), id="client"),
    ],
)
def test_a_transfer(to, child):
    [dial] = ET.fromstring(twiml.dial(DOORS, Transfer(to=to, caller_id="+15550199", timeout=20)))
    assert dial.attrib == {
        "action": "https://voice.example.com/twilio/dialed" + twiml.PATIENCE,
        "method": "POST",
        "timeout": "20",
        "callerId": "+15550199",
    }
    [called] = dial
    assert (called.tag, called.text) == (child or ("Sip", to))


def test_a_transfer_with_the_callers_own_number():
    [dial] = ET.fromstring(twiml.dial(DOORS, Transfer(to="+15550100")))
    assert "callerId" not in dial.attrib


def test_the_small_ones():
    assert outline(twiml.hangup())[3] == [("Hangup", {}, "", [])]
    assert outline(twiml.nothing())[3] == []
    assert outline(twiml.refuse("<Say>Busy &lt;now&gt; &amp; then</Say><Hangup/>"))[3] == [
        ("Say", {}, "Busy <now> & then", []),
        ("Hangup", {}, "", []),
    ]
    assert outline(twiml.redirect("https://x.example.com/a?b=1&c=2"))[3] == [
        ("Redirect", {"method": "POST"}, "https://x.example.com/a?b=1&c=2", [])
    ]


@pytest.mark.parametrize(
    "text",
    [
        twiml.connect(DOORS, 'a"b<c&d'),
        twiml.connect(DOORS, "T", digits="1"),
        twiml.start(DOORS, "T", track="both_tracks", then=""),
        twiml.dial(DOORS, Transfer(to="client:a&b")),
        twiml.redirect("https://x.example.com/"),
        twiml.hangup(),
        twiml.nothing(),
        twiml.refuse("<Say>No.</Say>"),
    ],
)
def test_the_phone_has_nothing_to_complain_about(text):
    assert phone.parse(text.encode()).problems == ()
