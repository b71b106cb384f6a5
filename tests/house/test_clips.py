"""The table of the speech clips says the truth about the files."""

import csv
import hashlib
import wave
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "voicebot" / "local" / "speech"
with (FOLDER / "clips.tsv").open(encoding="utf-8", newline="") as table:
    CLIPS = list(csv.DictReader(table, delimiter="\t"))
COLUMNS = ["id", "file", "seconds", "text", "speaker", "source", "licence", "sha256"]


def test_table_and_folder_agree():
    assert [clip["file"] for clip in CLIPS] == [f"{clip['id']}.wav" for clip in CLIPS]
    assert {clip["file"] for clip in CLIPS} == {path.name for path in FOLDER.glob("*.wav")}
    assert len({clip["id"] for clip in CLIPS}) == len(CLIPS)


@pytest.mark.parametrize("clip", CLIPS, ids=lambda clip: clip["id"])
def test_clip_is_as_the_table_says(clip):
    path = FOLDER / clip["file"]
    with wave.open(str(path)) as recording:
        assert (recording.getframerate(), recording.getnchannels(), recording.getsampwidth()) == (8000, 1, 2)
        assert abs(recording.getnframes() / 8000 - float(clip["seconds"])) < 0.001
    assert hashlib.sha256(path.read_bytes()).hexdigest() == clip["sha256"]


@pytest.mark.parametrize("clip", CLIPS, ids=lambda clip: clip["id"])
def test_row_is_complete(clip):
    assert list(clip) == COLUMNS
    assert all(clip.values())
    assert clip["text"] == " ".join(clip["text"].lower().split())
    assert clip["text"].replace(" ", "").isalpha()


def test_notice_covers_every_source():
    notice = (FOLDER / "NOTICE.md").read_text(encoding="utf-8")
    for name in ("librivox/transcription", "cards/cards.transcription", "goforward.raw", "tidigits/dhd.2934z.raw"):
        assert name in notice
    assert "Redistribution and use in source and binary forms" in notice
    assert "public domain" in notice
