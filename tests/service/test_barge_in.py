"""Barge-in: the bot falls silent at once, and goes on where it was when nobody meant it."""

import pytest
from aiohttp import web

from voicebot import live

TEXT = "One two three four five six seven eight nine ten."
MS_PER_CHARACTER = 60
HANG_UP = {"type": "hangup"}
LATE_MS = 100


def say(text, **changes):
    return {"type": "say", "text": text, **changes}


def listening(**barge_in):
    return {"turns": {"no_input_ms": 0, "barge_in": {"resume_after_ms": 200, **barge_in}}}


@pytest.fixture
def speaking(house, mouth):
    """Open a house whose bot has begun to speak; the caller's time stands still."""

    async def begin(*actions, script=None, pace=1.0, **settings):
        h = await house(script, **{"default": listening()} | mouth.service | settings)
        h.app.on("call.started", {"actions": list(actions)})
        phone = h.dial(**mouth.phone, pace=pace)
        await phone.heard("BotSpeaks")
        return h, phone

    return begin


def heard_ms(phone):
    return sum(run.loud_ms for run in phone.call._line.bot.runs)


async def test_the_caller_hears_nothing_a_tenth_of_a_second_after_the_decision(speaking, mouth):
    """`ms` is what had been heard at the decision, by the service's clock; the rest is what came out all the same."""
    h, phone = await speaking(say(TEXT))
    mouth.say(phone)
    interrupted = await h.app.until("speech.interrupted")
    await phone.heard("Cleared")
    assert heard_ms(phone) == pytest.approx(interrupted["data"]["ms"], abs=LATE_MS)
    await phone.hang_up()
    await h.empty()


async def test_after_a_cough_the_bot_says_the_rest_and_everything_behind_it(speaking, mouth):
    h, phone = await speaking(say(TEXT), say("And more."), HANG_UP)
    mouth.say(phone)
    await h.live(live.BotResumed)
    report = await phone.report()
    await h.empty()
    assert report.ended == "service"
    assert len(report.clears) == 1
    cut = next(event["data"] for event in h.app.of("speech.interrupted") if event["data"]["text"] == TEXT)
    rest, more = (event["data"] for event in h.app.of("speech.finished"))
    assert cut["heard"]
    assert cut["heard"] + cut["unheard"] == TEXT
    # From the beginning of the word that was cut: no word is lost, none is heard twice in full.
    assert TEXT.endswith(rest["text"])
    assert rest["text"].endswith(cut["unheard"].strip())
    assert TEXT[: -len(rest["text"])][-1:] in {"", " "}
    assert len(rest["text"]) - len(cut["unheard"].strip()) <= len("seven")
    assert (rest["heard"], more["heard"]) == (rest["text"], "And more.")
    totals = h.app.of("call.ended")[0]["data"]["totals"]
    assert (totals["resumptions"], totals["turns"]) == (1, 0)
    assert h.metric("false_barge_ins_total") == 1


async def test_words_mean_it(speaking, mouth):
    """Nothing of the reply comes back, not even its hang-up."""
    script = [{"at_ms": 600, "partial": " wait"}, {"at_ms": 1_500, "final": " wait", "end": True}]
    h, phone = await speaking(say(TEXT), say("And more."), HANG_UP, script=script)
    h.app.on("turn.completed", {"actions": [say("Yes?")]})
    mouth.say(phone)
    await h.live(live.BotSaid)
    mouth.hush(phone)
    await h.live(live.BotSaid, lambda event: event.spoken.text == "Yes?" and not event.spoken.interrupted)
    report = await phone.hang_up()
    await h.empty()
    assert report.ended == "caller"
    assert [event for event in h.seen if isinstance(event, live.BotResumed)] == []
    assert h.app.of("call.ended")[0]["data"]["totals"]["resumptions"] == 0


async def test_the_truth_is_the_same_in_the_webhook_the_store_and_the_live_view(speaking, mouth):
    from voicebot.store import Store

    script = [{"at_ms": 600, "partial": " wait"}, {"at_ms": 1_500, "final": " wait", "end": True}]
    h, phone = await speaking(say(TEXT), script=script)
    mouth.say(phone)
    mouth.hush(phone)
    turn = await h.app.until("turn.completed")
    await phone.hang_up()
    await h.empty()
    [told] = turn["data"]["spoken"]
    shown = (await h.live(live.BotSaid)).spoken
    async with Store.open(h.settings.store) as store:
        [kept] = await store.utterances(phone.sid)
    truths = {(each["text"], each["heard"], each["unheard"], each["ms"]) for each in (told, kept)}
    assert truths == {(shown.text, shown.heard, shown.unheard, shown.ms)}
    assert shown.heard + shown.unheard == TEXT
    assert abs(len(shown.heard) - heard_ms(phone) / MS_PER_CHARACTER) <= LATE_MS / MS_PER_CHARACTER + 1
    assert turn["messages"][0] == {"role": "assistant", "content": shown.heard.strip()}


@pytest.mark.parametrize(
    ("loud", "script"),
    [
        pytest.param(
            False, [{"at_ms": 500, "partial": " mhm"}, {"at_ms": 900, "final": " mhm", "end": True}], id="soft"
        ),
        pytest.param(
            True, [{"at_ms": 900, "partial": " mhm"}, {"at_ms": 1_500, "final": " mhm", "end": True}], id="loud"
        ),
    ],
)
async def test_a_sign_of_listening_is_no_turn(speaking, mouth, loud, script):
    """One that is loud stops the bot, but not for long."""
    h, phone = await speaking(say(TEXT), say("And more."), HANG_UP, script=script)
    (mouth.say if loud else mouth.hush)(phone)
    mouth.hush(phone)
    aside = await h.live(live.Overheard)
    report = await phone.report()
    await h.empty()
    assert aside.kind == "backchannel"
    assert report.ended == "service"
    assert len(report.clears) == int(loud)
    assert h.app.of("turn.completed") == []
    ended = h.app.of("call.ended")[0]["data"]
    assert [line["text"] for line in ended["transcript"] if line["role"] == "user"] == [aside.text]
    assert (ended["totals"]["turns"], ended["totals"]["resumptions"]) == (0, int(loud))
    assert h.app.of("speech.finished")[-1]["data"]["heard"] == "And more."


async def test_without_resumption_the_bot_stays_silent(speaking, mouth):
    h, phone = await speaking(
        say(TEXT), HANG_UP, default={"turns": {"no_input_ms": 300, "barge_in": {"resume": False, "resume_after_ms": 0}}}
    )
    mouth.say(phone)
    await h.app.until("no_input")
    report = await phone.hang_up()
    await h.empty()
    assert report.ended == "caller"
    assert h.app.of("speech.finished") == []


async def test_audio_goes_on_at_its_place(speaking, mouth, site, sound):
    site.pages["/music.wav"] = lambda: web.Response(body=sound.wav(sound.tone(3_000)), content_type="audio/wav")
    play = {"type": "play", "url": site.url("/music.wav")}
    h, phone = await speaking(play, HANG_UP, play={"allow_private": True})
    mouth.say(phone)
    await h.live(live.BotResumed)
    await phone.report()
    await h.empty()
    cut, rest = (h.app.of(f"speech.{kind}")[0]["data"] for kind in ("interrupted", "finished"))
    assert 0 < cut["ms"] < 3_000
    assert cut["ms"] + rest["ms"] == 3_000
    assert len(site.requests) == 1


async def test_a_second_cough_does_no_harm(speaking, mouth):
    h, phone = await speaking(say(TEXT), say("And more."), HANG_UP)
    mouth.say(phone)
    await h.live(live.BotResumed)
    await h.live(live.BotSays, count=3)
    mouth.say(phone)
    await h.live(live.BotResumed, count=2)
    report = await phone.report()
    await h.empty()
    assert report.ended == "service"
    assert h.app.of("speech.finished")[-1]["data"]["text"] == "And more."
    assert h.app.of("call.ended")[0]["data"]["totals"]["resumptions"] == 2
