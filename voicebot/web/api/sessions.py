"""Browsers sign in with a token and get a cookie, which scripts cannot read and other sites cannot use."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import structlog
from aiohttp import web
from yarl import URL

from voicebot.config import ApiSettings
from voicebot.web.api.guard import COOKIE, HOLDER, Guard
from voicebot.web.api.handler import Handler, document
from voicebot.web.api.reading import body
from voicebot.web.api.tokens import SCOPES, Holder
from voicebot.wire import api
from voicebot.wire.api_requests import SessionRequest

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class SessionDoors:
    """A session is its cookie: kept are only those that were signed out; a changed token ends all its sessions."""

    def __init__(self, guard: Guard, settings: ApiSettings, public_url: str) -> None:
        self._guard, self._settings = guard, settings
        self._behind_tls = public_url.startswith("https://")

    def handlers(self) -> Mapping[str, Handler]:
        """Return the handlers by their operation."""
        return {"open_session": self.open, "show_session": self.show, "close_session": self.close}

    async def open(self, request: web.Request) -> web.Response:
        """`POST /session`."""
        if "Origin" in request.headers:
            self._guard.same_origin(request)
        asked = await body(SessionRequest, request, self._settings)
        holder = self._guard.check(request, asked.token)
        lasting = timedelta(seconds=self._settings.session_s)
        cookie, session = self._guard.tokens.cookie(holder.name, datetime.now(UTC), lasting)
        structlog.get_logger().info("api.session_opened", name=holder.name)
        response = document(_info(session))
        response.set_cookie(
            COOKIE,
            cookie,
            max_age=round(self._settings.session_s),
            path="/",
            httponly=True,
            samesite="Strict",
            # A browser on this very machine may come without TLS, past the proxy.
            secure=self._behind_tls and not _is_loopback(request),
        )
        return response

    async def show(self, request: web.Request) -> web.Response:
        """`GET /session`."""
        return document(_info(request[HOLDER]))

    async def close(self, request: web.Request) -> web.Response:
        """`DELETE /session`."""
        if cookie := request.cookies.get(COOKIE):
            self._guard.same_origin(request)
            now = datetime.now(UTC)
            if holder := self._guard.tokens.session(cookie, now):
                self._guard.tokens.close(holder, now)
                structlog.get_logger().info("api.session_closed", name=holder.name)
        response = web.Response(status=204)
        response.del_cookie(COOKIE, path="/", httponly=True, samesite="Strict")
        return response


def _info(holder: Holder) -> api.SessionInfo:
    scopes = tuple(scope for scope in SCOPES if scope in holder.scopes)
    return api.SessionInfo(name=holder.name, scopes=scopes, expires_at=holder.expires_at)


def _is_loopback(request: web.Request) -> bool:
    try:
        return URL(f"http://{request.host}").host in LOOPBACK
    except ValueError:
        return False
