"""What the caller hears: speech, audio, pauses, and the truth about it after an interruption."""

import asyncio
from itertools import pairwise

import audioop
import pytest
import soundfile
from aiohttp import web

from voicebot import live
from voicebot.local.phone.scenario import HangUp, Play, Wait, WaitFor
from voicebot.local.soniox.server import Faults

LONG = "The opening hours are nine to five on weekdays and ten to two on Saturdays, never on Sundays."
WORDS_AT_1500 = [{"at_ms": 1_500, "partial": " stop"}, {"at_ms": 1_700, "final": " stop", "end": True}]
HANG_UP = {"type": "hangup"}
MS_PER_CHARACTER = 60


def say(text, **changes):
    return {"type": "say", "text": text, **changes}


def right_channel(path):
    """What the caller heard, as µ-law."""
    samples, rate = soundfile.read(path, dtype="int16", always_2d=True)
    assert rate == 8_000
    return audioop.lin2ulaw(samples[:, 1].tobytes(), 2)


async def test_the_call_ends_only_after_its_last_speech_was_heard(house):
    h = await house()
    h.app.on("call.started", {"actions": [say("Goodbye and thank you."), HANG_UP]})
    report = await h.call()
    assert report.ended == "service"
    assert report.heard_ms >= len("Goodbye and thank you.") * MS_PER_CHARACTER - 100
    assert [(mark.name, mark.cleared) for mark in report.marks] == [("1:1:begun", False), ("1:1", False)]
    [finished] = h.app.of("speech.finished")
    assert finished["data"]["heard"] == "Goodbye and thank you."
    assert finished["data"]["unheard"] == ""
    assert h.app.events[-1]["data"]["totals"]["utterances"] == 1


async def test_voice_language_and_speed_reach_the_synthesiser(house):
    h = await house(default={"voice": {"voice": "Maya"}})
    h.app.on("call.started", {"actions": [say("One."), say("Zwei.", voice="Noah", language="de", speed=1.2), HANG_UP]})
    await h.call()
    first, second = h.tap.spoken()
    assert (first["voice"], first["language"]) == ("Maya", "en")
    assert "speed" not in first
    assert (second["voice"], second["language"], second["speed"]) == ("Noah", "de", 1.2)
    for message in (first, second):
        assert (message["audio_format"], message["sample_rate"]) == ("pcm_mulaw", 8_000)


async def test_audio_behind_a_url_is_played_as_it_is(house, site, sound, tmp_path):
    h = await house(play={"allow_private": True})
    audio = sound.tone(400, hertz=600)
    site.pages["/bell.wav"] = lambda: web.Response(body=sound.wav(audio), content_type="audio/wav")
    h.app.on("call.started", {"actions": [{"type": "play", "url": site.url("/bell.wav")}, HANG_UP]})
    report = await h.call(record=tmp_path / "call.wav")
    assert report.exit_code == 0
    assert audioop.lin2ulaw(audioop.ulaw2lin(audio, 2), 2) in right_channel(tmp_path / "call.wav")
    assert h.app.of("speech.finished")[0]["data"]["text"] == site.url("/bell.wav")


async def test_audio_that_cannot_be_had_is_trouble_and_the_rest_goes_on(house, site):
    h = await house(play={"allow_private": True})
    h.app.on("call.started", {"actions": [{"type": "play", "url": site.url("/none")}, say("Anyway."), HANG_UP]})
    report = await h.call()
    assert report.heard_ms > 0
    await h.trouble("404")


async def test_private_addresses_are_not_fetched(house, site):
    h = await house()
    h.app.on("call.started", {"actions": [{"type": "play", "url": site.url("/x")}, HANG_UP]})
    await h.call()
    await h.trouble("not a public address")
    assert site.requests == []


async def test_a_pause_is_silent_for_its_length(house, tmp_path):
    h = await house()
    h.app.on("call.started", {"actions": [say("Before."), {"type": "pause", "ms": 1_500}, say("Behind."), HANG_UP]})
    await h.call(record=tmp_path / "call.wav", pace=3.0)
    heard = right_channel(tmp_path / "call.wav")
    loud = [
        at for at in range(0, len(heard) - 160, 160) if audioop.rms(audioop.ulaw2lin(heard[at : at + 160], 2), 2) > 160
    ]
    gaps = [(later - at) // 8 for at, later in pairwise(loud) if later - at > 160]
    assert len(gaps) == 1
    assert 1_450 <= gaps[0] < 3_000
    assert [event["data"]["text"] for event in h.app.of("speech.finished")] == ["Before.", "Behind."]


async def test_words_stop_the_bot_and_the_truth_is_told(house):
    h = await house(WORDS_AT_1500)
    h.app.on("call.started", {"actions": [say(LONG), HANG_UP]})
    h.app.on("turn.completed", {"actions": [HANG_UP]})
    report = await h.call(pace=1.0)
    assert len(report.clears) == 1
    assert [(mark.name, mark.cleared) for mark in report.marks] == [("1:1:begun", False), ("1:1", True)]
    [interrupted] = h.app.of("speech.interrupted")
    data = interrupted["data"]
    assert data["heard"] + data["unheard"] == data["text"] == LONG
    assert data["heard"]
    assert data["unheard"]
    # The bot was heard from soon after the answer to the words at 1.5 s.
    assert 500 <= data["ms"] <= 1_700
    assert len(data["heard"]) == pytest.approx(data["ms"] / MS_PER_CHARACTER, abs=3)
    [turn] = h.app.of("turn.completed")
    assert turn["sequence"] > interrupted["sequence"]
    assert turn["data"]["spoken"] == [data | {"interrupted": True}]
    assert turn["messages"] == [
        {"role": "assistant", "content": data["heard"].strip()},
        {"role": "user", "content": "stop"},
    ]
    assert h.app.of("speech.finished") == []
    assert h.app.events[-1]["data"]["totals"]["interruptions"] == 1
    assert h.metric("barge_ins_total", cause="words") == 1


async def test_sound_alone_stops_the_bot(house, sound):
    h = await house()
    h.app.on("call.started", {"actions": [say(LONG)]})
    phone = h.dial(Play(play=sound.wav(sound.babble(1_500)), barge_in=True, after_ms=500), Wait(wait=5), pace=1.0)
    await h.app.until("speech.interrupted")
    report = await phone.hang_up()
    await h.empty()
    assert len(report.clears) == 1
    assert h.metric("barge_ins_total", cause="speech") == 1


async def test_a_key_stops_the_bot(house):
    from voicebot.local.phone.scenario import Dtmf

    h = await house()
    h.app.on("call.started", {"actions": [say(LONG)]})
    phone = h.dial(WaitFor(wait_for="speech"), Dtmf(dtmf="1"), Wait(wait=60))
    await h.app.until("speech.interrupted")
    report = await phone.hang_up()
    await h.empty()
    assert len(report.clears) == 1
    assert h.metric("barge_ins_total", cause="digit") == 1


@pytest.mark.parametrize(
    ("policy", "interruptible"),
    [pytest.param({"enabled": False}, True, id="switched off"), pytest.param({}, False, id="not interruptible")],
)
async def test_speech_that_may_not_be_interrupted_is_heard_to_its_end(house, policy, interruptible):
    h = await house(WORDS_AT_1500)
    h.app.on(
        "call.started",
        {"actions": [{"type": "listen", "barge_in": policy}, say(LONG, interruptible=interruptible), HANG_UP]},
    )
    report = await h.call(pace=4.0)
    assert report.clears == []
    assert h.app.of("turn.completed")[0]["data"]["turn"]["text"] == "stop"
    assert h.app.of("speech.finished")[0]["data"]["heard"] == LONG
    assert report.heard_ms >= len(LONG) * MS_PER_CHARACTER - 100


async def test_more_words_than_the_policy_asks_for_are_needed(house):
    h = await house(WORDS_AT_1500)
    h.app.on(
        "call.started",
        {"actions": [{"type": "listen", "barge_in": {"min_words": 2, "min_ms": 60_000}}, say(LONG), HANG_UP]},
    )
    report = await h.call(pace=4.0)
    assert report.clears == []


async def test_an_interruption_drops_everything_that_was_to_follow(house):
    h = await house(WORDS_AT_1500)
    h.app.on("call.started", {"actions": [say(LONG), say("Never heard."), HANG_UP]})
    phone = h.dial(pace=2.0)
    await h.app.until("turn.completed")
    report = await phone.hang_up()
    await h.empty()
    assert report.ended == "caller"
    assert [part["text"] for part in h.app.of("turn.completed")[0]["data"]["spoken"]] in (
        [LONG],
        [LONG, "Never heard."],
    )
    assert all(part["interrupted"] for part in h.app.of("turn.completed")[0]["data"]["spoken"])
    assert h.app.of("speech.finished") == []


async def test_a_voice_that_fails_is_trouble_and_the_call_goes_on(house):
    h = await house(
        [{"at_ms": 1_000, "say": "hello", "until_ms": 1_200, "end_ms": 1_300}], faults=Faults(tts_error_code=402)
    )
    h.app.on("call.started", {"actions": [say("Nobody hears this.")]})
    h.app.on("turn.completed", {"actions": [HANG_UP]})
    report = await h.call()
    assert report.ended == "service"
    assert report.heard_ms == 0
    await h.live(live.Trouble)
    assert h.metric("speech_failed_total") == 1
    assert h.app.of("turn.completed")[0]["data"]["turn"]["text"] == "hello"


async def test_a_voice_that_never_answers_is_given_up_on(house):
    h = await house(faults=Faults(tts_silent=True), soniox={"tts_first_audio_timeout_s": 0.2})
    h.app.on("call.started", {"actions": [say("Nobody hears this."), HANG_UP]})
    report = await h.call()
    assert report.ended == "service"
    await h.trouble("no speech within")


async def test_a_recording_is_not_begun_twice_by_a_caller_who_hangs_up_while_the_bot_speaks(house):
    h = await house()
    h.app.on("call.started", {"actions": [say(LONG), say("More."), HANG_UP]})
    await h.call(WaitFor(wait_for="speech"), HangUp(), pace=2.0)
    [interrupted] = [event for event in h.app.of("speech.interrupted") if event["data"]["text"] == LONG]
    assert interrupted["data"]["unheard"]
    assert h.app.events[-1]["type"] == "call.ended"
    assert h.app.events[-1]["data"]["reason"] == "caller_hangup"


ANNOUNCEMENT = "This call may be recorded for training."


@pytest.mark.parametrize(
    ("first", "second", "cleared"),
    [
        pytest.param(False, True, False, id="not while the first is heard, although the second is sent already"),
        pytest.param(True, False, True, id="while the first is heard, whatever follows it"),
    ],
)
async def test_it_counts_what_is_heard_now_not_what_was_sent_last(house, first, second, cleared):
    h = await house([{"at_ms": 1_200, "partial": " but"}, {"at_ms": 1_300, "final": " but", "end": True}])
    h.app.on(
        "call.started",
        {"actions": [say(ANNOUNCEMENT, interruptible=first), say(LONG, interruptible=second), HANG_UP]},
    )
    phone = h.dial(pace=2.0)
    await h.app.until("turn.completed")
    heard = await h.app.until("speech.interrupted" if cleared else "speech.finished")
    report = await phone.hang_up()
    await h.empty()
    assert heard["data"]["text"] == ANNOUNCEMENT
    assert bool(report.clears) == cleared


async def test_the_second_of_two_may_be_interrupted_once_it_is_heard(house):
    at = len(ANNOUNCEMENT) * MS_PER_CHARACTER + 1_500
    h = await house([{"at_ms": at, "partial": " but"}, {"at_ms": at + 100, "final": " but", "end": True}])
    h.app.on("call.started", {"actions": [say(ANNOUNCEMENT, interruptible=False), say(LONG), HANG_UP]})
    phone = h.dial(pace=2.0)
    interrupted = await h.app.until("speech.interrupted")
    report = await phone.hang_up()
    await h.empty()
    assert interrupted["data"]["text"] == LONG
    assert h.app.of("speech.finished")[0]["data"]["text"] == ANNOUNCEMENT
    assert len(report.clears) == 1


async def test_what_the_caller_has_not_begun_to_hear_is_dropped_when_he_says_more(house, site, sound):
    """The answer to the first words is still being fetched when the second come: it would be spoken into their answer."""
    more = {"at_ms": 2_000, "say": "no wait", "until_ms": 2_200, "end_ms": 2_300}
    h = await house(
        [{"at_ms": 300, "say": "first", "until_ms": 400, "end_ms": 500}, more], play={"allow_private": True}
    )
    asked, release = asyncio.Event(), asyncio.Event()

    async def slow():
        asked.set()
        await release.wait()
        return web.Response(body=sound.wav(sound.tone(300)), content_type="audio/wav")

    site.pages["/slow.wav"] = slow
    h.app.on(
        "turn.completed",
        {"actions": [{"type": "play", "url": site.url("/slow.wav")}]},
        {"actions": [say("Fresh."), HANG_UP]},
    )
    phone = h.dial(pace=3.0)
    await h.app.until("turn.completed", 2)
    assert asked.is_set()
    release.set()
    await phone.report()
    await h.empty()
    assert [event["data"]["text"] for event in h.app.of("speech.finished")] == ["Fresh."]
    assert h.app.of("turn.completed")[1]["data"]["spoken"] == []


async def test_a_caller_whose_silence_the_carrier_leaves_out_has_still_fallen_silent(house, sound):
    """No frame says so: that none come does."""
    speech = sound.wav(sound.babble(1_000)[: -8 * 400])  # without its silent end
    h = await house([{"at_ms": 900, "partial": " spoken"}], default={"turns": {"commit_after_ms": 30_000}})
    phone = h.dial(Wait(wait=0.5), Play(play=speech), Wait(wait=600), quiet="suppress", pace=1.5)
    await h.tap.changed.until(lambda message: message == '{"type":"finalize"}')
    await phone.hang_up()
    await h.empty()
