"""The command behind `run.py`: records on demand, scores, prints tables, writes the picture and the numbers."""

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from turns import cases, recording
from turns.cases import POLICIES, RECORDINGS, SET, Policy
from voicebot.core.policy import TurnPolicy
from voicebot.core.score import Score
from voicebot.core.score_sweep import Case, Curve, Point, four_points, sweep
from voicebot.local import plot

ROOT = Path(__file__).parents[2]
PICTURE = ROOT / "docs" / "turns-bench.svg"
RESULTS = Path(__file__).parent / "results.json"
COMPARED = ("default", "silence only, 800 ms")
"""By kind: with about the same mean delay."""
WIDTH = 110
"""Columns of the tables where there is no terminal."""
ENTRIES = ("digits", "spelling")
"""Kinds that an application would ask for, and say so with `expect`."""


def main() -> None:
    """Record if asked to, then score."""
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--record", action="store_true", help="play the set to the local Soniox server first, in real time")
    add("--live", action="store_true", help="with --record: play it to Soniox itself, with the service's settings")
    add("--recordings", type=Path, default=RECORDINGS, help="where the recordings are (default: the shipped ones)")
    add("--plot", type=Path, default=PICTURE, help="the picture (default: docs/turns-bench.svg)")
    add("--json", type=Path, default=RESULTS, help="the numbers (default: bench/turns/results.json)")
    arguments = parser.parse_args()
    if arguments.record:
        arguments.recordings.mkdir(parents=True, exist_ok=True)
        asyncio.run(_record(arguments.recordings, live=arguments.live))
    measure(cases.read(arguments.recordings), arguments.plot, arguments.json)


async def _record(target: Path, *, live: bool) -> None:
    async with recording.recogniser(live=live) as settings:
        await recording.record_all(cases.names(), SET, target, settings)


def measure(calls: Sequence[Case], picture: Path, results: Path) -> None:
    """Score the calls under every policy, print the tables, write the picture and the numbers."""
    scores = {name: policy.score(calls) for name, policy in POLICIES.items()}
    kinds = _by_kind(calls)
    curves = sweep(calls)
    answer_ms = cases.answer_ms(calls)
    knobs = TurnPolicy()
    plot.write(curves, picture, Point(knobs.finalize_after_ms, knobs.commit_after_ms, scores["default"]))
    console = Console(width=None if sys.stdout.isatty() else WIDTH)
    for table in (_policies(scores), _kinds(kinds), _points(curves)):
        console.print(table)
    console.print(_head_start(scores["default, provisional"], answer_ms))
    results.write_text(json.dumps(_numbers(scores, kinds, curves, answer_ms), indent=1) + "\n", encoding="utf-8")


def _by_kind(calls: Sequence[Case]) -> dict[str, dict[str, Score]]:
    of_kind = cases.by_kind(calls)
    kinds = {kind: {name: POLICIES[name].score(some) for name in COMPARED} for kind, some in of_kind.items()}
    for kind in ENTRIES:
        kinds[kind]["default, expected"] = Policy(cases.expecting(kind)).score(of_kind[kind])
    return kinds


def _numbers(
    scores: dict[str, Score], kinds: dict[str, dict[str, Score]], curves: Sequence[Curve], answer_ms: float
) -> dict[str, Any]:
    return {
        "policies": {name: asdict(each) for name, each in scores.items()},
        "kinds": {kind: {name: asdict(each) for name, each in some.items()} for kind, some in kinds.items()},
        "sweep": {
            curve.name: {
                "four_points": asdict(four_points(curve)),
                "points": [
                    [
                        point.finalize_after_ms,
                        point.commit_after_ms,
                        point.endpoint_after_ms,
                        point.delay_ms,
                        point.score.cut_rate,
                    ]
                    for point in curve.points
                ],
            }
            for curve in curves
        },
        "finalize_answer_ms": answer_ms,
    }


def _policies(scores: dict[str, Score]) -> Table:
    table = _table("All calls", "policy", "cut-offs", "cut", "mean", "p50", "p95", "split", "merged", "lost", "false")
    for name, each in scores.items():
        table.add_row(
            name, _percent(each.cut_rate), *_counts(each), *map(_ms, asdict(each.dead_air_ms).values()),
            *map(_ms, (each.split_per_1000, each.merged_per_1000, each.lost_per_1000, each.false_per_1000)),
        )  # fmt: skip
    table.caption = "cut-offs: of the pauses of 200 ms and more; mean, p50, p95: ms from the end of speech to the turn"
    return table


def _kinds(kinds: dict[str, dict[str, Score]]) -> Table:
    table = _table("By kind", "kind", "policy", "turns", "told", "cut-offs", "cut", "p50", "p95", "lost")
    for kind, some in kinds.items():
        for name, each in some.items():
            air = each.dead_air_ms
            table.add_row(
                kind, name, str(each.utterances), str(each.turns), _percent(each.cut_rate), *_counts(each),
                _ms(air.p50), _ms(air.p95), _ms(each.lost_per_1000),
            )  # fmt: skip
    return table


def _points(curves: Sequence[Curve]) -> Table:
    table = _table("The four points of eot-bench", "policy", "@300 ms", "@600 ms", "delay @5 %", "delay @10 %")
    for curve in curves:
        four = four_points(curve)
        table.add_row(
            curve.name, _percent(four.cut_offs_at_300_ms), _percent(four.cut_offs_at_600_ms),
            _ms(four.delay_at_5_percent_ms), _ms(four.delay_at_10_percent_ms),
        )  # fmt: skip
    return table


def _head_start(score: Score, answer_ms: float) -> Table:
    early = score.provisional
    delay_ms = early.delay_p50_ms
    table = _table("Provisional turns", "told", "confirmed", "retracted", "head start p50", "delay p50", "less <fin>")
    less_ms = None if delay_ms is None else delay_ms - answer_ms
    table.add_row(
        str(early.told), str(early.confirmed), str(early.retracted),
        _ms(early.head_start_p50_ms), _ms(delay_ms), _ms(less_ms),
    )  # fmt: skip
    table.caption = f"delay: from the end of speech; the answer to finalize takes {_ms(answer_ms)} ms here (median)"
    return table


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title)
    for number, column in enumerate(columns):
        table.add_column(column, justify="left" if number == 0 else "right")
    return table


def _counts(score: Score) -> tuple[str]:
    return (f"{score.cut_spans}/{score.hold_spans}",)


def _percent(rate: float | None) -> str:
    return "-" if rate is None else f"{100 * rate:.1f} %"


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f}"


if __name__ == "__main__":
    main()
