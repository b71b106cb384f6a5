"""Draws how many turns are cut off against how long the caller waits, as an SVG file that stands alone."""

import re
from collections.abc import Sequence
from pathlib import Path

from voicebot.core.score_sweep import Curve, Point
from voicebot.errors import ConfigurationError

WIDTH, HEIGHT = 900, 560
COLOURS = ("#0b6e4f", "#c2571a", "#3a5ba0")
CHOSEN = "#e58a97"
_FONT = "system-ui, sans-serif"


def write(curves: Sequence[Curve], path: Path, chosen: Point | None = None) -> None:
    """Write the curves, and the point of the policy in use, to `path`.

    Raises ConfigurationError when the extra `local` is not installed or the file cannot be written.
    """
    svg = draw(curves, chosen)
    try:
        path.write_text(svg, encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"--plot: {error}") from error


def draw(curves: Sequence[Curve], chosen: Point | None = None) -> str:
    """Return the SVG text, without script, remote reference or date: the same curves give the same text."""
    try:
        import pygal  # noqa: PLC0415 - an extra: the service runs without it
        from pygal.style import Style  # noqa: PLC0415 - see above
    except ImportError:
        raise ConfigurationError("--plot needs pygal; install voicebot[local]") from None
    usable = chosen and chosen.delay_ms is not None and chosen.score.cut_rate is not None
    shown = chosen if usable else None
    points = [point for curve in curves for point in curve.front()] + ([shown] if shown else [])
    style = Style(
        background="white",
        plot_background="white",
        colors=(CHOSEN, *COLOURS) if shown else COLOURS,
        font_family=_FONT,
        label_font_size=13,
        major_label_font_size=13,
        legend_font_size=14,
        title_font_size=16,
        opacity="1",
        stroke_width="2.5",
        guide_stroke_color="#d0d0d0",
        major_guide_stroke_color="#d0d0d0",
    )
    chart = pygal.XY(
        style=style,
        width=WIDTH,
        height=HEIGHT,
        js=[],
        title="Turns cut off against the wait for the answer",
        x_title="delay (ms): from the end of speech to turn.completed, mean",
        y_title="cut-offs (%)",
        legend_at_bottom=True,
        legend_at_bottom_columns=2,
        dots_size=4,
        include_x_axis=True,
        range=(0, _highest(points)),
        xrange=(0, _slowest(points)),
        truncate_legend=-1,
        show_y_guides=True,
        x_value_formatter=lambda ms: f"{ms:.0f}",
        value_formatter=lambda percent: f"{percent:g}",
    )
    if shown:
        # First, so that the dots of the curves lie on it.
        chart.add("the policy in use", [_dot(shown)], dots_size=11, stroke=False)
    for curve in curves:
        dots = [_dot(point) for point in curve.front()]
        chart.add(curve.name, dots, stroke=len(dots) > 1)
    return _alone(chart.render(is_unicode=True), chart.uuid)


def _dot(point: Point) -> dict[str, object]:
    commit = "endpoint" if point.commit_after_ms is None else f"commit {point.commit_after_ms} ms"
    place = (round(point.delay_ms or 0.0, 1), round(100 * (point.score.cut_rate or 0.0), 2))
    patience = f", endpoint after {point.endpoint_after_ms} ms" if point.endpoint_after_ms else ""
    return {"value": place, "label": f"finalize {point.finalize_after_ms} ms, {commit}{patience}"}


def _highest(points: Sequence[Point]) -> float:
    return max(10.0, 5 * (1 + max((100 * (point.score.cut_rate or 0.0) for point in points), default=0.0) // 5))


def _slowest(points: Sequence[Point]) -> float:
    return max(1_000.0, 200 * (1 + max((point.delay_ms or 0.0 for point in points), default=0.0) // 200))


def _alone(svg: str, uuid: str) -> str:
    """Take out what would make two pictures of the same curves differ, or reach for the network."""
    for pattern in (r"<script.*?</script>", r"<script[^>]*/>", r"<!--.*?-->"):
        svg = re.sub(pattern, "", svg, flags=re.DOTALL)
    return svg.replace(uuid, "turns")
