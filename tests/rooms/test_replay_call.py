"""A call through the whole service leaves a recording, and its replay without changes comes to the same turns."""

import asyncio
import json
import random
import struct

import audioop
import pytest

from voicebot.__main__ import main
from voicebot.core.events import AskFinalize, BotStarted, Heard, SpeechStarted, SpeechStopped, TurnCompleted
from voicebot.core.recording import Audio, Effect, End, Input, Leg, Posted, Replied
from voicebot.core.replay import recorded, replay
from voicebot.local.phone.scenario import HangUp, Play, Wait
from voicebot.recorder import load
from voicebot.wire.recording_policy import read_changes

pytestmark = pytest.mark.xdist_group("real-time")  # its calls are timed

SCRIPT = [
    {"at_ms": 500, "say": "hello there", "until_ms": 1_000, "end_ms": 1_300},
    {"at_ms": 2_300, "partial": " two"},
    {"at_ms": 2_500, "partial": " two pizzas"},
]
COMMIT_MS = 900
AUDIO_MS = 4_700
DEADLINE_S = 50


def noise(ms, loud):
    chance = random.Random(ms)
    levels = (4_000 if loud and at % (8 * 260) < 8 * 200 else 40 for at in range(8 * ms))
    return audioop.lin2ulaw(struct.pack(f"<{8 * ms}h", *(round(level * chance.uniform(-1, 1)) for level in levels)), 2)


def wav():
    sound = noise(400, loud=False) + noise(600, loud=True) + noise(1_200, loud=False) + noise(500, loud=True)
    sound += noise(AUDIO_MS - 2_700, loud=False)
    fmt = struct.pack("<HHIIHH", 7, 1, 8_000, 8_000, 1, 8)
    body = b"WAVEfmt " + struct.pack("<I", len(fmt)) + fmt + b"data" + struct.pack("<I", len(sound)) + sound
    return b"RIFF" + struct.pack("<I", len(body)) + body


async def written(path):
    """Wait for the last line: the recorder writes a few times a second."""
    async with asyncio.timeout(DEADLINE_S):
        while True:
            if await asyncio.to_thread(path.exists):
                found = await asyncio.to_thread(load, path)
                if found.lines and isinstance(found.lines[-1], End):
                    return found


async def call_of_two_turns(house, folder):
    """One turn by its endpoint, one by silence; returns the house, the path of the recording and what is in it."""
    h = await house(SCRIPT, default={"turns": {"commit_after_ms": COMMIT_MS}}, record={"directory": str(folder)})
    # The call outlasts its last turn: a replay that measures the sound anew comes to it a little earlier or later.
    yes, bye = {"type": "say", "text": "Yes."}, {"type": "say", "text": "Your pizzas are on their way to you."}
    h.app.on("turn.completed", {"actions": [yes]}, {"actions": [bye, {"type": "hangup"}]})
    phone = h.dial(Play(play=wav()), Wait(wait=5), HangUp(), pace=1.0)
    await phone.report()
    await h.empty()
    path = folder / f"{phone.sid}.jsonl"
    return h, path, await written(path)


def turns(replayed):
    return [
        (effect.turn.number, effect.turn.text, effect.turn.reason)
        for each in replayed.decisions
        if isinstance(effect := each.effect, TurnCompleted)
    ]


async def test_a_call_is_recorded_and_its_replay_has_the_same_turns(house, tmp_path, capsys):
    h, path, found = await call_of_two_turns(house, tmp_path / "recordings")
    told = [
        (turn["number"], turn["text"], turn["reason"])
        for turn in (e["data"]["turn"] for e in h.app.of("turn.completed"))
    ]
    assert told == [(1, "hello there", "endpoint"), (2, "two pizzas", "finalize")]
    assert turns(recorded(found)) == told
    assert turns(replay(found)) == told
    assert turns(replay(found, detect=True)) == told

    again = {type(line) for line in found.lines}
    assert {Leg, Audio, Input, Effect, Posted, Replied, End} <= again
    assert {line.kind for line in found.lines if isinstance(line, Posted)} >= {"call.started", "turn.completed"}
    inputs = {type(line.event) for line in found.lines if isinstance(line, Input)}
    assert {Heard, SpeechStarted, SpeechStopped, BotStarted} <= inputs
    assert found.head.policy.commit_after_ms == COMMIT_MS
    sound = b"".join(line.payload for line in found.lines if isinstance(line, Audio))
    assert len(sound) // 8 == pytest.approx(found.lines[-1].t_ms - replay(found).zero_ms, abs=1_500)

    patient = read_changes(["endpoint.enabled=false", "commit_after_ms=2000"])
    assert turns(replay(found, change=patient, endpoints=False))[-1][1] == "hello there two pizzas"

    assert await asyncio.to_thread(main, ["replay", str(path), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["recorded"]["turns"] == shown["replayed"]["turns"] == 2


async def test_the_replay_decides_when_the_call_did(house, tmp_path):
    _, _, found = await call_of_two_turns(house, tmp_path / "recordings")
    then, now = (
        [each.t_ms for each in one.decisions if isinstance(each.effect, TurnCompleted)]
        for one in (recorded(found), replay(found))
    )
    assert now == pytest.approx(then, abs=500)  # a loaded machine is late in the call, never in the replay
    asked = [each for each in replay(found).decisions if isinstance(each.effect, AskFinalize)]
    assert asked
