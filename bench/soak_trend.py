"""What a soak's samples say: a straight line through each figure, how sure its slope is, a table and a picture."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pygal
from pygal.style import Style

FIGURES: Mapping[str, str] = {
    "rss_mib": "resident memory, MiB",
    "cpu_percent": "processor, % of a core",
    "work_ms": "a fixed piece of work beside it, ms",
    "cpu_per_work": "processor, % of a core for each of these ms",
    "files": "open files",
    "live": "calls",
    "pending": "events waiting",
    "loop_lag_ms": "loop lag, ms",
    "forward_p50_ms": "audio forwarded, p50, ms",
    "forward_p99_ms": "audio forwarded, p99, ms",
    "webhook_p50_ms": "`<end>` to webhook, p50, ms",
    "webhook_p99_ms": "`<end>` to webhook, p99, ms",
}
OF_THE_MACHINE = frozenset({"cpu_percent", "work_ms"})
"""These change with the machine's speed and are no fault; `cpu_per_work` is what is left when that is taken out."""
SURE = 3.0
"""A slope counts when it is so many times its standard error ..."""
NOTABLE = 0.05
"""... and changes the figure by so much of its mean over the run."""
LEAST_SAMPLES = 20
SIZE = (900, 480)

type Sample = Mapping[str, Any]
"""One look at everything; `at_s` since the soak began."""


@dataclass(frozen=True, slots=True)
class Trend:
    """A least-squares line through one figure."""

    mean: float
    lowest: float
    highest: float
    slope: float
    """Per hour."""
    error: float
    """Standard error of the slope, per hour."""
    hours: float
    count: int

    @property
    def flat(self) -> bool:
        """The slope is no more than noise, is of no account, or comes from too few samples to say."""
        if self.count < LEAST_SAMPLES:
            return True
        sure = abs(self.slope) > SURE * self.error
        notable = abs(self.slope) * self.hours > NOTABLE * max(abs(self.mean), 1e-9)
        return not (sure and notable)


def trend(samples: Sequence[Sample], name: str) -> Trend | None:
    """Return the line through a figure, None with fewer than three samples of it."""
    points = [(sample["at_s"] / 3_600, float(sample[name])) for sample in samples if sample.get(name) is not None]
    if len(points) < 3:
        return None
    hours, values = [at for at, _ in points], [value for _, value in points]
    middle, mean = math.fsum(hours) / len(hours), math.fsum(values) / len(values)
    width = math.fsum((at - middle) ** 2 for at in hours)
    if not width:
        return None
    slope = math.fsum((at - middle) * (value - mean) for at, value in points) / width
    rest = math.fsum((value - mean - slope * (at - middle)) ** 2 for at, value in points)
    error = math.sqrt(rest / (len(points) - 2) / width)
    return Trend(mean, min(values), max(values), slope, error, hours[-1] - hours[0], len(points))


def trends(samples: Sequence[Sample]) -> dict[str, Trend]:
    """Return the line through every figure that there is."""
    return {name: found for name in FIGURES if (found := trend(samples, name))}


def table(found: Mapping[str, Trend]) -> str:
    """Return the trends as a Markdown table."""
    rows = [
        f"| {FIGURES[name]} | {each.mean:.1f} | {each.lowest:.1f} to {each.highest:.1f} "
        f"| {each.slope:+.2f} ± {each.error:.2f} | {'yes' if each.flat else '**no**'} |"
        for name, each in found.items()
    ]
    return "\n".join(("| | mean | range | change per hour | flat |", "|---|---|---|---|---|", *rows)) + "\n"


def draw(samples: Sequence[Sample], path: Path) -> None:
    """Draw memory and latencies over the minutes, each against its own mean, as an SVG file that stands alone."""
    style = Style(background="white", plot_background="white", opacity="1", font_family="system-ui, sans-serif")
    chart = pygal.XY(
        style=style,
        width=SIZE[0],
        height=SIZE[1],
        js=[],
        title="Soak: each figure as % of its mean",
        x_title="minutes",
        legend_at_bottom=True,
        legend_at_bottom_columns=3,
        dots_size=1.5,
        truncate_legend=-1,
        include_x_axis=True,
    )
    for name, each in trends(samples).items():
        if name in {"pending", "live"} or not each.mean:
            continue
        points = [
            (round(sample["at_s"] / 60, 2), round(100 * sample[name] / each.mean, 1))
            for sample in samples
            if sample.get(name) is not None
        ]
        chart.add(FIGURES[name].replace("`", ""), points)
    svg = chart.render(is_unicode=True)
    for pattern in (r"<script.*?</script>", r"<script[^>]*/>", r"<!--.*?-->"):
        svg = re.sub(pattern, "", svg, flags=re.DOTALL)
    path.write_text(svg.replace(chart.uuid, "soak"), encoding="utf-8")
