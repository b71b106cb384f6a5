"""The local Soniox server: both WebSocket protocols and the REST voice on one port."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from aiohttp import WSCloseCode, web

from voicebot.errors import ConfigurationError
from voicebot.local.engines.base import Engines
from voicebot.local.engines.load import load_hearing, load_voice
from voicebot.local.soniox.options import Faults, LocalSonioxOptions, Timeouts
from voicebot.local.soniox.parts import Notify, Parts
from voicebot.local.soniox.script import Script
from voicebot.local.soniox.stt import serve_stt
from voicebot.local.soniox.tts import serve_tts
from voicebot.local.soniox.tts_rest import serve_tts_rest

__all__ = ["Faults", "LocalSoniox", "LocalSonioxOptions", "Script", "Timeouts", "load_engines", "local_soniox"]

STT_PATH = "/transcribe-websocket"
TTS_PATH = "/tts-websocket"
TTS_REST_PATH = "/tts"
SHUTDOWN_S = 3.0
"""How long connections may take to close when the server stops."""


@dataclass(frozen=True, slots=True)
class LocalSoniox:
    """A running server's addresses."""

    host: str
    port: int

    @property
    def stt_url(self) -> str:
        """Real-time speech-to-text."""
        return f"ws://{self.host}:{self.port}{STT_PATH}"

    @property
    def tts_url(self) -> str:
        """Real-time text-to-speech."""
        return f"ws://{self.host}:{self.port}{TTS_PATH}"

    @property
    def tts_rest_url(self) -> str:
        """Text-to-speech in one request."""
        return f"http://{self.host}:{self.port}{TTS_REST_PATH}"


def load_engines(options: LocalSonioxOptions) -> Engines:
    """Load what `options` ask for; blocking, up to a few seconds. Raises ConfigurationError saying what to install."""
    scripted = options.script is not None
    hearing = None if scripted else load_hearing(options.stt)
    return Engines(hearing, load_voice(options.tts or ("tone" if scripted else "pico")))


@asynccontextmanager
async def local_soniox(
    options: LocalSonioxOptions, *, engines: Engines | None = None, notify: Notify | None = None
) -> AsyncIterator[LocalSoniox]:
    """
    Run a server until the block is left.

    `engines` loaded before may be shared by several servers; without, they are loaded now, in a thread. Raises
    ConfigurationError when an engine or the script is missing or wrong, or the port is taken.
    """
    pool = ThreadPoolExecutor(options.decode_threads, thread_name_prefix="local-soniox")
    try:
        parts = await _parts(options, engines, notify, pool)
        async with _listening(parts) as address:
            yield address
    finally:
        await asyncio.to_thread(pool.shutdown, cancel_futures=True)


async def _parts(options: LocalSonioxOptions, engines: Engines | None, notify: Notify | None, pool: Executor) -> Parts:
    loop = asyncio.get_running_loop()
    script = options.script
    if isinstance(script, Path):
        script = await loop.run_in_executor(pool, Script.load, script)
    if engines is None:
        engines = await loop.run_in_executor(pool, load_engines, options)
    return Parts(options, engines, script, pool, asyncio.Event(), set(), notify or _silent)


@asynccontextmanager
async def _listening(parts: Parts) -> AsyncIterator[LocalSoniox]:
    app = web.Application()
    app.router.add_get(STT_PATH, _door(serve_stt, parts))
    app.router.add_get(TTS_PATH, _door(serve_tts, parts))
    app.router.add_post(TTS_REST_PATH, _rest_door(parts))
    app.on_shutdown.append(lambda _: _hang_up(parts))
    runner = web.AppRunner(app, shutdown_timeout=SHUTDOWN_S, access_log=None)
    await runner.setup()
    try:
        yield await _bind(runner, parts.options)
    finally:
        await runner.cleanup()


async def _bind(runner: web.AppRunner, options: LocalSonioxOptions) -> LocalSoniox:
    site = web.TCPSite(runner, options.host, options.port)
    try:
        await site.start()
    except OSError as taken:
        raise ConfigurationError(f"cannot listen on {options.host}:{options.port}: {taken.strerror}") from taken
    port: int = runner.addresses[0][1]
    return LocalSoniox(options.host, port)


async def _hang_up(parts: Parts) -> None:
    """Tell every client that the server goes away; a half-closed connection is let go."""
    parts.closing.set()
    async with asyncio.TaskGroup() as group:
        for socket in tuple(parts.sockets):
            group.create_task(_close(socket))


async def _close(socket: web.WebSocketResponse) -> None:
    await socket.close(code=WSCloseCode.GOING_AWAY)


type Serve = Callable[[web.Request, Parts], Awaitable[web.WebSocketResponse]]
type Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def _door(serve: Serve, parts: Parts) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        if status := parts.options.faults.handshake_status:
            return web.Response(status=status)
        return await serve(request, parts)

    return handle


def _rest_door(parts: Parts) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        return await serve_tts_rest(request, parts)

    return handle


def _silent(line: str) -> None:
    """Nobody wants to hear about sessions."""
