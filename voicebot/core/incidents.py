"""What goes wrong between us and the speech service, as values for whoever counts it."""

from dataclasses import dataclass
from typing import Literal

type Side = Literal["stt", "tts"]
"""Speech-to-text or text-to-speech."""
type ReconnectReason = Literal["error", "lost", "rollover", "recovery", "fallback"]
"""Why a further session was opened within a call: an error frame, a broken line, its age, a new attempt, another account."""
SIDES: tuple[Side, ...] = ("stt", "tts")
WHYS: tuple[ReconnectReason, ...] = ("error", "lost", "rollover", "recovery", "fallback")

KINDS = frozenset(
    {
        "invalid_request",
        "model_not_available",
        "unauthenticated",
        "organization_balance_exhausted",
        "organization_monthly_budget_exhausted",
        "project_monthly_budget_exhausted",
        "permission_denied",
        "temp_api_key_session_expired",
        "request_timeout",
        "max_duration_reached",
        "max_audio_duration_reached",
        "limit_exceeded",
        "max_concurrent_connections_reached",
        "max_concurrent_streams_reached",
        "internal_error",
        "service_unavailable",
        "refused",
        "unreachable",
        "connection_lost",
        "protocol_error",
        "finished_early",
        "no_audio",
    }
)
"""Soniox's error types (API errors), and ours for what has none."""


@dataclass(frozen=True, slots=True)
class Failed:
    """A session could not be opened, was ended by an error, or broke."""

    side: Side
    kind: str

    @property
    def label(self) -> str:
        """`kind` from a set that does not grow."""
        return self.kind if self.kind in KINDS else "other"


@dataclass(frozen=True, slots=True)
class Reconnecting:
    """A further session is opened within a call."""

    why: ReconnectReason


@dataclass(frozen=True, slots=True)
class Replayed:
    """A new session hears audio that an old one has left unsettled."""

    ms: int


@dataclass(frozen=True, slots=True)
class Switched:
    """The account in use has changed."""

    fallback: bool


type Incident = Failed | Reconnecting | Replayed | Switched
