"""Shows replayed calls and their scores to a person, as tables, and to a program, as JSON."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict

from rich.markup import escape
from rich.table import Table
from rich.text import Text

from voicebot.core.events import (
    AskFinalize,
    BargeIn,
    BotStarted,
    BotStopped,
    Digit,
    DigitsCompleted,
    Endpoint,
    Finalized,
    HungUp,
    NoInput,
    NotATurn,
    ResumeSpeech,
    SpeechStarted,
    SpeechStopped,
    TurnCompleted,
    TurnEffect,
    TurnInput,
    TurnProvisional,
    TurnRetracted,
)
from voicebot.core.recording import Input, Recording
from voicebot.core.replay import Replayed
from voicebot.core.score import Score
from voicebot.core.score_sweep import Curve, FourPoints, four_points

NOTHING = "-"
_LOWER_IS_BETTER = "[dim]lower is better[/dim]"


def as_json(
    scores: Mapping[str, Score], curves: Sequence[Curve], policy: Mapping[str, object], *, endpoints: bool
) -> str:
    """Return everything as one JSON object; its keys are described in docs/replay.md."""
    return json.dumps(
        {
            "policy": {**policy, "endpoint.enabled": endpoints},
            **{name: asdict(each) for name, each in scores.items()},
            "sweep": [_curve(curve) for curve in curves],
        },
        indent=2,
        default=list,
    )


def _curve(curve: Curve) -> dict[str, object]:
    return {
        "name": curve.name,
        **asdict(four_points(curve)),
        "points": [
            {
                "finalize_after_ms": point.finalize_after_ms,
                "commit_after_ms": point.commit_after_ms,
                "endpoint_after_ms": point.endpoint_after_ms,
                "cut_off_rate": point.score.cut_rate,
                "delay_ms": point.delay_ms,
                "on_front": point in curve.front(),
                "score": asdict(point.score),
            }
            for point in curve.points
        ],
    }


# --- tables ---------------------------------------------------------------------------------------


def tables(scores: Mapping[str, Score], curves: Sequence[Curve]) -> Iterator[Table]:
    """Yield the scores side by side, and what the sweep brought."""
    table = Table("", *scores)
    for column in table.columns[1:]:
        column.justify = "right"
    rows = [list(_rows(each)) for each in scores.values()]
    for at, (name, _) in enumerate(rows[0]):
        table.add_row(name, *(row[at][1] for row in rows))
    yield table
    if curves:
        yield _four(curves)
        yield from map(_front, curves)


def _rows(score: Score) -> Iterator[tuple[str, str]]:
    ahead = score.provisional
    yield "calls", str(score.calls)
    yield "turns told", str(score.turns)
    yield "turns spoken", NOTHING if score.utterances is None else str(score.utterances)
    yield "pauses cut off", _rate(score.cut_span_rate, score.cut_spans, score.hold_spans)
    yield "turns cut off", f"{_percent(score.cut_turn_rate)} ({score.cut_turns})"
    spread = score.dead_air_ms
    yield "dead air, mean", _ms(spread.mean)
    yield "dead air, p50 / p95", f"{_ms(spread.p50)} / {_ms(spread.p95)}"
    for name in ("merged", "split", "lost", "duplicated", "false"):
        value = getattr(score, f"{name}_per_1000")
        yield f"{name}, per 1,000", NOTHING if value is None else f"{value:.1f}"
    yield "provisional: told, retracted", f"{ahead.told}, {ahead.retracted}"
    yield "provisional: confirmed", _percent(ahead.confirmed_share)
    yield "provisional: head start, p50", _ms(ahead.head_start_p50_ms)
    yield "provisional: after end of speech, p50", _ms(ahead.delay_p50_ms)
    yield "webhooks per turn", NOTHING if score.webhooks_per_turn is None else f"{score.webhooks_per_turn:.2f}"


def _four(curves: Sequence[Curve]) -> Table:
    table = Table("best of the sweep", "cut-offs @300 ms", "@600 ms", "delay @5 %", "@10 %", caption=_LOWER_IS_BETTER)
    for column in table.columns[1:]:
        column.justify = "right"
    for curve in curves:
        four: FourPoints = four_points(curve)
        table.add_row(
            curve.name,
            _percent(four.cut_offs_at_300_ms),
            _percent(four.cut_offs_at_600_ms),
            _ms(four.delay_at_5_percent_ms),
            _ms(four.delay_at_10_percent_ms),
        )
    return table


def _front(curve: Curve) -> Table:
    table = Table(f"{curve.name}: finalize", "commit", "endpoint", "cut-offs", "delay, mean", "p95")
    for column in table.columns:
        column.justify = "right"
    for point in curve.front():
        commit = "never" if point.commit_after_ms is None else _ms(point.commit_after_ms)
        table.add_row(
            _ms(point.finalize_after_ms),
            commit,
            _ms(point.endpoint_after_ms),
            _percent(point.score.cut_rate),
            _ms(point.delay_ms),
            _ms(point.score.dead_air_ms.p95),
        )
    return table


def _rate(rate: float | None, part: int | None, whole: int | None) -> str:
    return NOTHING if rate is None else f"{_percent(rate)} ({part} of {whole})"


def _percent(share: float | None) -> str:
    return NOTHING if share is None else f"{100 * share:.1f} %"


def _ms(value: float | None) -> str:
    return NOTHING if value is None else f"{value:,.0f} ms"


# --- timeline -------------------------------------------------------------------------------------


def timeline(name: str, recording: Recording, before: Replayed, after: Replayed) -> Table:
    """Return what happened on a call, line by line: the inputs, what was decided, and what would have been."""
    table = Table("s", "in the call", "decided", "replayed", title=escape(f"{name}: {recording.head.call}"))
    table.columns[0].justify = "right"
    rows: list[tuple[float, int, str]] = [
        (line.t_ms, 1, text) for line in recording.lines if isinstance(line, Input) and (text := _input(line.event))
    ]
    for column, played in ((2, before), (3, after)):
        rows += [(each.t_ms, column, text) for each in played.decisions if (text := _effect(each.effect))]
    for t_ms, column, text in sorted(rows):
        table.add_row(f"{t_ms / 1_000:.2f}", *(Text(text if at == column else "") for at in (1, 2, 3)))
    return table


def _input(event: TurnInput) -> str:  # noqa: PLR0911 - one arm per event
    match event:
        case SpeechStarted():
            return "sound"
        case SpeechStopped():
            return "silence"
        case Endpoint():
            return "<end>"
        case Finalized():
            return "<fin>"
        case BotStarted(text=text):
            return f"bot: {text}" if text else "bot speaks"
        case BotStopped():
            return "bot is silent"
        case Digit(digit=digit):
            return f"key {digit}"
        case HungUp():
            return "hung up"
        case _:
            return ""


def _effect(effect: TurnEffect) -> str:  # noqa: PLR0911 - one arm per effect
    match effect:
        case AskFinalize():
            return "finalize"
        case TurnProvisional(turn=turn, revision=revision):
            return f"turn {turn.number}.{revision}? {turn.text}"
        case TurnRetracted(number=number, revision=revision):
            return f"turn {number}.{revision} retracted"
        case TurnCompleted(turn=turn):
            return f"turn {turn.number} ({turn.reason}): {turn.text}"
        case NotATurn(kind=kind, text=text):
            return f"{kind}: {text}"
        case DigitsCompleted(digits=digits):
            return f"keys {'*' * len(digits)}"
        case BargeIn(cause=cause):
            return f"barge-in ({cause})"
        case ResumeSpeech():
            return "bot resumes"
        case NoInput(count=count):
            return f"no input ({count})"
