"""Serves the console's files: no data, hence no token."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files

from aiohttp import web

PAGE = "index.html"
KINDS: Mapping[str, str] = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
"""Content types by the ending of a file's name; what has another ending is not served."""
DIRECTIVES = (
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "connect-src 'self'",
    "img-src 'self' data:",
    "media-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
)
"""Content Security Policy: scripts, styles and data come from this service only, and text can never become markup."""
HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": "; ".join(DIRECTIVES),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    # A browser asks each time and is told "not modified": a new version shows at the next load.
    "Cache-Control": "no-cache",
}


@dataclass(frozen=True, slots=True)
class _File:
    body: bytes
    kind: str
    etag: str


class ConsoleDoors:
    """`GET /console` and its static files, held in memory; what they show comes from the API, with the user's token."""

    def __init__(self) -> None:
        folder = files(__package__) / "static"
        self._files = {
            entry.name: _read(entry.read_bytes(), KINDS[ending])
            for entry in folder.iterdir()
            if (ending := entry.name.rpartition(".")[2]) in KINDS
        }

    def routes(self) -> list[web.RouteDef]:
        """Return the routes, relative to the public URL."""
        return [
            web.get("/console", self._page),
            web.get("/console/static/{name}", self._static),
        ]

    async def _page(self, request: web.Request) -> web.Response:
        return _answer(request, self._files[PAGE])

    async def _static(self, request: web.Request) -> web.Response:
        file = self._files.get(request.match_info["name"])
        if file is None:
            raise web.HTTPNotFound(text="the console has no such file\n")
        return _answer(request, file)


def _read(body: bytes, kind: str) -> _File:
    return _File(body, kind, hashlib.sha256(body).hexdigest()[:32])


def _answer(request: web.Request, file: _File) -> web.Response:
    """Send the file, or 304 to who has it already (RFC 9110, If-None-Match)."""
    headers = {**HEADERS, "ETag": f'"{file.etag}"'}
    known = request.if_none_match or ()
    if any(tag.value in {file.etag, "*"} for tag in known):
        return web.Response(status=304, headers=headers)
    return web.Response(body=file.body, headers={**headers, "Content-Type": file.kind})
