"""Recordings on disk: what calls hand over, in order, and what happens when the disk does not play along."""

import asyncio
import gzip
import stat
import threading
from contextlib import asynccontextmanager

import pytest

from voicebot.config import RecordSettings
from voicebot.core.events import AskFinalize, Heard, HungUp, Tick, Token
from voicebot.core.policy import TurnPolicy
from voicebot.core.recording import (
    Audio,
    BotAudio,
    BotCleared,
    Effect,
    End,
    Head,
    Input,
    Leg,
    PolicyChanged,
    Posted,
    Replied,
)
from voicebot.errors import ConfigurationError
from voicebot.recorder import Recorder, load
from voicebot.recorder.call import AUDIO_MS
from voicebot.recorder.files import write_all
from voicebot.wire.recording import RecordingError, encode

DEADLINE_S = 50
BEGAN = 5_000.0
"""Loop time of the head."""
FRAME = b"\x55" * 160


@asynccontextmanager
async def recording_to(directory, **settings):
    recorder = Recorder(RecordSettings(directory=str(directory), **settings))
    async with asyncio.TaskGroup() as group:
        running = group.create_task(recorder.run())
        async with asyncio.timeout(DEADLINE_S):
            yield recorder
            await recorder.close()
        await running


def opened(recorder, call="CA1"):
    recording = recorder.open(Head(call=call), BEGAN)
    assert recording
    return recording


async def test_a_call_from_head_to_end(tmp_path):
    async with recording_to(tmp_path) as recorder:
        recording = opened(recorder)
        recording.leg(1, "caller", BEGAN + 0.48, "MZ1", BEGAN + 0.5)
        recording.audio("caller", 0, FRAME, BEGAN + 0.5)
        recording.input("caller", Heard((Token("hi", 0, 20),)), BEGAN + 1)
        recording.effect("caller", AskFinalize(), BEGAN + 1.25)
        recording.policy("caller", TurnPolicy(commit_after_ms=700), BEGAN + 1.5)
        recording.event("turn.completed", 2, BEGAN + 2)
        recording.reply(2, ["say"], BEGAN + 2.25, None, BEGAN + 2.5)
        recording.close("caller_hangup", BEGAN + 3)
    found = load(tmp_path / "CA1.jsonl")
    assert found.head == Head(call="CA1")
    assert [type(line) for line in found.lines] == [Leg, Input, Effect, PolicyChanged, Posted, Replied, Audio, End]
    assert found.lines[0] == Leg(500, 1, "caller", 480, "MZ1")
    assert found.lines[5] == Replied(2_500, 2, ("say",), 2_250, None)
    assert found.lines[-1] == End(3_000, "caller_hangup")
    assert not found.cut


async def test_only_the_owner_may_read_it(tmp_path):
    async with recording_to(tmp_path / "new" / "folder") as recorder:
        opened(recorder)
    assert stat.S_IMODE((tmp_path / "new" / "folder" / "CA1.jsonl").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "new" / "folder").stat().st_mode) == 0o700


async def test_sound_is_gathered_and_a_hole_begins_a_new_line(tmp_path):
    async with recording_to(tmp_path) as recorder:
        recording = opened(recorder)
        for at in [*range(0, AUDIO_MS, 20), *range(AUDIO_MS, AUDIO_MS + 100, 20), *range(3_000, 3_060, 20)]:
            recording.audio("caller", at, FRAME, BEGAN + at / 1_000)
        recording.audio("agent", 0, FRAME, BEGAN)
        recording.close("x", BEGAN + 4)
    sound = [line for line in load(tmp_path / "CA1.jsonl").lines if isinstance(line, Audio)]
    assert [(line.track, line.at_ms, len(line.payload) // 8) for line in sound] == [
        ("caller", 0, AUDIO_MS),
        ("caller", AUDIO_MS, 100),
        ("caller", 3_000, 60),
        ("agent", 0, 20),
    ]


async def test_sound_may_be_left_out(tmp_path):
    async with recording_to(tmp_path, audio=False) as recorder:
        recording = opened(recorder)
        recording.audio("caller", 0, FRAME * 100, BEGAN)
        recording.close("x", BEGAN)
    assert [type(line) for line in load(tmp_path / "CA1.jsonl").lines] == [End]


def has_lines(path):
    """Whether there is something to read: a file begins empty."""
    return path.exists() and path.read_bytes().count(b"\n") > 1 and bool(load(path).lines)


async def test_a_call_that_still_runs_is_readable(tmp_path):
    async with recording_to(tmp_path) as recorder:
        recording = opened(recorder)
        recording.input("caller", Tick(), BEGAN)
        while not has_lines(tmp_path / "CA1.jsonl"):
            await asyncio.to_thread(tmp_path.stat)
        assert load(tmp_path / "CA1.jsonl").lines == (Input(0, "caller", Tick()),)


async def test_stopping_keeps_what_was_handed_over(tmp_path):
    async with recording_to(tmp_path) as recorder:
        recording = opened(recorder)
        recording.input("caller", HungUp(), BEGAN)
    assert load(tmp_path / "CA1.jsonl").lines == (Input(0, "caller", HungUp()),)
    recording.input("caller", HungUp(), BEGAN)  # and nothing is kept, or breaks, after it
    assert recorder.open(Head(call="CA2"), BEGAN) is None


async def test_what_comes_after_the_end_is_not_kept(tmp_path):
    async with recording_to(tmp_path) as recorder:
        recording = opened(recorder)
        recording.close("x", BEGAN)
        recording.input("caller", Tick(), BEGAN)
        recording.close("again", BEGAN)
    assert load(tmp_path / "CA1.jsonl").lines == (End(0, "x"),)


async def test_switched_off_there_is_nothing():
    async with recording_to("") as recorder:
        assert recorder.open(Head(call="CA1"), BEGAN) is None


@pytest.mark.parametrize(
    ("call", "name"),
    [
        pytest.param("../../etc/passwd", "______etc_passwd.jsonl", id="it may not lead elsewhere"),
        pytest.param("", "call.jsonl", id="empty"),
    ],
)
async def test_the_name_of_the_file(tmp_path, call, name):
    async with recording_to(tmp_path) as recorder:
        opened(recorder, call)
    assert [path.name for path in tmp_path.iterdir()] == [name]


async def test_a_second_recording_of_a_call_does_not_touch_the_first(tmp_path):
    for _ in range(2):
        async with recording_to(tmp_path) as recorder:
            opened(recorder)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["CA1-2.jsonl", "CA1.jsonl"]
    assert load(tmp_path / "CA1.jsonl") == load(tmp_path / "CA1-2.jsonl")


async def test_a_file_has_its_largest_size(tmp_path, logs):
    async with recording_to(tmp_path, max_bytes_per_call=10_000) as recorder:
        recording = opened(recorder)
        for at in range(500):
            recording.input("caller", Tick(), BEGAN + at)
        await logs.until(lambda entry: entry["event"] == "recording.stopped")
        assert recording.lost
        recording.input("caller", Tick(), BEGAN + 1_000)
    path = tmp_path / "CA1.jsonl"
    assert 9_900 < path.stat().st_size < 10_100
    assert load(path).lines[-1] == End(load(path).lines[-2].t_ms + 1_000, "full")
    assert [entry["why"] for entry in logs] == ["it has reached 10000 bytes (VOICEBOT_RECORD__MAX_BYTES_PER_CALL)"]


async def test_trouble_with_the_disk_costs_one_recording_and_is_told_once(tmp_path, logs):
    folder = tmp_path / "calls"
    async with recording_to(folder) as recorder:
        folder.rmdir()
        lost = opened(recorder)
        await logs.until(lambda entry: entry["event"] == "recording.stopped")
        folder.mkdir()
        lost.input("caller", Tick(), BEGAN)
        opened(recorder, "CA2").close("x", BEGAN)
    assert [path.name for path in folder.iterdir()] == ["CA2.jsonl"]
    assert [(entry["call"], "No such file" in entry["why"]) for entry in logs] == [("CA1", True)]


async def test_a_disk_that_does_not_keep_up_costs_the_recording_and_no_memory(tmp_path, logs, monkeypatch):
    monkeypatch.setattr("voicebot.recorder.call.MAX_PENDING", 10)
    async with recording_to(tmp_path) as recorder:
        recording = opened(recorder)
        for _ in range(1_000):
            recording.input("caller", Tick(), BEGAN)
        assert recording.lost and recording.take() == []
    assert [entry["why"] for entry in logs] == ["more than 10 lines wait for the disk"]


async def test_a_disk_that_hangs_does_not_hold_up_the_end(tmp_path, logs, monkeypatch):
    freed = threading.Event()
    monkeypatch.setattr("voicebot.recorder.recorder.CLOSE_WAIT_S", 0.05)
    monkeypatch.setattr("voicebot.recorder.files.encode", lambda line: encode(line) if freed.wait(DEADLINE_S) else "")
    try:
        async with recording_to(tmp_path) as recorder:
            opened(recorder)
    finally:
        freed.set()
    assert [entry["why"] for entry in logs] == ["the disk has not taken its end within 0.05 s"]


def test_a_directory_that_cannot_be_made_is_a_setting_that_is_wrong(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match=r"VOICEBOT_RECORD__DIRECTORY: .*file"):
        Recorder(RecordSettings(directory=str(tmp_path / "file" / "calls")))


# --- reading --------------------------------------------------------------------------------------


def test_packed_recordings_are_read(tmp_path):
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress(encode(Head(call="CA1")).encode()))
    assert load(path).head.call == "CA1"


def test_a_line_that_was_cut_inside_a_letter(tmp_path):
    path = tmp_path / "a.jsonl"
    line = encode(Input(1, "caller", Heard((Token("ü"),)))).encode()
    path.write_bytes(encode(Head(call="CA1")).encode() + line[: line.index("ü".encode()) + 1])
    assert load(path).cut


@pytest.mark.parametrize("content", [None, b"", b"\x00\xff", b"RIFF"])
@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz"])
def test_what_is_no_recording_is_named(tmp_path, name, content):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(RecordingError, match=name):
        load(tmp_path / name)


async def test_a_call_that_ends_while_the_disk_writes_is_written_to_its_end(tmp_path, monkeypatch):
    recorder = Recorder(RecordSettings(directory=str(tmp_path)))
    recording = opened(recorder)

    def ending(batches):
        recording.close("caller_hangup", BEGAN + 1)
        return write_all(batches)

    monkeypatch.setattr("voicebot.recorder.recorder.write_all", ending)
    await recorder._write()
    await recorder.close()
    assert load(tmp_path / "CA1.jsonl").lines == (End(1_000, "caller_hangup"),)


async def test_what_the_bot_says_is_kept_like_what_it_hears(tmp_path):
    async with recording_to(tmp_path) as recorder:
        recording = opened(recorder)
        recording.bot_audio(FRAME, BEGAN + 0.75, BEGAN + 0.5)
        recording.bot_cleared(BEGAN + 0.76)
        recording.close("caller_hangup", BEGAN + 1)
    async with recording_to(tmp_path, audio=False) as recorder:
        recording = opened(recorder, "CA2")
        recording.bot_audio(FRAME, BEGAN + 0.75, BEGAN + 0.5)
        recording.bot_cleared(BEGAN + 0.76)
        recording.close("caller_hangup", BEGAN + 1)
    assert load(tmp_path / "CA1.jsonl").lines[:2] == (BotAudio(500, 750, FRAME), BotCleared(760))
    assert [type(line) for line in load(tmp_path / "CA2.jsonl").lines] == [End]
