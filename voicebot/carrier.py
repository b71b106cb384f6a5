"""Asks the carrier's REST API for what its webhooks cannot do: place a call, and end one that has no stream to close."""

import json
from collections.abc import Mapping
from http import HTTPStatus
from types import TracebackType
from typing import Self

import aiohttp
from pydantic import JsonValue

from voicebot.config import TwilioSettings
from voicebot.errors import ConfigurationError, PeerProtocolError, PeerRefused, PeerUnavailable

PEER = "twilio"
API_VERSION = "2010-04-01"
MAX_ANSWER_BYTES = 262_144
SHOWN = 200
"""Most characters of the carrier's words that an error repeats."""


class Carrier:
    """Twilio's REST API (Calls resource), with the account's SID and auth token; an asynchronous context."""

    def __init__(self, settings: TwilioSettings) -> None:
        self._settings = settings
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        """Open the connections' pool."""
        settings = self._settings
        key = aiohttp.encode_basic_auth(settings.account_sid, settings.auth_token.get_secret_value())
        self._session = aiohttp.ClientSession(
            headers={"Authorization": key},
            timeout=aiohttp.ClientTimeout(total=settings.api_timeout_s),
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """Close the connections."""
        if self._session:
            await self._session.close()

    async def dial(self, to: str, from_: str, *, voice_url: str, status_url: str) -> str:
        """Place a call and return its CallSid; when it is answered, `voice_url` is asked what to do.

        Raises ConfigurationError without an account, PeerRefused when Twilio says no (`code` is its own),
        PeerUnavailable when it cannot be reached, PeerProtocolError for an answer that cannot be read.
        """
        form = {"To": to, "From": from_, "Url": voice_url, "Method": "POST"}
        status = {"StatusCallback": status_url, "StatusCallbackMethod": "POST", "StatusCallbackEvent": "completed"}
        answer = await self._post("Calls.json", form | status)
        match answer:
            case {"sid": str(sid)} if sid:
                return sid
            case _:
                raise PeerProtocolError(PEER, "it took the call and gave it no sid")

    async def hang_up(self, call_sid: str) -> None:
        """End a call, whatever it is doing; raises as `dial` does."""
        await self._post(f"Calls/{call_sid}.json", {"Status": "completed"})

    async def _post(self, path: str, form: Mapping[str, str]) -> JsonValue:
        settings = self._settings
        if not settings.account_sid or not settings.auth_token.get_secret_value() or self._session is None:
            raise ConfigurationError(
                "TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN: without them the carrier takes no orders"
            )
        url = f"{settings.api_url.rstrip('/')}/{API_VERSION}/Accounts/{settings.account_sid}/{path}"
        try:
            async with self._session.post(url, data=form, allow_redirects=False) as response:
                body = await response.content.read(MAX_ANSWER_BYTES)
                return _judged(response.status, body)
        except TimeoutError:
            raise PeerUnavailable(PEER, f"no answer within {settings.api_timeout_s:g} s") from None
        except aiohttp.ClientError as error:
            raise PeerUnavailable(PEER, str(error) or type(error).__name__) from error


def _judged(status: int, body: bytes) -> JsonValue:
    """Return the document of a good answer; an error has `code` and `message` (Twilio, REST errors)."""
    try:
        answer: JsonValue = json.loads(body) if body else None
    except ValueError:
        answer = None
    if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        return answer
    message, code = f"status {status}", 0
    if isinstance(answer, dict):
        message, code = str(answer.get("message", message))[:SHOWN], _code(answer.get("code"))
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.TOO_MANY_REQUESTS:
        raise PeerUnavailable(PEER, message)
    raise PeerRefused(PEER, message, code=code)


def _code(code: JsonValue) -> int:
    return code if isinstance(code, int) else 0
