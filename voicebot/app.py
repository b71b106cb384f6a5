"""The composition root: builds every room from the settings, starts them, and stops them in order."""

import asyncio
import signal
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import structlog
from aiohttp import web

from voicebot.call.dialled import Dialled
from voicebot.call.registry import Calls
from voicebot.call.rooms import Rooms
from voicebot.carrier import Carrier
from voicebot.clips import Clips
from voicebot.config import Settings
from voicebot.courier import Courier, open_session
from voicebot.errors import ConfigurationError
from voicebot.live import Live
from voicebot.metrics import Metrics
from voicebot.recorder import Recorder
from voicebot.store import Retention, Store
from voicebot.tts import Voices
from voicebot.web.api.control import ControlDoors
from voicebot.web.api.deliveries import DeliveryDoors
from voicebot.web.api.doors import ApiDoors
from voicebot.web.api.guard import Guard
from voicebot.web.api.history import HistoryDoors
from voicebot.web.api.recordings import Recordings
from voicebot.web.api.sessions import SessionDoors
from voicebot.web.api.stream import StreamDoors
from voicebot.web.console import ConsoleDoors
from voicebot.web.health import HealthDoors
from voicebot.web.media import MediaDoor
from voicebot.web.twilio import TwilioDoors
from voicebot.wire.twilio import Signatures
from voicebot.wire.twiml import Doors


@dataclass(frozen=True, slots=True)
class Service:
    """A running service."""

    port: int
    calls: Calls
    live: Live
    metrics: Metrics


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Service]:
    """Run the service inside the `with`; leaving it ends calls that still live, each with its last words told.

    Raises ConfigurationError for settings that cannot work, OSError when the port is taken.
    """
    check(settings)
    with _listen(settings.host, settings.port) as listening:
        live, metrics, recorder = Live(settings.live.history), Metrics(), Recorder(settings.record)
        async with (
            Store.open(settings.store) as store,
            open_session(settings.webhook) as session,
            Clips(settings.play) as clips,
            Carrier(settings.twilio) as carrier,
        ):
            rooms = Rooms(
                settings=settings,
                doors=Doors(settings.public_url),
                voices=Voices(settings.soniox),
                clips=clips,
                courier=Courier(settings.webhook, store, session),
                store=store,
                live=live,
                metrics=metrics,
                recorder=recorder,
            )
            calls = Calls(rooms)
            retention = Retention(
                store, settings, lambda call: calls.by_id(call) is not None, Recordings(settings.record).delete
            )
            async with asyncio.TaskGroup() as group:
                work = (store.run, rooms.voices.run, calls.run, recorder.run, rooms.courier.run, retention.run)
                workers = [group.create_task(worker()) for worker in work]
                application = _application(rooms, calls, carrier)
                runner = web.AppRunner(application, access_log=None, shutdown_timeout=1)
                await runner.setup()
                try:
                    await web.SockSite(runner, listening).start()
                    yield Service(listening.getsockname()[1], calls, live, metrics)
                finally:
                    retention.close()
                    await calls.end_all()
                    await runner.cleanup()
                    await rooms.courier.close()
                    await store.close()
                    await recorder.close()
                    for worker in workers:
                        worker.cancel()


async def serve(settings: Settings, started: Callable[[Service], None]) -> None:
    """Run until SIGTERM or SIGINT, then drain: no new calls, those that run may finish; a second signal forces."""
    stop, force = asyncio.Event(), asyncio.Event()

    def on_signal() -> None:
        (force if stop.is_set() else stop).set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal)
    async with running(settings) as service:
        started(service)
        await stop.wait()
        log = structlog.get_logger()
        log.info("service.draining", calls=len(service.calls), deadline_s=settings.limits.drain_timeout_s)
        async with asyncio.TaskGroup() as group:
            drain = group.create_task(service.calls.drain())
            forced = group.create_task(force.wait())
            await asyncio.wait((drain, forced), return_when=asyncio.FIRST_COMPLETED)
            drain.cancel()
            forced.cancel()
        log.info("service.stopping", calls=len(service.calls))


def check(settings: Settings) -> None:
    """Raise ConfigurationError with one line for each thing without which no call can be taken."""
    url = settings.webhook.url or settings.default.webhook_url
    faults = {
        "VOICEBOT_PUBLIC_URL: how Twilio reaches this service, for example https://voice.example.com": (
            settings.public_url
        ),
        "SONIOX_API_KEY: the key from console.soniox.com (for `voicebot local soniox`, any word)": (
            settings.soniox.api_key.get_secret_value()
        ),
        "TWILIO_AUTH_TOKEN: the account's primary auth token from console.twilio.com": (
            settings.twilio.auth_token.get_secret_value() or not settings.twilio.check_signatures
        ),
        "VOICEBOT_WEBHOOK__URL: your application's endpoint, for example https://app.example.com/calls": (
            url or settings.only_transcribes
        ),
        "VOICEBOT_WEBHOOK__SECRETS: what requests are signed with; `voicebot secret` makes one": (
            settings.webhook.secrets or (settings.only_transcribes and not url)
        ),
    }
    if missing := [text for text, value in faults.items() if not value]:
        raise ConfigurationError("\n".join(missing))


def _listen(host: str, port: int) -> socket.socket:
    """Take the port before anything else is begun."""
    return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)


def _application(rooms: Rooms, calls: Calls, carrier: Carrier) -> web.Application:
    """All doors; a proxy in front strips the path of the public URL, if it has one."""
    settings, metrics = rooms.settings, rooms.metrics
    token = settings.twilio.auth_token.get_secret_value()
    signatures = Signatures(token) if settings.twilio.check_signatures else None
    if signatures is None:
        structlog.get_logger().warning("Twilio's signatures are not checked: anybody can place calls here")
    dialled = Dialled(rooms.store)
    application = web.Application(client_max_size=settings.twilio.max_form_bytes)
    application.add_routes(HealthDoors(calls, metrics).routes())
    application.add_routes(TwilioDoors(settings.twilio, rooms.doors, signatures, calls, dialled, metrics).routes())
    application.add_routes(MediaDoor(settings.twilio, rooms.doors, signatures, calls, metrics).routes())
    _mount_api(application, rooms, calls, dialled, carrier)
    return application


def _mount_api(application: web.Application, rooms: Rooms, calls: Calls, dialled: Dialled, carrier: Carrier) -> None:
    """The HTTP API, and the console, which asks it."""
    settings, store = rooms.settings, rooms.store
    guard = Guard(settings.api, settings.public_url, rooms.metrics)
    history = HistoryDoors(store, calls, dialled, Recordings(settings.record), rooms.live)
    streams = StreamDoors(rooms.live, history.summaries, settings.live)
    handlers = {
        **history.handlers(),
        **ControlDoors(settings, calls, dialled, carrier, store, rooms.doors).handlers(),
        **DeliveryDoors(store).handlers(),
        **SessionDoors(guard, settings.api, settings.public_url).handlers(),
        "watch_all": streams.all_calls,
        "watch_call": streams.one_call,
    }
    ApiDoors(guard, handlers).mount(application)
    application.on_shutdown.append(streams.close)
    application.add_routes(ConsoleDoors().routes())
