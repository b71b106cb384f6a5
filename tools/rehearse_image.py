"""Run the build stage of the Dockerfile without Docker, and try what it installed."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from dockerfile import Instruction, parse

ROOT = Path(__file__).parent.parent
# Folders of the image that are laid below a temporary one here.
MOVED = ("/src", "/opt/voicebot")
# What the installed command must do with no settings at all, in an empty folder.
SMOKE = (["--help"], ["check", "--help"], ["schema"], ["secret"])
# Files that are no Python and are needed at run time.
DATA = ("local/speech/clips.tsv",)
STEP_TIMEOUT_S = 600


def moved(text: str, folder: Path) -> str:
    """Return a command of the image with its folders below `folder`."""
    for path in MOVED:
        text = text.replace(path, f"{folder}{path}")
    return text


def copy(instruction: Instruction, target: Path) -> None:
    """Do what `COPY files... folder` does, with sources in the checkout."""
    *sources, last = instruction.words
    for source in sources:
        path = ROOT / source
        if path.is_dir():
            shutil.copytree(path, target / last, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(path, target / last)


def run(command: list[str] | str, folder: Path, environment: dict[str, str]) -> str:
    """Run one command and return what it printed; ends the rehearsal when it fails."""
    shown = command if isinstance(command, str) else " ".join(command)
    print(f"  {shown}", flush=True)
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        shell=isinstance(command, str),
        capture_output=True,
        text=True,
        timeout=STEP_TIMEOUT_S,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"exit code {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def build(folder: Path) -> None:
    """Carry out the instructions of the first stage, but for the installation of uv."""
    # `uv run` says where uv is; the image's Python is the one that runs this, outside of its environment.
    uv = Path(os.environ.get("UV", "uv")).parent
    environment = os.environ | {"PATH": f"{uv}:{sys.base_prefix}/bin:{os.environ['PATH']}"}
    environment.pop("VIRTUAL_ENV", None)
    workdir = folder
    for instruction in parse((ROOT / "Dockerfile").read_text(encoding="utf-8")):
        match instruction:
            case Instruction("ENV", _, 0):
                environment |= dict(word.split("=", 1) for word in instruction.words)
            case Instruction("WORKDIR", value, 0):
                workdir = Path(moved(value, folder))
                workdir.mkdir(parents=True)
            case Instruction("COPY", _, 0):
                copy(instruction, workdir)
            case Instruction("RUN", value, 0) if "pip install --no-cache-dir uv==" not in value:
                run(moved(value, folder), workdir, environment)


def smoke(folder: Path) -> None:
    """Try the installed command, away from the checkout and without its variables."""
    prefix = folder / "opt/voicebot"
    empty = folder / "empty"
    empty.mkdir()
    environment = {"PATH": os.environ["PATH"], "HOME": str(empty)}
    for arguments in SMOKE:
        if not run([str(prefix / "bin/voicebot"), *arguments], empty, environment).strip():
            raise SystemExit(f"voicebot {' '.join(arguments)}: printed nothing")
    where = "import voicebot; print(voicebot.__path__[0])"
    package = Path(run([str(prefix / "bin/python"), "-c", where], empty, environment).strip())
    if not package.is_relative_to(prefix):
        raise SystemExit(f"{package}: not the installed package")
    for name in DATA:
        if not (package / name).is_file():
            raise SystemExit(f"{name}: not in the wheel")


def main() -> None:
    """Build below a temporary folder, try the result, remove it."""
    with tempfile.TemporaryDirectory(prefix="voicebot-image-") as name:
        build(Path(name))
        smoke(Path(name))
    print("The image's build steps work, and so does what they installed.")


if __name__ == "__main__":
    main()
