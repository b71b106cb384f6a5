"""Calls that are only transcribed: both sides, labelled, nothing said."""

import pytest

from voicebot import live
from voicebot.local.phone.options import DialOutcome
from voicebot.local.phone.scenario import Play, Wait, WaitFor
from voicebot.local.phone.sound import read_sound

LEFT = [{"at_ms": 400, "say": "from the left", "until_ms": 800, "end_ms": 1_000}]
RIGHT = [{"at_ms": 700, "say": "from the right", "until_ms": 1_000, "end_ms": 1_200}]
DIAL = "<Dial>+15550100</Dial>"


def transcribe(track="both_tracks", then="<Pause length='60'/>", **changes):
    return {"mode": "transcribe", "track": track, "then": then} | changes


async def test_each_side_has_its_own_recogniser_and_its_own_label(house, sound):
    h = await house([LEFT, RIGHT], default=transcribe(then=DIAL))
    files = [sound.wav(sound.tone(300, hertz=hertz)) for hertz in (500, 900)]
    caller, agent = (read_sound(file) for file in files)
    report = await h.call(
        Wait(wait=1),  # frames before the stream is open are nobody's
        Play(play=files[0]),
        WaitFor(wait_for="hangup", timeout=60),
        dial=DialOutcome("completed", talk_s=3.0, ring_s=0.1),
        agent_audio=files[1],
    )
    assert [verb.verb for verb in report.verbs] == ["Start", "Dial"]
    assert report.streams[0].tracks == ["inbound", "outbound"]
    first, second = h.tap.stt
    assert (first.config["audio_format"], second.config["num_channels"]) == ("mulaw", 1)
    texts = {event["data"]["track"]: event["data"]["turn"]["text"] for event in h.app.of("transcript.final")}
    # Whose sound went to the first session, the one whose script says "left"?
    assert (caller in first.audio) != (caller in second.audio)
    assert (agent in first.audio) != (agent in second.audio)
    left = "caller" if caller in first.audio else "agent"
    right = "agent" if left == "caller" else "caller"
    assert texts == {left: "from the left", right: "from the right"}
    assert (agent if right == "agent" else caller) in second.audio


async def test_nothing_is_said_and_replies_are_not_wanted(house):
    h = await house(LEFT, default=transcribe())
    h.app.on("call.started", {"actions": [{"type": "say", "text": "Hello?"}]})
    h.app.on("transcript.final", {"actions": [{"type": "say", "text": "Hello?"}]})
    phone = h.dial()
    await h.app.until("transcript.final", 2)
    report = await phone.hang_up()
    await h.empty()
    await h.trouble("only transcribed")
    assert h.tap.tts == []
    assert report.streams[0].media_received == 0
    assert 31924 not in report.codes()
    assert [event["type"] for event in h.app.events] == [
        "call.started",
        "transcript.final",
        "transcript.final",
        "call.ended",
    ]
    assert h.app.events[0]["data"]["mode"] == "transcribe"
    totals = h.app.events[-1]["data"]["totals"]
    assert (totals["turns"], totals["utterances"], totals["no_inputs"]) == (2, 0, 0)
    assert {line["role"] for line in h.app.events[-1]["data"]["transcript"]} == {"user", "agent"}
    assert h.app.events[-1]["data"]["reason"] == "caller_hangup"


@pytest.mark.parametrize(
    ("track", "label"),
    [pytest.param("inbound_track", "caller", id="in"), pytest.param("outbound_track", "agent", id="out")],
)
async def test_one_side_alone(house, track, label):
    h = await house(LEFT, default=transcribe(track))
    phone = h.dial()
    await h.app.until("transcript.final")
    await phone.hang_up()
    await h.empty()
    [final] = h.app.of("transcript.final")
    assert (final["data"]["track"], final["data"]["turn"]["text"]) == (label, "from the left")
    assert len(h.tap.stt) == 1


async def test_the_last_words_of_both_sides_come_after_the_hangup(house):
    script = [{"at_ms": 300, "partial": " almost said"}]
    h = await house(script, default=transcribe(turns={"commit_after_ms": 30_000, "finalize_after_ms": 10_000}))
    phone = h.dial()
    await h.live(live.Partial, lambda event: event.track == "caller")
    await h.live(live.Partial, lambda event: event.track == "agent")
    await phone.hang_up()
    await h.empty()
    finals = h.app.of("transcript.final")
    assert {final["data"]["track"] for final in finals} == {"caller", "agent"}
    assert {final["data"]["turn"]["reason"] for final in finals} == {"hangup"}
    assert h.app.types[-1] == "call.ended"


async def test_one_recogniser_lost_leaves_the_other(house):
    from voicebot.local.soniox.server import Faults

    h = await house([LEFT, LEFT], faults=[Faults(error_at_ms=100, error_code=400), None], default=transcribe())
    phone = h.dial()
    await h.app.until("transcript.final")
    await phone.hang_up()
    await h.empty()
    assert len(h.app.of("transcript.final")) == 1
    await h.trouble("speech recognition is gone")
    assert h.app.events[-1]["data"]["reason"] == "caller_hangup"
