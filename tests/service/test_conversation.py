"""The main job: a call in, one signed webhook per turn out, in order, by every reason a turn can have."""

import asyncio

import pytest
from aiohttp import web

from voicebot import live
from voicebot.core.events import TurnRequested
from voicebot.local.phone.scenario import HangUp, Wait

HELLO = {"at_ms": 200, "say": "hello there", "until_ms": 600, "end_ms": 800}
SECOND = {"at_ms": 1_200, "say": "second thing", "until_ms": 1_600, "end_ms": 1_800}
SECRET = "whsec_QUJDREVGR0hJSktMTU5PUFFSU1RVVldY"
PENDING = [{"at_ms": 300, "partial": " one"}, {"at_ms": 500, "partial": " one two"}]
SAY = {"type": "say", "text": "Well."}
HANG_UP = {"type": "hangup"}


async def test_every_event_of_a_call_once_in_order_with_its_call(house):
    h = await house([HELLO, SECOND])
    h.app.on("call.started", {"actions": [SAY]})
    h.app.on("turn.completed", {}, {"actions": [SAY, HANG_UP]})
    phone = h.dial(from_="+15550123", to="+15550199", parameters={"FromCity": "BERLIN"}, pace=4.0)
    report = await phone.report()
    await h.empty()
    assert report.ended == "service"
    assert report.exit_code == 0, report.notes
    asking = [event for event in h.app.events if event["type"] not in {"speech.finished", "speech.interrupted"}]
    assert [event["type"] for event in asking] == ["call.started", "turn.completed", "turn.completed", "call.ended"]
    assert [event["sequence"] for event in h.app.events] == list(range(1, len(h.app.events) + 1))
    for event in h.app.events:
        call = event["call"]
        assert (call["id"], call["from"], call["to"]) == (phone.sid, "+15550123", "+15550199")
        assert call["direction"] == "inbound"
    started, first, second, ended = asking
    assert started["data"]["carrier"]["FromCity"] == "BERLIN"
    assert first["data"]["turn"] | {"words": [], "started_at": None, "ended_at": None} == {
        "number": 1,
        "text": "hello there",
        "translation": "",
        "languages": [],
        "speakers": [],
        "confidence": 0.9,
        "reason": "endpoint",
        "digits": "",
        "entry": None,
        "words": [],
        "started_at": None,
        "ended_at": None,
    }
    assert [word["text"] for word in first["data"]["turn"]["words"]] == ["hello", "there"]
    assert (second["data"]["turn"]["number"], second["data"]["turn"]["text"]) == (2, "second thing")
    assert ended["data"]["reason"] == "bot_hangup"
    assert ended["data"]["totals"]["turns"] == 2
    assert [line["text"] for line in ended["data"]["transcript"] if line["role"] == "user"] == [
        "hello there",
        "second thing",
    ]


async def test_words_have_the_time_of_the_stream(house):
    h = await house([HELLO])
    h.app.on("turn.completed", {"actions": [HANG_UP]})
    await h.call()
    turn = h.app.of("turn.completed")[0]["data"]["turn"]
    assert [(word["start_ms"], word["end_ms"]) for word in turn["words"]] == [(200, 400), (400, 600)]
    assert turn["started_at"] < turn["ended_at"]


async def test_a_request_says_who_sends_it_and_what_it_belongs_to(house):
    """What is signed with another secret than the application's never gets past its verifier."""
    h = await house()
    await h.call(Wait(wait=0.5), HangUp())
    started, ended = h.app.headers
    assert (started["webhook-id"], ended["webhook-id"]) == tuple(event["id"] for event in h.app.events)
    assert started["Content-Type"] == "application/json"
    assert started["User-Agent"].startswith("voicebot/")
    trace, same = (header["traceparent"].split("-")[1] for header in (started, ended))
    assert trace == same


async def test_requests_are_signed_with_every_secret(house):
    older = "whsec_" + "b2xkZXJzZWNyZXRvbGRlcnNlY3JldG9sZGVy"
    h = await house(webhook={"secrets": [older, SECRET]})
    await h.call(Wait(wait=0.3), HangUp())
    assert h.app.types == ["call.started", "call.ended"]
    assert len(h.app.headers[0]["webhook-signature"].split()) == 2


async def test_silence_ends_a_turn_when_no_endpoint_comes(house):
    h = await house(PENDING, default={"turns": {"finalize_after_ms": 200, "commit_after_ms": 300}})
    h.app.on("turn.completed", {"actions": [HANG_UP]})
    await h.call()
    [turn] = h.app.of("turn.completed")
    assert (turn["data"]["turn"]["reason"], turn["data"]["turn"]["text"]) == ("finalize", "one two")
    assert {"type": "finalize"} in h.tap.stt[0].texts


async def test_keys_end_a_turn_and_travel_with_its_words(house):
    h = await house(PENDING)
    h.app.on("call.started", {"actions": [{"type": "listen", "commit_after_ms": 30_000, "expect": {"digits": 2}}]})
    h.app.on("turn.completed", {"actions": [HANG_UP]})
    phone = h.dial()
    await h.live(live.ReplyTaken)
    await h.live(live.Partial, lambda event: "two" in event.settled + event.tentative)
    phone.press("42")
    await phone.report()
    await h.empty()
    [turn] = h.app.of("turn.completed")
    assert turn["data"]["turn"]["reason"] == "digits"
    assert turn["data"]["turn"]["digits"] == "42"
    assert turn["data"]["turn"]["text"] == "one two"
    assert h.app.of("digits.completed") == []


async def test_a_turn_that_is_too_long_is_cut(house):
    words = " ".join("abcdefgh")
    script = [{"at_ms": 200 + 900 * n, "partial": " " + words[: 2 * n + 1]} for n in range(8)]
    h = await house(script, default={"turns": {"max_turn_ms": 1_000, "commit_after_ms": 30_000}})
    h.app.on("turn.completed", {"actions": [HANG_UP]})
    await h.call(pace=3.0)
    turn = h.app.of("turn.completed")[0]
    assert turn["data"]["turn"]["reason"] == "max_turn"
    assert turn["data"]["turn"]["text"]


async def test_somebody_may_end_the_turn_now(house):
    h = await house(PENDING, default={"turns": {"commit_after_ms": 30_000}})
    h.app.on("turn.completed", {"actions": [HANG_UP]})
    phone = h.dial()
    await h.live(live.Partial, lambda event: "two" in event.settled + event.tentative)
    await h.service.calls.find(phone.sid).put(TurnRequested())
    await phone.report()
    await h.empty()
    [turn] = h.app.of("turn.completed")
    assert (turn["data"]["turn"]["text"], turn["data"]["turn"]["reason"]) == ("one two", "command")


async def test_the_last_words_are_delivered_after_the_caller_hung_up(house):
    h = await house(PENDING, default={"turns": {"commit_after_ms": 30_000}})
    h.app.on("turn.completed", {"actions": [SAY], "state": "kept"})
    phone = h.dial()
    await h.live(live.Partial, lambda event: "two" in event.settled + event.tentative)
    await phone.hang_up()
    await h.empty()
    assert h.app.types == ["call.started", "turn.completed", "call.ended"]
    _, turn, ended = h.app.events
    assert (turn["data"]["turn"]["text"], turn["data"]["turn"]["reason"]) == ("one two", "hangup")
    assert ended["data"]["reason"] == "caller_hangup"
    assert ended["data"]["totals"]["turns"] == 1
    assert h.tap.spoken() == []
    taken = await h.live(live.ReplyTaken, lambda event: event.actions == ("say",))
    assert taken.dropped == "call_ended"


async def test_a_caller_who_says_nothing_makes_no_turn(house):
    h = await house()
    await h.call(Wait(wait=1), HangUp())
    assert h.app.types == ["call.started", "call.ended"]
    assert h.app.events[-1]["data"]["totals"]["turns"] == 0


async def test_state_comes_back_in_every_later_event(house):
    h = await house([HELLO, SECOND])
    h.app.on("call.started", {"state": {"step": 1, "names": ["a"]}})
    h.app.on("turn.completed", {}, {"actions": [HANG_UP], "state": None})
    await h.call(pace=4.0)
    states = [event["call"]["state"] for event in h.app.events]
    assert states == [None, {"step": 1, "names": ["a"]}, {"step": 1, "names": ["a"]}, None]


async def test_messages_hold_the_conversation_so_far(house):
    h = await house([HELLO, SECOND], default={"turns": {"barge_in": {"enabled": False}}})
    h.app.on("turn.completed", {"actions": [SAY]}, {"actions": [HANG_UP]})
    await h.call(pace=3.0)
    assert h.app.of("call.started")[0]["messages"] == []
    second = h.app.of("turn.completed")[1]
    assert second["messages"] == [
        {"role": "user", "content": "hello there"},
        {"role": "assistant", "content": "Well."},
        {"role": "user", "content": "second thing"},
    ]
    assert [part["text"] for part in second["data"]["spoken"]] == ["Well."]
    assert second["data"]["latency"]["replied_ms"] >= 0


async def test_messages_can_be_switched_off(house):
    h = await house(webhook={"messages": False})
    await h.call(Wait(wait=0.3), HangUp())
    assert h.app.of("call.started")[0]["messages"] is None


async def test_a_reply_that_a_newer_turn_has_overtaken_is_not_performed(house):
    h = await house([HELLO, SECOND])

    async def late(_event):
        await h.live(live.TurnEnded, count=2)
        return web.json_response({"actions": [{"type": "say", "text": "stale"}], "state": "but kept"})

    h.app.on("turn.completed", late, {"actions": [{"type": "say", "text": "fresh"}, HANG_UP]})
    await h.call(pace=4.0)
    said = [message["text"] for session in h.tap.tts for message in session.texts if "text" in message]
    assert said == ["fresh"]
    taken = await h.live(live.ReplyTaken, lambda event: event.dropped is not None)
    assert (taken.dropped, taken.actions) == ("superseded", ("say",))
    assert h.app.events[-1]["call"]["state"] == "but kept"


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(lambda: web.Response(status=204), id="204"),
        pytest.param(web.Response, id="empty"),
        pytest.param(lambda: web.json_response({}), id="no actions"),
        pytest.param(lambda: web.json_response({"actions": []}), id="an empty list"),
    ],
)
async def test_an_empty_reply_keeps_listening(house, reply):
    h = await house([HELLO])
    h.app.on("call.started", lambda _event: reply())
    h.app.on("turn.completed", {"actions": [HANG_UP]})
    report = await h.call()
    assert h.app.types == ["call.started", "turn.completed", "call.ended"]
    assert report.heard_ms == 0


NDJSON = '{"type":"say","text":"one"}\n{"state":"s"}\n{"type":"say","text":"two"}\n{"type":"hangup"}\n'
SSE = 'data: {"type":"say","text":"one"}\n\ndata: {"type":"say","text":"two"}\n\ndata: {"type":"hangup"}\n\n'


@pytest.mark.parametrize(
    ("text", "kind", "said"),
    [
        pytest.param("one, two", "text/plain", ["one, two"], id="plain text"),
        pytest.param(NDJSON, "application/x-ndjson", ["one", "two"], id="ndjson"),
        pytest.param(SSE, "text/event-stream", ["one", "two"], id="event stream"),
    ],
)
async def test_other_forms_of_a_reply(house, text, kind, said):
    h = await house()
    h.app.on("call.started", lambda _event: web.Response(text=text, content_type=kind))
    phone = h.dial()
    await h.app.until("speech.finished", len(said))
    await phone.hang_up()
    await h.empty()
    assert [event["data"]["text"] for event in h.app.of("speech.finished")] == said


async def test_many_calls_at_a_time_keep_apart(house):
    h = await house([HELLO])
    h.app.on(
        "turn.completed", lambda event: web.json_response({"actions": [SAY, HANG_UP], "state": event["call"]["id"]})
    )
    phones = [h.dial() for _ in range(6)]
    async with asyncio.TaskGroup() as group:
        for phone in phones:
            group.create_task(phone.report())
    await h.empty()
    for phone in phones:
        mine = [event for event in h.app.events if event["call"]["id"] == phone.sid]
        assert [event["sequence"] for event in mine] == list(range(1, len(mine) + 1))
        assert [event["type"] for event in mine if not event["type"].startswith("speech")] == [
            "call.started",
            "turn.completed",
            "call.ended",
        ]
        assert mine[-1]["call"]["state"] == phone.sid
    assert h.metric("calls") == 0
    assert h.metric("calls_ended_total", reason="bot_hangup") == 6
