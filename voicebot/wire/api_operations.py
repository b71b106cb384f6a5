"""The operations of the HTTP API, as one table: routes, scopes and the published document come from it."""

from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Literal

from pydantic import BaseModel

from voicebot.wire import api, api_requests
from voicebot.wire.api import Scope

type Method = Literal["get", "post", "delete"]

JSON = "application/json"
EVENT_STREAM = ("text/event-stream",)
_CONFLICT, _NOT_FOUND = HTTPStatus.CONFLICT, HTTPStatus.NOT_FOUND


@dataclass(frozen=True, slots=True)
class Answer:
    """What comes back when all is well: a document (`model`), or something else in one of `media`."""

    status: HTTPStatus = HTTPStatus.OK
    model: type[BaseModel] | None = None
    media: tuple[str, ...] = (JSON,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One operation; `id` is also the name of its handler."""

    id: str
    method: Method
    path: str
    about: str
    scope: Scope | None
    """What a token must be good for; None: no token is needed."""
    answer: Answer
    query: type[BaseModel] | None = None
    body: type[BaseModel] | None = None
    needs_body: bool = True
    problems: tuple[HTTPStatus, ...] = ()
    """Further ones, beside those that the rest implies."""

    @property
    def path_parameters(self) -> tuple[str, ...]:
        """Return the names in the path."""
        return tuple(part[1:-1] for part in self.path.split("/") if part.startswith("{"))

    def refusals(self) -> Iterator[HTTPStatus]:
        """Yield every status that says that the request was not carried out."""
        yield from self.problems
        if self.scope:
            yield from (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS)
            yield HTTPStatus.SERVICE_UNAVAILABLE
        if self.path_parameters:
            yield _NOT_FOUND
        if self.query or self.body:
            yield HTTPStatus.UNPROCESSABLE_CONTENT
        if self.body:
            yield from (
                HTTPStatus.BAD_REQUEST,
                HTTPStatus.REQUEST_TIMEOUT,
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            )


_NOTHING = Answer(HTTPStatus.NO_CONTENT, media=())
_ACCEPTED = Answer(HTTPStatus.ACCEPTED, api.Accepted)
_STREAM = Answer(media=EVENT_STREAM)
_SESSION = Answer(model=api.SessionInfo)

OPERATIONS: tuple[Operation, ...] = (
    Operation(
        id="list_calls",
        method="get",
        path="/calls",
        about="List calls, live and past, the newest first.",
        scope="watch",
        query=api_requests.CallsQuery,
        answer=Answer(model=api.CallPage),
    ),
    Operation(
        id="dial",
        method="post",
        path="/calls",
        about="Call somebody. The answer comes as soon as the carrier has taken the order; the person may never answer.",
        scope="control",
        body=api_requests.DialRequest,
        answer=Answer(HTTPStatus.CREATED, api.CallSummary),
        problems=(_CONFLICT, HTTPStatus.BAD_GATEWAY),
    ),
    Operation(
        id="show_call",
        method="get",
        path="/calls/{id}",
        about="Show everything that is kept of a call but its events.",
        scope="watch",
        query=api_requests.CallQuery,
        answer=Answer(model=api.CallDetail),
    ),
    Operation(
        id="delete_call",
        method="delete",
        path="/calls/{id}",
        about="Delete everything that is kept of a call. A live call cannot be deleted.",
        scope="admin",
        answer=_NOTHING,
        problems=(_CONFLICT,),
    ),
    Operation(
        id="watch_call",
        method="get",
        path="/calls/{id}/events",
        about="Watch one call live (server-sent events); `Last-Event-ID` goes on where a stream ended.",
        scope="watch",
        answer=_STREAM,
    ),
    Operation(
        id="act",
        method="post",
        path="/calls/{id}/actions",
        about="Perform actions on a live call, as in a reply.",
        scope="control",
        body=api_requests.ActionsRequest,
        answer=_ACCEPTED,
        problems=(_CONFLICT,),
    ),
    Operation(
        id="finalize",
        method="post",
        path="/calls/{id}/finalize",
        about="End the caller's turn now, with what was said so far.",
        scope="control",
        answer=_ACCEPTED,
        problems=(_CONFLICT,),
    ),
    Operation(
        id="hang_up",
        method="post",
        path="/calls/{id}/hangup",
        about="End a live call now; what is being said is cut off.",
        scope="control",
        body=api_requests.HangUpRequest,
        needs_body=False,
        answer=_ACCEPTED,
        problems=(_CONFLICT, HTTPStatus.BAD_GATEWAY),
    ),
    Operation(
        id="export_call",
        method="get",
        path="/calls/{id}/export",
        about="Take a call's transcript along, as text, JSON or subtitles.",
        scope="watch",
        query=api_requests.ExportQuery,
        answer=Answer(media=("text/plain", JSON, "text/vtt", "application/x-subrip")),
    ),
    Operation(
        id="show_recording",
        method="get",
        path="/calls/{id}/recording",
        about="Hear a call that was recorded: WAV, 8 kHz, the caller left and the other side right. Takes `Range`.",
        scope="watch",
        answer=Answer(media=("audio/wav",)),
        problems=(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE,),
    ),
    Operation(
        id="list_call_deliveries",
        method="get",
        path="/calls/{id}/deliveries",
        about="List what the application was told of a call, the newest first.",
        scope="watch",
        query=api_requests.PageQuery,
        answer=Answer(model=api.DeliveryPage),
    ),
    Operation(
        id="list_deliveries",
        method="get",
        path="/deliveries",
        about="List what applications were told, the newest first; `state=dead` for what they refused.",
        scope="watch",
        query=api_requests.DeliveriesQuery,
        answer=Answer(model=api.DeliveryPage),
    ),
    Operation(
        id="show_delivery",
        method="get",
        path="/deliveries/{event}",
        about="Show an event with its attempts.",
        scope="watch",
        answer=Answer(model=api.DeliveryDetail),
    ),
    Operation(
        id="drop_delivery",
        method="delete",
        path="/deliveries/{event}",
        about="Give up on an event that is not delivered yet. It stays in the store as `dropped`.",
        scope="admin",
        answer=_NOTHING,
        problems=(_CONFLICT,),
    ),
    Operation(
        id="replay_delivery",
        method="post",
        path="/deliveries/{event}/replay",
        about="Deliver an event once more, with the same id.",
        scope="admin",
        answer=_ACCEPTED,
        problems=(_CONFLICT,),
    ),
    Operation(
        id="search",
        method="get",
        path="/search",
        about="Find where something was said, by either side.",
        scope="watch",
        query=api_requests.SearchQuery,
        answer=Answer(model=api.HitPage),
    ),
    Operation(
        id="watch_all",
        method="get",
        path="/events",
        about="Watch all calls live (server-sent events); `Last-Event-ID` goes on where a stream ended.",
        scope="watch",
        answer=_STREAM,
    ),
    Operation(
        id="open_session",
        method="post",
        path="/session",
        about="Let a browser in: answers with a cookie in place of the token.",
        scope=None,
        body=api_requests.SessionRequest,
        answer=_SESSION,
        problems=(HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS),
    ),
    Operation(
        id="show_session",
        method="get",
        path="/session",
        about="Who asks, and what may they do?",
        scope="watch",
        answer=_SESSION,
    ),
    Operation(
        id="close_session",
        method="delete",
        path="/session",
        about="End the session, and take its cookie away.",
        scope=None,
        answer=_NOTHING,
        problems=(HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS),
    ),
    Operation(
        id="openapi",
        method="get",
        path="/openapi.json",
        about="This document.",
        scope=None,
        problems=(HTTPStatus.TOO_MANY_REQUESTS,),
        answer=Answer(),
    ),
)
