"""What fuzzing has found stays a test: each file is handled as its parser declares."""

from pathlib import Path

import pytest
from fuzzing.targets import TARGETS

CASES = sorted(path for path in (Path(__file__).parent / "cases").glob("*/*") if path.is_file())


@pytest.mark.parametrize("path", CASES, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_a_finding_stays_fixed(path):
    TARGETS[path.parent.name].run(path.read_bytes())


def test_there_are_findings():
    assert CASES
