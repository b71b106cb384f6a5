"""What the HTTP API takes: queries and bodies, checked strictly, each fault with its place."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Literal, Self
from urllib.parse import quote

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails

from voicebot.core.handover import ANYWHERE
from voicebot.errors import ReplyRefused, VoicebotError
from voicebot.wire.api import CallState, DeliveryState, Direction, Mode, ProblemError
from voicebot.wire.webhook_order import MAX_ACTIONS, Order
from voicebot.wire.webhook_strict import ReplyAction, bare_json

MAX_LIMIT = 200
MAX_PARAMETERS = 20
"""Parameters of one dialled call."""
E164 = r"^\+[1-9][0-9]{1,14}$"
ADDRESS = r"^(?:\+[1-9][0-9]{1,14}|sip:[!-~]{1,190}|client:[!-~]{1,190})$"
PLAIN = r"^[^\x00-\x1f\x7f]*$"
"""Text without control characters."""
_INSTANT = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(:\d\d(\.\d+)?)?([Zz]|[+-]\d\d:?\d\d)")
_CONFIG = ConfigDict(
    extra="forbid", frozen=True, hide_input_in_errors=True, use_attribute_docstrings=True, cache_strings="none"
)
_STRICT = ConfigDict(**_CONFIG, strict=True, populate_by_name=False)


class BadRequest(VoicebotError):  # noqa: N818 - the word of HTTP
    """A request has faults; `errors` name each with its place."""

    def __init__(self, errors: tuple[ProblemError, ...]) -> None:
        super().__init__("; ".join(error.detail for error in errors))
        self.errors = errors


def _instant(value: object) -> object:
    """Numbers are no instants, and a plus sign in a URL is a space unless it is written %2B."""
    if isinstance(value, str):
        value = re.sub(r" (?=\d\d:?\d\d$)", "+", value)
        if not _INSTANT.fullmatch(value):
            raise ValueError("should be an instant with its offset, as in 2026-11-22T12:00:00Z")
    return value


def _in_range(value: datetime) -> datetime:
    """The first and the last hours of the calendar are outside of it in other zones."""
    try:
        value.astimezone(UTC)
    except OverflowError:
        raise ValueError("is out of range") from None
    return value


type Instant = Annotated[AwareDatetime, BeforeValidator(_instant), AfterValidator(_in_range)]
type Word = Annotated[str, Field(min_length=1, max_length=200, pattern=PLAIN)]
type Query = Annotated[str, Field(min_length=1, max_length=200, pattern=PLAIN)]
type Cursor = Annotated[str, Field(min_length=1, max_length=500, pattern=r"^[A-Za-z0-9_-]+$")]
type Limit = Annotated[int, Field(ge=1, le=MAX_LIMIT)]


class PageQuery(BaseModel):
    """Which part of a list."""

    model_config = _CONFIG

    limit: Limit = 50
    """Most items in the answer."""
    cursor: Cursor | None = None
    """`next` of the part before."""


class CallsQuery(PageQuery):
    """Which calls: all that is named must hold."""

    state: CallState | None = None
    """Only calls that live, or only calls that are over."""
    from_: Word | None = Field(default=None, alias="from")
    """The calling number."""
    to: Word | None = None
    """The called number."""
    number: Word | None = None
    """Either side's number."""
    direction: Direction | None = None
    """Who called whom."""
    mode: Mode | None = None
    """How they were handled."""
    reason: Word | None = None
    """Why they ended, as in `call.ended`."""
    q: Query | None = None
    """What was said by anybody: words, `"a phrase"`, `begin*`."""
    since: Instant | None = None
    """Started at this instant or later."""
    until: Instant | None = None
    """Started before this instant."""


class CallQuery(BaseModel):
    """How much of a call."""

    model_config = _CONFIG

    words: bool = False
    """Each word with its times, confidence, language and speaker."""


class SearchQuery(PageQuery):
    """What to look for."""

    q: Query
    """Words, `"a phrase"`, `begin*`; all must be there."""


class DeliveriesQuery(PageQuery):
    """Which deliveries: all that is named must hold."""

    state: DeliveryState | None = None
    """How far they are."""
    call: Word | None = None
    """Name of the call."""
    type: Word | None = None
    """Type of the event."""
    url: Annotated[str, Field(min_length=1, max_length=2_000, pattern=PLAIN)] | None = None
    """Where they go."""
    since: Instant | None = None
    """Happened at this instant or later."""
    until: Instant | None = None
    """Happened before this instant."""


class ExportQuery(BaseModel):
    """In which format."""

    model_config = _CONFIG

    format: Literal["txt", "json", "vtt", "srt"] = "txt"
    """`vtt` and `srt` are subtitles for the recording."""


class DialRequest(BaseModel):
    """Call somebody."""

    model_config = _STRICT

    to: Annotated[str, Field(pattern=ADDRESS)]
    """Whom: a number in E.164 (`+15550100`), `sip:…` or `client:…`."""
    from_: Annotated[str, Field(pattern=E164)] = Field(alias="from")
    """Which of your numbers calls; it decides how the call is handled."""
    parameters: Annotated[
        dict[
            Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_.-]+$")],
            Annotated[str, Field(max_length=400, pattern=PLAIN)],
        ],
        Field(max_length=MAX_PARAMETERS),
    ] = {}
    """What the application is told as `call.parameters`."""


class ActionsRequest(BaseModel):
    """Perform actions on a live call, as in a reply."""

    model_config = _STRICT

    actions: Annotated[tuple[ReplyAction, ...], Field(min_length=1, max_length=MAX_ACTIONS)]
    """Performed one after the other, after what is being said. Nothing may follow `hangup`, `transfer` or `redirect`."""
    interrupt: bool = False
    """Stop what is being said first."""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        order = Order(streamed=False, handover=ANYWHERE)  # the service has its own policy
        for number, action in enumerate(self.actions):
            order.add(f"$.actions[{number}]", action, ())
        return self


class HangUpRequest(BaseModel):
    """End a live call."""

    model_config = _STRICT

    reason: Annotated[str, Field(max_length=200)] = ""
    """For your own records: it is in the log."""


class SessionRequest(BaseModel):
    """Let a browser in."""

    model_config = _STRICT

    token: Annotated[str, Field(min_length=1, max_length=500)]
    """One of `api.tokens`."""


def read_query[T: BaseModel](model: type[T], given: Mapping[str, str]) -> T:
    """Return the query; raises BadRequest with each wrong parameter."""
    try:
        return model.model_validate(dict(given))
    except ValidationError as error:
        faults = error.errors(include_url=False, include_input=False, include_context=False)
        raise BadRequest(
            tuple(ProblemError(parameter=str(fault["loc"][0]), detail=_plain(fault["msg"])) for fault in faults)
        ) from None


def read_body[T: BaseModel](model: type[T], body: bytes) -> T:
    """Return the document in `body`; raises BadRequest with each fault, ReplyRefused for a body that is no JSON at all."""
    bare_json("#", body)
    try:
        return model.model_validate_json(body)
    except ReplyRefused as refused:  # an action in the wrong place
        raise BadRequest((ProblemError(pointer=_pointer_of(refused.path), detail=refused.reason),)) from None
    except ValidationError as error:
        faults = error.errors(include_url=False, include_input=False, include_context=False)
        raise BadRequest(
            tuple(
                ProblemError(pointer=_pointer(fault["loc"]), detail=_plain(fault["msg"]))
                for fault in faults
                if not _follows(fault, faults)
            )
        ) from None


def _follows(fault: ErrorDetails, faults: Sequence[ErrorDetails]) -> bool:
    """Pydantic counts only the items that are right, so a list with a wrong one is told to be too short as well."""
    place = fault["loc"]
    return fault["type"] == "too_short" and any(
        len(other["loc"]) > len(place) and other["loc"][: len(place)] == place for other in faults
    )


def _pointer(location: tuple[int | str, ...]) -> str:
    """Pydantic's location holds an action's type behind its number, which the document does not."""
    if location[:1] == ("actions",) and len(location) > 2:  # noqa: PLR2004 - the list and the number
        location = location[:2] + location[3:]
    return "#" + "".join(f"/{_escaped(str(part))}" for part in location)


def _pointer_of(path: str) -> str:
    """Return a JSON path of the reply contract (`$.actions[0].text`) as a pointer."""
    parts = re.findall(r"\.([^.\[]+)|\[(\d+)\]|\['([^']*)'\]", path)
    return "#" + "".join(f"/{_escaped(''.join(part))}" for part in parts)


def _escaped(part: str) -> str:
    """RFC 6901, sections 3 and 6."""
    return quote(part.replace("~", "~0").replace("/", "~1"), safe="~")


def _plain(message: str) -> str:
    return message.removeprefix("Value error, ").replace("Input should", "should").replace("String should", "should")
