"""Sums up samples, and describes the results."""

from array import array
from collections.abc import Sequence
from statistics import median
from typing import TypedDict


class Spread(TypedDict):
    """Samples in milliseconds, in brief; `p50`, `p99` and `max` are None without samples."""

    count: int
    p50: float | None
    p99: float | None
    max: float | None


class Run(TypedDict):
    """What one run of one system showed; milliseconds and KiB."""

    system: str
    calls: int
    workers: int
    seconds: float
    cpu_ms_per_call_second: float
    kernel_percent: float
    """Of the processor time."""
    core_percent: float
    neighbours_percent: float | None
    forward_newest_ms: Spread
    forward_all_ms: Spread
    end_to_webhook_ms: Spread
    rss_kib_per_call: float
    rss_base_kib: int
    setup_asked_per_second: float
    setup_per_second: float
    """That were reached, failed ones left out."""
    setup_ms: Spread
    calls_failed: int
    calls_ended: int
    frames_sent: int
    frames_lost: int
    frames_out_of_order: int
    frames_unstamped: int
    webhooks: int
    webhooks_missing: int
    speech_ms: int
    watched_events: int
    """That all watchers together were told."""
    loop_lag: dict[str, float] | None
    log_warnings: int
    phones_ms_per_call_second: float
    counterparts_ms_per_call_second: float
    pacing_late_ms: Spread
    token_message_bytes: float | None


def spread(samples: "array[float]") -> Spread:
    """Return the brief of samples in milliseconds."""
    if not samples:
        return {"count": 0, "p50": None, "p99": None, "max": None}
    ordered = sorted(samples)
    return {
        "count": len(ordered),
        "p50": round(percentile(ordered, 0.5), 3),
        "p99": round(percentile(ordered, 0.99), 3),
        "max": round(ordered[-1], 3),
    }


def percentile(ordered: Sequence[float], share: float) -> float:
    """Return the sample below which `share` of the samples lie (nearest rank); `ordered` is not empty."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def middle(values: Sequence[float | None]) -> float | None:
    """Return the median of what is there."""
    present = [value for value in values if value is not None]
    return median(present) if present else None
