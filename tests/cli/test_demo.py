"""The demo is a real call in real time on real engines, so one run is looked at from all sides."""

import asyncio
import json
import sys

import pytest
import soundfile

DEADLINE_S = 240


@pytest.mark.timeout(DEADLINE_S + 10)
async def test_every_turn_comes_through_and_is_shown(tmp_path):
    async with asyncio.timeout(DEADLINE_S):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "voicebot", "demo", "--out", str(tmp_path),
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        shown, errors = (part.decode() for part in await process.communicate())
    assert process.returncode == 0, shown + errors
    assert errors == ""
    for wanted in ("turn.completed → 200", "go forward ten meters", "audio heard", "word error rate", "3 of 3"):
        assert wanted.lower() in shown.lower(), wanted
    partials = [line for line in shown.splitlines() if line.endswith("…")]
    assert len(partials) > len("three turns"), "words grow before a turn is complete"

    report = json.loads((tmp_path / "call.json").read_text())
    assert len(report["turns"]) == len(report["said"]) == 3
    assert [each["turn"] for each in report["latency"]] == [1, 2, 3]
    assert report["phone"]["ended"] == "service"
    sound, rate = soundfile.read(tmp_path / "call.wav")
    assert rate == 8_000
    caller, bot = (abs(channel) > 0.05 for channel in sound.T)
    assert caller.sum() > rate / 2
    assert bot.sum() > rate / 2
