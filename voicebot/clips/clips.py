"""Audio for `play`: fetched from where a reply says, within limits, converted once, kept for the next call."""

import asyncio
from collections import OrderedDict
from http import HTTPStatus
from types import TracebackType
from typing import Self

import aiohttp
from yarl import URL

from voicebot.clips.audio import to_telephone
from voicebot.config import PlaySettings
from voicebot.errors import LocalProtocolError, PeerError, PeerProtocolError, PeerRefused, PeerUnavailable
from voicebot.metrics import Metrics
from voicebot.outside import AddressRefused, check_url, guarded_connector

PEER = "audio"
CHUNK_BYTES = 65_536
REDIRECTS = {301, 302, 303, 307, 308}
LATER = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS}


class Clips:
    """A context manager: the connections live as long as it does."""

    def __init__(self, settings: PlaySettings, metrics: Metrics | None = None) -> None:
        self._settings = settings
        self._fetches = (metrics or Metrics()).play_fetches
        self._session: aiohttp.ClientSession | None = None
        self._cache: OrderedDict[str, bytes] = OrderedDict()
        self._flights: dict[str, asyncio.Future[bytes]] = {}

    async def __aenter__(self) -> Self:
        limit = self._settings.connections
        connector = aiohttp.TCPConnector(limit=limit) if self._settings.allow_private else guarded_connector(limit)
        # A cookie of one call is none of the next one's business; proxies of the environment would undo the guard.
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            headers={"Accept": "audio/*", "Accept-Encoding": "identity"},
            auto_decompress=False,  # a small body could unpack to any size
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def fetch(self, url: str) -> bytes:
        """Return the audio behind `url` as raw µ-law, 8 kHz mono; many callers of one URL share one request.

        Raises PeerRefused (wrong URL, address that is not public, 4xx), PeerUnavailable (no answer, 5xx) or
        PeerProtocolError (too large, too long, no audio).
        """
        while True:
            if url in self._cache:
                self._cache.move_to_end(url)
                self._fetches.labels("cached").inc()
                return self._cache[url]
            flight = self._flights.get(url)
            if flight is None:
                return await self._lead(url)
            await asyncio.wait([flight])
            if not flight.cancelled():  # if its caller hung up, somebody else goes on
                return flight.result()

    async def _lead(self, url: str) -> bytes:
        flight = self._flights[url] = asyncio.get_running_loop().create_future()
        try:
            audio = await self._load(url)
        except PeerError as error:
            self._fetches.labels(_outcome(error)).inc()
            flight.set_exception(error)
            flight.exception()  # seen, even if nobody waits for it
            raise
        else:
            self._fetches.labels("fetched").inc()
            flight.set_result(audio)
            return audio
        finally:
            flight.cancel()
            del self._flights[url]

    async def _load(self, url: str) -> bytes:
        timeout_s = self._settings.timeout_s
        name = _shown(url)
        try:
            async with asyncio.timeout(timeout_s):
                data, keep = await self._download(url, name)
        except TimeoutError:
            raise PeerUnavailable(PEER, f"{name}: not there after {timeout_s:g} s") from None
        except AddressRefused as refusal:
            raise PeerRefused(PEER, f"{name}: {refusal}", code=0) from None
        except (aiohttp.InvalidURL, ValueError) as error:
            raise PeerRefused(PEER, f"{name}: not a usable URL: {error}", code=0) from error
        except aiohttp.ClientError as error:
            raise PeerUnavailable(PEER, f"{name}: {str(error) or type(error).__name__}") from error
        audio = await asyncio.to_thread(to_telephone, data, self._settings.max_seconds, name)
        if keep:
            self._keep(url, audio)
        return audio

    async def _download(self, url: str, name: str) -> tuple[bytes, bool]:
        """Return the body, and whether its server allows to keep it."""
        if self._session is None:
            raise LocalProtocolError("Clips is used outside its context")
        target = URL(url)
        for _ in range(self._settings.redirects + 1):
            self._check(target, name)
            async with self._session.get(target, allow_redirects=False) as response:
                if response.status in REDIRECTS and "Location" in response.headers:
                    target = target.join(URL(response.headers["Location"]))
                    continue
                return await self._body(response, name), _may_be_kept(response)
        raise PeerRefused(PEER, f"{name}: more than {self._settings.redirects} redirects", code=0)

    def _check(self, target: URL, name: str) -> None:
        if target.scheme not in {"http", "https"} or not target.host:
            raise PeerRefused(PEER, f"{name}: only http:// and https:// URLs can be played", code=0)
        if not self._settings.allow_private:
            check_url(target, self._settings.ports)

    async def _body(self, response: aiohttp.ClientResponse, name: str) -> bytes:
        status = response.status
        if status != HTTPStatus.OK:
            text = f"{name}: {status} {response.reason or ''}".rstrip()
            if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in LATER:
                raise PeerUnavailable(PEER, text)
            raise PeerRefused(PEER, text, code=status)
        if (encoding := response.headers.get("Content-Encoding", "identity").lower()) != "identity":
            raise PeerProtocolError(PEER, f"{name}: is encoded ({encoding[:20]}) although none was asked for")
        body = bytearray()
        limit = self._settings.max_bytes
        if (response.content_length or 0) <= limit:
            async for chunk in response.content.iter_chunked(CHUNK_BYTES):
                body += chunk
                if len(body) > limit:
                    break
            else:
                return bytes(body)
        raise PeerProtocolError(PEER, f"{name}: more than {limit} bytes")

    def _keep(self, url: str, audio: bytes) -> None:
        self._cache[url] = audio
        while len(self._cache) > self._settings.cache_entries:
            self._cache.popitem(last=False)


def _outcome(error: PeerError) -> str:
    if isinstance(error, PeerRefused):
        return "refused"
    return "unavailable" if isinstance(error, PeerUnavailable) else "unusable"


def _may_be_kept(response: aiohttp.ClientResponse) -> bool:
    control = response.headers.get("Cache-Control", "").lower()
    return "no-store" not in control and "no-cache" not in control


def _shown(url: str) -> str:
    """Return the URL without its secrets: user, password and query."""
    try:
        return str(URL(url).with_user(None).with_query(None).with_fragment(None))
    except ValueError:
        return "the URL"
