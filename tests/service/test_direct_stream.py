"""Streams that somebody else's TwiML starts: `twiml/transcribe.xml`, pasted."""

from pathlib import Path

import pytest

PASTED = (Path(__file__).parents[2] / "twiml" / "transcribe.xml").read_text(encoding="utf-8")
LEFT = [{"at_ms": 400, "say": "from the left", "until_ms": 800, "end_ms": 1_000}]
RIGHT = [{"at_ms": 700, "say": "from the right", "until_ms": 1_000, "end_ms": 1_200}]
FROM, TO = "+15550101", "+15550100"
WAITS = "<Pause length='60'/>"


def pasted(h, edits=None, **changes):
    """Dial a number whose TwiML is somebody else's; as Twilio does, a Bin fills in the names in braces."""
    text = PASTED
    for old, new in {"{{From}}": FROM, "{{To}}": TO, "<Dial>+15550100</Dial>": WAITS, **(edits or {})}.items():
        text = text.replace(old, new)
    return h.dial(twiml=text, connect_to={"https://voice.example.com": h.address}, **changes)


async def open_house(house, script=None, mode="transcribe", **settings):
    settings.setdefault("twilio", {})["direct_streams"] = settings.pop("direct", True)
    return await house(
        script or [LEFT, RIGHT], public_url="https://voice.example.com", default={"mode": mode}, **settings
    )


async def test_both_sides_are_written_down(house):
    h = await open_house(house)
    phone = pasted(h)
    await h.app.until("transcript.final", 2)
    await phone.hang_up()
    await h.empty()
    [started] = h.app.of("call.started")
    assert (started["call"]["from"], started["call"]["to"], started["data"]["mode"]) == (FROM, TO, "transcribe")
    assert {final["data"]["track"] for final in h.app.of("transcript.final")} == {"caller", "agent"}
    assert h.app.events[-1]["type"] == "call.ended"
    assert h.app.events[-1]["data"]["reason"] == "caller_hangup"


@pytest.mark.parametrize(
    ("changes", "edits", "why"),
    [
        pytest.param({"direct": False}, {}, "unknown call", id="not switched on"),
        pytest.param({"mode": "bot"}, {}, "mode", id="a bot"),
        pytest.param(
            {}, {"<Parameter": '<Parameter name="token" value="guessed"/><Parameter'}, "unknown call", id="token"
        ),
        pytest.param({"limits": {"max_calls": 1}}, {}, "busy", id="no room"),
    ],
)
async def test_what_is_not_taken(house, logs, changes, edits, why):
    h = await open_house(house, **changes)
    first = pasted(h) if why == "busy" else None
    if first:
        await h.app.until("call.started")
    phone = pasted(h, edits)
    refused = await logs.until(lambda entry: entry["event"] == "door.refused")
    assert (refused["door"], refused["why"]) == ("media", why)
    await phone.hang_up()
    if first:
        await first.hang_up()
        await h.empty()


async def test_a_stream_that_twilio_did_not_sign_is_not_taken(house, logs):
    h = await open_house(house)
    phone = pasted(h, auth_token="somebody-else")
    await logs.until(lambda entry: (entry.get("door"), entry.get("why")) == ("media", "wrong signature"))
    await phone.hang_up()
    assert h.app.events == []
