"""Lets requests in: a bearer token or a session cookie, the right scope, and no guessing."""

import time
from datetime import UTC, datetime
from http import HTTPStatus
from urllib.parse import urlsplit

from aiohttp import web

from voicebot.config import ApiSettings
from voicebot.metrics import Metrics
from voicebot.web.api.problems import Refused
from voicebot.web.api.rates import Peers, PerMinute
from voicebot.web.api.tokens import Holder, Tokens
from voicebot.web.refusals import Refusals
from voicebot.wire.api import Scope

COOKIE = "voicebot_session"
HOLDER = web.RequestKey("holder", Holder)
"""Where a request keeps who asks."""
UNSAFE = frozenset({"POST", "PUT", "PATCH", "DELETE"})
CLOSED = (
    "the API has no tokens: set VOICEBOT_API__TOKENS, for example"
    ' [{"name": "console", "token": "<20 characters or more>", "scopes": ["control"]}]'
)
CHALLENGE = {"WWW-Authenticate": 'Bearer realm="voicebot"'}


class Guard:
    """Every refusal is counted and logged, without what was given."""

    def __init__(self, settings: ApiSettings, public_url: str, metrics: Metrics) -> None:
        self.tokens = Tokens(settings.tokens)
        self._failures = PerMinute(settings.failures_per_minute, time.monotonic)
        self._requests = PerMinute(settings.requests_per_minute, time.monotonic)
        self._peers = Peers(settings.trusted_proxies)
        self._public = _origin(public_url)
        self._refusals = Refusals(metrics)

    def admit(self, request: web.Request, scope: Scope | None) -> None:
        """Note who asks (`HOLDER`); raises Refused when that is nobody we know, one who may not, or does too much.

        Without a `scope` anybody may ask, but not too often.
        """
        try:
            self._pace(f"from {self._address(request)}")
            if scope:
                holder = _good_for(self._known(request), scope)
                self._pace(f"by {holder.name}")
                request[HOLDER] = holder
        except Refused as refused:
            route = route_of(request)
            self._refusals.note(
                "api", refused.kind, event="api.refused", level="info", method=request.method, route=route
            )
            raise

    def check(self, request: web.Request, token: str) -> Holder:
        """Return who has this token; raises Refused, also for one who has failed too often."""
        if not self.tokens:
            raise Refused(HTTPStatus.FORBIDDEN, "api-closed", CLOSED)
        address = self._address(request)
        if wait_s := self._failures.wait_s(address):
            detail = f"too many wrong tokens from here: try again in {wait_s} s"
            raise Refused(
                HTTPStatus.TOO_MANY_REQUESTS, "too-many-failures", detail, headers={"Retry-After": str(wait_s)}
            )
        holder = self.tokens.holder(token)
        if holder is None:
            self._failures.note(address)
            raise Refused(HTTPStatus.UNAUTHORIZED, "unknown-token", "no such token", headers=CHALLENGE)
        return holder

    def same_origin(self, request: web.Request) -> None:
        """Raise Refused unless the page that asks is ours: a cookie is sent along by pages of others, too."""
        given = request.headers.get("Origin")
        if given is None or _origin(given) not in {self._public, ("http", request.host), ("https", request.host)}:
            detail = "a request with a cookie needs the Origin of this service; programs use a bearer token"
            raise Refused(HTTPStatus.FORBIDDEN, "foreign-origin", detail)

    def _address(self, request: web.Request) -> str:
        return self._peers.address(request.remote or "", ",".join(request.headers.getall("X-Forwarded-For", [])))

    def _pace(self, who: str) -> None:
        if wait_s := self._requests.wait_s(who):
            detail = f"too many requests {who}: try again in {wait_s} s"
            raise Refused(
                HTTPStatus.TOO_MANY_REQUESTS, "too-many-requests", detail, headers={"Retry-After": str(wait_s)}
            )
        self._requests.note(who)

    def _known(self, request: web.Request) -> Holder:
        if not self.tokens:
            raise Refused(HTTPStatus.FORBIDDEN, "api-closed", CLOSED)
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme:
            if scheme.lower() != "bearer":
                raise Refused(HTTPStatus.UNAUTHORIZED, "no-token", "send Authorization: Bearer …", headers=CHALLENGE)
            return self.check(request, token.strip())
        if cookie := request.cookies.get(COOKIE):
            if holder := self.tokens.session(cookie, datetime.now(UTC)):
                if request.method in UNSAFE:
                    self.same_origin(request)
                return holder
            raise Refused(
                HTTPStatus.UNAUTHORIZED, "session-over", "the session is over: sign in again", headers=CHALLENGE
            )
        detail = "send Authorization: Bearer …, or sign in with POST /session"
        raise Refused(HTTPStatus.UNAUTHORIZED, "no-token", detail, headers=CHALLENGE)


def _good_for(holder: Holder, scope: Scope) -> Holder:
    if scope not in holder.scopes:
        has = ", ".join(sorted(holder.scopes))
        detail = f"this needs a token with the scope {scope}; {holder.name} has {has}"
        raise Refused(HTTPStatus.FORBIDDEN, "scope", detail)
    return holder


def route_of(request: web.Request) -> str:
    """Return the route's pattern: what is in its place may be anything."""
    resource = request.match_info.route.resource
    return resource.canonical if resource else ""


def _origin(url: str) -> tuple[str, str]:
    try:
        parts = urlsplit(url)
    except ValueError:
        return ("", "")
    return (parts.scheme, parts.netloc)
