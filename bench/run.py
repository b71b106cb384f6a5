"""Measures the service: processor time, latency, memory and losses under many calls, beside a minimal bridge."""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import base
import chart
import limits
import machine
import measure
import report
import systems
from figures import Run
from line import PAUSES_MS, SPEAKS_MS

RESULTS = systems.HERE / "results"
BEGAN = time.monotonic()
SHORT = {"calls": 100, "seconds": 6.0, "rounds": 2}
"""What `make bench` runs when nothing else is asked for: about a minute and a half."""
PLAIN_PAUSE_MS = 1_000


def parse(words: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument(
        "--calls", type=int, nargs="+", default=[SHORT["calls"]], help="calls at a time; several for a series"
    )
    parser.add_argument("--seconds", type=float, default=SHORT["seconds"], help="length of the measured window")
    parser.add_argument("--rounds", type=int, default=SHORT["rounds"], help="rounds over all systems, interleaved")
    parser.add_argument("--only", choices=("voicebot", "reference"), help="measure one system alone")
    parser.add_argument("--base", metavar="COMMIT", help="measure the service of another commit beside it")
    parser.add_argument("--settle", type=float, default=3.0, help="seconds between the last call and the window")
    parser.add_argument("--rate", type=float, default=25.0, help="calls set up a second")
    parser.add_argument("--speech-ms", type=int, default=SPEAKS_MS, help="a caller speaks for so long ...")
    parser.add_argument("--pause-ms", type=int, help="... and is silent for so long, at least 1,000")
    parser.add_argument(
        "--plain",
        action="store_true",
        help="the bot is silent and nobody watches; otherwise it speaks half of the time",
    )
    parser.add_argument("--tls", action="store_true", help="TLS between the system and Soniox")
    parser.add_argument(
        "--find", action="store_true", help="find the most calls that each system holds (docs/performance.md says how)"
    )
    parser.add_argument("--no-pin", action="store_true", help="give the service no core of its own")
    parser.add_argument(
        "--workers", type=int, default=1, help="processes of the service, each with a core; the tools take the next one"
    )
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a setting of the service")
    parser.add_argument("--wrap", default="", help="a command that runs the service, for example a profiler")
    parser.add_argument("--json", type=Path, help="where the results go (bench/results/ unless given)")
    parser.add_argument("--markdown", action="store_true", help="print the tables as Markdown")
    return parser.parse_args(words)


def plans(arguments: argparse.Namespace) -> list[measure.Plan]:
    """Return all runs in their order: the systems take turns, so that both meet the same minutes of the machine."""
    names = _systems(arguments)
    other = base.prepare(arguments.base) if arguments.base else None
    pause_ms = arguments.pause_ms or (PLAIN_PAUSE_MS if arguments.plain else PAUSES_MS)
    wrap = tuple(arguments.wrap.split())
    return [
        measure.Plan(
            system=name,
            calls=calls,
            seconds=arguments.seconds,
            settle_s=arguments.settle,
            rate=arguments.rate,
            speech_ms=arguments.speech_ms,
            pause_ms=pause_ms,
            mix=not arguments.plain,
            tls=arguments.tls,
            pin=not arguments.no_pin,
            workers=1 if name == "reference" else arguments.workers,
            base=other,
            settings={"VOICEBOT_WORKERS": str(arguments.workers)} | dict(pair.split("=", 1) for pair in arguments.set),
            wrap=wrap,
        )
        for calls in arguments.calls
        for _ in range(arguments.rounds)
        for name in names
    ]


def _systems(arguments: argparse.Namespace) -> tuple[systems.Name, ...]:
    if arguments.only:
        return (arguments.only,)
    if arguments.base:
        return ("voicebot", "base")
    return ("voicebot", "reference")


def main() -> int:
    """Run; the exit code is 1 when a run has no result. What was measured decides nothing here."""
    arguments = parse()
    try:
        machine.check(pin=not arguments.no_pin, workers=arguments.workers)
        described = machine.describe()
        todo = plans(arguments)
        runs = machine.run(limits.find(todo, _run_one) if arguments.find else _all(todo))
    except (base.NoBaseError, machine.NotPossibleError, measure.RunFailedError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    options = {name: str(value) if isinstance(value, Path) else value for name, value in vars(arguments).items()}
    _keep(arguments.json, {"machine": described, "options": options, "runs": runs})
    report.show(runs, markdown=arguments.markdown)
    return 0


async def _all(todo: list[measure.Plan]) -> list[Run]:
    return [await _run_one(plan, f"{number}/{len(todo)}") for number, plan in enumerate(todo, 1)]


async def _run_one(plan: measure.Plan, which: str) -> Run:
    title = f"{which}  {plan.system}, {plan.calls} calls"
    run = await measure.run(
        plan, lambda what: print(f"[{time.monotonic() - BEGAN:5.0f} s] {title}: {what}", flush=True)
    )
    print(f"          {report.line(run)}", flush=True)
    return run


def _keep(path: Path | None, results: dict[str, Any]) -> None:
    path = path or RESULTS / f"{time.strftime('%Y%m%d-%H%M%S')}.json"
    path.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    drawn = chart.write(results["runs"], path.with_suffix(".svg"))
    print(f"results: {path}" + (f", drawn in {path.with_suffix('.svg')}" if drawn else ""))


if __name__ == "__main__":
    sys.exit(main())
