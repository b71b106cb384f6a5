"""The room that owns the connections to the application and opens a lane for each call."""

from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from random import Random, SystemRandom

import aiohttp
from pydantic import SecretStr

from voicebot.config import WebhookSettings
from voicebot.courier.lane import Lane
from voicebot.courier.ledger import Ledger
from voicebot.courier.outcomes import OnOutcome
from voicebot.courier.poster import TRACE_BYTES, Clock, Poster
from voicebot.store import Store

KEEPALIVE_S = 4.0
"""An idle connection is closed after so long; usual servers close theirs after 5 s, and a POST must not meet that."""
USER_AGENT = f"voicebot/{version('voicebot')}"


def open_session(settings: WebhookSettings) -> aiohttp.ClientSession:
    """Return the session for all calls; the caller closes it. It ignores proxies of the environment and cookies."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=settings.connections, keepalive_timeout=KEEPALIVE_S),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": USER_AGENT},
        timeout=aiohttp.ClientTimeout(total=None),  # every attempt carries its own
        trust_env=False,
        auto_decompress=False,
    )


def utc_now() -> datetime:
    """Return the current instant."""
    return datetime.now(UTC)


class Courier:
    """What the lanes of all calls share."""

    def __init__(
        self,
        settings: WebhookSettings,
        store: Store,
        session: aiohttp.ClientSession,
        *,
        now: Clock = utc_now,
        chance: Random | None = None,
    ) -> None:
        self._settings = settings
        self._store = store
        self._session = session
        self._now = now
        self._chance = chance or SystemRandom()

    def lane(
        self,
        call_id: str,
        url: str,
        secrets: Sequence[SecretStr],
        on_outcome: OnOutcome,
        *,
        trace_id: str | None = None,
    ) -> Lane:
        """Return the lane of a call; an empty `url` keeps events and delivers none.

        `trace_id` is the W3C trace (32 hexadecimal digits) that the requests belong to; without it a new one begins.
        """
        poster = Poster(
            session=self._session,
            url=url,
            secrets=tuple(secret.get_secret_value() for secret in secrets),
            trace_id=trace_id or self._chance.randbytes(TRACE_BYTES).hex(),
            max_reply_bytes=self._settings.max_reply_bytes,
            now=self._now,
            chance=self._chance,
        )
        return Lane(call_id, self._settings, poster, Ledger(self._store), on_outcome)
