"""Replies that are spoken while the application is still writing them."""

import asyncio

from voicebot import live

HANG_UP = {"type": "hangup"}
LONG = "The opening hours are nine to five on weekdays and ten to two on Saturdays, never on Sundays."


def say(text, **changes):
    return {"type": "say", "text": text, **changes}


async def closed(writing):
    async with asyncio.timeout(20):
        await writing.gone.wait()


async def spoken_text(h, text):
    """The voice was given a piece of text."""
    await h.tap.changed.until(lambda message: isinstance(message, str) and f'"text":"{text}"' in message)


async def test_the_first_sentence_is_heard_while_the_second_is_unwritten(house, writing):
    h = await house()
    h.app.on("call.started", writing.answer)
    phone = h.dial()
    writing.write(say("First."))
    await phone.heard("BotSpeaks")
    writing.write({"state": "s"}, say("Second."), HANG_UP)
    writing.end()
    report = await phone.report()
    await h.empty()
    assert report.ended == "service"
    assert [event["data"]["heard"] for event in h.app.of("speech.finished")] == ["First.", "Second."]
    assert h.app.of("call.ended")[0]["call"]["state"] == "s"


async def test_a_sentence_may_come_in_pieces(house, writing):
    """It is one utterance of one breath: the voice gets it as it comes."""
    h = await house()
    h.app.on("call.started", writing.answer)
    phone = h.dial()
    writing.write(say("First. Two piz", more=True))
    await phone.heard("BotSpeaks")
    writing.write(say("zas, ple", more=True))
    await spoken_text(h, "zas, ple")
    writing.write(say("ase."), HANG_UP)
    writing.end()
    await phone.report()
    await h.empty()
    assert [event["data"]["heard"] for event in h.app.of("speech.finished")] == ["First. Two pizzas, please."]
    assert len(h.tap.spoken()) == 1
    assert h.app.of("call.ended")[0]["data"]["totals"]["utterances"] == 1


async def test_a_sentence_that_breaks_off_is_said_as_far_as_it_came(house, writing):
    h = await house()
    h.app.on("call.started", writing.answer)
    phone = h.dial()
    writing.write(say("Two piz", more=True))
    writing.end()
    await h.app.until("speech.finished")
    await phone.hang_up()
    await h.empty()
    assert [event["data"]["heard"] for event in h.app.of("speech.finished")] == ["Two piz"]


async def test_an_interruption_closes_the_applications_connection(house, writing):
    h = await house()
    h.app.on("call.started", writing.answer)
    phone = h.dial(pace=1.0)
    writing.write(say(LONG))
    await phone.heard("BotSpeaks")
    phone.press("1")
    await closed(writing)
    interrupted = await h.app.until("speech.interrupted")
    assert interrupted["data"]["text"] == LONG
    phone.press("#")
    await h.app.until("digits.completed")
    report = await phone.hang_up()
    await h.empty()
    assert len(report.clears) == 1
    assert h.app.of("call.ended")[0]["data"]["totals"]["missed_replies"] == 0


async def test_a_cough_does_not_close_it_and_what_comes_meanwhile_is_said_too(house, mouth, writing):
    turns = {"no_input_ms": 0, "barge_in": {"resume_after_ms": 200}}
    h = await house(default={"turns": turns}, **mouth.service)
    h.app.on("call.started", writing.answer)
    phone = h.dial(**mouth.phone, pace=1.0)
    writing.write(say(LONG[:40]))
    await phone.heard("BotSpeaks")
    mouth.say(phone)
    await phone.heard("Cleared")
    writing.write(say("Second."))
    await h.live(live.BotResumed)
    writing.write(say("Third."), HANG_UP)
    writing.end()
    report = await phone.report()
    await h.empty()
    assert report.ended == "service"
    assert not writing.gone.is_set()
    rest, *others = [event["data"]["text"] for event in h.app.of("speech.finished")]
    assert LONG[:40].endswith(rest)
    assert others == ["Second.", "Third."]


async def test_what_came_before_the_stream_broke_is_said_and_the_call_goes_on(house, writing):
    h = await house()
    h.app.on("call.started", writing.answer)
    h.app.on("digits.completed", {"actions": [say("Behind."), HANG_UP]})
    phone = h.dial()
    writing.write(say("Before."))
    await phone.heard("BotSpeaks")
    writing.abort()
    missing = await h.live(live.ReplyMissing)
    await h.app.until("speech.finished")
    phone.press("1#")
    await phone.report()
    await h.empty()
    assert missing.reason == "broken"
    assert [event["data"]["heard"] for event in h.app.of("speech.finished")] == ["Before.", "Behind."]


async def test_a_newer_answer_does_not_wait_for_a_stream_that_nobody_ends(house, writing):
    """What may not be interrupted goes on being heard; the stream behind it is over all the same."""
    h = await house()
    h.app.on("call.started", writing.answer)
    h.app.on("digits.completed", {"actions": [say("Newer."), HANG_UP]})
    phone = h.dial(pace=2.0)
    writing.write(say(LONG, interruptible=False))
    await phone.heard("BotSpeaks")
    phone.press("1#")
    report = await phone.report()
    await h.empty()
    assert report.clears == []
    assert writing.gone.is_set()
    assert [event["data"]["heard"] for event in h.app.of("speech.finished")] == [LONG, "Newer."]


async def test_a_caller_who_hangs_up_ends_the_stream(house, writing):
    h = await house()
    h.app.on("call.started", writing.answer)
    phone = h.dial()
    writing.write(say("First."))
    await phone.heard("BotSpeaks")
    await phone.hang_up()
    await closed(writing)
    await h.empty()
    assert h.app.of("call.ended")
