"""A media stream that breaks in mid-call: the carrier asks what follows, and the call goes on where it was."""

import asyncio

import pytest
from aiohttp import web

from voicebot import live
from voicebot.call.inputs import CarrierEnded
from voicebot.local.phone.faults import PhoneFaults

GREETING = "Hello, this is a greeting of some length that nobody hears to its end at once."
HANG_UP = {"type": "hangup"}


def say(text):
    return {"type": "say", "text": text}


def heard_of(n, text):
    return [{"at_ms": 300 * n, "say": text, "until_ms": 300 * n + 100, "end_ms": 300 * n + 200}]


def break_line(phone):
    """The connection of the open stream dies without a word."""
    [stream] = [one for one in phone.call.streams.values() if not one.finished.is_set()]
    stream._socket.transport.abort()


def in_order(h):
    assert [event["sequence"] for event in h.app.events] == list(range(1, len(h.app.events) + 1))


async def test_the_call_goes_on_with_its_number_of_turns_its_state_and_its_transcript(house):
    h = await house([heard_of(1, "first words"), heard_of(1, "second words")])
    h.app.on("turn.completed", {"actions": [say("Noted.")], "state": {"n": 1}}, {"actions": [HANG_UP]})
    h.app.on("call.resumed", {"actions": [say("You are back.")]})
    phone = h.dial()
    await h.app.until("speech.finished")
    break_line(phone)
    resumed = await h.app.until("call.resumed")
    report = await phone.report()
    await h.empty()
    assert report.exit_code == 0, report.notes
    assert [stream.handshake_status for stream in report.streams] == [101, 101]
    assert len(report.gaps_ms) == 1
    assert resumed["data"]["why"] == "stream_lost"
    assert resumed["data"]["gap_ms"] >= 0
    assert [one["text"] for one in resumed["data"]["spoken"]] == ["Noted."]
    assert (resumed["call"]["turns"], resumed["call"]["state"]) == (1, {"n": 1})
    assert [line["content"] for line in resumed["messages"]] == ["first words", "Noted."]
    [first, second] = h.app.of("turn.completed")
    assert [first["data"]["turn"]["number"], second["data"]["turn"]["number"]] == [1, 2]
    ended = h.app.of("call.ended")[0]["data"]
    assert ended["totals"]["lost_streams"] == 1
    said = [line["text"] for line in ended["transcript"]]
    assert (said[:2], said[-1]) == (["first words", "Noted."], "second words")
    assert h.metric("calls_resumed_total", why="stream_lost") == 1
    assert [event.gap_ms for event in h.seen if isinstance(event, live.CallResumed)] == [resumed["data"]["gap_ms"]]
    in_order(h)


async def test_what_the_bot_was_saying_is_told_as_far_as_it_was_heard(house):
    h = await house([[], heard_of(1, "so")])
    h.app.on("call.started", {"actions": [say(GREETING), {"type": "transfer", "to": "+15550100"}]})
    h.app.on("call.resumed", lambda event: web.json_response({"actions": [say(event["data"]["spoken"][0]["unheard"])]}))
    h.app.on("turn.completed", {"actions": [HANG_UP]})
    phone = h.dial()
    await phone.heard("BotSpeaks")
    break_line(phone)
    resumed = await h.app.until("call.resumed")
    report = await phone.report()
    await h.empty()
    [spoken] = resumed["data"]["spoken"]
    assert spoken["interrupted"]
    assert spoken["heard"] + spoken["unheard"] == spoken["text"] == GREETING
    assert h.app.of("speech.interrupted")[0]["sequence"] < resumed["sequence"]
    assert report.dialled == [], "what was queued behind it is the application's to say again"
    assert report.streams[1].media_received_ms > 0


async def test_the_callers_open_words_are_a_turn_before_the_call_goes_on(house):
    h = await house([[{"at_ms": 300, "partial": " half a sentence"}], heard_of(1, "the rest")])
    h.app.on("turn.completed", {}, {"actions": [HANG_UP]})
    phone = h.dial()
    await h.live(live.Partial)
    break_line(phone)
    await phone.report()
    await h.empty()
    first, second = h.app.of("turn.completed")
    resumed = h.app.of("call.resumed")[0]
    assert (first["data"]["turn"]["text"], second["data"]["turn"]["text"]) == ("half a sentence", "the rest")
    assert first["sequence"] < resumed["sequence"] < second["sequence"]
    assert resumed["messages"][-1] == {"role": "user", "content": "half a sentence"}
    in_order(h)


async def test_an_answer_to_what_was_asked_before_is_not_spoken_and_its_state_is_kept(house):
    h = await house([heard_of(1, "a question"), []])
    release = asyncio.Event()

    async def slow(_event):
        await release.wait()
        return web.json_response({"actions": [say("Too late.")], "state": "kept"})

    h.app.on("turn.completed", slow)
    h.app.on("call.resumed", {"actions": [say("Once more, please.")]})
    phone = h.dial()
    await h.app.until("turn.completed")
    break_line(phone)
    release.set()
    taken = await h.live(live.ReplyTaken, lambda event: event.dropped is not None)
    assert taken.actions == ("say",)
    await h.app.until("speech.finished")
    await phone.hang_up()
    await h.empty()
    assert h.app.of("call.ended")[0]["call"]["state"] == "kept"
    assert [event["data"]["text"] for event in h.app.of("speech.finished")] == ["Once more, please."]


@pytest.mark.parametrize("streams", [1, 3])
async def test_again_and_again(house, streams, logs):
    h = await house()
    phone = h.dial(faults=PhoneFaults(die_after_frames=30, die_streams=streams))
    await h.app.until("call.resumed", count=streams)
    report = await phone.hang_up()
    await h.empty()
    assert len(report.streams) == streams + 1
    ended = h.app.of("call.ended")[0]["data"]
    assert (ended["reason"], ended["totals"]["lost_streams"]) == ("caller_hangup", streams)
    [line] = [entry for entry in logs if entry["event"] == "call.ended"]
    assert (line["streams"], line["lost_streams"]) == (streams + 1, streams)
    in_order(h)


async def test_a_policy_and_a_voice_that_were_changed_hold_on_the_next_stream(house):
    h = await house()
    h.app.on(
        "call.started",
        {
            "actions": [
                {"type": "listen", "no_input_ms": 700},
                {"type": "configure", "language_hints": ["de"], "voice": "Maya"},
            ]
        },
    )
    h.app.on("call.resumed", {"actions": [say("Da bin ich wieder.")]})
    h.app.on("no_input", {"actions": [HANG_UP]})
    phone = h.dial(quiet="suppress")
    await h.tap.changed.until(lambda message: isinstance(message, str) and '"de"' in message)
    break_line(phone)
    await phone.report()
    await h.empty()
    assert h.tap.stt[-1].config["language_hints"] == ["de"]
    assert h.tap.spoken()[-1]["voice"] == "Maya"


async def test_a_caller_who_is_gone_without_a_word_is_given_up_and_his_last_words_come_at_once(house):
    h = await house([{"at_ms": 300, "partial": " good bye"}], twilio={"resume_timeout_s": 600})
    phone = h.dial(status_callback=None, faults=PhoneFaults(no_stop=True))
    await h.live(live.Partial)
    await phone.hang_up()
    turn = await h.app.until("turn.completed")
    assert turn["data"]["turn"]["text"] == "good bye"
    assert h.app.of("call.ended") == []
    [call] = h.service.calls.live()
    await call.put(CarrierEnded("completed"))
    await h.empty()
    assert h.app.of("call.ended")[0]["data"]["reason"] == "caller_hangup"
