"""Dialled calls that nobody has answered yet, or ever."""

import pytest
from aiohttp import web

from voicebot.local.phone.options import DEFAULT_ACCOUNT_SID

SID = "CA" + "7" * 32
WANTED = {"to": "+15550123", "from": "+15550199"}


class Rest:
    """A carrier that takes orders and lets them ring."""

    def __init__(self):
        self.forms, self.answers, self.url = [], {}, ""

    async def handle(self, request):
        self.forms.append((request.path, dict(await request.post()), request.headers["Authorization"]))
        return self.answers.get(request.path.rpartition("/")[2]) or web.json_response({"sid": SID}, status=201)


@pytest.fixture
async def rest():
    made = Rest()
    application = web.Application()
    application.router.add_post("/{path:.*}", made.handle)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.url = f"http://127.0.0.1:{site.port}"
    yield made
    await runner.cleanup()


@pytest.fixture
async def ringing(house, api, rest):
    twilio = {"account_sid": DEFAULT_ACCOUNT_SID, "api_url": rest.url}
    return await house(api=api.settings, twilio=twilio)


async def test_what_the_carrier_is_told(ringing, api, rest):
    async with api(ringing) as client:
        assert (await client.post("/calls", WANTED)).json["id"] == SID
    [(path, form, key)] = rest.forms
    assert path == f"/2010-04-01/Accounts/{DEFAULT_ACCOUNT_SID}/Calls.json"
    assert key.startswith("Basic ")
    assert (form["To"], form["From"], form["Method"]) == ("+15550123", "+15550199", "POST")
    assert form["Url"].startswith("https://voice.example.com/twilio/voice?dial=")
    assert form["StatusCallback"].startswith("https://voice.example.com/twilio/status?dial=")


async def test_a_call_that_rings_is_a_live_one(ringing, api, rest):
    async with api(ringing) as client:
        await client.post("/calls", WANTED)
        [call] = (await client.get("/calls?state=live&direction=outbound")).json["items"]
        assert (call["id"], call["state"], call["turns"]) == (SID, "live", 0)
        assert (await client.get(f"/calls/{SID}")).json["call"] == call
        assert (await client.post(f"/calls/{SID}/finalize")).kind == "call-rings"
        assert (await client.delete(f"/calls/{SID}")).kind == "call-is-live"
        assert (await client.post(f"/calls/{SID}/hangup")).status == 202
        path, form, _ = rest.forms[-1]
        assert (path.rpartition("/")[2], form) == (f"{SID}.json", {"Status": "completed"})


@pytest.mark.parametrize("status", ["busy", "no-answer", "failed", "canceled"])
async def test_a_call_that_nobody_answers_is_kept(ringing, api, rest, carrier, status):
    async with api(ringing) as client, carrier(ringing) as twilio:
        await client.post("/calls", WANTED)
        query = "?" + rest.forms[0][1]["StatusCallback"].partition("?")[2]
        form = twilio.form(SID, CallStatus=status, Direction="outbound-api")
        for _ in range(2):  # the carrier may say it twice
            assert (await twilio.post("/twilio/status", form, query=query))[0] == 200
        shown = (await client.get(f"/calls/{SID}")).json["call"]
        assert (shown["state"], shown["reason"], shown["direction"]) == ("ended", status, "outbound")
        assert (await client.get("/calls?state=live")).json["items"] == []
        assert [call["id"] for call in (await client.get("/calls?state=ended")).json["items"]] == [SID]


async def test_who_answers_is_told_what_the_call_is_about_once(ringing, api, rest, carrier):
    async with api(ringing) as client, carrier(ringing) as twilio:
        await client.post("/calls", WANTED | {"parameters": {"lead": "7"}})
        query = "?" + rest.forms[0][1]["Url"].partition("?")[2]
        form = twilio.form(SID, Direction="outbound-api", From="+15550199", To="+15550123")
        for _ in range(2):
            assert (await twilio.post("/twilio/voice", form, query=query))[0] == 200
        started = await ringing.app.until("call.started")
        assert started["call"]["parameters"] == {"lead": "7"}
        assert len((await client.get("/calls?state=live")).json["items"]) == 1


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        pytest.param(lambda: web.Response(status=503), "carrier-unavailable", id="out-of-order"),
        pytest.param(lambda: web.Response(status=302, headers={"Location": "/x"}), "carrier-refused", id="redirect"),
        pytest.param(lambda: web.Response(text="<html>"), "carrier-unavailable", id="no-json"),
        pytest.param(lambda: web.json_response([1]), "carrier-unavailable", id="no-sid"),
        pytest.param(
            lambda: web.json_response({"code": 21211, "message": "Invalid 'To'"}, status=400),
            "carrier-refused",
            id="refused",
        ),
    ],
)
async def test_answers_of_a_carrier_in_trouble(ringing, api, rest, answer, kind):
    rest.answers["Calls.json"] = answer()
    async with api(ringing) as client:
        told = await client.post("/calls", WANTED)
        assert (told.status, told.kind) == (502, kind)
        assert (await client.get("/calls?state=live")).json["items"] == []
    assert len(rest.forms) == 1
