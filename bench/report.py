"""Prints results: one line a run, a table of medians with their ratio, and whether the aims are met."""

from collections.abc import Callable, Mapping, Sequence

import systems
from figures import Run, middle
from rich import box
from rich.console import Console
from rich.table import Table

FORWARD_P99_MS, WEBHOOK_P50_MS = 50, 10
"""The aims: at 150 calls on one core, beyond the batch that was chosen."""
AIM_CALLS = 150

type Figure = Callable[[Run], float | None]
FIGURES: dict[str, Figure] = {
    "CPU, ms per call-second": lambda run: run["cpu_ms_per_call_second"],
    "of it in the kernel, %": lambda run: run["kernel_percent"],
    "core, %": lambda run: run["core_percent"],
    "audio forwarded, newest frame, p50 ms": lambda run: run["forward_newest_ms"]["p50"],
    "audio forwarded, newest frame, p99 ms": lambda run: run["forward_newest_ms"]["p99"],
    "audio forwarded, all frames, p50 ms": lambda run: run["forward_all_ms"]["p50"],
    "audio forwarded, all frames, p99 ms": lambda run: run["forward_all_ms"]["p99"],
    "<end> to webhook, p50 ms": lambda run: run["end_to_webhook_ms"]["p50"],
    "<end> to webhook, p99 ms": lambda run: run["end_to_webhook_ms"]["p99"],
    "event loop late, p95 ms": lambda run: _lag_ms(run["loop_lag"]),
    "memory per call, KiB": lambda run: run["rss_kib_per_call"],
    "call set up, p50 ms": lambda run: run["setup_ms"]["p50"],
    "call set up, p99 ms": lambda run: run["setup_ms"]["p99"],
    "calls set up a second, asked for": lambda run: run["setup_asked_per_second"],
    "calls set up a second, reached": lambda run: run["setup_per_second"],
    "frames lost": lambda run: run["frames_lost"],
    "frames out of order": lambda run: run["frames_out_of_order"],
    "webhooks missing": lambda run: run["webhooks_missing"],
    "calls failed": lambda run: run["calls_failed"],
    "warnings in the log": lambda run: run["log_warnings"],
    "others on the service's core, %": lambda run: run["neighbours_percent"],
    "phones, ms per call-second": lambda run: run["phones_ms_per_call_second"],
    "counterparts, ms per call-second": lambda run: run["counterparts_ms_per_call_second"],
    "frames sent late, p99 ms": lambda run: run["pacing_late_ms"]["p99"],
}


def _lag_ms(page: Mapping[str, float] | None) -> float | None:
    """Return what the service itself says of its last seconds."""
    lag_s = (page or {}).get('voicebot_loop_lag_window_seconds{quantile="0.95"}')
    return None if lag_s is None else lag_s * 1_000


def line(run: Run) -> str:
    """Return a run in one line."""
    newest, hook = run["forward_newest_ms"], run["end_to_webhook_ms"]
    return (
        f"{run['cpu_ms_per_call_second']:.2f} ms CPU per call-second ({run['core_percent']:.0f} % of the core), "
        f"forward {_number(newest['p50'])}/{_number(newest['p99'])} ms, "
        f"webhook {_number(hook['p50'])}/{_number(hook['p99'])} ms, "
        f"{run['rss_kib_per_call']:.0f} KiB per call, "
        f"set up {run['setup_per_second']:.0f} of {run['setup_asked_per_second']:g} calls a second, "
        f"lost: {run['frames_lost']} frames, {run['webhooks_missing']} webhooks, {run['calls_failed']} calls"
    )


def show(runs: Sequence[Run], *, markdown: bool) -> None:
    """Print a table for each number of calls, and whether the aims are met."""
    console = Console(soft_wrap=True)
    for calls in dict.fromkeys(run["calls"] for run in runs):
        table = _table(calls, [run for run in runs if run["calls"] == calls])
        if markdown:
            table.box = box.MARKDOWN
        console.print(table)
    console.print("Differences under 15 % say nothing on a shared machine. Latencies include those of the load tools.")
    if aimed := [run for run in runs if run["system"] == "voicebot" and run["calls"] == AIM_CALLS]:
        console.print(_aims(aimed))


def _table(calls: int, runs: Sequence[Run]) -> Table:
    rounds = {name: some for name in systems.NAMES if (some := [run for run in runs if run["system"] == name])}
    count = max(map(len, rounds.values()))
    workers = max(run["workers"] for run in runs)
    on = f" on {workers} workers" if workers > 1 else ""
    table = Table(title=f"{calls} calls{on}, median of {count} round{'s' * (count > 1)}", title_justify="left")
    table.add_column("")
    for name in (*rounds, *(f"to {name}" for name in tuple(rounds)[1:])):
        table.add_column(name, justify="right")
    for title, figure in FIGURES.items():
        ours, *others = (middle([figure(run) for run in some]) for some in rounds.values())
        ratios = (_ratio(ours, theirs) for theirs in others)
        table.add_row(title, *map(_number, (ours, *others)), *ratios)
    return table


def _aims(runs: Sequence[Run]) -> str:
    aims = (
        ("p99 forward (newest)", middle([run["forward_newest_ms"]["p99"] for run in runs]), FORWARD_P99_MS),
        ("p50 <end> to webhook", middle([run["end_to_webhook_ms"]["p50"] for run in runs]), WEBHOOK_P50_MS),
    )
    return f"The aims at {AIM_CALLS} calls: " + "; ".join(
        f"{name} {_number(value)} ms, under {aim}: {'met' if value is not None and value < aim else 'MISSED'}"
        for name, value, aim in aims
    )


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.0f}" if value == round(value) or value >= 100 else f"{value:.2f}"


def _ratio(ours: float | None, theirs: float | None) -> str:
    return f"{ours / theirs:.2f}" if ours and theirs else ""
