"""Asks a running service over its HTTP API, for the commands that show what it knows."""

import argparse
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from types import TracebackType
from typing import Self

import aiohttp
from pydantic_core import from_json

from voicebot.config.client import client_token
from voicebot.config.reading import TOKEN_VARIABLE
from voicebot.errors import ConfigurationError, PeerProtocolError, PeerRefused, PeerUnavailable, VoicebotError
from voicebot.wire import sse

PEER = "service"
DEFAULT_URL = "http://127.0.0.1:8080"
CONNECT_TIMEOUT_S = 5
ANSWER_TIMEOUT_S = 30
SILENCE_TIMEOUT_S = 60
"""Longest silence of a stream, several of the service's heartbeats."""
BUFFER_BYTES = 1_048_576
"""Read ahead of what is being shown."""


class StreamOver(VoicebotError):  # noqa: N818 - how a stream ends, not a failure
    """There is no more of this stream, and there will be none (204)."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Where the service is, and who asks."""
    parser.add_argument("--url", default=DEFAULT_URL, help="the service (default: %(default)s)")
    parser.add_argument("--token", help=f"a token of the API (default: the variable {TOKEN_VARIABLE})")


class Api:
    """One service; every failure is an error whose text says what to do."""

    def __init__(self, url: str, token: str | None) -> None:
        """Raise ConfigurationError when `url` is none."""
        self._url = url.rstrip("/")
        if not self._url.startswith(("http://", "https://")):
            raise ConfigurationError(f"--url {url}: must begin with http:// or https://")
        bearer = client_token().get_secret_value() if token is None else token
        self._headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}

    async def __aenter__(self) -> Self:
        timeout = aiohttp.ClientTimeout(
            total=None, sock_connect=CONNECT_TIMEOUT_S, sock_read=SILENCE_TIMEOUT_S, connect=CONNECT_TIMEOUT_S
        )
        self._session = aiohttp.ClientSession(headers=self._headers, timeout=timeout, read_bufsize=BUFFER_BYTES)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._session.close()

    async def get(self, path: str, query: Mapping[str, str] | None = None) -> bytes:
        """Return the JSON at `path`; raises PeerRefused, PeerUnavailable."""
        async with self._asked(path, query or {}, {}) as response:
            return await response.read()

    async def watch(self, path: str, last_id: str) -> AsyncGenerator[sse.Message]:
        """Yield the messages of a stream until its connection ends.

        Raises StreamOver when there is no more, PeerRefused, PeerUnavailable, PeerProtocolError.
        """
        wanted = {"Accept": sse.CONTENT_TYPE} | ({"Last-Event-ID": last_id} if last_id else {})
        async with self._asked(path, {}, wanted) as response:
            if response.status == HTTPStatus.NO_CONTENT:
                raise StreamOver(f"{path} is over")
            if response.content_type != sse.CONTENT_TYPE:
                raise PeerProtocolError(PEER, f"{self._url}{path} is no stream of events but {response.content_type}")
            reader = sse.Reader(last_id)
            async for chunk in response.content.iter_any():
                for message in reader.push(chunk):
                    yield message
                if reader.held > sse.MAX_MESSAGE_BYTES:
                    raise PeerProtocolError(PEER, f"a message is longer than {sse.MAX_MESSAGE_BYTES} bytes")

    @asynccontextmanager
    async def _asked(
        self, path: str, query: Mapping[str, str], headers: Mapping[str, str]
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        try:
            async with self._session.get(
                self._url + path, params=query, headers=headers, allow_redirects=False
            ) as response:
                await self._check(response)
                yield response
        except TimeoutError as error:
            raise PeerUnavailable(PEER, f"{self._url} does not answer in time") from error
        except aiohttp.ClientConnectorError as error:
            why = error.strerror or str(error)
            raise PeerUnavailable(PEER, f"{self._url} cannot be reached ({why}): does `voicebot serve` run?") from error
        except (aiohttp.ClientError, OSError) as error:
            raise PeerUnavailable(PEER, f"{self._url}: the connection broke: {error}") from error

    async def _check(self, response: aiohttp.ClientResponse) -> None:
        if response.status in {HTTPStatus.OK, HTTPStatus.NO_CONTENT}:
            return
        detail = _detail(await response.read()) or response.reason or ""
        hint = f" (--token, or the variable {TOKEN_VARIABLE})" if response.status == HTTPStatus.UNAUTHORIZED else ""
        text = f"{response.url.path} answers {response.status}: {detail}{hint}"
        if response.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise PeerUnavailable(PEER, text)
        raise PeerRefused(PEER, text, code=response.status)


def _detail(body: bytes) -> str:
    """What a problem says (RFC 9457), each fault with its place; a proxy between may answer anything."""
    try:
        problem = from_json(body)
    except ValueError:
        return ""
    if not isinstance(problem, dict):
        return ""
    errors = problem.get("errors")
    faults = [
        f"{each.get('parameter') or each.get('pointer') or '$'}: {each.get('detail')}"
        for each in (errors if isinstance(errors, list) else [])
        if isinstance(each, dict)
    ]
    return "; ".join(faults) or str(problem.get("detail") or problem.get("title") or "")
