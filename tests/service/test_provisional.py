"""Provisional turns: the application gets a head start, and the caller hears nothing of it before the turn stands."""

import asyncio

import pytest
from aiohttp import web

from voicebot import live

TURNS = {"provisional": True, "finalize_after_ms": 200, "commit_after_ms": 30_000}
SAID = {"at_ms": 500, "partial": " two pizzas"}
ENDED = {"at_ms": 1_900, "final": " two pizzas", "end": True}
MORE = {"at_ms": 1_500, "final": " two pizzas", "partial": " and a salad"}
MORE_ENDED = {"at_ms": 2_900, "final": " and a salad", "end": True}
SAY = {"type": "say", "text": "Coming."}
HANG_UP = {"type": "hangup"}


@pytest.fixture
def at_table(house, mouth):
    """Open a house with provisional turns and dial; returns once the call is the caller's."""

    async def sit(script, *replies, turns=TURNS, greeting=(), **settings):
        h = await house(script, default={"turns": turns}, **mouth.service, **settings)
        h.app.on("turn.provisional", *replies)
        h.app.on("call.started", {"actions": list(greeting)})
        phone = h.dial(**mouth.phone)
        await h.live(live.ReplyTaken)
        await h.live(live.StreamOpened)
        if greeting:
            await h.app.until("speech.finished", len(greeting))
        return h, phone

    return sit


async def synthesised(h, count=1):
    """All audio of so many answers has come from the voice."""
    await h.tap.answered.until(lambda message: '"audio_end":true' in message, count)


def heard(phone):
    return [event for event in phone.events if type(event).__name__ == "BotSpeaks"]


async def listened(h, ms):
    """So much of the caller has reached the recogniser."""
    await h.tap.changed.until(lambda _: len(h.tap.stt[0].audio) >= 8 * ms)


class Patient:
    """An application that answers when it is told to, and notices when nobody listens any more."""

    def __init__(self, reply):
        self.reply = reply
        self.go_on, self.closed = asyncio.Event(), asyncio.Event()

    async def __call__(self, _event):
        try:
            await self.go_on.wait()
        except asyncio.CancelledError:
            self.closed.set()
            raise
        return web.json_response(self.reply)


async def test_the_reply_is_made_at_once_and_heard_when_the_turn_stands(at_table, mouth):
    h, phone = await at_table([SAID, ENDED], {"actions": [SAY, HANG_UP], "state": "taken"})
    mouth.say(phone)
    offered = await h.app.until("turn.provisional")
    await synthesised(h)
    mouth.hush(phone, 800)
    await listened(h, 1_700)
    assert heard(phone) == h.app.of("turn.completed") == []
    mouth.hush(phone)
    await phone.report()
    await h.empty()
    assert heard(phone)
    assert h.app.of("turn.completed") == h.app.of("turn.retracted") == []
    assert (offered["data"]["turn"]["text"], offered["data"]["revision"]) == ("two pizzas", 1)
    assert offered["call"]["turns"] == 0
    assert offered["messages"] == [{"role": "user", "content": "two pizzas"}]
    ended = h.app.of("call.ended")[0]
    assert (ended["call"]["turns"], ended["call"]["state"]) == (1, "taken")
    assert [line["text"] for line in ended["data"]["transcript"]] == ["two pizzas", "Coming."]
    assert ended["data"]["totals"]["retracted_turns"] == 0


async def test_silence_confirms_it_too(at_table, mouth):
    h, phone = await at_table([SAID], {"actions": [SAY, HANG_UP]}, turns=TURNS | {"commit_after_ms": 1_000})
    mouth.say(phone)
    await phone.report()
    await h.empty()
    assert [kind for kind in h.app.types if kind.startswith("turn")] == ["turn.provisional"]
    assert h.app.of("call.ended")[0]["call"]["turns"] == 1


async def test_a_reply_still_on_its_way_is_performed_when_it_comes(at_table, mouth):
    slow = Patient({"actions": [SAY, HANG_UP], "state": "late"})
    h, phone = await at_table([SAID, ENDED], slow)
    mouth.say(phone)
    await h.app.until("turn.provisional")
    mouth.hush(phone)
    await h.live(live.TurnEnded)
    assert h.tap.spoken() == []
    slow.go_on.set()
    await phone.report()
    await h.empty()
    assert heard(phone)
    assert h.app.of("turn.completed") == []
    assert h.app.of("call.ended")[0]["call"]["state"] == "late"


async def test_words_that_go_on_take_it_back_and_tell_it_again(at_table, mouth):
    """The reply is ready and not heard; the second version has all the words."""
    first = {"actions": [{"type": "say", "text": "Wrong."}, HANG_UP], "state": "wrong"}
    h, phone = await at_table([SAID, MORE, MORE_ENDED], first, {"actions": [SAY, HANG_UP]})
    mouth.say(phone)
    await synthesised(h)
    mouth.say(phone)
    retracted = await h.app.until("turn.retracted")
    again = await h.app.until("turn.provisional", 2)
    await synthesised(h, 2)
    mouth.hush(phone)
    await phone.report()
    await h.empty()
    assert retracted["data"] == {"number": 1, "revision": 1, "text": "two pizzas"}
    assert (again["data"]["turn"]["number"], again["data"]["revision"]) == (1, 2)
    assert again["data"]["turn"]["text"] == "two pizzas and a salad"
    assert (again["call"]["state"], again["call"]["turns"]) == (None, 0)
    ended = h.app.of("call.ended")[0]
    assert [line["text"] for line in ended["data"]["transcript"]] == ["two pizzas and a salad", "Coming."]
    assert (ended["call"]["turns"], ended["call"]["state"], ended["data"]["totals"]["retracted_turns"]) == (1, None, 1)
    assert [event["data"]["text"] for event in h.app.of("speech.finished")] == ["Coming."]


async def test_a_request_under_way_is_closed_when_its_turn_is_taken_back(at_table, mouth):
    never = Patient({"actions": [SAY]})
    h, phone = await at_table([SAID, MORE, MORE_ENDED], never, {"actions": [HANG_UP]})
    mouth.say(phone)
    await h.app.until("turn.provisional")
    mouth.say(phone)
    async with asyncio.timeout(20):
        await never.closed.wait()
    await h.app.until("turn.retracted")
    await h.app.until("turn.provisional", 2)
    mouth.hush(phone)
    await phone.report()
    await h.empty()
    assert h.tap.spoken() == []
    assert h.app.of("call.ended")[0]["data"]["totals"]["missed_replies"] == 0


async def test_a_key_takes_it_back_and_the_turn_is_told_with_the_key(at_table, mouth):
    h, phone = await at_table([SAID], {"actions": [SAY]})
    h.app.on("turn.completed", {"actions": [HANG_UP]})
    mouth.say(phone)
    await synthesised(h)
    phone.press("1#")
    completed = await h.app.until("turn.completed")
    await phone.report()
    await h.empty()
    assert h.app.of("turn.retracted")
    assert (completed["data"]["turn"]["number"], completed["data"]["revision"]) == (1, 2)
    assert completed["data"]["turn"]["digits"] == "1"
    assert heard(phone) == []


async def test_what_nobody_answered_is_told_as_a_completed_turn(at_table, mouth):
    hello = {"type": "say", "text": "Hello."}
    h, phone = await at_table([SAID, ENDED], lambda _event: web.Response(status=400), greeting=[hello])
    h.app.on("turn.completed", {"actions": [SAY, HANG_UP]})
    mouth.say(phone)
    await h.live(live.ReplyMissing)
    mouth.hush(phone)
    completed = await h.app.until("turn.completed")
    await phone.report()
    await h.empty()
    assert heard(phone)
    assert (completed["data"]["turn"]["number"], completed["data"]["turn"]["text"]) == (1, "two pizzas")
    assert completed["messages"][-1] == {"role": "user", "content": "two pizzas"}
    # What the provisional turn said of the bot's speech nobody may have read.
    [offered] = h.app.of("turn.provisional")
    assert [part["text"] for part in offered["data"]["spoken"]] == ["Hello."]
    assert completed["data"]["spoken"] == offered["data"]["spoken"]
    assert h.app.of("call.ended")[0]["data"]["totals"]["turns"] == 1


async def test_a_streamed_reply_is_held_too_and_closed_when_it_is_taken_back(at_table, mouth, writing):
    h, phone = await at_table([SAID, MORE, MORE_ENDED], writing.answer, {"actions": [SAY, HANG_UP]})
    mouth.say(phone)
    await h.app.until("turn.provisional")
    writing.write({"type": "say", "text": "Wrong."})
    await synthesised(h)
    mouth.say(phone)
    async with asyncio.timeout(20):
        await writing.gone.wait()
    await h.app.until("turn.provisional", 2)
    mouth.hush(phone)
    await phone.report()
    await h.empty()
    assert [event["data"]["text"] for event in h.app.of("speech.finished")] == ["Coming."]


async def test_a_caller_who_hangs_up_meanwhile_has_said_it_all_the_same(at_table, mouth):
    h, phone = await at_table([SAID], {"actions": [SAY], "state": "kept"})
    mouth.say(phone)
    await synthesised(h)
    await phone.hang_up()
    await h.empty()
    assert [kind for kind in h.app.types if kind.startswith("turn")] == ["turn.provisional"]
    ended = h.app.of("call.ended")[0]
    assert (ended["call"]["turns"], ended["call"]["state"]) == (1, "kept")
    assert heard(phone) == []


async def test_after_an_empty_reply_the_caller_is_waited_for(at_table, mouth):
    """The floor is given while the turn is still open; it has to be given again once it stands."""
    h, phone = await at_table([SAID, ENDED], {}, turns=TURNS | {"no_input_ms": 300})
    h.app.on("no_input", {"actions": [HANG_UP]})
    mouth.say(phone)
    offered = await h.app.until("turn.provisional")
    await h.live(live.ReplyTaken, lambda event: event.sequence == offered["sequence"])
    mouth.hush(phone)
    await h.app.until("no_input")
    await phone.report()
    await h.empty()


async def test_on_a_call_that_is_only_transcribed_nothing_is_provisional(house, mouth):
    number = {"mode": "transcribe", "track": "inbound_track", "then": '<Pause length="60"/>', "turns": TURNS}
    h = await house([SAID, MORE, MORE_ENDED], default=number, **mouth.service)
    phone = h.dial(**mouth.phone)
    await h.live(live.StreamOpened)
    mouth.say(phone)
    await h.tap.answered.until(lambda message: "<fin>" in message)
    mouth.say(phone)
    mouth.hush(phone)
    await h.app.until("transcript.final")
    await phone.hang_up()
    await h.empty()
    assert {kind for kind in h.app.types if kind.startswith("turn")} == set()
    assert h.app.of("call.ended")[0]["data"]["totals"]["retracted_turns"] == 0


async def test_the_turn_is_stored_once(at_table, mouth):
    h, phone = await at_table([SAID, MORE, MORE_ENDED], {}, {"actions": [HANG_UP]})
    mouth.say(phone)
    await h.app.until("turn.provisional")
    mouth.say(phone)
    await h.app.until("turn.provisional", 2)
    mouth.hush(phone)
    await phone.report()
    await h.empty()
    ended = [event for event in h.seen if isinstance(event, live.TurnEnded)]
    assert [event.turn.text for event in ended] == ["two pizzas and a salad"]
    assert h.metric("provisional_turns_total", step="retracted") == 1
    assert h.metric("provisional_turns_total", step="confirmed") == 1
