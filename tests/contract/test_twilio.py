"""Twilio's own library as the judge: of our signature checks, and of our documents."""

import pytest
from aiohttp import web
from multidict import MultiDict
from twilio.request_validator import RequestValidator
from twilio.twiml.voice_response import Connect, Dial, Start, Stream, VoiceResponse

from voicebot.core.actions import Transfer
from voicebot.wire import twiml
from voicebot.wire.twilio import Signatures
from voicebot.wire.twiml import Doors

DOORS = Doors("https://voice.example.com")
# Twilio, webhooks security: the example of the documentation.
URL = "https://example.com/myapp.php?foo=1&bar=2"
FORM = {
    "CallSid": "CA1234567890ABCDE",
    "Caller": "+14158675310",
    "Digits": "1234",
    "From": "+14158675310",
    "To": "+18005551212",
}
SIGNATURE = "L/OH5YylLD5NRKLltdqwSvS0BnU="


def test_the_example_of_the_documentation():
    signatures = Signatures("12345")
    assert signatures.valid_request(URL, FORM, SIGNATURE)
    assert not signatures.valid_request(URL, FORM | {"Digits": "1235"}, SIGNATURE)
    assert not signatures.valid_request(URL.replace("foo=1", "foo=2"), FORM, SIGNATURE)
    assert not Signatures("12346").valid_request(URL, FORM, SIGNATURE)


@pytest.mark.parametrize("signature", ["", "x", "ü", SIGNATURE[:-1], SIGNATURE.lower(), SIGNATURE + " "])
def test_what_is_no_signature(signature):
    assert not Signatures("12345").valid_request(URL, FORM, signature)
    assert not Signatures("12345").valid_upgrade("wss://voice.example.com/twilio/media", signature)


@pytest.mark.parametrize(
    "form",
    [
        pytest.param({}, id="empty"),
        pytest.param({"a": "", "B": " x "}, id="blanks are kept"),
        pytest.param({"name": "Müller & Söhne", "emoji": "📞"}, id="letters of the world"),
        pytest.param(MultiDict([("a", "2"), ("a", "1"), ("b", "3")]), id="a name twice"),
    ],
)
def test_forms(form):
    signature = RequestValidator("token").compute_signature(URL, form)
    assert Signatures("token").valid_request(URL, form, signature)


@pytest.mark.parametrize(
    "signed",
    [
        pytest.param("wss://voice.example.com/twilio/media", id="as in the TwiML"),
        pytest.param("wss://voice.example.com/twilio/media/", id="with a slash"),
        pytest.param("wss://voice.example.com:443/twilio/media", id="with the port"),
    ],
)
def test_upgrades(signed):
    signature = RequestValidator("token").compute_signature(signed, {})
    signatures = Signatures("token")
    assert signatures.valid_upgrade("wss://voice.example.com/twilio/media", signature)
    assert not signatures.valid_upgrade("wss://voice.example.com/other", signature)
    assert not signatures.valid_upgrade("wss://evil.example.com/twilio/media", signature)


@pytest.mark.parametrize(
    ("public", "signed"),
    [
        pytest.param(
            "wss://voice.example.com:8443/twilio/media", "wss://voice.example.com:8443/twilio/media", id="port"
        ),
        pytest.param("ws://127.0.0.1:8080/twilio/media", "ws://127.0.0.1:8080/twilio/media", id="local"),
    ],
)
def test_upgrades_of_other_addresses(public, signed):
    signature = RequestValidator("token").compute_signature(signed, {})
    assert Signatures("token").valid_upgrade(public, signature)


def stream(**attributes):
    made = Stream(
        url=DOORS.media, status_callback=DOORS.at("stream-status"), status_callback_method="POST", **attributes
    )
    made.parameter(name="token", value="T")
    return made


def theirs_connect():
    response = VoiceResponse()
    connect = Connect()
    connect.append(stream())
    response.append(connect)
    response.redirect(DOORS.at("connected") + twiml.PATIENCE, method="POST")
    return response


def theirs_start():
    response = VoiceResponse()
    start = Start()
    start.append(stream(track="both_tracks"))
    response.append(start)
    response.dial("+15550100")
    return response


def theirs_dial():
    response = VoiceResponse()
    dial = Dial(action=DOORS.at("dialed") + twiml.PATIENCE, method="POST", timeout=30)
    dial.client("alice")
    response.append(dial)
    return response


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        pytest.param(twiml.connect(DOORS, "T"), theirs_connect(), id="connect"),
        pytest.param(
            twiml.start(DOORS, "T", track="both_tracks", then="<Dial>+15550100</Dial>"), theirs_start(), id="start"
        ),
        pytest.param(twiml.dial(DOORS, Transfer(to="client:alice")), theirs_dial(), id="dial"),
    ],
)
def test_our_documents_are_those_of_the_builder(ours, theirs):
    from xml.etree import ElementTree as ET

    assert ET.canonicalize(ours, strip_text=True) == ET.canonicalize(str(theirs), strip_text=True)


async def test_twilios_client_library_signs_what_our_doors_take(house):
    """`RequestValidator` behind a real request, as Twilio's edge makes it."""
    import aiohttp

    h = await house()
    validator = RequestValidator(h.settings.twilio.auth_token.get_secret_value())
    form = FORM | {"AccountSid": "AC1", "CallStatus": "completed", "Name": "Müller & Söhne", "Blank": ""}
    async with aiohttp.ClientSession() as session:
        for url_form, status in ((form, 200), (form | {"Extra": "1"}, 403)):
            signature = validator.compute_signature("https://voice.example.com/twilio/status", form)
            async with session.post(
                f"{h.address}/twilio/status", data=url_form, headers={"X-Twilio-Signature": signature}
            ) as answer:
                assert answer.status == status
                assert isinstance(answer, aiohttp.ClientResponse) and web
