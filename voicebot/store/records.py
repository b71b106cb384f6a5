"""What is read from the store, as frozen values."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from pydantic import JsonValue

from voicebot.core.events import Track
from voicebot.errors import VoicebotError
from voicebot.store.rows import AsideKind, EventState

type Direction = Literal["inbound", "outbound"]
type Mode = Literal["bot", "transcribe"]


class InvalidCursor(VoicebotError):  # noqa: N818 - an answer to a caller, not a failure of ours
    """The cursor is none that this store has given out for this list."""


@dataclass(frozen=True, slots=True)
class Page[T]:
    """A part of a list; `next` is the cursor of the part behind it, None at the end."""

    items: tuple[T, ...]
    next: str | None


# --- calls -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFilter:
    """Which calls: all that is named must hold; instants are compared with the start, `until` is excluded.

    `number` is either side's. `ended` False finds calls without an end: they live, or the service was killed. `text` is
    a query as in a search, of what was said by anybody.
    """

    from_number: str | None = None
    to_number: str | None = None
    number: str | None = None
    direction: Direction | None = None
    mode: Mode | None = None
    reason: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    ended: bool | None = None
    text: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallSummary:
    """A call as a line of a list; `turns` counts those of both sides."""

    id: str
    from_number: str
    to_number: str
    direction: Direction
    mode: Mode
    started_at: datetime
    ended_at: datetime | None
    reason: str | None
    duration_ms: int | None
    turns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnRecord:
    """One turn; `latency` are milliseconds since the caller's last sound, by step."""

    track: Track
    number: int
    revision: int
    text: str
    translation: str
    digits: str
    reason: str
    started_at: datetime | None
    ended_at: datetime | None
    words: list[dict[str, JsonValue]]
    entry: dict[str, JsonValue] | None
    latency: dict[str, int] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class UtteranceRecord:
    """What the bot said, and what of it was heard."""

    text: str
    heard: str
    unheard: str
    ms: int
    interrupted: bool
    started_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AsideRecord:
    """Words that were no turn."""

    kind: AsideKind
    text: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRecord:
    """Everything kept of a call but its events; each list is in the order of time."""

    summary: CallSummary
    parameters: dict[str, str]
    state: JsonValue
    turns: tuple[TurnRecord, ...]
    utterances: tuple[UtteranceRecord, ...]
    asides: tuple[AsideRecord, ...]


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a snippet; `match` says that it is what was looked for."""

    text: str
    match: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """Where something that was looked for was said: in a turn, which has a number, or by the bot."""

    call_id: str
    from_number: str
    to_number: str
    kind: Literal["turn", "utterance"]
    track: Track | None
    number: int | None
    at: datetime
    snippet: tuple[Part, ...]


# --- events ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryFilter:
    """Which events: all that is named must hold; instants are compared with the creation, `until` is excluded."""

    call_id: str | None = None
    states: tuple[EventState, ...] = ()
    type: str | None = None
    url: str | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventSummary:
    """An event and how far its delivery is."""

    id: str
    call_id: str
    sequence: int
    type: str
    wants_reply: bool
    url: str | None
    created_at: datetime
    state: EventState
    attempts: int
    first_attempt_at: datetime | None
    next_attempt_at: datetime | None
    delivered_at: datetime | None
    last_status: int | None
    last_error: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptRecord:
    """One attempt; `copy_url` is None when it went to the event's own endpoint."""

    attempt: int
    started_at: datetime
    ms: int
    status: int | None
    error: str | None
    copy_url: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyRecord:
    """How far the delivery to the second endpoint is."""

    url: str
    state: EventState
    attempts: int
    first_attempt_at: datetime | None
    next_attempt_at: datetime | None
    delivered_at: datetime | None
    last_status: int | None
    last_error: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRecord:
    """Everything kept of an event; attempts are in the order of time."""

    summary: EventSummary
    body: bytes
    attempts: tuple[AttemptRecord, ...]
    copies: tuple[CopyRecord, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DueEvent:
    """An event that can be sent now, to its own endpoint or to the second one."""

    event_id: str
    call_id: str
    sequence: int
    type: str
    wants_reply: bool
    url: str
    body: bytes
    attempts: int
    created_at: datetime
    first_attempt_at: datetime | None
    is_copy: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """How the outbox stands: events that wait, since when the oldest does, dead letters, stopped endpoints."""

    pending: int
    oldest: datetime | None
    dead: int
    stopped: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StoppedEndpoint:
    """An endpoint that wants no events any more (410)."""

    url: str
    stopped_at: datetime
    why: str
