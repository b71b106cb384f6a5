"""The HTTP API: every operation of the table gets its handler, its guard and its answers to what goes wrong."""

from collections.abc import Mapping
from functools import partial
from http import HTTPStatus
from importlib.metadata import version

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler as AnyHandler

from voicebot.errors import LocalProtocolError, PeerUnavailable
from voicebot.store.records import InvalidCursor
from voicebot.web.api import problems
from voicebot.web.api.guard import COOKIE, Guard
from voicebot.web.api.handler import Handler
from voicebot.web.api.problems import Refused
from voicebot.wire.api import ProblemError
from voicebot.wire.api_operations import OPERATIONS, Operation
from voicebot.wire.openapi import document

ROOTS = frozenset(operation.path.split("/")[1] for operation in OPERATIONS)
"""First parts of the paths that are the API's."""
HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class ApiDoors:
    """All operations, `handlers` by their names; raises KeyError when one is missing."""

    def __init__(self, guard: Guard, handlers: Mapping[str, Handler]) -> None:
        self._guard = guard
        self._handlers = {**handlers, "openapi": self._openapi}
        self._document = document(version=version("voicebot"), cookie=COOKIE)

    def mount(self, application: web.Application) -> None:
        """Add the routes, and what all answers have in common."""
        application.add_routes(
            [
                web.route(each.method, each.path, partial(self._carry_out, each, self._handlers[each.id]))
                for each in OPERATIONS
            ]
        )
        application.middlewares.append(_told_as_problems)
        application.on_response_prepare.append(_harden)

    async def _carry_out(self, operation: Operation, handler: Handler, request: web.Request) -> web.StreamResponse:
        try:
            self._guard.admit(request, operation.scope)
            if any(not value.isprintable() for value in request.match_info.values()):
                raise problems.not_found("thing", ascii(request.path))
            return await handler(request)
        except Refused as refused:
            return problems.answer(request, refused)
        except InvalidCursor as error:
            errors = (ProblemError(parameter="cursor", detail=str(error)),)
            detail = "not valid: cursor"
            return problems.answer(request, Refused(HTTPStatus.UNPROCESSABLE_CONTENT, "invalid", detail, errors=errors))
        except PeerUnavailable as error:
            detail = f"{error}: try again later"
            return problems.answer(request, Refused(HTTPStatus.SERVICE_UNAVAILABLE, "unavailable", detail))
        except LocalProtocolError:
            structlog.get_logger().exception("api.failed", operation=operation.id)
            detail = "this is a fault of the service; its log says more"
            return problems.answer(request, Refused(HTTPStatus.INTERNAL_SERVER_ERROR, "internal", detail))

    async def _openapi(self, _request: web.Request) -> web.Response:
        return web.json_response(self._document)


@web.middleware
async def _told_as_problems(request: web.Request, handler: AnyHandler) -> web.StreamResponse:
    """Unknown paths and methods below our roots are told as everything else is."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        if not _is_ours(request) or error.status < HTTPStatus.BAD_REQUEST:
            raise
        kind = HTTPStatus(error.status).phrase.lower().replace(" ", "-")
        headers = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}
        detail = f"{request.method} {request.path[:100]} is no operation: GET /openapi.json lists all"
        return problems.answer(request, Refused(HTTPStatus(error.status), kind, detail, headers=headers))


async def _harden(request: web.Request, response: web.StreamResponse) -> None:
    if _is_ours(request):
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)


def _is_ours(request: web.Request) -> bool:
    return request.path.split("/")[1] in ROOTS
