"""What the courier tells the call about the events it was given."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

from pydantic import JsonValue

from voicebot.core.actions import Action
from voicebot.wire.webhook_reply import Reply, Unset

type FailureReason = Literal["deadline", "refused", "dead", "no_endpoint", "broken", "cancelled", "superseded"]
"""Why there is no reply, or no more of it.

No usable answer in time; a malformed reply; an endpoint that will never take it; no endpoint at all; a stream that broke
off after its first action; a reply that the call no longer wants; a newer event that wants a reply.
"""


@dataclass(frozen=True, slots=True)
class _Outcome:
    """Which event it is about."""

    event_id: str
    sequence: int
    event_type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Streamed(_Outcome):
    """The next actions of a reply that is still being written, in order; the instants are loop times in seconds.

    The first one of an event came in time. Behind the last one comes a Replied without actions or a ReplyFailed.
    """

    actions: tuple[Action, ...]
    state: JsonValue | Unset
    sent_at: float
    first_byte_at: float
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Replied(_Outcome):
    """The application's reply came in time; the instants are loop times in seconds, the sending ones of the last attempt.

    A `streamed` one is the end of a stream: its `reply` is empty, everything was told in Streamed before.
    """

    reply: Reply
    attempts: int
    queued_at: float
    sent_at: float
    first_byte_at: float
    done_at: float
    streamed: bool = False


@dataclass(frozen=True, slots=True)
class ReplyFailed(_Outcome):
    """No reply, or nothing more of it, will be performed for an event that wants one; what was told in Streamed stands."""

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
    """One attempt is over: a `status`, or the `error` that stood in its way; both when a stream broke off."""

    attempt: int
    status: int | None
    error: str | None
    ms: int


type Outcome = Streamed | Replied | ReplyFailed | Delivered | Undelivered | Attempted
type OnOutcome = Callable[[Outcome], Awaitable[None]]
