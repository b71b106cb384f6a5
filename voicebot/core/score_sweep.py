"""Sweeps the patience of a policy and of two simpler ones, for the curve of cut-offs against delay."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from voicebot.core.events import Track
from voicebot.core.policy import TurnPolicy
from voicebot.core.recording import Recording
from voicebot.core.replay import Change, replay, unchanged
from voicebot.core.score import Score, score
from voicebot.core.score_labels import Labels

FINALIZE_MS = (200, 300, 500)
COMMIT_MS = (200, 300, 400, 500, 600, 800, 1_000, 1_200, 1_600, 2_000, 3_000)
ENDPOINT_MS = (0, 400, 600, 800, 1_000, 1_100, 1_200, 1_300, 1_400, 1_600, 2_000)
"""For the policy alone: silence before an endpoint counts."""
NEVER_MS = 10**9
BUDGETS_MS = (300, 600)
BUDGETS = (0.05, 0.10)

type Case = tuple[Recording, Labels | None]


@dataclass(frozen=True, slots=True)
class Point:
    """The score of all calls with these knobs."""

    finalize_after_ms: int
    commit_after_ms: int | None
    """None: silence never ends a turn."""
    score: Score
    endpoint_after_ms: int = 0

    @property
    def delay_ms(self) -> float | None:
        """Return the mean time from the true end of speech to the turn."""
        return self.score.dead_air_ms.mean


@dataclass(frozen=True, slots=True)
class Curve:
    """One way to end turns, at several degrees of patience."""

    name: str
    points: tuple[Point, ...]

    def front(self) -> tuple[Point, ...]:
        """Return the points that no other beats in both cut-offs and delay, fastest first."""
        scored = sorted(
            (point for point in self.points if point.delay_ms is not None and point.score.cut_rate is not None),
            key=lambda point: (point.delay_ms or 0.0, point.score.cut_rate or 0.0),
        )
        best: list[Point] = []
        for point in scored:
            if not best or (point.score.cut_rate or 0.0) < (best[-1].score.cut_rate or 0.0):
                best.append(point)
        return tuple(best)


@dataclass(frozen=True, slots=True)
class FourPoints:
    """The four numbers that eot-bench ranks by; None where no point of the curve keeps to the budget."""

    cut_offs_at_300_ms: float | None
    cut_offs_at_600_ms: float | None
    delay_at_5_percent_ms: float | None
    delay_at_10_percent_ms: float | None


def four_points(curve: Curve) -> FourPoints:
    """Return the least cut-offs within each budget of mean delay, and the least delay within each of cut-offs."""

    def cut_offs(budget_ms: float) -> float | None:
        within = [point.score.cut_rate for point in curve.front() if (point.delay_ms or 0.0) <= budget_ms]
        return min((rate for rate in within if rate is not None), default=None)

    def delay(budget: float) -> float | None:
        within = [point.delay_ms for point in curve.front() if (point.score.cut_rate or 0.0) <= budget]
        return min((ms for ms in within if ms is not None), default=None)

    return FourPoints(*(cut_offs(ms) for ms in BUDGETS_MS), *(delay(rate) for rate in BUDGETS))


def sweep(cases: Sequence[Case], change: Change = unchanged, track: Track = "caller") -> tuple[Curve, ...]:
    """Return three curves: the policy as `change` leaves it, silence alone, and the recogniser's endpoint alone."""

    def point(finalize_ms: int, commit_ms: int, endpoint_ms: int = 0, *, endpoints: bool = True) -> Point:
        knobs = _with(change, finalize_ms, commit_ms, endpoint_ms)
        replays = [(replay(each, track, change=knobs, endpoints=endpoints), labels) for each, labels in cases]
        return Point(finalize_ms, None if commit_ms == NEVER_MS else commit_ms, score(replays), endpoint_ms)

    patient = (
        (finalize, max(endpoint, usual), endpoint)
        for endpoint in ENDPOINT_MS[1:]
        for finalize in FINALIZE_MS[:2]
        for usual in (1_600, 2_000)
    )
    return (
        Curve("policy", tuple(point(*knobs) for knobs in (*_grid(), *patient))),
        Curve("silence only", tuple(point(*knobs, endpoints=False) for knobs in _grid())),
        Curve("endpoint only", (point(FINALIZE_MS[1], NEVER_MS),)),
    )


def _grid() -> Iterator[tuple[int, int]]:
    """Yield (finalize, commit); words cannot be told before they were asked for."""
    return ((finalize, commit) for finalize in FINALIZE_MS for commit in COMMIT_MS if commit >= finalize)


def _with(change: Change, finalize_ms: int, commit_ms: int, endpoint_ms: int) -> Callable[[TurnPolicy], TurnPolicy]:
    return lambda policy: replace(
        change(policy),
        finalize_after_ms=finalize_ms,
        commit_after_ms=commit_ms,
        endpoint_after_ms=endpoint_ms,
    )
