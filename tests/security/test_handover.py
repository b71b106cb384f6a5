"""What an application, or a token, may do with a call that costs money or gives it away."""

import json

import pytest

from voicebot import live
from voicebot.config import Settings
from voicebot.core.actions import HangUp
from voicebot.core.handover import ANYWHERE, PUBLIC, HandoverPolicy
from voicebot.errors import ReplyRefused
from voicebot.wire.webhook_reply import parse_reply

SWISS = HandoverPolicy(numbers=("+41", "client:agent"), hosts=("voice.example.com",))


FORMS = {
    "application/json": lambda action: json.dumps({"actions": [action]}).encode(),
    "application/x-ndjson": lambda action: json.dumps(action).encode(),
    "text/event-stream": lambda action: b"data: " + json.dumps(action).encode() + b"\n\n",
}


def asked(policy, content_type="application/json", **action):
    return parse_reply(200, content_type, FORMS[content_type](action), max_bytes=65_536, handover=policy).actions


def refused(policy, path, reason, **action):
    for content_type in FORMS:
        with pytest.raises(ReplyRefused) as error:
            asked(policy, content_type, **action)
        assert error.value.path.endswith(path)
        assert reason in error.value.reason


@pytest.mark.parametrize("to", ["+41445550199", "client:agent-7"])
def test_numbers_that_may_be_dialled(to):
    assert asked(SWISS, type="transfer", to=to)[0].to == to


@pytest.mark.parametrize("to", ["+19005550100", "+4", "sip:a@b.example", "client:boss", "sips:+41@x.example"])
def test_numbers_that_may_not(to):
    if to != "+4":  # no number at all
        assert asked(PUBLIC, type="transfer", to=to)
    refused(SWISS, ".to", "may not be dialled" if to != "+4" else "neither a number", type="transfer", to=to)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://app.example.com/a", "https"),
        ("ftp://app.example.com/a", "absolute http"),
        ("https://user:word@app.example.com/a", "password"),
        ("https://@app.example.com/a", "user"),
        ("https://app.example.com\\@evil.example/", "backslash"),
        ("https://127.0.0.1/a", "not a public address"),
        ("https://2130706433/a", "disguise"),
        ("https://0x7f.1/a", "disguise"),
        ("https://169.254.169.254/latest", "not a public address"),
        ("https://[::1]/a", "not a public address"),
        ("https://[::ffff:10.0.0.1]/a", "not a public address"),
        ("https://localhost/a", "inside one network"),
        ("https://app.localhost./a", "inside one network"),
        ("https://metadata.google.internal/a", "inside one network"),
        ("https://printer.local/a", "inside one network"),
    ],
)
def test_urls_that_no_call_is_given_to(url, why):
    refused(PUBLIC, ".url", why, type="redirect", url=url)
    document = f"<Response><Gather action='/again'/><Redirect>{url}</Redirect></Response>"
    refused(PUBLIC, ".twiml", why.replace("absolute http", "https"), type="redirect", twiml=document)


def test_hosts_can_be_named():
    assert asked(SWISS, type="redirect", url="https://Voice.example.com/a")
    refused(SWISS, ".url", "host", type="redirect", url="https://app.example.com/a")
    refused(SWISS, ".url", "host", type="redirect", url="https://voice.example.com.evil.example/a")


@pytest.mark.parametrize(
    "verbs",
    [
        "<Dial>+19005550100</Dial>",
        "<Dial>+1 (900) 555-0100</Dial>",
        "<Dial><Number>+19005550100</Number></Dial>",
        "<Dial><Sip>sip:a@b.example</Sip></Dial>",
        "<Dial><Client>boss</Client></Dial>",
        "<Gather><Say>x</Say></Gather><Dial>00419</Dial>",
    ],
)
def test_a_document_dials_no_more_than_a_transfer(verbs):
    document = f"<Response>{verbs}</Response>"
    assert asked(PUBLIC, type="redirect", twiml=document)
    refused(SWISS, ".twiml", "dial", type="redirect", twiml=document)


@pytest.mark.parametrize(
    "verbs",
    [
        "<Dial>+41 44 555 01 99</Dial>",
        "<Dial><Client>agent-7</Client></Dial>",
        "<Redirect>/twilio/voice</Redirect>",
        "<Gather action='https://voice.example.com/keys'/>",
        "<Connect><Stream url='wss://voice.example.com/s'/></Connect>",
    ],
)
def test_documents_that_keep_to_the_policy(verbs):
    assert asked(SWISS, type="redirect", twiml=f"<Response>{verbs}</Response>")


@pytest.mark.parametrize("attribute", ["action", "url", "waitUrl"])
def test_other_ways_out_of_a_document(attribute):
    document = f"<Response><Dial><Conference {attribute}='http://10.0.0.1/'>x</Conference></Dial></Response>"
    refused(PUBLIC, ".twiml", "https", type="redirect", twiml=document)


def test_the_operators_own_settings_are_free():
    give_up = {"actions": [{"type": "redirect", "url": "http://10.0.0.1/away"}]}
    settings = Settings.model_validate(
        {"default": {"give_up": give_up}, "webhook": {"handover": {"hosts": ["a.example"]}}}
    )
    assert settings.default.give_up.actions[0].url == "http://10.0.0.1/away"
    assert asked(ANYWHERE, type="redirect", url="http://10.0.0.1/away")
    assert HangUp() == asked(SWISS, type="hangup")[0]


# --- in the house -------------------------------------------------------------------------------------


async def test_a_call_is_not_transferred_to_a_number_that_is_not_allowed(house):
    h = await house(webhook={"handover": {"numbers": ["+41"]}})
    h.app.on("call.started", {"actions": [{"type": "transfer", "to": "+19005550100"}]})
    phone = h.dial()
    missing = await h.live(live.ReplyMissing)
    assert "webhook.handover.numbers" in str(missing)
    await phone.hang_up()
    await h.empty()
    assert h.app.events[-1]["data"]["reason"] == "caller_hangup"


async def test_a_token_cannot_dial_it_either(house, api):
    h = await house(api=api.settings, webhook={"handover": {"numbers": ["+41"], "hosts": ["voice.example.com"]}})
    async with api(h) as client:
        answer = await client.post("/calls", {"to": "+19005550100", "from": "+15550199"})
        assert (answer.status, answer.kind) == (422, "not-allowed")
        assert answer.json["errors"][0]["pointer"] == "#/to"
        phone = h.dial()
        await h.app.until("call.started")
        path = f"/calls/{phone.sid}/actions"
        for action, pointer in (
            ({"type": "transfer", "to": "+19005550100"}, "#/actions/1/to"),
            ({"type": "redirect", "url": "https://evil.example/"}, "#/actions/1/url"),
            ({"type": "redirect", "twiml": "<Response><Dial>+1900</Dial></Response>"}, "#/actions/1/twiml"),
        ):
            answer = await client.post(path, {"actions": [{"type": "pause", "ms": 10}, action]})
            assert (answer.status, answer.kind) == (422, "not-allowed")
            assert answer.json["errors"][0]["pointer"] == pointer
        await phone.hang_up()
    await h.empty()
