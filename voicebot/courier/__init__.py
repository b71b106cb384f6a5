"""Delivers a call's events to the application and brings its replies back."""

from voicebot.courier.courier import Courier, open_session
from voicebot.courier.lane import Lane
from voicebot.courier.outcomes import (
    Attempted,
    Delivered,
    FailureReason,
    Outcome,
    Replied,
    ReplyFailed,
    Streamed,
    Undelivered,
)

__all__ = [
    "Attempted",
    "Courier",
    "Delivered",
    "FailureReason",
    "Lane",
    "Outcome",
    "Replied",
    "ReplyFailed",
    "Streamed",
    "Undelivered",
    "open_session",
]
