"""What the courier tells the call about the events it was given."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

from voicebot.wire.webhook_reply import Reply

type FailureReason = Literal["deadline", "refused", "dead", "no_endpoint"]
"""No usable answer in time, a malformed reply, an endpoint that will never take it, no endpoint at all."""


@dataclass(frozen=True, slots=True)
class _Outcome:
    """Which event it is about."""

    event_id: str
    sequence: int
    event_type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Replied(_Outcome):
    """The application's reply came in time; the instants are loop times in seconds, the sending ones of the last attempt."""

    reply: Reply
    attempts: int
    queued_at: float
    sent_at: float
    first_byte_at: float
    done_at: float


@dataclass(frozen=True, slots=True)
class ReplyFailed(_Outcome):
    """No reply will be performed for an event that wants one."""

    reason: FailureReason
    detail: str


@dataclass(frozen=True, slots=True)
class Delivered(_Outcome):
    """The application has an event that wants no reply."""


@dataclass(frozen=True, slots=True)
class Undelivered(_Outcome):
    """An event that wants no reply was not taken for now; unless it is dead, it stays in the store to be tried again."""

    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempted(_Outcome):
    """One attempt is over: a `status`, or the `error` that stood in its way."""

    attempt: int
    status: int | None
    error: str | None
    ms: int


type Outcome = Replied | ReplyFailed | Delivered | Undelivered | Attempted
type OnOutcome = Callable[[Outcome], Awaitable[None]]
