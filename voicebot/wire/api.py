"""The documents of the HTTP API: what is sent and what is answered, as one model each."""

from typing import Literal

from pydantic import AwareDatetime, Field, JsonValue

from voicebot.core.events import Track
from voicebot.wire.webhook_data import EntryData, LatencyData, LatencySummary, Model, Word

type Scope = Literal["watch", "control", "admin"]
"""What a token may do: each of these contains those before it."""
type Direction = Literal["inbound", "outbound"]
type Mode = Literal["bot", "transcribe"]
type CallState = Literal["live", "ended"]
type DeliveryState = Literal["pending", "delivered", "dead", "no_endpoint", "withdrawn", "dropped"]

PROBLEM_TYPE = "urn:voicebot:problem:"
"""How every problem's `type` begins (RFC 9457)."""
PROBLEM_MEDIA = "application/problem+json"


# --- calls ----------------------------------------------------------------------------------------


class CallSummary(Model):
    """A call as a line of a list."""

    id: str
    """Name of the call; begins with the carrier's (Twilio: CallSid)."""
    from_: str = Field(alias="from")
    """The calling number, as the carrier gives it."""
    to: str
    """The called number."""
    direction: Direction
    """`inbound`: somebody called the number; `outbound`: the service dialled."""
    mode: Mode
    """`bot` speaks; `transcribe` only listens."""
    state: CallState
    """`live` until the call is over."""
    started_at: AwareDatetime
    """When the call came in, or was dialled."""
    ended_at: AwareDatetime | None
    """When it was over; `null` while it lives, and where the service was killed within it."""
    reason: str | None
    """Why it ended, as in `call.ended`."""
    duration_ms: int | None
    """From `started_at` to `ended_at`."""
    turns: int
    """Turns so far."""


class CallPage(Model):
    """Calls, the newest first."""

    items: tuple[CallSummary, ...]
    """A part of the list."""
    next: str | None
    """`cursor` of the part behind it; `null` at the end."""


class TurnItem(Model):
    """What one side said until it stopped."""

    track: Track
    """Who: the caller or, on a call that is only transcribed, the agent."""
    number: int
    """Counts the turns of the call from 1."""
    revision: int
    """Which version of the turn stands, counted from 1."""
    text: str
    """The words as one text; empty when the turn holds only keys."""
    translation: str
    """The text in the other language, with translation switched on."""
    digits: str
    """Keys pressed during the turn."""
    languages: tuple[str, ...]
    """Languages of the words, in order of first appearance."""
    speakers: tuple[str, ...]
    """Speakers of the words, in order of first appearance."""
    confidence: float | None
    """Mean confidence of the words, 0 to 1."""
    reason: str
    """Why the turn ended."""
    started_at: AwareDatetime | None
    """When the first word began."""
    ended_at: AwareDatetime | None
    """When the last word ended."""
    entry: EntryData | None
    """What was expected, read from the words; `null` when nothing was."""
    latency: LatencyData | None
    """When each step towards the answer happened; `null` when there was no answer."""
    words: tuple[Word, ...] | None
    """The words, one by one, when they were asked for (`words=true`)."""


class UtteranceItem(Model):
    """What the bot said, and how much of it the caller heard."""

    text: str
    """What was to be said; for `play` the URL."""
    heard: str
    """The part that was played."""
    unheard: str
    """The part that was cut off."""
    ms: int
    """Audio played, in milliseconds."""
    interrupted: bool
    """The caller spoke over it."""
    started_at: AwareDatetime
    """When it began."""


class AsideItem(Model):
    """Words that were no turn."""

    kind: Literal["backchannel", "echo"]
    """A sign of listening, or the bot's own voice coming back."""
    text: str
    """The words."""
    at: AwareDatetime
    """When."""


class Counts(Model):
    """How much of everything there is."""

    turns: int
    """Turns of both sides."""
    utterances: int
    """Utterances of the bot."""
    interruptions: int
    """Utterances that the caller cut off."""
    asides: int
    """Words that were no turn."""


class CallDetail(Model):
    """Everything that is kept of a call but its events."""

    call: CallSummary
    """The call."""
    turns: tuple[TurnItem, ...]
    """In the order of time."""
    utterances: tuple[UtteranceItem, ...]
    """In the order of time."""
    asides: tuple[AsideItem, ...]
    """In the order of time."""
    counts: Counts
    """How much of everything there is."""
    latency: LatencySummary | None
    """How soon answers were heard; `null` when there was none."""
    parameters: dict[str, str]
    """What the carrier said when the call came (Twilio: CallerName, FromCity, …)."""
    state: JsonValue
    """What the application last set as `state`; kept when the call ends."""
    recording: bool
    """`/calls/{id}/recording` has its sound."""


# --- search ---------------------------------------------------------------------------------------


class SnippetPart(Model):
    """A piece of the text around a match."""

    text: str
    """The piece."""
    match: bool
    """It is what was looked for."""


class HitItem(Model):
    """Where something that was looked for was said."""

    call: str
    """Name of the call."""
    from_: str = Field(alias="from")
    """The calling number."""
    to: str
    """The called number."""
    kind: Literal["turn", "utterance"]
    """`utterance` is the bot's."""
    track: Track | None
    """Whose turn it is; `null` for the bot."""
    number: int | None
    """The turn; `null` for the bot."""
    at: AwareDatetime
    """When it was said."""
    snippet: tuple[SnippetPart, ...]
    """The text around the match, in pieces."""


class HitPage(Model):
    """Where it was said, the newest first."""

    items: tuple[HitItem, ...]
    """A part of the list."""
    next: str | None
    """`cursor` of the part behind it; `null` at the end."""


# --- deliveries -----------------------------------------------------------------------------------


class DeliveryItem(Model):
    """An event for the application and how far its delivery is."""

    id: str
    """The event's id, as in `webhook-id`."""
    call: str
    """Name of the call."""
    sequence: int
    """Counts the events of the call from 1."""
    type: str
    """What happened."""
    wants_reply: bool
    """The call waited for an answer."""
    url: str | None
    """Where it goes."""
    state: DeliveryState
    """`pending` may be tried again, `dead` was refused for good, `no_endpoint` had nowhere to go, `withdrawn` was taken
    back before there was a reply, `dropped` was given up by a person."""
    created_at: AwareDatetime
    """When it happened."""
    attempts: int
    """How often it was tried."""
    first_attempt_at: AwareDatetime | None
    """When it was tried first."""
    next_attempt_at: AwareDatetime | None
    """When it is tried again."""
    delivered_at: AwareDatetime | None
    """When it was taken."""
    last_status: int | None
    """The application's last HTTP status; `null` without an answer."""
    last_error: str | None
    """What went wrong the last time."""


class DeliveryPage(Model):
    """Deliveries, the newest first."""

    items: tuple[DeliveryItem, ...]
    """A part of the list."""
    next: str | None
    """`cursor` of the part behind it; `null` at the end."""


class AttemptItem(Model):
    """One attempt to deliver an event."""

    attempt: int
    """Counts from 1."""
    started_at: AwareDatetime
    """When."""
    ms: int
    """How long it took."""
    status: int | None
    """The answer's HTTP status; `null` without an answer."""
    error: str | None
    """What went wrong."""
    copy_url: str | None
    """The second endpoint, when the attempt went there."""


class CopyItem(Model):
    """How far the delivery to the second endpoint is."""

    url: str
    """Where it goes."""
    state: DeliveryState
    """As for the event itself."""
    attempts: int
    """How often it was tried."""
    next_attempt_at: AwareDatetime | None
    """When it is tried again."""
    delivered_at: AwareDatetime | None
    """When it was taken."""
    last_status: int | None
    """The last HTTP status."""
    last_error: str | None
    """What went wrong the last time."""


class DeliveryDetail(Model):
    """Everything that is kept of an event."""

    delivery: DeliveryItem
    """The event."""
    attempts: tuple[AttemptItem, ...]
    """In the order of time."""
    copies: tuple[CopyItem, ...]
    """Its way to the second endpoint."""
    body: JsonValue
    """The event as it is sent; `null` where it is not kept."""


# --- what else is answered ------------------------------------------------------------------------


class Accepted(Model):
    """It will be done; the live events tell what came of it."""

    id: str
    """The call, or the event."""
    accepted: Literal[True] = True
    """Always."""


class SessionInfo(Model):
    """Who asks, and what that token may do."""

    name: str
    """Name of the token."""
    scopes: tuple[Scope, ...]
    """What it may do, everything that is contained named."""
    expires_at: AwareDatetime | None
    """When the cookie ends; `null` for a bearer token."""


class ProblemError(Model):
    """One fault of a request."""

    detail: str
    """What is wrong."""
    pointer: str | None = None
    """Where in the body: a JSON pointer, `#/actions/0/text`."""
    parameter: str | None = None
    """Which parameter of the query."""


class Problem(Model):
    """Why a request was not carried out (RFC 9457)."""

    type: str
    """Names the kind: `urn:voicebot:problem:…`."""
    title: str
    """The kind in words."""
    status: int
    """The HTTP status."""
    detail: str
    """What is wrong this time, and what to do."""
    instance: str
    """The path that was asked for."""
    errors: tuple[ProblemError, ...] = ()
    """Each fault, where there are several or where a place can be named."""
