"""The REST stand-in, driven by Twilio's own client."""

import asyncio
import base64
from urllib.parse import urlsplit

import aiohttp
import pytest
from twilio.base.exceptions import TwilioRestException
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client

from voicebot.local.phone.caller import PhoneCall
from voicebot.local.phone.options import DEFAULT_ACCOUNT_SID, DEFAULT_AUTH_TOKEN
from voicebot.local.phone.rest import Desk

DEADLINE_S = 50


class LocalHttpClient(TwilioHttpClient):
    """Sends what is meant for api.twilio.com to the stand-in."""

    def __init__(self, base: str) -> None:
        super().__init__(pool_connections=False)
        self._base = base

    def request(self, method, url, *args, **kwargs):
        path = urlsplit(url)
        return super().request(method, f"{self._base}{path.path}?{path.query}".rstrip("?"), *args, **kwargs)


class RunningDesk:
    def __init__(self, desk: Desk, base: str, reports: list) -> None:
        self.desk, self.base, self.reports = desk, base, reports
        self.client = Client(DEFAULT_ACCOUNT_SID, DEFAULT_AUTH_TOKEN, http_client=LocalHttpClient(base))

    async def __call__(self, work, *args, **kwargs):
        return await asyncio.to_thread(work, *args, **kwargs)


@pytest.fixture
async def rest(service):
    reports: list = []
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    desk = Desk(service.options(), finished=reports.append)
    serving = asyncio.create_task(desk.run("127.0.0.1", 0, ready.set_result))
    yield RunningDesk(desk, await ready, reports)
    serving.cancel()
    await asyncio.wait({serving})


async def place(rest, service, **changes):
    wanted = {"to": "+491", "from_": "+492", "url": "https://voice.example.com/voice"} | changes
    return await rest(rest.client.calls.create, **wanted)


async def over(rest) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not rest.reports:
            await asyncio.sleep(0.01)


async def test_a_call_is_placed_and_hung_up(service, rest):
    service.pages["/voice"] = service.connect()
    placed = await place(
        rest,
        service,
        status_callback="https://voice.example.com/status",
        status_callback_event=["initiated", "answered", "completed"],
    )
    assert placed.direction == "outbound-api"
    assert (placed.to, placed._from) == ("+491", "+492")
    socket = await service.socket()
    await socket.event("media", 3)
    form = service.asked("/voice")[0].form
    assert (form["CallSid"], form["Direction"], form["CallStatus"]) == (placed.sid, "outbound-api", "in-progress")
    shown = await rest(rest.client.calls(placed.sid).fetch)
    assert shown.status == "in-progress"
    await rest(rest.client.calls(placed.sid).update, status="completed")
    await over(rest)
    assert socket.messages[-1]["event"] == "stop"
    shown = await rest(rest.client.calls(placed.sid).fetch)
    assert shown.status == "completed"
    assert shown.end_time is not None
    assert rest.reports[0].ended == "rest"
    assert [r.form["CallStatus"] for r in service.asked("/status")] == ["initiated", "in-progress", "completed"]


async def test_new_twiml_replaces_the_document(service, rest):
    service.pages["/voice"] = service.connect(after="<Say>never</Say>", action="/never")
    placed = await place(rest, service)
    await (await service.socket()).event("media", 3)
    await rest(rest.client.calls(placed.sid).update, twiml="<Response><Say>replaced</Say></Response>")
    await over(rest)
    assert service.sockets[0].messages[-1]["event"] == "stop"
    assert rest.reports[0].said == ["replaced"]
    assert service.asked("/never") == []


async def test_a_new_url_is_asked_signed(service, rest):
    service.pages["/voice"] = service.connect()
    service.pages["/other"] = "<Response><Hangup/></Response>"
    placed = await place(rest, service)
    await (await service.socket()).event("media", 3)
    await rest(rest.client.calls(placed.sid).update, url="https://voice.example.com/other", method="GET")
    await over(rest)
    request = service.asked("/other")[0]
    assert (request.method, request.signed) == ("GET", True)


async def test_a_call_from_twiml(service, rest):
    placed = await place(rest, service, url=None, twiml="<Response><Say>hi</Say></Response>")
    await over(rest)
    assert rest.reports[0].said == ["hi"]
    assert rest.reports[0].call_sid == placed.sid
    assert service.requests == []


async def test_a_call_made_elsewhere_can_be_hung_up(service, rest):
    service.pages["/voice"] = service.connect()
    call = PhoneCall(service.options())
    rest.desk.add(call)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(call.run())
        await (await service.socket()).event("media", 2)
        await rest(rest.client.calls(call.call_sid).update, status="completed")
    assert running.result().ended == "rest"


async def test_a_stream_beside_the_call(service, rest):
    service.pages["/voice"] = "<Response><Say>a</Say><Pause length='3600'/></Response>"
    placed = await place(rest, service)
    async with asyncio.timeout(DEADLINE_S):
        while (await rest(rest.client.calls(placed.sid).fetch)).status != "in-progress":
            await asyncio.sleep(0.01)
    stream = await rest(
        rest.client.calls(placed.sid).streams.create,
        url=service.media_url,
        name="ear",
        track="both_tracks",
        status_callback="https://voice.example.com/stream-status",
        parameter1_name="token",
        parameter1_value="t",
    )
    assert (stream.status, stream.name, stream.call_sid) == ("in-progress", "ear", placed.sid)
    socket = await service.socket()
    begin = await socket.event("start")
    assert begin["streamSid"] == stream.sid
    assert begin["start"]["tracks"] == ["inbound", "outbound"]
    assert begin["start"]["customParameters"] == {"token": "t"}
    stopped = await rest(rest.client.calls(placed.sid).streams("ear").update, status="stopped")
    assert stopped.status == "stopped"
    await socket.event("stop")
    await rest(rest.client.calls(placed.sid).update, status="completed")
    await over(rest)


@pytest.mark.parametrize(
    ("wanted", "code"),
    [
        pytest.param({"url": "not a url"}, 21205, id="url"),
        pytest.param({"url": None}, 21205, id="no-url"),
        pytest.param({"to": ""}, 21201, id="no-to"),
        pytest.param({"from_": ""}, 21603, id="no-from"),
        pytest.param({"twiml": "<Response/>"}, 20001, id="url-and-twiml"),
        pytest.param({"url": None, "twiml": "<!--" + "x" * 4000 + "-->"}, 20001, id="twiml-too-long"),
    ],
)
async def test_a_call_that_cannot_be_placed(service, rest, wanted, code):
    with pytest.raises(TwilioRestException) as refused:
        await place(rest, service, **wanted)
    assert (refused.value.code, refused.value.status) == (code, 400)
    assert rest.desk.calls == {}


async def test_a_finished_call_cannot_be_changed(service, rest):
    placed = await place(rest, service, url=None, twiml="<Response/>")
    await over(rest)
    with pytest.raises(TwilioRestException) as gone:
        await rest(rest.client.calls(placed.sid).update, status="completed")
    assert (gone.value.code, gone.value.status) == (20404, 404)
    with pytest.raises(TwilioRestException) as idle:
        await rest(rest.client.calls(placed.sid).update, twiml="<Response/>")
    assert (idle.value.code, idle.value.status) == (21220, 400)
    with pytest.raises(TwilioRestException) as deaf:
        await rest(rest.client.calls(placed.sid).streams.create, url=service.media_url)
    assert deaf.value.code == 21220


async def test_unknown_things(rest):
    for work in (
        rest.client.calls("CA" + "0" * 32).fetch,
        lambda: rest.client.calls("CA" + "0" * 32).streams("MZ1").update(status="stopped"),
        rest.client.messages("SM" + "0" * 32).fetch,
    ):
        with pytest.raises(TwilioRestException) as missing:
            await rest(work)
        assert (missing.value.code, missing.value.status) == (20404, 404)


@pytest.mark.parametrize(
    ("account", "token"),
    [(DEFAULT_ACCOUNT_SID, "wrong"), ("AC" + "1" * 32, DEFAULT_AUTH_TOKEN)],
)
async def test_a_wrong_key(rest, account, token):
    client = Client(account, token, http_client=LocalHttpClient(rest.base))
    with pytest.raises(TwilioRestException) as refused:
        await rest(client.calls.create, to="+1", from_="+2", url="https://voice.example.com/voice")
    assert (refused.value.code, refused.value.status, refused.value.msg) == (
        20003,
        401,
        "Unable to create record: Authenticate",
    )


@pytest.mark.parametrize("header", ["", "Basic", "Basic !!", "Bearer x", "Basic " + base64.b64encode(b"a").decode()])
async def test_strange_keys(rest, header):
    url = f"{rest.base}/2010-04-01/Accounts/{DEFAULT_ACCOUNT_SID}/Calls.json"
    async with (
        aiohttp.ClientSession() as session,
        session.post(url, headers={"Authorization": header} if header else {}) as answer,
    ):
        assert answer.status == 401
        assert await answer.json() == {
            "code": 20003,
            "message": "Authenticate",
            "more_info": "https://www.twilio.com/docs/errors/20003",
            "status": 401,
        }
