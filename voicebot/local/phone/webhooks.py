"""HTTP from Twilio to the service: signed, routed, timed, and every failure with Twilio's code."""

import asyncio
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit

import aiohttp
import yarl

from voicebot.local.phone.codes import CONNECTION_FAILURE, RETRIEVAL_FAILURE, TLS_FAILURE, TOTAL_TIMEOUT
from voicebot.local.phone.faults import PhoneFaults
from voicebot.local.phone.journal import Journal
from voicebot.local.phone.options import Limits
from voicebot.local.phone.report import HttpExchange
from voicebot.local.phone.routes import Overrides, RouteError, Routes, path_and_query, without_fragment
from voicebot.local.phone.signing import Signer

#: Redirects followed before giving up.
MAX_REDIRECTS: Final = 10
USER_AGENT: Final = "TwilioProxy/1.1"
_KEEPS_METHOD: Final = frozenset({307, 308})
_REDIRECTS: Final = frozenset({301, 302, 303}) | _KEEPS_METHOD
_MS: Final = 1000.0


class WebhookFailure(Exception):  # noqa: N818 - an outcome of the service's, not an error of ours
    """A request without a usable answer; `code` is Twilio's."""

    def __init__(self, code: int, message: str, kind: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.kind = kind


@dataclass(frozen=True, slots=True)
class Ask:
    """One request to make: why, where, how and with which parameters."""

    purpose: str
    url: str
    method: str
    parameters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answer:
    """The service's answer, and the URL it came from in the end."""

    url: str
    status: int
    content_type: str
    body: bytes

    @property
    def ok(self) -> bool:
        """Whether it is a success."""
        return HTTPStatus.OK <= self.status < HTTPStatus.MULTIPLE_CHOICES


class Webhooks:
    """Makes Twilio's requests of one call; cookies the service sets last for the call, as Twilio keeps them."""

    def __init__(self, signer: Signer, routes: Routes, limits: Limits, faults: PhoneFaults, journal: Journal) -> None:
        self._signer = Signer("a token nobody has") if faults.bad_webhook_signature else signer
        self._unsigned = faults.no_signature
        self._routes = routes
        self._limits = limits
        self._journal = journal

    async def ask(self, session: aiohttp.ClientSession, ask: Ask) -> Answer:
        """Make a request, following redirects and retrying as the URL's fragment says; raises `WebhookFailure`."""
        limits = self._limits
        overrides = Overrides(limits.http_connect_s, limits.http_read_s, limits.http_total_s).from_fragment(ask.url)
        try:
            async with asyncio.timeout(overrides.total_s):
                return await self._retrying(session, ask, overrides)
        except TimeoutError as error:
            message = f"{ask.method} {ask.url}: no complete answer within {overrides.total_s:g} s"
            raise WebhookFailure(TOTAL_TIMEOUT, message) from error

    async def _retrying(self, session: aiohttp.ClientSession, ask: Ask, overrides: Overrides) -> Answer:
        retries = overrides.retries
        while True:
            try:
                answer = await self._following(session, ask, overrides)
            except WebhookFailure as failure:
                if retries == 0 or not overrides.retries_on(failure.kind):
                    raise
            else:
                if retries == 0 or answer.ok or not overrides.retries_on(f"{answer.status // 100}xx"):
                    return answer
            retries -= 1
            await asyncio.sleep(self._limits.retry_wait_s)

    async def _following(self, session: aiohttp.ClientSession, ask: Ask, overrides: Overrides) -> Answer:
        for _ in range(MAX_REDIRECTS):
            answer, location = await self._once(session, ask, overrides)
            if answer.status not in _REDIRECTS or location is None:
                return answer
            target = urljoin(answer.url, location)
            keep = answer.status in _KEEPS_METHOD
            ask = Ask(ask.purpose, target, ask.method if keep else "GET", ask.parameters if keep else {})
        raise WebhookFailure(RETRIEVAL_FAILURE, f"{ask.url}: more than {MAX_REDIRECTS} redirects")

    async def _once(
        self,
        session: aiohttp.ClientSession,
        ask: Ask,
        overrides: Overrides,
    ) -> tuple[Answer, str | None]:
        url = without_fragment(ask.url)
        if ask.method == "GET" and ask.parameters:
            url += ("&" if urlsplit(url).query else "?") + urlencode(ask.parameters)
        began = self._journal.clock.now()
        try:
            answer, location = await self._exchange(session, ask, url, overrides)
        except WebhookFailure as failure:
            self._keep(ask, url, began, error=str(failure))
            raise
        self._keep(ask, url, began, answer)
        return answer, location

    async def _exchange(
        self,
        session: aiohttp.ClientSession,
        ask: Ask,
        url: str,
        overrides: Overrides,
    ) -> tuple[Answer, str | None]:
        form = dict(ask.parameters) if ask.method == "POST" else {}
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=overrides.connect_s, sock_read=overrides.read_s)
        try:
            place = self._routes.locate(url)
            async with session.request(
                ask.method,
                yarl.URL(place.http_url(path_and_query(url)), encoded=True),
                data=urlencode(form).encode() if ask.method == "POST" else None,
                headers=self._headers(url, form, place.authority, ask.method),
                allow_redirects=False,
                timeout=timeout,
                server_hostname=urlsplit(url).hostname if place.secure else None,
            ) as response:
                body = await self._read(response)
                answer = Answer(url, response.status, response.headers.get("Content-Type", ""), body)
                return answer, response.headers.get("Location")
        except (aiohttp.ServerTimeoutError, TimeoutError) as error:
            kind = "ct" if isinstance(error, aiohttp.ConnectionTimeoutError) else "rt"
            code = CONNECTION_FAILURE if kind == "ct" else RETRIEVAL_FAILURE
            raise WebhookFailure(code, f"{url}: timed out ({error})", kind) from error
        except aiohttp.ClientConnectorSSLError as error:
            raise WebhookFailure(TLS_FAILURE, f"{url}: TLS failed ({error})", "ct") from error
        except aiohttp.ClientConnectorCertificateError as error:
            raise WebhookFailure(TLS_FAILURE, f"{url}: certificate refused ({error})", "ct") from error
        except aiohttp.ClientConnectorError as error:
            raise WebhookFailure(CONNECTION_FAILURE, f"{url}: cannot connect ({error})", "ct") from error
        except (aiohttp.ClientError, RouteError) as error:
            raise WebhookFailure(RETRIEVAL_FAILURE, f"{url}: {type(error).__name__}: {error}") from error

    def _headers(self, url: str, form: Mapping[str, str], authority: str, method: str) -> dict[str, str]:
        headers = {
            "Host": authority,
            "User-Agent": USER_AGENT,
            "Accept": "*/*",
            "I-Twilio-Idempotency-Token": str(uuid.uuid4()),
        }
        if method == "POST":
            headers["Content-Type"] = "application/x-www-form-urlencoded; charset=UTF-8"
        if not self._unsigned:
            headers["X-Twilio-Signature"] = self._signer.form(url, form)
        return headers

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        body = bytearray()
        async for piece in response.content.iter_any():
            body += piece
            if len(body) > self._limits.body_bytes:
                message = f"{response.url}: the answer is larger than {self._limits.body_bytes} bytes"
                raise WebhookFailure(RETRIEVAL_FAILURE, message)
        return bytes(body)

    def _keep(self, ask: Ask, url: str, began: float, answer: Answer | None = None, error: str | None = None) -> None:
        parameters = dict(ask.parameters) or dict(parse_qsl(urlsplit(url).query))
        self._journal.request(
            HttpExchange(
                at_ms=round(began),
                purpose=ask.purpose,
                method=ask.method,
                url=url,
                parameters=parameters,
                status=answer.status if answer else 0,
                content_type=answer.content_type if answer else "",
                took_ms=round(self._journal.clock.now() - began),
                error=error,
            ),
        )
