"""Reads the application's reply into actions, or says where and why it is refused."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, fields
from enum import Enum
from http import HTTPStatus
from math import isfinite
from typing import Annotated, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, JsonValue, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails, from_json

from voicebot.core.actions import Action, BargeInPolicy, Expect, HangUp, Redirect, Say, Transfer
from voicebot.errors import LocalProtocolError, ReplyRefused
from voicebot.wire.webhook_rules import fault_of

MAX_ACTIONS = 50
"""Most actions in one reply."""
MAX_TEXT = 5_000
"""Most characters of a reply in plain text; as for `say`."""
SHOWN = 60
"""Most characters of a foreign name that an error repeats."""

type ReplyAction = Annotated[Action, Field(discriminator="type")]
type _Found = list[tuple[str, Action]]
type _Units = Iterator[tuple[str, bytes]]

_STRICT = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True, use_attribute_docstrings=True)
_ACTION: TypeAdapter[Action] = TypeAdapter(ReplyAction, config=_STRICT)
_KNOWN_KEYS = {
    **{kind.__dataclass_fields__["type"].default: kind for kind in get_args(Action.__value__)},
    "barge_in": BargeInPolicy,
    "expect": Expect,
}
_KINDS = ", ".join(kind.__dataclass_fields__["type"].default for kind in get_args(Action.__value__))
_CHARSET = re.compile(r""";\s*charset\s*=\s*["']?([^"';\s]+)""", re.IGNORECASE)
# WHATWG HTML, server-sent events: a line ends with CR LF, LF or CR, an empty one ends the event.
_LINE_END = re.compile(rb"\r\n|\n|\r")


class Unset(Enum):
    """The reply does not mention `state`; `null` would be a value."""

    UNSET = "unset"


UNSET: Literal[Unset.UNSET] = Unset.UNSET


@dataclass(frozen=True, slots=True)
class Reply:
    """What the application asks for; without actions the call keeps listening."""

    actions: tuple[Action, ...] = ()
    state: JsonValue | Unset = UNSET


class ReplyDocument(BaseModel):
    """The reply to an event: what to do now, and what to remember."""

    model_config = _STRICT

    actions: tuple[ReplyAction, ...] = ()
    """Performed one after the other; empty keeps listening. Nothing may follow `hangup`, `transfer` or `redirect`."""
    state: JsonValue = None
    """Any JSON value: kept with the call, sent as `call.state` in every later event; left out, it stays as it was."""


def parse_reply(status: int, content_type: str | None, body: bytes, *, max_bytes: int) -> Reply:
    """Return what a reply with a 2xx `status` asks for; raises ReplyRefused with the JSON path of the first fault."""
    if not HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        raise LocalProtocolError(f"status {status} carries no reply")
    if len(body) > max_bytes:
        raise ReplyRefused("$", f"is larger than {max_bytes} bytes")
    if status == HTTPStatus.NO_CONTENT or not body.strip():
        return Reply()
    kind = (content_type or "").partition(";")[0].strip().lower()
    match kind:
        case "application/json":
            return _from_document(body)
        case "text/plain":
            return _checked([("$", _say(content_type or "", body))], UNSET)
        case "application/x-ndjson":
            return _from_units(_lines(body))
        case "text/event-stream":
            return _from_units(_messages(body))
        case _:
            known = "application/json, text/plain, application/x-ndjson, text/event-stream, or 204 without a body"
            raise ReplyRefused("$", f"has the content type {kind[:SHOWN] or '(none)'}; send {known}")


def _from_document(body: bytes) -> Reply:
    try:
        _bare_json("$", body)
        document = ReplyDocument.model_validate_json(body)
    except ValidationError as error:
        raise _refusal("$", error, tag_at=2) from None
    found = [(f"$.actions[{number}]", action) for number, action in enumerate(document.actions)]
    return _checked(found, document.state if "state" in document.model_fields_set else UNSET)


def _from_units(units: _Units) -> Reply:
    found: _Found = []
    state: JsonValue | Unset = UNSET
    for root, unit in units:
        value = _bare_json(root, unit)
        if isinstance(value, dict) and value.keys() == {"state"}:
            state = value["state"]
            continue
        try:
            found.append((root, _ACTION.validate_json(unit)))
        except ValidationError as error:
            raise _refusal(root, error, tag_at=0) from None
    return _checked(found, state)


def _say(content_type: str, body: bytes) -> Say:
    charset = match[1] if (match := _CHARSET.search(content_type)) else "utf-8"
    try:
        text = body.decode(charset).strip()
    except (LookupError, UnicodeDecodeError):
        raise ReplyRefused("$", f"is no text in {charset[:SHOWN]}") from None
    if len(text) > MAX_TEXT:
        raise ReplyRefused("$", f"has {len(text)} characters of speech; {MAX_TEXT} are the most in one action")
    return Say(text=text)


def _lines(body: bytes) -> _Units:
    for number, line in enumerate(body.split(b"\n"), start=1):
        if line.strip():
            yield f"line {number}: $", line


def _messages(body: bytes) -> _Units:
    """Cut an event stream into the data of its messages; comments and other fields mean nothing here."""
    data: list[bytes] = []
    number = 1
    for line in [*_LINE_END.split(body), b""]:
        if line.startswith(b"data:"):
            data.append(line.removeprefix(b"data:").removeprefix(b" "))
        elif not line and data:
            yield f"message {number}: $", b"\n".join(data)
            number += 1
            data = []


def _bare_json(root: str, body: bytes) -> JsonValue:
    """Return the bare JSON; NaN and infinities, which pydantic's reader lets through, are refused."""
    try:
        value: JsonValue = from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise ReplyRefused(root, f"is no JSON: {error}") from None
    if not _is_finite(value):
        raise ReplyRefused(root, "holds a number that is too large")
    return value


def _is_finite(value: JsonValue) -> bool:
    match value:
        case float():
            return isfinite(value)
        case list():
            return all(map(_is_finite, value))
        case dict():
            return all(map(_is_finite, value.values()))
        case _:
            return True


def _checked(found: _Found, state: JsonValue | Unset) -> Reply:
    if len(found) > MAX_ACTIONS:
        raise ReplyRefused("$", f"has {len(found)} actions; {MAX_ACTIONS} are the most")
    last = ""
    for root, action in found:
        if last:
            raise ReplyRefused(root, f"{action.type} comes after {last}, which ends the conversation")
        if fault := fault_of(action):
            raise ReplyRefused(root + fault[0], fault[1])
        last = action.type if isinstance(action, HangUp | Transfer | Redirect) else ""
    return Reply(tuple(action for _, action in found), state)


def _refusal(root: str, error: ValidationError, *, tag_at: int) -> ReplyRefused:
    """Report the first fault; pydantic's location holds the action's type at `tag_at`, which the document does not."""
    details = error.errors(include_url=False, include_input=False)[0]
    location = details["loc"]
    return ReplyRefused(_path(root, location[:tag_at] + location[tag_at + 1 :]), _reason(details))


def _path(root: str, location: tuple[int | str, ...]) -> str:
    for part in location:
        if isinstance(part, int):
            root += f"[{part}]"
        else:
            root += f".{part[:SHOWN]}" if part.isidentifier() else f"[{part[:SHOWN]!r}]"
    return root


def _reason(details: ErrorDetails) -> str:
    match details["type"]:
        case "unexpected_keyword_argument" | "extra_forbidden":
            return f"is an unknown key; known: {_known_keys(details['loc'])}"
        case "union_tag_invalid":
            return f"has the unknown type {details['ctx']['tag'][:SHOWN]!r}; known: {_KINDS}"
        case "union_tag_not_found":
            return f'has no "type"; known: {_KINDS}'
        case "model_type":
            return 'should be an object like {"actions": [...]}'
        case "missing":
            return "is missing"
        case _:
            return details["msg"].replace("Input should", "should").replace("String should", "should")


def _known_keys(location: tuple[int | str, ...]) -> str:
    parent = _KNOWN_KEYS.get(str(location[-2])) if len(location) > 1 else None
    names = (field.name for field in fields(parent)) if parent else ReplyDocument.model_fields
    return ", ".join(names)
