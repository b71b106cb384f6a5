"""Calls that the service places, through the stand-in of the carrier's REST API."""

import asyncio

import pytest

from voicebot import live
from voicebot.local.phone.caller import CallOptions
from voicebot.local.phone.options import DEFAULT_ACCOUNT_SID
from voicebot.local.phone.rest import Desk

ORIGIN = "https://voice.example.com"
HELLO = [{"at_ms": 300, "say": "hello there", "until_ms": 600, "end_ms": 800}]
DEADLINE_S = 50
WANTED = {"to": "+15550123", "from": "+15550199", "parameters": {"campaign": "spring", "lead": "7"}}


class Carrier:
    """The stand-in, which reaches the service at whatever port it has got."""

    def __init__(self):
        self.reports = asyncio.Queue()
        self.routes = {ORIGIN: "http://127.0.0.1:1"}
        self.url = ""

    async def report(self):
        async with asyncio.timeout(DEADLINE_S):
            return await self.reports.get()


@pytest.fixture
async def exchange():
    made = Carrier()
    template = CallOptions(voice_url=f"{ORIGIN}/", connect_to=made.routes, pace=6.0)
    desk = Desk(template, finished=made.reports.put_nowait)
    ready = asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(desk.run("127.0.0.1", 0, ready.set_result))
    made.url, made.desk = await ready, desk
    yield made
    serving.cancel()
    await asyncio.wait({serving})


@pytest.fixture
async def placed(house, api, exchange):
    """A house whose calls go through the stand-in."""

    async def open_house(**settings):
        twilio = {"account_sid": DEFAULT_ACCOUNT_SID, "api_url": exchange.url} | settings.pop("twilio", {})
        h = await house(HELLO, api=api.settings, twilio=twilio, **settings)
        exchange.routes[ORIGIN] = h.address
        return h

    return open_house


async def test_a_call_is_dialled_and_talks(placed, api, exchange):
    h = await placed()
    h.app.on("call.started", {"actions": [{"type": "say", "text": "Good morning."}]})
    h.app.on("turn.completed", {"actions": [{"type": "hangup"}]})
    async with api(h) as client:
        answer = await client.post("/calls", WANTED, token="control")
        assert answer.status == 201, answer.body
        call = answer.json
        assert (call["direction"], call["state"], call["mode"]) == ("outbound", "live", "bot")
        assert (call["from"], call["to"]) == ("+15550199", "+15550123")
        assert answer.headers["Location"] == f"calls/{call['id']}"
        report = await exchange.report()
        assert (report.call_sid, report.ended) == (call["id"], "service")
        await h.empty()
        started = h.app.of("call.started")[0]
        assert (started["call"]["id"], started["call"]["direction"]) == (call["id"], "outbound")
        assert (await h.live(live.CallOpened)).direction == "outbound"
        assert started["call"]["parameters"] == WANTED["parameters"]
        assert "dial" not in started["data"]["carrier"]
        shown = (await client.get(f"/calls/{call['id']}")).json["call"]
        assert (shown["state"], shown["direction"], shown["turns"]) == ("ended", "outbound", 1)


async def test_the_calling_number_decides_how_the_call_is_handled(placed, api, exchange):
    h = await placed(numbers={"+15550199": {"mode": "transcribe"}})
    async with api(h) as client:
        assert (await client.post("/calls", WANTED)).json["mode"] == "transcribe"
        await exchange.report()
    await h.empty()
    assert h.app.of("call.started")[0]["data"]["mode"] == "transcribe"


async def test_a_transcribed_call_is_hung_up_by_the_carrier(placed, api, exchange):
    h = await placed(default={"mode": "transcribe", "then": "<Pause length='600'/>"})
    async with api(h) as client:
        call = (await client.post("/calls", WANTED)).json["id"]
        await h.app.until("transcript.final")
        assert (await client.post(f"/calls/{call}/hangup")).status == 202
        assert (await exchange.report()).ended == "rest"
    await h.empty()


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        pytest.param({"to": "12", "from": "+15550199"}, "#/to", id="no-e164"),
        pytest.param({"to": "+15550123"}, "#/from", id="no-from"),
        pytest.param({"to": "+15550123", "from": "sip:me"}, "#/from", id="from-sip"),
        pytest.param(WANTED | {"parameters": {"a b": "c"}}, "#/parameters/a%20b", id="name"),
        pytest.param(WANTED | {"parameters": {str(n): "" for n in range(21)}}, "#/parameters", id="too-many"),
        pytest.param(WANTED | {"parameters": {"a": 1}}, "#/parameters/a", id="no-text"),
    ],
)
async def test_what_cannot_be_dialled(placed, api, exchange, body, pointer):
    h = await placed()
    async with api(h) as client:
        answer = await client.post("/calls", body)
        assert (answer.status, answer.kind) == (422, "invalid")
        assert pointer in answer.json["errors"][0]["pointer"]
    assert exchange.desk.calls == {}


@pytest.mark.parametrize(
    ("twilio", "status", "kind", "text"),
    [
        pytest.param({"account_sid": ""}, 409, "no-carrier", "TWILIO_ACCOUNT_SID", id="no-account"),
        pytest.param({"account_sid": "AC" + "9" * 32}, 502, "carrier-refused", "20003", id="wrong-account"),
        pytest.param({"api_url": "http://127.0.0.1:1"}, 502, "carrier-unavailable", "twilio", id="unreachable"),
    ],
)
async def test_a_carrier_that_takes_no_orders(placed, api, exchange, twilio, status, kind, text):
    h = await placed(twilio=twilio)
    async with api(h) as client:
        answer = await client.post("/calls", WANTED)
        assert (answer.status, answer.kind) == (status, kind)
        assert text in answer.json["detail"]
        assert (await client.get("/calls?state=live")).json["items"] == []


async def test_no_call_is_placed_when_none_could_be_taken(placed, api, exchange):
    h = await placed(limits={"max_calls": 1})
    async with api(h) as client:
        phone = h.dial(account_sid=DEFAULT_ACCOUNT_SID)
        await h.app.until("call.started")
        answer = await client.post("/calls", WANTED)
        assert (answer.status, answer.kind) == (503, "busy")
        await phone.hang_up()
    assert exchange.desk.calls == {}
