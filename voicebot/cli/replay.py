"""Run recorded calls again under another turn policy, offline, and score what would have been decided."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import cast, get_args

from rich.console import Console

from voicebot.cli import replay_output
from voicebot.core.events import Track
from voicebot.core.recording import Recording
from voicebot.core.replay import recorded, replay
from voicebot.core.score import score
from voicebot.core.score_labels import Labels
from voicebot.core.score_sweep import Case, Point, sweep
from voicebot.errors import ConfigurationError
from voicebot.recorder import load
from voicebot.wire.recording import RecordingError
from voicebot.wire.recording_labels import read_labels
from voicebot.wire.recording_policy import read_changes

OK = 0
SUFFIXES = (".jsonl", ".jsonl.gz")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's options."""
    add = parser.add_argument
    add("recordings", nargs="+", type=Path, metavar="RECORDING", help="files (.jsonl, .jsonl.gz) or directories")
    add(
        "--policy",
        nargs="+",
        action="extend",
        default=[],
        metavar="KEY=VALUE",
        help="knobs of the turn policy, for example commit_after_ms=1200 barge_in.min_ms=400 endpoint.enabled=false",
    )
    add("--labels", type=Path, metavar="DIR", help="what was truly said: one JSON file for each recording")
    add("--track", choices=get_args(Track.__value__), default="caller", help="whose turns (default: %(default)s)")
    add("--detect", action="store_true", help="find speech in the recorded sound anew")
    add("--sweep", action="store_true", help="score a grid of patience: the policy, silence only, endpoint only")
    add("--plot", type=Path, metavar="FILE.svg", help="draw the sweep")
    add("--timeline", action="store_true", help="print what happened when, as recorded and as replayed")
    add("--json", action="store_true", help="print JSON instead of tables")


def run(arguments: argparse.Namespace) -> int:
    """Replay, score and print; raises RecordingError or ConfigurationError for files that cannot be used."""
    change = read_changes(arguments.policy)
    track = cast("Track", arguments.track)
    files = _files(arguments.recordings)
    cases = [_case(path, arguments.labels, track) for path in files]
    played = [
        replay(each, track, change=change, endpoints=change.endpoints, detect=arguments.detect) for each, _ in cases
    ]
    before = [recorded(each, track) for each, _ in cases]
    labels = [truth for _, truth in cases]
    scores = {
        "recorded": score(zip(before, labels, strict=True)),
        "replayed": score(zip(played, labels, strict=True)),
    }
    curves = sweep(cases, change, track) if arguments.sweep or arguments.plot else ()
    if arguments.plot:
        from voicebot.local import plot  # noqa: PLC0415 - an extra: the other options work without it

        knobs = change(cases[0][0].head.policy)
        plot.write(curves, arguments.plot, Point(knobs.finalize_after_ms, knobs.commit_after_ms, scores["replayed"]))
    if arguments.json:
        print(replay_output.as_json(scores, curves, dict(change.values), endpoints=change.endpoints))
        return OK
    console = Console()
    if arguments.timeline:
        for path, one, then, now in zip(files, cases, before, played, strict=True):
            console.print(replay_output.timeline(path.name, one[0], then, now), soft_wrap=not console.is_terminal)
    for table in replay_output.tables(scores, curves):
        console.print(table)
    return OK


def _files(named: Sequence[Path]) -> list[Path]:
    files: list[Path] = []
    for path in named:
        files += sorted(each for each in path.iterdir() if each.name.endswith(SUFFIXES)) if path.is_dir() else [path]
    if not files:
        raise ConfigurationError(f"{', '.join(map(str, named))}: no recording ({', '.join(SUFFIXES)}) in there")
    return files


def _case(path: Path, labels: Path | None, track: Track) -> Case:
    recording = load(path)
    if track not in recording.head.tracks:
        raise RecordingError(f"{path}: has no track {track}; it has {', '.join(recording.head.tracks)}")
    return recording, _labels(path, labels, recording) if labels else None


def _labels(path: Path, directory: Path, recording: Recording) -> Labels:
    """Return the labels of a recording: the file of its name, or the one that carries its name or call as id."""
    stem = path.name.removesuffix(".gz").removesuffix(".jsonl")
    for name in (stem, recording.head.call):
        file = directory / f"{name}.json"
        if file.is_file():
            try:
                return read_labels(file.read_bytes())
            except RecordingError as error:
                raise RecordingError(f"{file}: {error}") from None
    raise RecordingError(f"{path}: no labels; {directory} has no {stem}.json")
