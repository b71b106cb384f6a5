"""What the line does to a call: its echo, a carrier that sends no marks, the time that answers take, settings, recordings."""

import asyncio

import pytest
from aiohttp import web

from voicebot import live
from voicebot.core.recording import Audio, Effect, End, Input, Leg, Posted, Replied
from voicebot.local.phone.echo import Echo
from voicebot.local.phone.faults import PhoneFaults
from voicebot.local.phone.scenario import HangUp, Wait
from voicebot.recorder import load

LONG = "The opening hours are nine to five on weekdays and ten to two on Saturdays, never on Sundays."
HELLO = {"at_ms": 500, "partial": " hello"}
# Its word has the times of the sound, so that it does not matter whether it is settled here or asked for before.
ENDED = {"at_ms": 1_500, "final": [{"text": " hello", "start_ms": 0, "end_ms": 500}], "end": True}
HANG_UP = {"type": "hangup"}
STEPS = ("settled_ms", "decided_ms", "sent_ms", "reply_began_ms", "replied_ms", "audio_sent_ms", "audio_heard_ms")
FRAMES_MS = 100


def say(text, **changes):
    return {"type": "say", "text": text, **changes}


# --- echo -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("db", "stopped"),
    [
        pytest.param(-14, False, id="the bot's voice, softer"),
        pytest.param(0, True, id="as loud as the bot it can only be somebody"),
    ],
)
async def test_the_bots_own_voice_does_not_stop_it(house, site, sound, db, stopped):
    """Sound with the envelope of speech, for a steady one is noise in any case."""
    site.pages["/speech.wav"] = lambda: web.Response(body=sound.wav(sound.babble(2_500)), content_type="audio/wav")
    h = await house(play={"allow_private": True}, default={"turns": {"no_input_ms": 0, "barge_in": {"resume": False}}})
    h.app.on("call.started", {"actions": [{"type": "play", "url": site.url("/speech.wav")}]})
    phone = h.dial(Wait(wait=0.5), Wait(wait=60), pace=1.0, echo=Echo(delay_ms=160, db=db))
    await h.app.until("speech.interrupted" if stopped else "speech.finished")
    report = await phone.hang_up()
    await h.empty()
    assert bool(report.clears) == stopped


async def test_the_words_of_an_echo_are_no_turn(house):
    """They come one by one, and the first of them alone could be anybody's."""
    words = "the opening hours are nine to five"
    h = await house([{"at_ms": 1_200, "say": words, "until_ms": 2_200, "end_ms": 2_400}])
    h.app.on("call.started", {"actions": [say(LONG), HANG_UP]})
    phone = h.dial(pace=2.0)
    aside = await h.live(live.Overheard)
    report = await phone.report()
    await h.empty()
    assert (aside.kind, aside.text) == ("echo", words)
    assert report.clears == h.app.of("turn.completed") == []
    assert h.app.of("speech.finished")[0]["data"]["heard"] == LONG


# --- marks ----------------------------------------------------------------------------------------


async def test_without_marks_speech_counts_as_heard_by_our_own_clock(house):
    h = await house(twilio={"mark_timeout_s": 0.2}, default={"turns": {"no_input_ms": 200}})
    h.app.on("call.started", {"actions": [say("Hello.")]})
    h.app.on("no_input", {"actions": [say("Goodbye."), HANG_UP]})
    report = await h.call(faults=PhoneFaults(no_marks=True))
    assert report.ended == "service"
    assert [event["data"]["heard"] for event in h.app.of("speech.finished")] == ["Hello.", "Goodbye."]
    started, finished = h.app.of("no_input")[0], h.app.of("speech.finished")[0]
    assert started["sequence"] > finished["sequence"]
    assert h.app.of("call.ended")[0]["data"]["totals"]["latency"] is None


# --- latency --------------------------------------------------------------------------------------


async def test_the_time_an_answer_takes_is_told_once_from_the_callers_last_sound(house, mouth, logs):
    second = [{"at_ms": 2_500, "partial": " bye"}, {"at_ms": 3_500, "final": " bye", "end": True}]
    turns = {"no_input_ms": 0, "barge_in": {"enabled": False}}
    h = await house([HELLO, ENDED, *second], default={"turns": turns}, **mouth.service)
    h.app.on("turn.completed", {"actions": [say("Yes.")]}, {"actions": [HANG_UP]})
    phone = h.dial(**mouth.phone, pace=1.0)
    await h.live(live.StreamOpened)
    mouth.say(phone)
    mouth.hush(phone)
    account = (await h.live(live.Latency)).parts
    last_sound_ms = phone.call._line.caller.runs[-1].end
    heard = await phone.events.until(lambda event: getattr(event, "name", "").endswith("begun"))
    await h.app.until("speech.finished")
    mouth.say(phone)
    mouth.hush(phone)
    await phone.report()
    await h.empty()
    assert tuple(account) == STEPS
    assert list(account.values()) == sorted(account.values())
    assert account["audio_heard_ms"] == pytest.approx(heard.at_ms - last_sound_ms, abs=FRAMES_MS)
    first, following = h.app.of("turn.completed")
    assert first["data"]["latency"] is None
    assert following["data"]["latency"] == account
    lines = [entry for entry in logs if entry["event"] == "turn"]
    assert [line["turn"] for line in lines] == [1, 2]
    assert {name: lines[0][name] for name in STEPS} == account
    told = h.app.of("call.ended")[0]["data"]["totals"]["latency"]
    waited = account["audio_heard_ms"]
    assert told == {"turns": 1, "p50_ms": waited, "p95_ms": waited, "max_ms": waited}


async def test_a_provisional_turn_is_sent_before_it_is_decided(house, mouth):
    turns = {"provisional": True, "finalize_after_ms": 200, "commit_after_ms": 1_200}
    h = await house([HELLO], default={"turns": turns}, **mouth.service)
    h.app.on("turn.provisional", {"actions": [say("Yes."), HANG_UP]})
    phone = h.dial(**mouth.phone, pace=1.0)
    await h.live(live.StreamOpened)
    mouth.say(phone)
    account = (await h.live(live.Latency)).parts
    await phone.report()
    await h.empty()
    assert account["settled_ms"] <= account["sent_ms"] <= account["replied_ms"] < account["decided_ms"]
    assert account["decided_ms"] <= account["audio_sent_ms"] <= account["audio_heard_ms"]
    assert len([event for event in h.seen if isinstance(event, live.Latency)]) == 1


# --- the recogniser's settings, and recordings ----------------------------------------------------


async def test_other_endpoint_settings_open_another_session_and_no_audio_is_lost(house, mouth):
    h = await house([[HELLO, ENDED], [HELLO, ENDED]], **mouth.service)
    patient = {"type": "listen", "endpoint": {"max_endpoint_delay_ms": 2_500}}
    h.app.on("turn.completed", {"actions": [patient, say("Your number?")]}, {"actions": [HANG_UP]})
    phone = h.dial(**mouth.phone)
    await h.live(live.StreamOpened)
    mouth.say(phone)
    mouth.hush(phone)
    await h.app.until("speech.finished")
    mouth.say(phone)
    mouth.hush(phone, 1_500)
    await phone.report()
    await h.empty()
    first, second = h.tap.stt
    assert first.config["max_endpoint_delay_ms"] != 2_500
    assert second.config["max_endpoint_delay_ms"] == 2_500
    assert second.config["endpoint_sensitivity"] == first.config["endpoint_sensitivity"]
    assert min(len(first.audio), len(second.audio)) >= 8 * ENDED["at_ms"]
    assert mouth.audio.startswith(first.audio + second.audio)


async def written(folder):
    """The recording that ends in the folder; files have no bell."""
    async with asyncio.timeout(20):
        while True:
            for path in await asyncio.to_thread(lambda: list(folder.iterdir())):
                recording = await asyncio.to_thread(load, path)
                if recording.lines and isinstance(recording.lines[-1], End):
                    return recording


async def test_a_call_leaves_a_recording_that_can_be_read(house, mouth, tmp_path):
    folder = tmp_path / "recordings"
    h = await house([HELLO, ENDED], record={"directory": str(folder)}, **mouth.service)
    h.app.on("turn.completed", {"actions": [say("Yes."), HANG_UP]})
    phone = h.dial(**mouth.phone)
    await h.live(live.StreamOpened)
    mouth.say(phone)
    mouth.hush(phone)
    await phone.report()
    await h.empty()
    recording = await written(folder)
    assert recording.head.call == phone.sid
    kinds = {type(line) for line in recording.lines}
    assert kinds >= {Audio, Effect, Input, Leg, Posted, Replied}
    heard = b"".join(line.payload for line in recording.lines if isinstance(line, Audio))
    assert heard == h.tap.stt[0].audio
    assert [line.kind for line in recording.lines if isinstance(line, Posted)] == h.app.types
    assert [line.actions for line in recording.lines if isinstance(line, Replied)] == [(), ("say", "hangup")]


async def test_without_a_directory_nothing_is_recorded(house, tmp_path):
    h = await house()
    await h.call(Wait(wait=0.3), HangUp())
    assert list(tmp_path.rglob("*.jsonl")) == []
