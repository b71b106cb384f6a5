"""Draws what a call costs, and how long it waits, against how many there are."""

from collections.abc import Callable, Sequence
from pathlib import Path

import systems
from figures import Run, middle

FIGURES: dict[str, Callable[[Run], float | None]] = {
    "CPU, ms per call-second": lambda run: run["cpu_ms_per_call_second"],
    "newest frame, p99 ms": lambda run: run["forward_newest_ms"]["p99"],
    "<end> to webhook, p50 ms": lambda run: run["end_to_webhook_ms"]["p50"],
}


def write(runs: Sequence[Run], path: Path) -> bool:
    """Write an SVG file without scripts; return whether the library for it is there."""
    try:
        import pygal  # noqa: PLC0415 - of the extra `local`
    except ImportError:
        return False
    chart = pygal.XY(
        width=900,
        height=520,
        js=[],
        title="What a call costs, by calls on one core",
        x_title="calls",
        logarithmic=True,
        legend_at_bottom=True,
        dots_size=3,
        disable_xml_declaration=True,
    )
    for name in systems.NAMES:
        mine = [run for run in runs if run["system"] == name]
        counts = sorted({run["calls"] for run in mine})
        for title, figure in FIGURES.items():
            points = [(count, middle([figure(run) for run in mine if run["calls"] == count])) for count in counts]
            if any(value is not None for _, value in points):
                chart.add(f"{name}: {title}", points)
    path.write_text(chart.render(is_unicode=True), encoding="utf-8")
    return True
