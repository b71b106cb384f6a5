"""The whole service on a PostgreSQL server, which others use, too, and which goes away for a while."""

import asyncio

import aiohttp
from aiohttp import web

from voicebot.local.phone.scenario import HangUp
from voicebot.store import Store

FIRST = {"at_ms": 200, "say": "hello there", "until_ms": 600, "end_ms": 800}
SECOND = {"at_ms": 1_200, "say": "once more", "until_ms": 1_600, "end_ms": 1_800}
SAY = {"type": "say", "text": "Well."}
HANG_UP = {"type": "hangup"}
TOKEN = "token-of-the-tests-0123456789"
API = {"tokens": [{"name": "t", "token": TOKEN, "scopes": ["admin"]}]}


def ask(h, path):
    return aiohttp.request("GET", f"{h.address}{path}", headers={"Authorization": f"Bearer {TOKEN}"})


async def test_a_call_is_kept_found_and_deleted(house, postgresql):
    h = await house([FIRST], store={"url": postgresql.new().url}, api=API)
    h.app.on("turn.completed", {"actions": [SAY, HANG_UP], "state": {"a": 1}})
    phone = h.dial(from_="+15550123")
    await phone.report()
    await h.empty()
    async with ask(h, f"/calls/{phone.sid}") as response:
        call = await response.json()
    assert (call["call"]["from"], call["call"]["reason"], call["state"]) == ("+15550123", "bot_hangup", {"a": 1})
    assert [turn["text"] for turn in call["turns"]] == ["hello there"]
    async with ask(h, "/search?q=HELL*") as response:
        (hit,) = (await response.json())["items"]
    assert [part["text"] for part in hit["snippet"] if part["match"]] == ["hello"]
    async with aiohttp.request(
        "DELETE", f"{h.address}/calls/{phone.sid}", headers={"Authorization": f"Bearer {TOKEN}"}
    ) as response:
        assert response.status == 204
    async with ask(h, "/search?q=hello") as response:
        assert (await response.json())["items"] == []


async def test_a_server_that_is_started_anew_takes_nothing_from_a_call(house, postgresql):
    h = await house([FIRST, SECOND], store={"url": postgresql.new().url})
    h.app.on("turn.completed", {"actions": [SAY]}, {"actions": [SAY, HANG_UP]})
    phone = h.dial(pace=3.0)
    await h.app.until("turn.completed")
    await asyncio.to_thread(postgresql.stop)
    try:
        await h.app.until("turn.completed", 2)
    finally:
        await asyncio.to_thread(postgresql.start)
    report = await phone.report()
    await h.empty()
    assert report.ended == "service"
    async with Store.open(h.settings.store) as store:
        kept = await store.history.call(phone.sid)
        assert [turn.text for turn in kept.turns] == ["hello there", "once more"]
        assert kept.summary.reason == "bot_hangup"
        events = await store.events(phone.sid)
        assert [event["sequence"] for event in events] == list(range(1, len(h.app.events) + 1))
        assert {event["state"] for event in events} == {"delivered"}


async def test_one_of_two_machines_delivers_what_the_other_could_not(house, postgresql):
    shared = {"url": postgresql.new().url}
    calling = await house(store=shared, webhook={"background": False})
    calling.app.on("call.ended", lambda _: web.Response(status=503))
    await calling.call(HangUp())
    tried = len([event for event in calling.app.received if event["type"] == "call.ended"])
    calling.app.on("call.ended", {})
    await house(store=shared, webhook={"schedule_s": [0.05] * 20})
    await calling.app.until("call.ended", tried + 1)
    assert len(calling.app.of("call.ended")) == 1, "the same id each time"
