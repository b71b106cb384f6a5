"""Why a request is not carried out, as problem details (RFC 9457)."""

from collections.abc import Mapping
from http import HTTPStatus

from aiohttp import web

from voicebot.errors import VoicebotError
from voicebot.wire.api import PROBLEM_MEDIA, PROBLEM_TYPE, Problem, ProblemError


class Refused(VoicebotError):  # noqa: N818 - an answer, not a failure of ours
    """A request is refused; `kind` names why for programs, the text for people.

    With `closes` the connection ends with the answer: what else comes on it is not wanted.
    """

    def __init__(
        self,
        status: HTTPStatus,
        kind: str,
        detail: str,
        *,
        errors: tuple[ProblemError, ...] = (),
        headers: Mapping[str, str] | None = None,
        closes: bool = False,
    ) -> None:
        super().__init__(detail)
        self.status, self.kind, self.errors, self.headers = status, kind, errors, headers or {}
        self.closes = closes


def not_found(what: str, name: str) -> Refused:
    """There is no such thing."""
    return Refused(HTTPStatus.NOT_FOUND, "not-found", f"no {what} {name[:100]!r} is known here")


def not_allowed(pointer: str, why: str) -> Refused:
    """The body is right, and the operator's settings forbid what it asks for."""
    errors = (ProblemError(pointer=pointer, detail=why),)
    return Refused(HTTPStatus.UNPROCESSABLE_CONTENT, "not-allowed", f"{pointer} {why}", errors=errors)


def conflict(kind: str, detail: str) -> Refused:
    """The thing is there, and in no state for this."""
    return Refused(HTTPStatus.CONFLICT, kind, detail)


def answer(request: web.Request, refused: Refused) -> web.Response:
    """Return the refusal as a response."""
    problem = Problem(
        type=PROBLEM_TYPE + refused.kind,
        title=refused.kind.replace("-", " ").capitalize(),
        status=refused.status,
        detail=str(refused),
        instance=request.path,
        errors=refused.errors,
    )
    response = web.Response(
        status=refused.status,
        body=problem.model_dump_json().encode(),
        content_type=PROBLEM_MEDIA,
        headers=dict(refused.headers),
    )
    if refused.closes:
        response.force_close()
    return response
