"""Reads the queries and bodies of the API, within its bounds."""

import asyncio
from collections.abc import Callable
from http import HTTPStatus

from aiohttp import web
from pydantic import BaseModel

from voicebot.config import ApiSettings
from voicebot.errors import ReplyRefused
from voicebot.web.api.problems import Refused
from voicebot.wire.api import ProblemError
from voicebot.wire.api_operations import JSON
from voicebot.wire.api_requests import BadRequest, read_body, read_query

CHUNK_BYTES = 65_536


def query[T: BaseModel](model: type[T], request: web.Request) -> T:
    """Return the query; raises Refused with each wrong parameter."""
    given = request.query
    errors = tuple(
        ProblemError(parameter=name, detail="is given more than once")
        for name in dict.fromkeys(given)
        if len(given.getall(name)) > 1
    )
    if errors:
        raise _refused(errors)
    return _read(lambda: read_query(model, given))


async def body[T: BaseModel](model: type[T], request: web.Request, settings: ApiSettings, *, empty: bool = False) -> T:
    """Return the body; raises Refused. With `empty` it may be left out."""
    raw = await _bytes(request, settings)
    if empty and not raw:
        return model()
    if request.content_type != JSON:
        detail = f"only {JSON} is taken here"
        raise Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "no-json", detail, headers={"Accept": JSON})
    return _read(lambda: read_body(model, raw))


def _read[T](reading: Callable[[], T]) -> T:
    try:
        return reading()
    except BadRequest as bad:
        raise _refused(bad.errors) from None
    except ReplyRefused as refused:
        error = ProblemError(pointer="#", detail=refused.reason)
        raise Refused(HTTPStatus.BAD_REQUEST, "malformed", f"the body {refused.reason}", errors=(error,)) from None


def _refused(errors: tuple[ProblemError, ...]) -> Refused:
    places = ", ".join(dict.fromkeys(error.parameter or error.pointer or "" for error in errors))
    return Refused(HTTPStatus.UNPROCESSABLE_CONTENT, "invalid", f"not valid: {places}"[:500], errors=errors)


async def _bytes(request: web.Request, settings: ApiSettings) -> bytes:
    raw = bytearray()
    try:
        async with asyncio.timeout(settings.body_timeout_s):
            async for chunk in request.content.iter_chunked(CHUNK_BYTES):
                raw += chunk
                if len(raw) > settings.max_body_bytes:
                    detail = f"the body has more than {settings.max_body_bytes} bytes"
                    raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too-large", detail, closes=True)
    except TimeoutError:
        detail = f"the body took longer than {settings.body_timeout_s:g} s"
        raise Refused(HTTPStatus.REQUEST_TIMEOUT, "too-slow", detail, closes=True) from None
    return bytes(raw)
