"""The page about the probe says what the probe does."""

import json
import re
from pathlib import Path

from voicebot.local.probe.run import CASES, Report

PAGE = (Path(__file__).parents[3] / "docs" / "probe.md").read_text(encoding="utf-8")


def test_every_case_is_in_the_table():
    rows = re.findall(r"^\| (\w+) \| `([\w-]+)` \| (.*) \|$", PAGE, re.MULTILINE)
    assert rows == [(case.group, case.name, case.expected) for case in CASES]


def test_the_report_on_the_page_is_one():
    (document,) = re.findall(r"^```json\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert Report.model_validate_json(document).model_dump(mode="json") == json.loads(document)
