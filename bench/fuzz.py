"""Fuzz the parsers with atheris, guided by coverage; what is found is kept under tests/fuzz/cases and stays a test."""

import argparse
import importlib
import importlib.util
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fuzzing.laws import Target

CASES = Path(__file__).parents[1] / "tests" / "fuzz" / "cases"
LONGEST_RUN_S = 20
"""One input that takes longer is a finding."""
MEMORY_MB = 2_048
LARGEST_INPUT = 16_384


def fuzz(name: str, seconds: int, corpus: Path) -> int:
    """Fuzz one target in a process of its own for so long; returns its exit code, 0 when nothing was found."""
    from fuzzing.targets import HOMES  # noqa: PLC0415 - in the instrumented process it would come too early

    kept = CASES / name
    kept.mkdir(parents=True, exist_ok=True)
    command = [
        sys.executable,
        __file__,
        "--inside",
        HOMES[name],
        name,
        str(corpus),
        *([str(kept)] if any(kept.iterdir()) else []),
        f"-artifact_prefix={kept}/",
        f"-max_total_time={seconds}",
        f"-timeout={LONGEST_RUN_S}",
        f"-rss_limit_mb={MEMORY_MB}",
        f"-max_len={LARGEST_INPUT}",
        f"-dict={_dictionary(name, corpus.parent)}",
        "-print_final_stats=1",
        "-verbosity=0",
    ]
    code = subprocess.run(command, check=False).returncode  # noqa: S603 - ourselves
    if not any(kept.iterdir()):
        kept.rmdir()
    return code


def _dictionary(name: str, folder: Path) -> Path:
    """Write the words of the target's language as libFuzzer reads them."""
    from fuzzing.targets import ODD, TARGETS  # noqa: PLC0415 - in the instrumented process it would come too early

    path = folder / "words"
    words = [word for word in (*ODD, *TARGETS[name].words) if len(word) < 64]
    path.write_text("".join(f'"{"".join(f"\\x{byte:02x}" for byte in word)}"\n' for word in words), encoding="ascii")
    return path


def _inside(home: str, name: str, arguments: Sequence[str]) -> None:
    import atheris  # noqa: PLC0415 - a group of its own: the other commands run without it

    with atheris.instrument_imports(include=["voicebot", "fuzzing"]):
        targets: Sequence[Target] = importlib.import_module(home).TARGETS
    target = next(target for target in targets if target.name == name)
    corpus = Path(arguments[0])
    for number, seed in enumerate(target.seeds):
        (corpus / f"seed-{number}").write_bytes(seed)

    def one(data: bytes) -> None:
        target.run(data)

    atheris.Setup([__file__, *arguments], one)
    atheris.Fuzz()


def main() -> int:
    """Fuzz one target after the other; the exit code is 1 when something was found."""
    if sys.argv[1:2] == ["--inside"]:
        _inside(sys.argv[2], sys.argv[3], sys.argv[4:])
        return 0
    from fuzzing.targets import TARGETS  # noqa: PLC0415 - in the instrumented process it would come too early

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"all when left out: {', '.join(TARGETS)}")
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    arguments = parser.parse_args()
    if unknown := set(arguments.targets) - set(TARGETS):
        parser.error(f"no such target: {', '.join(sorted(unknown))}")
    if importlib.util.find_spec("atheris") is None:
        parser.error("needs atheris: uv sync --group fuzz --extra local")
    found = []
    for name in arguments.targets or TARGETS:
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            corpus = Path(folder) / "corpus"
            corpus.mkdir()
            if fuzz(name, arguments.seconds, corpus):
                found.append(name)
            print(f"{name}: {time.monotonic() - began:.0f} s, {len(list(corpus.iterdir()))} inputs kept", flush=True)
    print(f"found something in {', '.join(found)}: see {CASES}" if found else "found nothing")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
