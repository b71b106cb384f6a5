"""What is written to the store, one frozen value per kind of write."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from pydantic import JsonValue

from voicebot.core.events import Track

type EventState = Literal["pending", "delivered", "dead", "no_endpoint", "withdrawn"]
"""What became of an event so far.

`pending` may be tried again, `dead` was refused for good, `no_endpoint` had nowhere to go, `withdrawn` was taken back
before there was a reply.
"""


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
    """One turn; `words` are the words as in the webhook."""

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
class EventRow:
    """An event for the application, with the bytes that are sent."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptRow:
    """One attempt to deliver an event, and the state that the event has after it.

    `attempt` 0 is none: the state changed without one.
    """

    event_id: str
    attempt: int
    started_at: datetime
    ms: int
    status: int | None
    error: str | None
    state: EventState
