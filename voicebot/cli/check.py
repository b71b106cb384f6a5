"""Check the settings and whether everything they name can be reached, one line per finding."""

import argparse
import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from urllib.parse import urlsplit

import aiohttp
import websockets
from rich.console import Console
from rich.text import Text

from voicebot import app
from voicebot.config import Settings, load, variables
from voicebot.errors import ConfigurationError, VoicebotError
from voicebot.soniox_accounts import Account, accounts_of
from voicebot.soniox_socket import open_socket, without_key
from voicebot.store import Store

TIMEOUT_S = 5
type Finding = tuple[str, str]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to look at."""
    parser.add_argument(
        "--settings", action="store_true", help="list every setting with its default, and do nothing else"
    )
    parser.add_argument("--offline", action="store_true", help="check the settings alone; reach for nothing")


def run(arguments: argparse.Namespace) -> int:
    """Print what was found; the exit code is 0 when a call could be taken, 3 when settings are wrong, 1 otherwise."""
    console = Console()
    if arguments.settings:
        for name, description, default in variables():
            console.print(f"{name}={default!r}", highlight=False, markup=False, soft_wrap=True)
            if description:
                console.print(f"    {description}", style="dim", highlight=False, markup=False, soft_wrap=True)
        return 0
    settings = load()
    app.check(settings)
    _tell(console, "ok", "green", "settings are complete")
    if arguments.offline:
        return 0
    return asyncio.run(reach(settings, console))


async def reach(settings: Settings, console: Console) -> int:
    """Try everything that the settings name; print one line each and return 1 if anything is wrong, else 0."""
    targets: list[tuple[str, Callable[[], Awaitable[str]]]] = [
        ("store", lambda: _store(settings)),
        ("stopped endpoints", lambda: _endpoints(settings)),
        *_sonioxes(settings),
        ("application", lambda: _application(settings.webhook.url or settings.default.webhook_url)),
        ("public URL", lambda: _public(settings.public_url)),
    ]
    failed = False
    for name, look in targets:
        try:
            async with asyncio.timeout(TIMEOUT_S):
                _tell(console, "ok", "green", f"{name}: {await look()}")
        except (VoicebotError, OSError, TimeoutError, aiohttp.ClientError, websockets.WebSocketException) as error:
            failed = True
            text = str(error) or f"no answer within {TIMEOUT_S} s"
            _tell(console, "wrong", "red", f"{name}: {text}")
    return int(failed)


def _tell(console: Console, verdict: str, colour: str, text: str) -> None:
    console.print(Text.assemble((f"{verdict:<6}", colour), text), soft_wrap=True)


async def _store(settings: Settings) -> str:
    async with Store.open(settings.store):
        return "open, schema up to date"


async def _endpoints(settings: Settings) -> str:
    """An endpoint that has answered 410 gets no events until somebody resumes it."""
    async with Store.open(settings.store) as store:
        stopped = [endpoint.url for endpoint in await store.outbox.stopped()]
    if stopped:
        raise ConfigurationError(
            f"{', '.join(stopped)}: answered 410; `voicebot deliveries resume URL` starts it again"
        )
    return "none"


def _sonioxes(settings: Settings) -> Iterator[tuple[str, Callable[[], Awaitable[str]]]]:
    """Both sockets of both accounts."""
    for account in accounts_of(settings.soniox):
        name = "soniox fallback" if account.fallback else "soniox"
        yield f"{name} speech-to-text", partial(_soniox, account.stt_url, account, settings)
        yield f"{name} text-to-speech", partial(_soniox, account.tts_url, account, settings)


async def _soniox(url: str, account: Account, settings: Settings) -> str:
    """A bad key does not fail the handshake, so what follows it is waited for a moment (Soniox, authentication)."""
    async with open_socket(url, account.key, settings.soniox) as soniox:
        try:
            async with asyncio.timeout(1):
                raise ConfigurationError(
                    f"{url} answers: {without_key(str(await soniox.recv()), settings.soniox)[:300]}"
                )
        except TimeoutError:
            return f"{url} takes the key"


async def _application(url: str) -> str:
    """The address and the port answer; no event is sent."""
    if not url:
        return "none, and none is needed: calls are only transcribed"
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        _, writer = await asyncio.open_connection(parts.hostname, port)
    except socket.gaierror as error:
        raise ConfigurationError(f"{url}: the name {parts.hostname} is not known") from error
    writer.close()
    await writer.wait_closed()
    return f"{url} is reachable"


async def _public(url: str) -> str:
    """Twilio reaches us through it; whether this service answers there is only known while it runs."""
    async with aiohttp.ClientSession() as session, session.get(f"{url}/healthz") as response:
        if response.status != 200:  # noqa: PLR2004 - HTTP's own number
            raise ConfigurationError(f"{url}/healthz answers {response.status}: is `voicebot serve` running behind it?")
    return f"{url}/healthz answers"
