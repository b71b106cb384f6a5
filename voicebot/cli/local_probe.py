"""Send an application everything that its webhook must survive, and report case by case."""

import argparse
import asyncio
import sys
from typing import Final
from urllib.parse import urlsplit

from rich.console import Console
from rich.table import Table
from rich.text import Text

from voicebot.errors import ConfigurationError
from voicebot.local.probe.run import Report, Result, choose, probe
from voicebot.local.probe.target import DEFAULT_TIMEOUT_S
from voicebot.local.probe.verdicts import Case, Verdict
from voicebot.wire.webhook import check_secret

PASSED, FAILED, USAGE = 0, 1, 2
PIPE_WIDTH: Final = 160
ROOM_FOR_MS: Final = 14
"""For the last column and the gaps between the others."""
MAX_TIMEOUT_S: Final = 600
STYLES: Final[dict[Verdict, str]] = {
    "pass": "green",
    "warn": "yellow",
    "fail": "bold red",
    "skip": "dim",
    "info": "cyan",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Where the application is, what signs, and which cases."""
    parser.add_argument("url", metavar="URL", help="the application's webhook, as in webhook.url")
    parser.add_argument(
        "--secret",
        action="append",
        default=[],
        metavar="whsec_…",
        help="what it verifies with; repeatable, newest first (default: nothing is signed)",
    )
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="CASE",
        help="a case or a group; repeatable; a wrong name lists all",
    )
    parser.add_argument(
        "--timeout",
        type=float,
        default=DEFAULT_TIMEOUT_S,
        metavar="S",
        help="seconds to wait for each answer (default: %(default)s)",
    )
    parser.add_argument("--json", action="store_true", help="print the report as JSON instead of the table")


def run(arguments: argparse.Namespace) -> int:
    """Probe; the exit code is 0 when nothing failed, 1 when something did, 2 when the command makes no sense."""
    try:
        cases = choose(arguments.only)
        _check(arguments)
    except ConfigurationError as error:
        print(f"voicebot local probe: {error}", file=sys.stderr)
        return USAGE
    console = Console(stderr=arguments.json)
    report = _probe(console, arguments, cases)
    if arguments.json:
        print(report.model_dump_json(indent=2))
    else:
        show(_wide(console), report)
    return PASSED if report.passed else FAILED


def _check(arguments: argparse.Namespace) -> None:
    try:
        parts = urlsplit(arguments.url)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number
        usable = False
    if not usable:
        raise ConfigurationError(f"{arguments.url!r} is not an absolute http(s) URL")
    if not 0 < arguments.timeout <= MAX_TIMEOUT_S:
        raise ConfigurationError(f"--timeout: give a number of seconds above 0, at most {MAX_TIMEOUT_S}")
    for secret in arguments.secret:
        try:
            check_secret(secret)
        except ValueError as error:
            raise ConfigurationError(f"--secret: {error}") from None


def _probe(console: Console, arguments: argparse.Namespace, cases: tuple[Case, ...]) -> Report:
    with console.status("probing") as status:

        def tell(result: Result) -> None:
            status.update(f"probing: {result.case} done, {len(cases)} in all")

        return asyncio.run(probe(arguments.url, arguments.secret, cases=cases, timeout_s=arguments.timeout, tell=tell))


def show(console: Console, report: Report) -> None:
    """Print one line per case, then what to do about each that is not well, then the sum."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    names = max(map(len, STYLES)), max(len(result.case) for result in report.results)
    longest = max(len(result.found) for result in report.results)
    room = max(min(longest, console.width - sum(names) - ROOM_FOR_MS), len("found"))
    for heading, width in zip(("", "case", "found"), (*names, room), strict=True):
        table.add_column(heading, no_wrap=True, width=width, overflow="ellipsis")
    table.add_column("ms", justify="right", no_wrap=True)
    for result in report.results:
        verdict = Text(result.verdict, STYLES[result.verdict])
        table.add_row(verdict, Text(result.case), Text(result.found), Text(str(result.ms), "dim"))
    console.print(table)
    for result in report.results:
        if result.verdict in {"fail", "warn"}:
            _explain(console, result)
    console.print(Text("\n" + _sum(report), "bold green" if report.passed else "bold red"))


def _explain(console: Console, result: Result) -> None:
    console.print(Text.assemble("\n", (result.verdict, STYLES[result.verdict]), f"  {result.case}"))
    for label, text in (("expected", result.expected), ("found", result.found), ("do", result.advice)):
        console.print(Text.assemble((f"  {label:<9}", "dim"), text), soft_wrap=True)


def _sum(report: Report) -> str:
    words = {"pass": "passed", "warn": "with a warning", "fail": "failed", "skip": "skipped", "info": "only told"}
    told = ", ".join(f"{report.counts[verdict]} {words[verdict]}" for verdict in STYLES if verdict in report.counts)
    unsigned = "" if report.signed else "; nothing was signed, so nobody knows whether signatures are verified"
    return f"{told}{unsigned}"


def _wide(console: Console) -> Console:
    """A pipe has no width: lines stay whole there."""
    return console if console.is_terminal else Console(width=PIPE_WIDTH)
