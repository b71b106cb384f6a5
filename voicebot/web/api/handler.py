"""What a handler of the API is, and how it answers with a document."""

from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web
from pydantic import BaseModel

from voicebot.wire.api_operations import JSON

type Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def document(model: BaseModel, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """Return a document of the API."""
    body = model.model_dump_json(by_alias=True).encode()
    return web.Response(status=status, body=body, content_type=JSON, headers=headers)
