"""Limits that hold for the whole service, shared out to its workers."""

from voicebot.config import Settings
from voicebot.core.shares import Share

COUNTS = ("calls_burst", "pending_streams", "connections")
"""A worker has at least one of each."""


def of_worker(settings: Settings, share: Share) -> Settings:
    """Return the settings of one worker: `limits.max_calls` adds up exactly, the others as near as whole numbers can."""
    limits = settings.limits
    parts: dict[str, float] = {name: max(1, share.part(getattr(limits, name))) for name in COUNTS}
    parts |= {"max_calls": share.part(limits.max_calls), "calls_per_second": limits.calls_per_second / share.of}
    return settings.model_copy(update={"limits": limits.model_copy(update=parts)})
