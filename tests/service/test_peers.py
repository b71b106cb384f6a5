"""Peers that fail: the recogniser, the application, the store; the call ends clearly or goes on."""

import asyncio
import socket
import sqlite3
from contextlib import closing

import pytest
from aiohttp import web

from voicebot import live
from voicebot.local.soniox.server import Faults

HELLO = [{"at_ms": 300, "say": "hello there", "until_ms": 600, "end_ms": 800}]
LATE = [{"at_ms": 700, "say": "later words", "until_ms": 900, "end_ms": 1_000}]
HANG_UP = {"type": "hangup"}


def say(text):
    return {"type": "say", "text": text}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


# --- Soniox ---------------------------------------------------------------------------------------


async def test_a_call_that_is_only_transcribed_ends_when_nothing_can_be_heard(house, logs):
    h = await house(
        HELLO, soniox={"api_key": "another-key"}, default={"mode": "transcribe", "then": "<Pause length='60'/>"}
    )
    phone = h.dial()
    ended = await h.app.until("call.ended")
    assert ended["data"]["reason"] == "stt_failed"
    await h.trouble("speech recognition is gone")
    assert h.metric("stt_failed_total") >= 1
    assert {entry["code"] for entry in logs if entry["event"] == "stt.failed"} == {401}
    assert "another-key" not in str(logs)
    await phone.hang_up()
    await h.empty()


async def test_a_recogniser_that_dies_in_mid_call_is_replaced_and_later_words_arrive(house):
    h = await house([HELLO, LATE], faults=[Faults(error_at_ms=1_200, error_code=503), None])
    h.app.on("turn.completed", {}, {"actions": [HANG_UP]})
    await h.call()
    assert [event["data"]["turn"]["text"] for event in h.app.of("turn.completed")] == ["hello there", "later words"]
    assert len(h.tap.stt) == 2
    first, second = (event["data"]["turn"]["words"][0]["start_ms"] for event in h.app.of("turn.completed"))
    assert first < 1_000 <= second  # the time of the stream goes on
    assert h.app.events[-1]["data"]["reason"] == "bot_hangup"


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(Faults(drop_at_ms=1_200), id="cut line"),
        pytest.param(Faults(garbage_at_ms=1_200), id="garbage"),
    ],
)
async def test_other_losses_in_mid_call(house, fault):
    h = await house([HELLO, LATE], faults=[fault, None])
    h.app.on("turn.completed", {}, {"actions": [HANG_UP]})
    await h.call()
    assert [event["data"]["turn"]["text"] for event in h.app.of("turn.completed")] == ["hello there", "later words"]


async def test_a_recogniser_that_never_finishes_does_not_hold_the_call(house):
    h = await house(HELLO, faults=Faults(never_finish=True), soniox={"finish_timeout_s": 0.3})
    phone = h.dial()
    await h.app.until("turn.completed")
    await phone.hang_up()
    await h.empty()
    assert h.app.types == ["call.started", "turn.completed", "call.ended"]


# --- the application ------------------------------------------------------------------------------


async def test_an_application_that_is_not_there(house):
    h = await house(HELLO, webhook={"url": f"http://127.0.0.1:{free_port()}/", "reply_deadline_s": 0.3})
    phone = h.dial()
    await h.live(live.TurnEnded)
    await phone.hang_up()
    await h.empty()
    missing = [event for event in h.seen.all if isinstance(event, live.ReplyMissing)]
    assert [event.sequence for event in missing] == [1, 2]
    attempts = [event for event in h.seen.all if isinstance(event, live.WebhookAttempt)]
    started = [event for event in attempts if event.event == "call.started"]
    assert [(event.sequence, event.attempt) for event in started[:2]] == [(1, 1), (1, 2)]
    assert all(event.status is None and event.error for event in attempts)
    assert h.metric("replies_failed_total", reason="deadline") == 2


async def test_an_application_that_hangs_is_given_up_on_and_asked_again_at_the_next_turn(house):
    script = [{"at_ms": 9_000, "say": "hello there", "until_ms": 9_300, "end_ms": 9_400}]
    h = await house(script, webhook={"reply_deadline_s": 0.4, "attempt_timeout_s": 0.3})
    release = asyncio.Event()

    async def hang(_event):
        await release.wait()
        return web.json_response({"actions": [say("much too late")]})

    h.app.on("call.started", hang)
    h.app.on("turn.completed", {"actions": [say("Here."), HANG_UP]})
    report = await h.call()
    release.set()
    assert report.ended == "service"
    assert [event["data"]["text"] for event in h.app.of("speech.finished")] == ["Here."]
    missing = await h.live(live.ReplyMissing)
    assert missing.sequence == 1
    assert h.app.events[-1]["data"]["totals"]["missed_replies"] == 1


async def test_an_application_that_fails_once_is_asked_again_at_once(house):
    h = await house()
    h.app.on("call.started", lambda _event: web.Response(status=500), {"actions": [say("Second try."), HANG_UP]})
    await h.call()
    assert [event["data"]["text"] for event in h.app.of("speech.finished")] == ["Second try."]
    ids = [event["id"] for event in h.app.received.all if event["type"] == "call.started"]
    assert len(ids) == 2
    assert len(set(ids)) == 1


async def test_an_application_that_refuses_is_not_asked_again(house):
    h = await house(HELLO)
    h.app.on("call.started", lambda _event: web.Response(status=404))
    h.app.on("turn.completed", {"actions": [HANG_UP]})
    await h.call()
    missing = await h.live(live.ReplyMissing)
    assert (missing.reason, missing.detail) == ("dead", "status 404")
    assert len([event for event in h.app.received.all if event["type"] == "call.started"]) == 1


@pytest.mark.parametrize(
    ("text", "kind", "path"),
    [
        pytest.param("<html>", "text/html", "$", id="HTML"),
        pytest.param("{", "application/json", "$", id="cut JSON"),
        pytest.param('{"actions": [{"type": "sing"}]}', "application/json", "$.actions[0]", id="unknown action"),
        pytest.param(
            '{"actions": [{"type": "say", "text": "a"}, {"type": "say", "text": 1}]}',
            "application/json",
            "$.actions[1].text",
            id="wrong type",
        ),
        pytest.param('{"actions": {}}', "application/json", "$.actions", id="no list"),
        pytest.param('{"action": []}', "application/json", "$.action", id="misspelt"),
        pytest.param("x" * 70_000, "text/plain", "$", id="too large"),
    ],
)
async def test_a_reply_of_the_wrong_shape_is_refused_whole_with_its_path(house, logs, text, kind, path):
    h = await house(HELLO)
    h.app.on("call.started", lambda _event: web.Response(text=text, content_type=kind))
    h.app.on("turn.completed", {"actions": [HANG_UP]})
    report = await h.call()
    assert report.ended == "service"
    missing = await h.live(live.ReplyMissing)
    assert missing.reason == "refused"
    assert missing.detail.startswith(f"reply refused at {path}: ")
    assert h.tap.spoken() == []
    assert h.metric("replies_failed_total", reason="refused") == 1
    assert [entry["why"] for entry in logs if entry["event"] == "webhook.failed"] == [missing.detail]
    assert h.app.events[-1]["data"]["totals"]["refused_replies"] == 1


# --- the store ------------------------------------------------------------------------------------


async def test_a_store_that_goes_away_in_mid_call_does_not_end_it(house, tmp_path):
    h = await house([*HELLO, {"at_ms": 3_000, "say": "still there", "until_ms": 3_200, "end_ms": 3_300}])
    h.app.on("turn.completed", {"actions": [say("One.")]}, {"actions": [say("Two."), HANG_UP]})
    phone = h.dial(pace=3.0)
    await h.app.until("turn.completed")
    with closing(sqlite3.connect(tmp_path / "0" / "calls.db")) as database:
        for (table,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            database.execute(f"DROP TABLE IF EXISTS {table}")
        database.commit()
    report = await phone.report()
    await h.empty()
    await h.trouble("not in the store: ")
    assert report.ended == "service"
    assert [event["data"]["turn"]["text"] for event in h.app.of("turn.completed")] == ["hello there", "still there"]
    assert [event["sequence"] for event in h.app.events] == list(range(1, len(h.app.events) + 1))


async def test_what_happened_is_in_the_store(house, tmp_path):
    from voicebot.store import Store

    h = await house(HELLO)
    h.app.on("turn.completed", {"actions": [say("Well."), HANG_UP], "state": {"a": 1}})
    phone = h.dial()
    await phone.report()
    await h.empty()
    async with Store.open(h.settings.store) as store:
        call = await store.call(phone.sid)
        events = await store.events(phone.sid)
        [turn], [utterance] = await store.turns(phone.sid), await store.utterances(phone.sid)
    assert (call["mode"], call["reason"], call["state"]) == ("bot", "bot_hangup", {"a": 1})
    assert call["ended_at"] is not None
    assert [event["sequence"] for event in events] == list(range(1, len(events) + 1))
    assert {event["state"] for event in events} == {"delivered"}
    assert (turn["text"], turn["reason"], turn["track"]) == ("hello there", "endpoint", "caller")
    assert (utterance["text"], utterance["heard"], utterance["interrupted"]) == ("Well.", "Well.", False)


# --- a call that is not what it seems -------------------------------------------------------------


async def test_leaving_the_house_ends_calls_with_their_last_words(house):
    h = await house([{"at_ms": 300, "partial": " unfinished"}], default={"turns": {"commit_after_ms": 30_000}})
    phone = h.dial()
    await h.live(live.Partial)
    h.stop.set()
    report = await phone.report()
    await h.app.until("call.ended")
    assert report.ended == "service"
    assert h.app.types == ["call.started", "turn.completed", "call.ended"]
    assert h.app.events[1]["data"]["turn"]["text"] == "unfinished"
    assert h.app.events[-1]["data"]["reason"] == "shutdown"


async def test_draining_waits_for_running_calls_until_its_deadline(house):
    h = await house(limits={"drain_timeout_s": 0.3})
    phone = h.dial()
    await h.live(live.StreamOpened)
    await h.service.calls.drain()
    report = await phone.report()
    assert report.ended == "service"
    assert h.app.events[-1]["data"]["reason"] == "shutdown"
    assert h.service.calls.refusal.why == "draining"


async def test_two_visits_of_one_call_are_two_calls(house):
    """A call that was handed away and comes back to the voice webhook has a conversation of its own."""
    h = await house()
    there_and_back = {"actions": [{"type": "redirect", "url": "https://voice.example.com/twilio/voice"}]}
    h.app.on("call.started", there_and_back, {"actions": [HANG_UP]})
    await h.call(call_sid="CA" + "1" * 32)
    assert [event["call"]["id"] for event in h.app.of("call.started")] == ["CA" + "1" * 32, "CA" + "1" * 32 + ".2"]


async def test_a_second_visit_does_not_wait_for_the_end_of_the_first(house):
    h = await house()
    first = "CA" + "1" * 32

    async def once_back(event):
        if event["call"]["id"] == first:
            await h.app.until("call.started", call=f"{first}.2")
        return {}

    h.app.on(
        "call.started",
        {"actions": [{"type": "redirect", "url": "https://voice.example.com/twilio/voice"}]},
        {"actions": [HANG_UP]},
    )
    h.app.on("call.ended", once_back)
    report = await h.call(call_sid=first)
    assert report.notes == []
    assert [event["call"]["id"] for event in h.app.of("call.started")] == [first, f"{first}.2"]
    assert [event["data"]["reason"] for event in h.app.of("call.ended")] == ["redirected", "bot_hangup"]


async def test_a_store_that_hangs_does_not_hold_the_call(house):
    """The one thread that writes is held up, as by a database that does not answer."""
    import threading

    h = await house(HELLO)
    h.app.on("turn.completed", {"actions": [say("Well."), HANG_UP]})
    release = threading.Event()
    held = h.service.calls._rooms.store._writer.submit(release.wait)
    try:
        report = await h.dial(pace=2.0).report()
        assert report.ended == "service"
        await h.app.until("call.ended")
        await h.trouble("took longer than 1 s")
    finally:
        release.set()
    assert held.result()
    await h.empty()
