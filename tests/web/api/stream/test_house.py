"""The streams of the service as it is put together."""

import asyncio

import aiohttp
import pytest

from voicebot import live

TOKEN = "a-token-that-is-long-enough"
API = {"tokens": [{"name": "me", "token": TOKEN, "scopes": ["watch"]}]}
DEADLINE_S = 50


@pytest.fixture
async def session():
    async with aiohttp.ClientSession() as session:
        yield session


async def test_a_stream_needs_a_token(house, session):
    h = await house(api=API)
    for path in ("/events", "/calls/CA1/events"):
        async with session.get(h.address + path) as response:
            assert response.status == 401
            assert response.content_type == "application/problem+json"


async def test_a_living_call_is_in_the_snapshot_and_its_end_behind_it(house, session, read_stream):
    h = await house(api=API)
    phone = h.dial()
    await h.live(live.StreamOpened)
    async with (
        asyncio.timeout(DEADLINE_S),
        session.get(h.address + "/events", headers={"Authorization": f"Bearer {TOKEN}"}) as response,
    ):
        stream = read_stream(response.content)
        event, _, snapshot = await stream.one()
        assert event == "snapshot"
        assert [(call["id"], call["from"], call["state"]) for call in snapshot["calls"]] == [
            (phone.sid, phone.call.options.from_, "live")
        ]
        await phone.hang_up()
        while event != "call.ended":
            event, _, data = await stream.one()
        assert (data["type"], data["call"]) == ("call.ended", phone.sid)
        await h.empty()


async def test_the_service_stops_while_somebody_watches(house, session, read_stream):
    """The end of the test stops the service; the reader has the end of its stream then."""
    h = await house(api=API)
    response = await session.get(h.address + "/events", headers={"Authorization": f"Bearer {TOKEN}"})
    assert (await read_stream(response.content).one())[0] == "snapshot"
    h.stop.set()
    async with asyncio.timeout(DEADLINE_S):
        assert await read_stream(response.content).rest() == []
