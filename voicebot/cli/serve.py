"""Run the service."""

import argparse
import asyncio
import gc
import os
import sys
from collections.abc import Sequence

import structlog

from voicebot import logs
from voicebot.config import Settings, load, secret_values, shown_url
from voicebot.errors import VoicebotError
from voicebot.workers.place import Place, take_port
from voicebot.workers.supervisor import supervise

SETTINGS = ("host", "port", "workers")

COLLECT_AFTER = (50_000, 10, 2)
"""New objects until a round of the collector, and rounds of each generation until one of the next (gc.set_threshold)."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Everything is a setting; three are worth an argument."""
    parser.add_argument("--host", help="address to listen on (VOICEBOT_HOST)")
    parser.add_argument("--port", type=int, help="port to listen on (VOICEBOT_PORT)")
    parser.add_argument("--workers", type=int, help="processes that share the calls (VOICEBOT_WORKERS)")
    parser.add_argument("--worker", type=Place.from_json, help=argparse.SUPPRESS)  # said by the supervisor alone


def run(arguments: argparse.Namespace) -> int:
    """Serve until SIGTERM or SIGINT; the exit code is 0 after a clean stop."""
    overrides = {name: value for name in SETTINGS if (value := getattr(arguments, name)) is not None}
    settings = load(**overrides)
    # The database and the recordings hold what was said.
    os.umask(0o077)
    logs.set_up(settings.log, secrets=secret_values(settings))
    if arguments.worker:
        return _worker(settings, arguments.worker)
    try:
        if settings.workers > 1:
            return _supervisor(settings, [f"--{name}={value}" for name, value in overrides.items()])
        return _alone(settings)
    except OSError as error:
        raise VoicebotError(f"cannot listen on {settings.host}:{settings.port}: {error.strerror or error}") from error


def _alone(settings: Settings) -> int:
    from voicebot.app import serve  # noqa: PLC0415 - the supervisor needs no rooms

    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(serve(settings, lambda service: _started(settings, service.port)))
    return 0


def _supervisor(settings: Settings, arguments: Sequence[str]) -> int:
    """The first worker checks the settings and migrates the store, and the others start after it."""
    with take_port(settings) as listening:
        address = f"http://{settings.host}:{listening.getsockname()[1]}"

        def started() -> None:
            structlog.get_logger().info("service.workers", address=address, workers=settings.workers)

        return supervise(settings.workers, listening, arguments, started)


def _worker(settings: Settings, place: Place) -> int:
    from voicebot.app import Service, serve  # noqa: PLC0415 - the supervisor needs no rooms
    from voicebot.workers.crew import Crew  # noqa: PLC0415
    from voicebot.workers.parts import of_worker  # noqa: PLC0415

    structlog.contextvars.bind_contextvars(worker=place.index)
    crew = Crew(place)

    def started(service: Service) -> None:
        _started(settings, service.port)
        crew.ready()

    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(serve(of_worker(settings, place.share), started, crew))
    return 0


def _loop_factory() -> type[asyncio.AbstractEventLoop] | None:
    if sys.platform == "win32":
        return None
    import uvloop  # noqa: PLC0415 - not there on Windows

    return uvloop.Loop


def _started(settings: Settings, port: int) -> None:
    # What lives now lives for ever: without this the collector walks it again and again while calls wait. What a call
    # leaves behind is freed by its reference counts, so what little is left can wait for a large and rare round.
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)
    structlog.get_logger().info(
        "service.listening",
        address=f"http://{settings.host}:{port}",
        voice_webhook=f"{settings.public_url}/twilio/voice",
        application=shown_url(settings.webhook.url),
    )
