"""Another commit to compare with: its tree beside this one, with an environment of its own."""

import hashlib
import shutil
import subprocess
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


class NoBaseError(Exception):
    """The commit cannot be prepared; the text says why."""


def prepare(commit: str) -> Path:
    """Return the Python that runs the service of `commit`; kept for the next time. Raises NoBaseError."""
    full = _told("git", "-C", str(ROOT), "rev-parse", "--verify", f"{commit}^{{commit}}").strip()
    here = hashlib.sha256(str(ROOT).encode()).hexdigest()[:8]
    folder = Path(tempfile.gettempdir()) / f"voicebot-bench-{full[:12]}-{here}"
    python = folder / ".venv" / "bin" / "python"
    if (folder / "ready").exists():
        return python
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    archive = folder / "tree.tar"
    _told("git", "-C", str(ROOT), "archive", "--output", str(archive), full)
    shutil.unpack_archive(archive, folder, filter="data")
    archive.unlink()
    _told(_uv(), "sync", "--locked", "--no-dev", "--quiet", "--project", str(folder))
    (folder / "ready").touch()
    return python


def _uv() -> str:
    ours = ROOT / ".tools" / "bin" / "uv"
    found = str(ours) if ours.exists() else shutil.which("uv")
    if found is None:
        raise NoBaseError("uv is needed to set up the other commit; `make setup` installs it")
    return found


def _told(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own words
    if done.returncode:
        raise NoBaseError(f"{' '.join(command)}: {done.stderr.strip()[-500:]}")
    return done.stdout
