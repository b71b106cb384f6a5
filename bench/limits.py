"""The most calls that a system holds: more and more of them until it fails, then between the two."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

import measure
from figures import Run

FORWARD_P99_MS, WEBHOOK_P50_MS, WEBHOOK_P99_MS = 30, 5, 50
STEP, CLOSE_ENOUGH = 1.3, 0.08
"""The next number of calls by this factor; a limit is known when the first failure is nearer than this share above it."""

type Measure = Callable[[measure.Plan, str], Awaitable[Run]]


def holds(run: Run) -> bool:
    """Say whether a run keeps to the service level: every call alive, nothing lost, and in time."""
    whole = not (run["calls_failed"] or run["frames_lost"] or run["webhooks_missing"])
    newest, hook = run["forward_newest_ms"], run["end_to_webhook_ms"]
    return (
        whole
        and run["calls_ended"] == run["calls"]
        and (newest["p99"] or 0) < FORWARD_P99_MS
        and (hook["p50"] or 0) < WEBHOOK_P50_MS
        and (hook["p99"] or 0) < WEBHOOK_P99_MS
    )


async def find(plans: Sequence[measure.Plan], run: Measure) -> list[Run]:
    """Find the limit of each system, beginning at the calls of its plan; the systems take turns."""
    searches = {plan.system: _Search(plan.calls) for plan in reversed(plans)}
    first = {plan.system: plan for plan in reversed(plans)}
    runs: list[Run] = []
    while open_ones := [name for name, search in searches.items() if search.next is not None]:
        for name in open_ones:
            search = searches[name]
            runs.append(await run(replace(first[name], calls=search.next or 1), f"limit {search.told}"))
            search.learn(held=holds(runs[-1]))
    for name, search in searches.items():
        print(f"{name} holds {search.told} calls")
    return runs


class _Search:
    def __init__(self, calls: int) -> None:
        self.next: int | None = calls
        self._held, self._failed = 0, None

    _failed: int | None

    @property
    def told(self) -> str:
        return f"{self._held} to {self._failed or 'more'}"

    def learn(self, *, held: bool) -> None:
        calls = self.next or 0
        if held:
            self._held = calls
        else:
            self._failed = calls
        if self._failed is None:
            self.next = round(calls * STEP)
        elif self._failed - self._held <= max(1, self._failed * CLOSE_ENOUGH):
            self.next = None
        else:
            self.next = (self._held + self._failed) // 2 if self._held else int(calls / STEP)
