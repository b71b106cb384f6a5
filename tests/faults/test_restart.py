"""`kill -9` with calls in progress: each goes on on another stream, and the application misses nothing."""

import asyncio
import sqlite3
from collections import defaultdict
from contextlib import closing

import pytest
from aiohttp import web

from voicebot.local.phone.options import DialOutcome, Limits

from .restarts import DEADLINE_S, Restarts

pytestmark = pytest.mark.timeout(400)
HANG_UP = {"type": "hangup"}
LONG = "This is a sentence of the bot that goes on and on, so that nobody hears it to its end before the lights go out."
LATE_MS = 60_000

PATIENT = Limits(retry_wait_s=2.5)
"""Nobody documents how long Twilio waits between its five tries; on a busy machine a process takes its time to start."""


def say(text):
    return {"type": "say", "text": text}


def script(*texts, every_ms=700):
    """The caller says these; then nothing for the rest of the session."""
    return [
        {"at_ms": every_ms * n, "say": text, "until_ms": every_ms * n + 150, "end_ms": every_ms * n + 250}
        for n, text in enumerate(texts, 1)
    ]


def in_order(h):
    """Every call's events are numbered without gaps, and none came in two versions."""
    numbers = defaultdict(dict)
    for event in h.app.received.all:
        known = numbers[event["call"]["id"]].setdefault(event["sequence"], event)
        assert known == event, "one number, two events"
    for found in numbers.values():
        assert sorted(found) == list(range(1, len(found) + 1))


def kept(folder, query):
    with closing(sqlite3.connect(folder / "served.db", timeout=10)) as connection:
        return connection.execute(query).fetchall()


async def holds(folder, query):
    """Wait until a query finds nothing; only the database can tell, so it is asked again and again."""
    async with asyncio.timeout(DEADLINE_S):
        while await asyncio.to_thread(kept, folder, query):
            await asyncio.sleep(0.05)


async def settled(folder):
    """Wait until every committed event is delivered and every call has its end."""
    await holds(folder, "select id from events where state != 'delivered'")
    await holds(folder, "select id from calls where ended_at is null")


async def standing(folder, condition):
    """Wait until a call stands like this in the store."""
    await holds(folder, f"select 1 where not exists (select 1 from calls where {condition})")


def said(event, sid):
    """The words of a turn of this call; a request that was under way at the kill comes again, with the same id."""
    ours = event["type"] == "turn.completed" and event["call"]["id"] == sid
    return event["data"]["turn"]["text"] if ours else None


async def until(h, sid, kind, count=1):
    return await h.app.until(kind, count, call=sid)


async def test_calls_in_every_state_go_on(house, tmp_path):
    """The bot speaks; the caller speaks; a turn is held; keys are collected; a reply is half written; nobody does anything."""
    scripts = {
        "speaking": [],
        "mid-turn": [{"at_ms": 500, "partial": " I would like"}],
        "keys": [],
        "half": script("tell me a story"),
        "idle": script("hello there"),
        "held": script("a held turn"),
    }
    h = await house([*scripts.values(), *([script("and again")] * len(scripts))], serve=False)
    names, pieces = {}, asyncio.Event()

    def name(event):
        return names.get(event["call"]["id"], "")

    def started(event):
        greeting = [say(LONG)] if name(event) == "speaking" else []
        if name(event) == "held":
            greeting = [{"type": "listen", "provisional": True, "commit_after_ms": 4_000, "endpoint_after_ms": 10_000}]
        if name(event) == "mid-turn":
            greeting = [{"type": "listen", "commit_after_ms": 30_000}]
        if name(event) == "keys":
            greeting = [{"type": "listen", "expect": {"digits": 8}}]
        return web.json_response({"actions": greeting, "state": {"name": name(event)}})

    async def completed(event, request):
        if name(event) != "half" or event["call"]["turns"] > 1:
            return web.json_response(
                {"actions": [say("Noted.")], "state": {"name": name(event), "n": event["call"]["turns"]}}
            )
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        await response.prepare(request)
        await response.write(b'{"type": "say", "text": "Once upon a time there was a long story about a house. "}\n')
        pieces.set()
        await asyncio.sleep(DEADLINE_S)
        return response

    h.app.on("call.started", started)
    h.app.on("turn.completed", completed)
    h.app.on(
        "call.resumed",
        {
            "actions": [
                {"type": "listen", "provisional": False, "endpoint_after_ms": 0, "commit_after_ms": 1_600},
                say("Here I am again."),
            ]
        },
    )
    async with Restarts(h, tmp_path, VOICEBOT_DEFAULT__TURNS__NO_INPUT_MS="0") as service:
        phones = {}
        for one in scripts:
            phones[one] = h.dial(pace=1.0, limits=PATIENT)
            names[phones[one].sid] = one
            # One after another, so that each has its own recogniser's script.
            await until(h, phones[one].sid, "call.started")
            await h.tap.sessions.until(lambda session: "transcribe" in session.path, len(phones))
        sids = {one: phone.sid for one, phone in phones.items()}
        await phones["speaking"].heard("BotSpeaks")
        phones["keys"].press("123")
        await asyncio.wait_for(pieces.wait(), DEADLINE_S)
        await phones["half"].heard("BotSpeaks")
        await until(h, sids["idle"], "speech.finished")
        await until(h, sids["held"], "turn.provisional")
        before = {one: max(e["sequence"] for e in h.app.events if e["call"]["id"] == sid) for one, sid in sids.items()}
        await service.kill()
        await service.start()
        for one, sid in sids.items():
            resumed = await until(h, sid, "call.resumed")
            assert resumed["data"]["why"] == "restart"
            assert resumed["data"]["gap_ms"] is None
            assert resumed["sequence"] > before[one]
            assert resumed["call"]["state"]["name"] == one
        for sid in sids.values():
            again = await h.app.received.until(lambda event, sid=sid: said(event, sid) == "and again")
            assert again["data"]["turn"]["number"] == h.app.of("call.resumed", sid)[0]["call"]["turns"] + 1
        idle = h.app.of("call.resumed", sids["idle"])[0]
        assert [line["content"] for line in idle["messages"]] == ["hello there", "Noted."]
        assert (idle["call"]["turns"], idle["call"]["state"]) == (1, {"name": "idle", "n": 1})
        for phone in phones.values():
            report = await phone.hang_up()
            assert len([one for one in report.streams if one.handshake_status == 101]) == 2
            assert len(report.gaps_ms) == 1
        await settled(tmp_path)
        assert service.troubles() == []
    ended = {event["call"]["id"]: event["data"] for event in h.app.of("call.ended")}
    assert {data["reason"] for data in ended.values()} == {"caller_hangup"}
    assert {data["totals"]["lost_streams"] for data in ended.values()} == {1}
    assert len(ended) == len(scripts)
    in_order(h)


@pytest.mark.parametrize("status", ["busy", "completed"])
async def test_a_transfer_under_way_finds_its_way_back(house, tmp_path, status):
    h = await house([script("a person please"), script("thanks")], serve=False)
    h.app.on(
        "turn.completed", {"actions": [{"type": "transfer", "to": "+15550100"}], "state": 1}, {"actions": [HANG_UP]}
    )
    h.app.on("transfer.failed", {"actions": [say("Nobody is there.")]})
    async with Restarts(h, tmp_path) as service:
        phone = h.dial(pace=1.0, limits=PATIENT, dial=DialOutcome(status, ring_s=6.0, talk_s=1.0))
        await h.app.until("turn.completed")
        await standing(tmp_path, "course like '%\"dialing\": true%'")
        await service.restart()
        report = await phone.report()
        await settled(tmp_path)
    assert report.dialled[0].status == status
    assert len(h.app.of("transfer.failed")) == (status == "busy")
    assert h.app.of("call.ended")[0]["data"]["reason"] == ("bot_hangup" if status == "busy" else "transferred")
    in_order(h)


async def test_twice_in_a_row(house, tmp_path):
    h = await house([script("one"), [], script("two")], serve=False)
    h.app.on("turn.completed", {"state": "kept"}, {"actions": [HANG_UP]})
    async with Restarts(h, tmp_path) as service:
        phone = h.dial(pace=1.0, limits=PATIENT)
        await h.app.until("turn.completed")
        await standing(tmp_path, "state like '%kept%'")
        for count in (1, 2):
            await service.restart()
            await h.app.until("call.resumed", count)
        report = await phone.report()
        await settled(tmp_path)
    assert len(report.gaps_ms) == 2
    first, second = h.app.of("turn.completed")
    assert (first["data"]["turn"]["number"], second["data"]["turn"]["number"]) == (1, 2)
    assert second["call"]["state"] == "kept"
    assert h.app.of("call.ended")[0]["data"]["totals"]["lost_streams"] == 2
    in_order(h)


async def test_a_caller_who_does_not_come_back_is_told_as_lost_once(house, tmp_path):
    h = await house([script("some words"), []], serve=False)
    h.app.on("turn.completed", {"actions": [say("An answer.")], "state": {"a": 1}})
    async with Restarts(h, tmp_path, VOICEBOT_TWILIO__RESUME_TIMEOUT_S="1") as service:
        phone = h.dial(pace=1.0, status_callback=None)
        await h.app.until("speech.finished")
        await service.kill()
        await phone.hang_up()
        await service.start()
        await service.restart()  # perhaps before it has told anybody
        ended = await h.app.until("call.ended")
        await settled(tmp_path)
        await service.restart()
        await settled(tmp_path)
    assert ended["data"]["reason"] == "lost"
    assert ended["data"]["totals"]["turns"] == 1
    assert [line["text"] for line in ended["data"]["transcript"]] == ["some words", "An answer."]
    assert ended["call"]["state"] == {"a": 1}
    assert len(h.app.of("call.ended")) == 1
    assert kept(tmp_path, "select reason, course from calls") == [("lost", None)]
    in_order(h)


async def test_a_call_that_the_drain_has_cut_is_over_for_the_next_service_too(house, tmp_path):
    """SIGTERM is an end in order: what runs at the deadline ends as `shutdown`, once, and nobody takes it up again."""
    h = await house([script("some words"), []], serve=False)
    h.app.on("turn.completed", {"actions": [say("An answer.")]})
    async with Restarts(h, tmp_path, VOICEBOT_LIMITS__DRAIN_TIMEOUT_S="0.3") as service:
        phone = h.dial(pace=1.0, limits=PATIENT)
        await h.app.until("speech.finished")
        await service.restart(gently=True)
        report = await phone.report()
        await settled(tmp_path)
        assert service.troubles() == []
    assert report.ended == "service"
    assert len(report.gaps_ms) == 0
    [ended] = h.app.of("call.ended")
    assert (ended["data"]["reason"], ended["data"]["totals"]["turns"]) == ("shutdown", 1)
    assert h.app.of("call.resumed") == []
    in_order(h)
