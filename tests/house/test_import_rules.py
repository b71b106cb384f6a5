"""The import rules hold, and each of them notices a planted fault."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def lint(folder: Path) -> tuple[int, str]:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-logo", "--no-cache"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=50, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def copied(tmp_path):
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    shutil.copytree(ROOT / "voicebot", tmp_path / "voicebot", ignore=shutil.ignore_patterns("__pycache__", "*.wav"))
    return tmp_path


def test_rules_hold(copied):
    code, output = lint(copied)
    assert code == 0, output


@pytest.mark.parametrize(
    ("path", "line", "contract"),
    [
        pytest.param("core/events.py", "import asyncio", "no I/O", id="core-does-io"),
        pytest.param("wire/soniox_stt.py", "from time import monotonic", "no I/O", id="wire-reads-the-clock"),
        pytest.param("core/events.py", "import pydantic", "foreign formats", id="core-knows-a-library"),
        pytest.param("core/events.py", "import voicebot.wire", "Lower storeys", id="core-knows-the-wire"),
        pytest.param("errors.py", "import voicebot.core", "Lower storeys", id="errors-know-the-core"),
        pytest.param("local/__init__.py", "import voicebot.config", "Lower storeys", id="stand-in-reads-settings"),
        pytest.param(
            "config/__init__.py", "import voicebot.local", "Only the command line", id="service-uses-a-stand-in"
        ),
        pytest.param("newcomer.py", "", "Lower storeys", id="module-without-a-place"),
    ],
)
def test_rules_bite(copied, path, line, contract):
    with (copied / "voicebot" / path).open("a", encoding="utf-8") as module:
        module.write(f"\n{line}\n")
    code, output = lint(copied)
    assert code == 1, output
    broken = [title for title in output.splitlines() if title.endswith("BROKEN")]
    assert any(contract in title for title in broken), output
