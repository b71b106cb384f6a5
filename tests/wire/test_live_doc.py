"""The page about live events names every event with its fields."""

import re
from pathlib import Path

import pytest

from voicebot.core.playback import Spoken
from voicebot.wire import live_json

PAGE = Path(__file__).parents[2] / "docs" / "live.md"
ROW = re.compile(r"^\| `([a-z.]+)` \| .+ \| (.*?) ?\|$", re.MULTILINE)
ROWS = {name: re.findall(r"`([a-z_]+)`", fields) for name, fields in ROW.findall(PAGE.read_text(encoding="utf-8"))}


def test_every_event_is_there():
    assert list(ROWS) == list(live_json.TYPES)


@pytest.mark.parametrize("name", live_json.TYPES)
def test_its_fields(name):
    kind = live_json.TYPES[name]
    known = Spoken.__match_args__ if name == "bot.said" else kind.__match_args__
    assert ROWS[name] == [field.rstrip("_") for field in known if field != "call"]
