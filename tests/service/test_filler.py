"""While the application thinks, and when it does not answer."""

import asyncio

import pytest
from aiohttp import web

from voicebot import live
from voicebot.local.soniox.server import Faults

FILLER, ANSWER, SORRY = "One moment, please.", "It is done.", "I am sorry."
HANG_UP = {"type": "hangup"}
TURN = [{"at_ms": 500, "final": " do it", "end": True}]
TURNS = {"no_input_ms": 0}


def say(text, **changes):
    return {"type": "say", "text": text, **changes}


def number(*give_up, filler=(FILLER,), after_ms=200, **more):
    filler = {"actions": [say(text) for text in filler], "after_ms": after_ms}
    return {"turns": TURNS, "filler": filler, "give_up": {"actions": list(give_up)}, **more}


def texts(h):
    return [event["data"]["text"] for event in h.app.of("speech.finished")]


class Patient:
    """An application that answers when it is told to."""

    def __init__(self, *actions):
        self.actions, self.go_on = list(actions), asyncio.Event()

    async def __call__(self, _event):
        await self.go_on.wait()
        return web.json_response({"actions": self.actions})


async def test_filler_bridges_the_wait_and_is_not_the_answer(house, mouth):
    h = await house(TURN, default=number(), **mouth.service)
    slow = Patient(say(ANSWER), HANG_UP)
    h.app.on("turn.completed", slow)
    phone = h.dial(**mouth.phone)
    await h.live(live.ReplyTaken)
    mouth.say(phone)
    await h.live(live.BotSays, lambda said: said.text == FILLER)
    slow.go_on.set()
    report = await phone.report()
    await h.empty()
    assert report.ended == "service"
    assert texts(h) == [FILLER, ANSWER], "what was heard is told, once"
    latency = (await h.live(live.Latency)).parts
    assert latency["audio_sent_ms"] >= latency["replied_ms"]


async def test_the_rest_of_the_filler_makes_way_for_the_answer(house, mouth):
    h = await house(TURN, default=number(filler=(FILLER, "Still looking.", "Nearly there.")), **mouth.service)
    slow = Patient(say(ANSWER), HANG_UP)
    h.app.on("turn.completed", slow)
    phone = h.dial(**mouth.phone)
    await h.live(live.ReplyTaken)
    mouth.say(phone)
    await h.live(live.BotSays, lambda said: said.text == FILLER)
    slow.go_on.set()
    await phone.report()
    await h.empty()
    assert texts(h)[0] == FILLER
    assert texts(h)[-1] == ANSWER
    assert "Nearly there." not in texts(h)


async def test_filler_that_nobody_has_heard_is_dropped_for_the_answer(house, mouth, site, sound):
    """The voice has the text of the filler and gives no sound for it; the answer needs no voice."""
    site.pages["/answer.wav"] = lambda: web.Response(body=sound.wav(sound.tone(200)), content_type="audio/wav")
    h = await house(TURN, Faults(tts_silent=True), default=number(), play={"allow_private": True}, **mouth.service)
    slow = Patient({"type": "play", "url": site.url("/answer.wav")}, HANG_UP)
    h.app.on("turn.completed", slow)
    phone = h.dial(**mouth.phone)
    await h.live(live.ReplyTaken)
    mouth.say(phone)
    await h.tap.changed.until(lambda message: FILLER in str(message))
    slow.go_on.set()
    await phone.report()
    await h.empty()
    assert texts(h) == [site.url("/answer.wav")]
    assert [event for event in h.seen if isinstance(event, live.Trouble)] == []


async def test_filler_begins_once_the_provisional_turn_stands(house, mouth):
    turns = {**TURNS, "provisional": True, "finalize_after_ms": 200, "commit_after_ms": 30_000}
    script = [{"at_ms": 500, "partial": " do it"}, {"at_ms": 1_900, "final": " do it", "end": True}]
    h = await house(script, default=number(turns=turns), **mouth.service)
    slow = Patient(say(ANSWER), HANG_UP)
    h.app.on("turn.provisional", slow)
    phone = h.dial(**mouth.phone)
    await h.live(live.ReplyTaken)
    await h.live(live.StreamOpened)
    mouth.say(phone)
    await h.app.until("turn.provisional")
    call = h.service.calls.live()[0]
    assert call._dialogue.wake_at() is None
    mouth.hush(phone)
    await h.live(live.BotSays, lambda said: said.text == FILLER)
    slow.go_on.set()
    await phone.report()
    await h.empty()
    assert texts(h) == [FILLER, ANSWER]
    assert "turn.completed" not in h.app.types


async def test_the_caller_may_speak_over_the_filler(house, mouth):
    script = [*TURN, {"at_ms": 1_200, "partial": " no stop"}, {"at_ms": 1_700, "final": " no stop", "end": True}]
    long = "One two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen."
    h = await house(script, default=number(filler=(long,)), **mouth.service)
    slow = Patient(say("Too late."))
    h.app.on("turn.completed", slow, {"actions": [say(ANSWER), HANG_UP]})
    phone = h.dial(**mouth.phone, pace=1.0)
    await h.live(live.ReplyTaken)
    mouth.say(phone)
    await phone.heard("BotSpeaks")
    mouth.say(phone)
    report = await phone.report()
    await h.empty()
    assert len(report.clears) == 1
    assert (await h.live(live.BotSaid, lambda said: said.spoken.text == long)).spoken.interrupted
    assert texts(h)[-1] == ANSWER


async def test_a_call_that_is_only_transcribed_says_nothing(house):
    h = await house(default=number(say(SORRY), mode="transcribe"), webhook={"reply_deadline_s": 0.3})
    h.app.on("call.started", Patient())
    phone = h.dial()
    await h.live(live.ReplyMissing)
    await phone.hang_up()
    await h.empty()
    assert h.tap.spoken() == []
    assert [event for event in h.seen if isinstance(event, live.Trouble)] == []


# --- giving up -------------------------------------------------------------------------------------


async def test_without_a_reply_in_time_the_call_gives_up_and_a_late_one_is_not_performed(house):
    h = await house(default=number(say(SORRY), filler=()), webhook={"reply_deadline_s": 0.3, "schedule_s": []})
    slow = Patient(say("Too late."), HANG_UP)
    h.app.on("call.started", slow)
    phone = h.dial()
    await phone.heard("BotSpeaks")
    slow.go_on.set()
    late = await h.live(live.WebhookAttempt)
    assert (late.status, late.error) == (200, "too late: not performed")
    await h.app.until("speech.finished")
    await phone.hang_up()
    await h.empty()
    assert texts(h) == [SORRY]


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(lambda _: web.Response(status=404), id="dead"),
        pytest.param(lambda _: web.json_response({"actions": [{"type": "sing"}]}), id="refused"),
    ],
)
async def test_an_answer_that_is_none_is_given_up_too(house, answer):
    h = await house(default=number(say(SORRY), HANG_UP, filler=()))
    h.app.on("call.started", answer)
    report = await h.call()
    assert report.ended == "service"
    assert texts(h) == [SORRY]


async def test_giving_up_listens_on_by_default(house, mouth):
    h = await house(TURN, default=number(filler=()), **mouth.service)
    h.app.on("call.started", lambda _: web.Response(status=404))
    h.app.on("turn.completed", {"actions": [HANG_UP]})
    phone = h.dial(**mouth.phone)
    await h.live(live.ReplyMissing)
    mouth.say(phone)
    assert (await phone.report()).ended == "service"
    await h.empty()
    assert texts(h) == []


async def test_a_superseded_event_is_not_given_up(house, mouth):
    script = [*TURN, {"at_ms": 1_500, "final": " and that", "end": True}]
    h = await house(script, default=number(say(SORRY), HANG_UP, filler=()), **mouth.service)
    h.app.on("turn.completed", Patient(), {"actions": [say(ANSWER), HANG_UP]})
    phone = h.dial(**mouth.phone)
    await h.live(live.ReplyTaken)
    mouth.say(phone)
    await h.app.until("turn.completed")
    mouth.say(phone)
    await phone.report()
    await h.empty()
    assert texts(h) == [ANSWER]


async def test_a_reply_that_breaks_off_was_one(house, writing):
    h = await house(default=number(say(SORRY), HANG_UP, filler=(), turns={"no_input_ms": 200}))
    h.app.on("call.started", writing.answer)
    phone = h.dial()
    writing.write(say(ANSWER))
    await phone.heard("BotSpeaks")
    writing.abort()
    assert (await h.live(live.ReplyMissing)).reason == "broken"
    await h.app.until("no_input")  # the floor is the caller's, so nothing else is to be said
    await phone.hang_up()
    await h.empty()
    assert texts(h) == [ANSWER]
