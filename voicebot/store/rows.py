"""What is written to the store, one frozen value per kind of write."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from pydantic import JsonValue

from voicebot.core.events import Track

type EventState = Literal["pending", "delivered", "dead", "no_endpoint", "withdrawn", "dropped"]
"""What became of an event so far.

`pending` may be tried again, `dead` was refused for good, `no_endpoint` had nowhere to go, `withdrawn` was taken back
before there was a reply, `dropped` was given up by a person.
"""

type AsideKind = Literal["backchannel", "echo"]
"""Words that are no turn: a sign of listening, or the bot's own voice coming back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRow:
    """A call that begins."""

    id: str
    from_number: str
    to_number: str
    direction: Literal["inbound", "outbound"]
    mode: Literal["bot", "transcribe"]
    started_at: datetime
    parameters: dict[str, str] = field(default_factory=dict[str, str])
    carrier_id: str | None = None
    """The carrier's name of a call that another process may go on with; None for one that is over already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallCourse:
    """How a call stands: what the application keeps, and what another process needs besides to go on with it."""

    id: str
    state: JsonValue
    course: dict[str, JsonValue]


@dataclass(frozen=True, slots=True, kw_only=True)
class CallEnd:
    """A call that is over."""

    id: str
    ended_at: datetime
    reason: str
    duration_ms: int
    state: JsonValue = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnRow:
    """One turn; `words` are the words as in the webhook, `entry` what an `expect` made of them."""

    call_id: str
    track: Track
    number: int
    text: str
    translation: str
    digits: str
    reason: str
    started_at: datetime | None
    ended_at: datetime | None
    words: list[dict[str, JsonValue]]
    revision: int = 1
    entry: dict[str, JsonValue] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyRow:
    """The latency account of a turn that is kept already: milliseconds since the caller's last sound, by step."""

    call_id: str
    number: int
    latency: dict[str, int]
    track: Track = "caller"


@dataclass(frozen=True, slots=True, kw_only=True)
class UtteranceRow:
    """What the bot said, and what of it was heard."""

    call_id: str
    text: str
    heard: str
    unheard: str
    ms: int
    interrupted: bool
    started_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AsideRow:
    """Words that are no turn."""

    call_id: str
    kind: AsideKind
    text: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRow:
    """An event for the application, with the bytes that are sent.

    `copy_url` is the second endpoint, which gets the same event; `ephemeral` bytes are emptied as soon as no endpoint
    waits for them any more.
    """

    id: str
    call_id: str
    sequence: int
    type: str
    wants_reply: bool
    url: str | None
    body: bytes
    created_at: datetime
    state: EventState = "pending"
    attempts: int = 0
    copy_url: str | None = None
    ephemeral: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptRow:
    """One attempt to deliver an event, and the state that the event has after it.

    `attempt` 0 is none: the state changed without one, and what is known of earlier attempts stays. `next_attempt_at`
    is when a pending event is to be tried again; None is as soon as it can be. `copy_url` names the second endpoint
    when the attempt went there; its state is its own.
    """

    event_id: str
    attempt: int
    started_at: datetime
    ms: int
    status: int | None
    error: str | None
    state: EventState
    next_attempt_at: datetime | None = None
    copy_url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointStop:
    """An endpoint that wants no events any more (410)."""

    url: str
    stopped_at: datetime
    why: str


@dataclass(frozen=True, slots=True)
class EndpointResume:
    """An endpoint that wants events again."""

    url: str


@dataclass(frozen=True, slots=True)
class CallDeletion:
    """A call that is to be deleted with everything that belongs to it."""

    id: str
