"""docs/turns.md names every knob, its default and every reason."""

import json
import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest

from voicebot.core.audio import SpeechDetector
from voicebot.core.events import TurnReason
from voicebot.core.turns import TurnPolicy
from voicebot.wire.soniox_stt import SttOptions

PAGE = (Path(__file__).parents[2] / "docs" / "turns.md").read_text(encoding="utf-8")
ENDPOINT = (
    "enable_endpoint_detection",
    "max_endpoint_delay_ms",
    "endpoint_sensitivity",
    "endpoint_latency_adjustment_level",
)


def rows(marker: str) -> dict[str, str]:
    """Return the first two columns of the table behind a marker, without their backticks."""
    table = PAGE.split(f"<!-- {marker} -->\n")[1].split("\n\n")[0].splitlines()[2:]
    cells = [[cell.strip().strip("`") for cell in line.strip("|").split("|")] for line in table]
    return {cell[0]: cell[1] for cell in cells}


def knobs(value: object, prefix: str = "") -> Iterator[tuple[str, str]]:
    for each in fields(value):
        if each.name.startswith("_") or each.name == "speaking":
            continue
        below = getattr(value, each.name)
        if is_dataclass(below):
            yield from knobs(below, f"{prefix}{each.name}.")
        else:
            yield prefix + each.name, below if isinstance(below, str) else json.dumps(below)


@pytest.mark.parametrize("kind", [TurnPolicy, SpeechDetector])
def test_every_knob_is_there_with_its_default(kind):
    assert rows(f"knobs: {kind.__name__}") == dict(knobs(kind()))


def test_the_endpoint_knobs_are_those_of_the_recogniser():
    options = SttOptions()
    assert rows("knobs: SttOptions") == {name: json.dumps(getattr(options, name)) for name in ENDPOINT}


def test_every_reason_is_there():
    assert list(rows("reasons")) == list(TurnReason.__value__.__args__)


def test_the_pictures_show_the_defaults():
    policy = TurnPolicy()
    for ms in (policy.finalize_after_ms, policy.commit_after_ms):
        assert len(re.findall(rf"\b{ms:,} ms\b", PAGE)) >= 2


def test_the_laws_are_where_the_page_says():
    for path in re.findall(r"tests/core/\w+\.py", PAGE):
        assert (Path(__file__).parents[2] / path).is_file()
