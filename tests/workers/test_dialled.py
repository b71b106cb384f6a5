"""Dialled calls: one worker orders them, another one may have to carry them."""

import pytest
from aiohttp import web

from voicebot.local.phone.options import DEFAULT_ACCOUNT_SID

WANTED = {"to": "+15550123", "from": "+15550199", "parameters": {"campaign": "spring"}}
ORIGIN = "https://voice.example.com"


class Rest:
    """A carrier that takes orders and lets them ring."""

    def __init__(self):
        self.forms, self.url, self.sid = [], "", ""

    async def handle(self, request):
        self.forms.append(dict(await request.post()))
        return web.json_response({"sid": self.sid}, status=201)

    def path(self, name="Url"):
        return self.forms[-1][name].removeprefix(ORIGIN)


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


async def ordered(pair, rest, owner):
    """A call that worker 0 has ordered and that is the owner's."""
    p = await pair(twilio={"account_sid": DEFAULT_ACCOUNT_SID, "api_url": rest.url})
    rest.sid = p.call_of(owner)
    async with p.worker(0) as session, session.post("/calls", json=WANTED) as answer:
        assert (answer.status, (await answer.json())["id"]) == (201, rest.sid)
    return p


def form(sid, **changes):
    return {
        "CallSid": sid,
        "AccountSid": DEFAULT_ACCOUNT_SID,
        "From": WANTED["from"],
        "To": WANTED["to"],
        "Direction": "outbound-api",
        "CallStatus": "in-progress",
    } | changes


@pytest.mark.parametrize("asked", [0, 1])
@pytest.mark.parametrize("owner", [0, 1])
async def test_what_it_was_given_along_reaches_it(pair, rest, owner, asked):
    p = await ordered(pair, rest, owner)
    for index in range(2):
        async with p.worker(index) as session:
            async with session.get("/calls?state=live") as answer:
                assert [call["id"] for call in (await answer.json())["items"]] == [rest.sid]
            async with session.get(f"/calls/{rest.sid}") as answer:
                assert (await answer.json())["call"]["state"] == "live"
            async with session.post(f"/calls/{rest.sid}/finalize") as answer:
                assert (await answer.json())["type"].endswith("call-rings")
    status, _ = await p.webhook(asked, rest.path("StatusCallback"), form(rest.sid, CallStatus="ringing"))
    assert status == 200
    status, twiml = await p.webhook(asked, rest.path(), form(rest.sid))
    assert status == 200
    assert f"/twilio/media/{rest.sid}" in twiml
    started = await p.house.app.until("call.started")
    assert started["call"]["parameters"] == {"campaign": "spring"}
    assert [len(service.calls) for service in p.services] == [1 - owner, owner]
    # The carrier may ask twice.
    assert (await p.webhook(asked, rest.path(), form(rest.sid)))[1] == twiml
    await p.webhook(asked, "/twilio/status", form(rest.sid, CallStatus="completed"))
    await p.services[owner].calls.wait_empty()


@pytest.mark.parametrize("owner", [0, 1])
async def test_one_that_nobody_answers_is_kept(pair, rest, owner):
    p = await ordered(pair, rest, owner)
    await p.webhook(1, rest.path("StatusCallback"), form(rest.sid, CallStatus="no-answer"))
    for index in range(2):
        async with p.worker(index) as session, session.get(f"/calls/{rest.sid}") as answer:
            call = (await answer.json())["call"]
            assert (call["state"], call["reason"]) == ("ended", "no-answer")


@pytest.mark.parametrize("asked", [0, 1])
async def test_one_that_rings_is_hung_up_from_anywhere(pair, rest, asked):
    p = await ordered(pair, rest, 1)
    async with p.worker(asked) as session, session.post(f"/calls/{rest.sid}/hangup") as answer:
        assert answer.status == 202
    assert rest.forms[-1]["Status"] == "completed"


async def test_a_ticket_of_nobody(pair):
    p = await pair()
    call = p.call_of(1)
    for ticket in ("0.unknown", "7.x", "-1.x", "x", "99999.x", "%00", "."):
        status, _ = await p.webhook(0, f"/twilio/voice?dial={ticket}", form(call))
        assert status == 200
    await p.webhook(0, "/twilio/status", form(call, CallStatus="completed"))
    await p.services[1].calls.wait_empty()
