"""The most calls that a system holds: more and more of them until it fails, then between the two."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

import measure
from figures import Run

FORWARD_P99_MS, WEBHOOK_P50_MS, WEBHOOK_P99_MS = 30, 5, 50
STEP, CLOSE_ENOUGH = 1.3, 0.08
"""The next number of calls by this factor; a limit is known when the first failure is nearer than this share above it."""

type Measure = Callable[[measure.Plan, str], Awaitable[Run]]


def faults(run: Run) -> list[str]:
    """Return where a run leaves the service level: every call alive, nothing lost, and in time."""
    newest, hook = run["forward_newest_ms"], run["end_to_webhook_ms"]
    counts = {
        "calls failed": run["calls_failed"],
        "calls without an end": run["calls"] - run["calls_ended"],
        "frames lost": run["frames_lost"],
        "webhooks missing": run["webhooks_missing"],
    }
    times = (
        ("forward p99", newest["p99"], FORWARD_P99_MS),
        ("webhook p50", hook["p50"], WEBHOOK_P50_MS),
        ("webhook p99", hook["p99"], WEBHOOK_P99_MS),
    )
    late = [f"{name} {ms:.1f} ms (under {most})" for name, ms, most in times if ms is not None and ms >= most]
    return [f"{name}: {count}" for name, count in counts.items() if count] + late


async def find(plans: Sequence[measure.Plan], run: Measure) -> list[Run]:
    """Find the limit of each system, beginning at the calls of its plan; the systems take turns."""
    searches = {plan.system: _Search(plan.calls) for plan in reversed(plans)}
    first = {plan.system: plan for plan in reversed(plans)}
    runs: list[Run] = []
    while open_ones := [name for name, search in searches.items() if search.next is not None]:
        for name in open_ones:
            search = searches[name]
            try:
                runs.append(await run(replace(first[name], calls=search.next or 1), f"limit {search.told}"))
                wrong = faults(runs[-1])
            except measure.RunFailedError as error:
                if not search.held:
                    raise
                wrong = [f"no result: {error}"]
            print(f"          {'does not hold: ' + '; '.join(wrong) if wrong else 'holds'}")
            search.learn(held=not wrong)
    for name, search in searches.items():
        print(f"{name} holds {search.told} calls")
    return runs


class _Search:
    def __init__(self, calls: int) -> None:
        self.next: int | None = calls
        self.held = 0
        self._failed: int | None = None

    @property
    def told(self) -> str:
        return f"{self.held} to {self._failed or 'more'}"

    def learn(self, *, held: bool) -> None:
        calls = self.next or 0
        if held:
            self.held = calls
        else:
            self._failed = calls
        if self._failed is None:
            self.next = round(calls * STEP)
        elif self._failed - self.held <= max(1, self._failed * CLOSE_ENOUGH):
            self.next = None
        else:
            self.next = (self.held + self._failed) // 2 if self.held else int(calls / STEP)
