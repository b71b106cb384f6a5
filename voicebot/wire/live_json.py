"""The JSON of live events, one line each, and back."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from typing import Any

import msgspec
from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError
from pydantic_core import from_json, to_json

from voicebot.core.events import Turn
from voicebot.errors import PeerProtocolError
from voicebot.wire import live_events as live
from voicebot.wire.live_events import LiveEvent
from voicebot.wire.webhook_events import turn_data

TYPES: Mapping[str, type[LiveEvent]] = {
    "call.opened": live.CallOpened,
    "stream.opened": live.StreamOpened,
    "call.resumed": live.CallResumed,
    "partial": live.Partial,
    "turn.completed": live.TurnEnded,
    "turn.provisional": live.TurnOffered,
    "turn.retracted": live.TurnTakenBack,
    "overheard": live.Overheard,
    "digit": live.DigitPressed,
    "webhook.attempt": live.WebhookAttempt,
    "reply": live.ReplyTaken,
    "reply.missing": live.ReplyMissing,
    "bot.started": live.BotSays,
    "bot.said": live.BotSaid,
    "bot.resumed": live.BotResumed,
    "latency": live.Latency,
    "trouble": live.Trouble,
    "call.ended": live.CallClosed,
}
NAMES: Mapping[type[LiveEvent], str] = {kind: name for name, kind in TYPES.items()}
PEER = "voicebot"
_FIELDS = {kind: tuple(field.name for field in fields(kind) if field.name != "call") for kind in NAMES}
_EPOCH = datetime.fromtimestamp(0, UTC)
_MISSING = re.compile(r"missing required field `(\w+)`")
_BELOW = re.compile(r" - at `\$\.?(.+)`$")


def encode(event: LiveEvent, at: datetime) -> bytes:
    """Return the event as one line of JSON: `type`, `call`, `at`, then its own fields."""
    return to_json({"type": NAMES[type(event)], "call": event.call, "at": at, **_body(event)})


def _body(event: LiveEvent) -> dict[str, Any]:
    match event:
        case live.BotSaid(spoken=spoken):
            return asdict(spoken)
        case _:
            values = {name.rstrip("_"): getattr(event, name) for name in _FIELDS[type(event)]}
            return {name: _turn(value) if isinstance(value, Turn) else value for name, value in values.items()}


def _turn(turn: Turn) -> dict[str, Any]:
    """The turn as the webhook has it, its times from the first audio of the stream instead of the clock."""
    told = turn_data(turn, _EPOCH).model_dump(mode="json", exclude={"started_at", "ended_at"})
    return told | {"started_ms": turn.started_ms, "ended_ms": turn.ended_ms}


@dataclass(frozen=True, slots=True)
class Told:
    """A live event as read, and when it happened."""

    event: LiveEvent
    at: datetime


class _Head(BaseModel):
    model_config = ConfigDict(extra="allow", hide_input_in_errors=True)

    type: str
    call: str
    at: AwareDatetime


def decode(line: bytes) -> Told | None:
    """Read what `encode` wrote; None for a type of another day. A turn comes back without its tokens.

    Raises PeerProtocolError for what no service of ours writes.
    """
    try:
        return decoded(from_json(line))
    except ValueError as error:
        raise PeerProtocolError(PEER, f"a live event is not JSON: {error}") from None


def decoded(value: object) -> Told | None:
    """Read a live event whose JSON is parsed already; see `decode`."""
    try:
        head = _Head.model_validate(value)
        kind = TYPES.get(head.type)
        if kind is None:
            return None
        event = msgspec.convert({"call": head.call, **_unfold(kind, head.model_extra or {})}, kind)
    except ValidationError as error:
        fault = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in fault["loc"]) or "$"
        raise PeerProtocolError(PEER, f"a live event has the wrong shape at {where}: {fault['msg']}") from None
    except msgspec.ValidationError as error:
        raise PeerProtocolError(PEER, f"a live event has the wrong shape at {_where(str(error))}: {error}") from None
    return Told(event, head.at)


def _where(fault: str) -> str:
    """Return the field that a fault is about; of a missing one, the message names only what lies above it."""
    parts = [found[1] for found in (_BELOW.search(fault), _MISSING.search(fault)) if found]
    return ".".join(parts) or "$"


def _unfold(kind: type[LiveEvent], values: dict[str, Any]) -> dict[str, Any]:
    if kind is live.BotSaid:
        return {"spoken": values}
    if kind is live.CallOpened:
        return {"from_": values.get("from"), **values}
    return values
