"""Reads strict JSON into actions, or says where and why it is refused."""

from dataclasses import fields
from math import isfinite
from typing import Annotated, get_args

from pydantic import BaseModel, ConfigDict, Field, JsonValue, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails, from_json

from voicebot.core.actions import Action, BargeInPolicy, EndpointPolicy, Expect
from voicebot.errors import ReplyRefused

SHOWN = 60
"""Most characters of a foreign name that an error repeats."""

type ReplyAction = Annotated[Action, Field(discriminator="type")]

# Pydantic would remember strings of earlier documents: a quarter of a megabyte with the first, then what was said in replies.
_STRICT = ConfigDict(
    extra="forbid",
    strict=True,
    frozen=True,
    hide_input_in_errors=True,
    use_attribute_docstrings=True,
    cache_strings="none",
)
_ACTION: TypeAdapter[Action] = TypeAdapter(ReplyAction, config=_STRICT)
_KNOWN_KEYS = {
    **{kind.__dataclass_fields__["type"].default: kind for kind in get_args(Action.__value__)},
    "barge_in": BargeInPolicy,
    "expect": Expect,
    "endpoint": EndpointPolicy,
}
_KINDS = ", ".join(kind.__dataclass_fields__["type"].default for kind in get_args(Action.__value__))


class ReplyDocument(BaseModel):
    """The reply to an event: what to do now, and what to remember."""

    model_config = _STRICT

    actions: tuple[ReplyAction, ...] = ()
    """Performed one after the other; empty keeps listening. Nothing may follow `hangup`, `transfer` or `redirect`."""
    state: JsonValue = None
    """Any JSON value: kept with the call, sent as `call.state` in every later event; left out, it stays as it was."""


def read_document(body: bytes) -> ReplyDocument:
    """Return the document in `body`; raises ReplyRefused."""
    try:
        bare_json("$", body)
        return ReplyDocument.model_validate_json(body)
    except ValidationError as error:
        raise _refusal("$", error, tag_at=2) from None


def read_action(root: str, body: bytes) -> Action:
    """Return the action in `body`, which was read by `bare_json` before; raises ReplyRefused."""
    try:
        return _ACTION.validate_json(body)
    except ValidationError as error:
        raise _refusal(root, error, tag_at=0) from None


def bare_json(root: str, body: bytes) -> JsonValue:
    """Return the bare JSON; NaN and infinities, which pydantic's reader lets through, are refused (ReplyRefused)."""
    try:
        value: JsonValue = from_json(body, allow_inf_nan=False, cache_strings="none")
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
