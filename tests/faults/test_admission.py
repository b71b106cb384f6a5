"""More callers than there is room for: the limit is exact at every door, and nobody who was let in is turned away."""

import asyncio
import json
import secrets

import pytest
from twilio.request_validator import RequestValidator
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from voicebot.config import Settings
from voicebot.errors import ConfigurationError
from voicebot.local.phone.options import DEFAULT_ACCOUNT_SID, DEFAULT_AUTH_TOKEN

TOKEN = "a-token-for-this-test"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
MEDIA = "wss://voice.example.com/twilio/media"
DEADLINE_S = 50


@pytest.fixture
def desk(house, orders):
    """A house that dials out as well."""

    async def open_house(**settings):
        account = {"account_sid": DEFAULT_ACCOUNT_SID, "api_url": orders.url} | settings.pop("twilio", {})
        tokens = [{"name": "ops", "token": TOKEN, "scopes": ["control"]}]
        return await house(twilio=account, api={"tokens": tokens}, **settings)

    return open_house


async def dial_out(carrier):
    body = {"to": "+15550123", "from": "+15550199"}
    async with carrier.session.post(f"{carrier.h.address}/calls", json=body, headers=BEARER) as answer:
        kind = (await answer.json(content_type=None)).get("type", "")
        return answer.status, kind.removeprefix("urn:voicebot:problem:")


async def all_over(h, carrier):
    for call in h.service.calls.live():
        await carrier.over(call.identity.carrier_id)
    await h.empty()


async def test_the_limit_is_exact_over_both_doors_at_once(desk, twilio, orders):
    h = await desk(limits={"max_calls": 5})
    async with twilio(h) as carrier:
        async with asyncio.TaskGroup() as group:
            rung = [group.create_task(carrier.ring()) for _ in range(12)]
            dialled = [group.create_task(dial_out(carrier)) for _ in range(12)]
        taken = sum(task.result() == "Connect" for task in rung)
        placed = sum(task.result() == (201, "") for task in dialled)
        assert taken + placed == 5
        assert len(orders.sids) == placed
        assert {task.result() for task in rung} <= {"Connect", "Say"}
        assert {task.result() for task in dialled} <= {(201, ""), (503, "busy")}
        refused = [h.metric("refused_total", door=door, why="busy") for door in ("voice", "api")]
        assert refused == [12 - taken, 12 - placed]
        assert await carrier.get("/readyz") == (503, "full: 5 calls\n")
        # Everyone who was called may answer, full or not.
        for call, ticket in zip(orders.sids, orders.tickets, strict=True):
            assert (await carrier.verbs("voice", call, ticket, Direction="outbound-api"))[0] == "Connect"
        assert len(h.service.calls) == h.metric("calls") == 5
        assert await carrier.ring() == "Say"
        await all_over(h, carrier)
        assert (await carrier.get("/readyz"))[0] == 200


async def test_a_place_is_free_again_when_nobody_answers(desk, twilio, orders):
    h = await desk(limits={"max_calls": 1})
    async with twilio(h) as carrier:
        assert await dial_out(carrier) == (201, "")
        assert await carrier.ring() == "Say"
        await carrier.post("status", orders.sids[0], orders.tickets[0], CallStatus="no-answer")
        assert await carrier.ring() == "Connect"
        assert await dial_out(carrier) == (503, "busy")
        await all_over(h, carrier)


async def test_a_call_that_is_ending_counts_until_it_is_gone(house, twilio):
    h = await house(limits={"max_calls": 1})
    release = asyncio.Event()

    async def late(_event):
        await release.wait()
        return {}

    h.app.on("call.ended", late)
    async with twilio(h) as carrier:
        call = "CA" + "1" * 32
        assert await carrier.ring(call) == "Connect"
        await carrier.over(call)
        assert await carrier.ring() == "Say"
        assert len(h.service.calls) == 1
        release.set()
        await h.empty()
        assert await carrier.ring() == "Connect"
        await all_over(h, carrier)


async def test_who_was_let_in_is_let_in_when_asked_again(house, twilio):
    h = await house(limits={"max_calls": 1, "calls_per_second": 0.001, "calls_burst": 1})
    async with twilio(h) as carrier:
        call = "CA" + "1" * 32
        assert [await carrier.ring(call) for _ in range(5)] == ["Connect"] * 5
        assert len(h.service.calls) == 1
        await all_over(h, carrier)


async def test_a_storm_is_let_in_at_its_pace(desk, twilio):
    h = await desk(
        limits={"calls_per_second": 0.001, "calls_burst": 3, "busy_twiml": "<Play>https://x.example.com/a.wav</Play>"}
    )
    async with twilio(h) as carrier:
        async with asyncio.TaskGroup() as group:
            rung = [group.create_task(carrier.ring()) for _ in range(10)]
        assert sorted(task.result() for task in rung) == ["Connect"] * 3 + ["Play"] * 7
        assert await dial_out(carrier) == (503, "rate")
        assert h.metric("refused_total", door="voice", why="rate") == 7
        assert (await carrier.get("/readyz"))[0] == 200, "a storm passes by itself"
        await all_over(h, carrier)


async def test_the_pace_comes_back_with_time(house, twilio):
    h = await house(limits={"calls_per_second": 5, "calls_burst": 1})
    async with twilio(h) as carrier:
        assert await carrier.ring() == "Connect"
        async with asyncio.timeout(DEADLINE_S):
            while await carrier.ring() != "Connect":
                await asyncio.sleep(0.05)
        assert len(h.service.calls) == 2
        await all_over(h, carrier)


@pytest.mark.parametrize("name", ["busy_twiml", "drain_twiml"])
def test_words_for_callers_that_are_no_twiml_are_a_fault_of_the_settings(name):
    with pytest.raises(ValueError, match="not well-formed"):
        Settings.model_validate({"limits": {name: "<Say>Busy"}})


def test_the_fault_is_told_by_its_name(monkeypatch):
    from voicebot.config import load

    monkeypatch.setenv("VOICEBOT_LIMITS__BUSY_TWIML", "<Say>Busy")
    with pytest.raises(ConfigurationError, match="VOICEBOT_LIMITS__BUSY_TWIML"):
        load()


# --- streams and connections ----------------------------------------------------------------------


def socket_of(h):
    signature = RequestValidator(DEFAULT_AUTH_TOKEN).compute_signature(MEDIA, {})
    url = h.address.replace("http", "ws", 1) + "/twilio/media"
    return connect(url, additional_headers={"x-twilio-signature": signature}, compression=None, proxy=None)


async def test_streams_that_do_not_begin_are_bounded(house, twilio):
    h = await house(limits={"pending_streams": 2})
    async with twilio(h) as carrier:
        async with socket_of(h), socket_of(h):
            with pytest.raises(InvalidStatus) as refused:
                await socket_of(h).__aenter__()
            assert refused.value.response.status_code == 503
            assert h.metric("refused_total", door="media", why="too many pending") == 1
        # Those that have gone make room; one that has begun is not pending any more.
        call = "CA" + secrets.token_hex(16)
        root = await carrier.post("voice", call)
        token = root.find(".//Parameter[@name='token']").get("value")
        async with asyncio.timeout(DEADLINE_S):
            while True:
                try:
                    stream = await socket_of(h).__aenter__()
                    break
                except InvalidStatus:
                    await asyncio.sleep(0.05)
        begun = {
            "streamSid": "MZ1",
            "callSid": call,
            "accountSid": DEFAULT_ACCOUNT_SID,
            "tracks": ["inbound"],
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
            "customParameters": {"token": token},
        }
        await stream.send(json.dumps({"event": "start", "sequenceNumber": "1", "start": begun, "streamSid": "MZ1"}))
        async with asyncio.timeout(DEADLINE_S):
            while not h.service.calls.find(call).route.leg.attached.is_set():
                await asyncio.sleep(0)
        async with socket_of(h), socket_of(h):
            pass
        await carrier.over(call)
        await h.empty()
        await stream.close()


async def closed(reader):
    async with asyncio.timeout(DEADLINE_S):
        try:
            return await reader.read()
        except ConnectionResetError:
            return b""


async def test_connections_are_bounded(house):
    h = await house(limits={"connections": 10})
    held = [await asyncio.open_connection("127.0.0.1", h.service.port) for _ in range(10)]
    reader, writer = await asyncio.open_connection("127.0.0.1", h.service.port)
    assert await closed(reader) == b""
    writer.close()
    assert h.metric("refused_total", door="connection", why="too many connections") == 1
    for _, one in held:
        one.close()
        await one.wait_closed()
    async with asyncio.timeout(DEADLINE_S):
        while not await asks(h):
            await asyncio.sleep(0.05)


async def asks(h):
    reader, writer = await asyncio.open_connection("127.0.0.1", h.service.port)
    writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    answer = await closed(reader)
    writer.close()
    return b"alive" in answer


@pytest.mark.parametrize("sent", [b"", b"GET /healthz HTTP/1.1\r\nHos"], ids=["nothing", "half a head"])
async def test_a_slow_head_is_not_waited_for(house, sent):
    h = await house(limits={"keepalive_timeout_s": 0.5})
    reader, writer = await asyncio.open_connection("127.0.0.1", h.service.port)
    writer.write(sent)
    await closed(reader)
    writer.close()


async def test_a_head_that_trickles_is_not_waited_for(house):
    """The time counts from the connection on, however often a byte comes."""
    h = await house(limits={"keepalive_timeout_s": 0.5})
    reader, writer = await asyncio.open_connection("127.0.0.1", h.service.port)
    writer.write(b"GET /healthz HTTP/1.1\r\nX: ")
    async with asyncio.timeout(DEADLINE_S), asyncio.TaskGroup() as group:
        end = group.create_task(closed(reader))
        while not end.done():
            writer.write(b"a")
            await asyncio.wait({end}, timeout=0.05)
    writer.close()


async def test_a_slow_form_is_not_waited_for(house):
    h = await house(twilio={"form_timeout_s": 0.3})
    reader, writer = await asyncio.open_connection("127.0.0.1", h.service.port)
    head = b"POST /twilio/voice HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"
    head += b"X-Twilio-Signature: perhaps\r\n"
    writer.write(head + b"Content-Length: 100\r\n\r\nCallSid=")
    async with asyncio.timeout(DEADLINE_S):
        assert b" 408 " in await reader.readline()
        await closed(reader)
    writer.close()
    assert h.metric("refused_total", door="voice", why="too slow") == 1
