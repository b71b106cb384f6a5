"""Tokens and the cookies that stand for them: who is it, and what may they do?"""

import base64
import binascii
import hmac
import json
import secrets
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from voicebot.config import ApiToken
from voicebot.wire.api import Scope

SCOPES: tuple[Scope, ...] = ("watch", "control", "admin")
"""Each contains those before it."""
MAX_COOKIE_CHARS = 1_000
MAX_CLOSED = 10_000
"""Sessions that were signed out are remembered until they would have ended by themselves, but at most so many."""
SESSION_BYTES = 12
_PURPOSE = b"voicebot session"


@dataclass(frozen=True, slots=True)
class Holder:
    """One who was let in; `expires_at` is the cookie's end, None for a bearer token."""

    name: str
    scopes: frozenset[Scope]
    expires_at: datetime | None = None
    session: str = ""
    """Number of the browser's session."""


class Tokens:
    """Compares in constant time, whichever token is meant and however long the given one is."""

    def __init__(self, tokens: Sequence[ApiToken]) -> None:
        self._secrets = {token.name: token.token.get_secret_value().encode() for token in tokens}
        self._scopes = {token.name: _contained(token.scopes) for token in tokens}
        self._closed: OrderedDict[str, datetime] = OrderedDict()

    def __bool__(self) -> bool:
        return bool(self._secrets)

    def holder(self, token: str) -> Holder | None:
        """Return who has this token."""
        given = sha256(token.encode(errors="surrogateescape")).digest()
        # Every token is compared, so that the time says nothing about which one it was.
        matches = [
            name for name, secret in self._secrets.items() if hmac.compare_digest(sha256(secret).digest(), given)
        ]
        return Holder(matches[0], self._scopes[matches[0]]) if matches else None

    def cookie(self, name: str, now: datetime, lasting: timedelta) -> tuple[str, Holder]:
        """Return a session for the token of this name; a changed token ends all its sessions."""
        expires_at = (now + lasting).replace(microsecond=0)
        number = secrets.token_urlsafe(SESSION_BYTES)
        claim = _packed(json.dumps([name, int(expires_at.timestamp()), number]).encode())
        return f"{claim}.{self._seal(name, claim)}", Holder(name, self._scopes[name], expires_at, number)

    def session(self, cookie: str, now: datetime) -> Holder | None:
        """Return whose session this is; None when it is over, or was never given out."""
        claim, _, seal = cookie[:MAX_COOKIE_CHARS].partition(".")
        try:
            match json.loads(base64.urlsafe_b64decode(claim + "=" * (-len(claim) % 4))):
                case [str(name), int(until), str(number)] if name in self._secrets:
                    expires_at = datetime.fromtimestamp(until, UTC)
                case _:
                    return None
        except (ValueError, binascii.Error, OverflowError, OSError, RecursionError):
            return None
        if not hmac.compare_digest(seal.encode(errors="surrogateescape"), self._seal(name, claim).encode()):
            return None
        if number in self._closed or now >= expires_at:
            return None
        return Holder(name, self._scopes[name], expires_at, number)

    def close(self, holder: Holder, now: datetime) -> None:
        """End a session before its time: whoever has copied its cookie has nothing any more."""
        while self._closed and (len(self._closed) >= MAX_CLOSED or next(iter(self._closed.values())) <= now):
            self._closed.popitem(last=False)
        if holder.expires_at:
            self._closed[holder.session] = holder.expires_at

    def _seal(self, name: str, claim: str) -> str:
        key = hmac.digest(self._secrets[name], _PURPOSE, "sha256")
        return _packed(hmac.digest(key, claim.encode(), "sha256"))


def _contained(scopes: Sequence[Scope]) -> frozenset[Scope]:
    highest = max(SCOPES.index(scope) for scope in scopes)
    return frozenset(SCOPES[: highest + 1])


def _packed(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).decode().rstrip("=")
