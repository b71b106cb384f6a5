"""The composition root: builds every room from the settings, starts them, and stops them in order."""

import asyncio
import signal
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import structlog
from aiohttp import web

from voicebot.call.dialled import Dialled
from voicebot.call.registry import Calls
from voicebot.call.rooms import Rooms
from voicebot.carrier import Carrier
from voicebot.clips import Clips
from voicebot.config import LimitSettings, Settings
from voicebot.core.batching import Batching
from voicebot.courier import Courier, open_session
from voicebot.errors import ConfigurationError, VoicebotError
from voicebot.live import Live
from voicebot.logs import pass_over_bad_requests
from voicebot.metrics import Metrics
from voicebot.pressure import Pressure
from voicebot.recorder import Recorder
from voicebot.soniox_accounts import Accounts
from voicebot.store import Retention, Store
from voicebot.tracing import Tracing, open_tracing
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
from voicebot.web.listening import listen
from voicebot.web.media import MediaDoor
from voicebot.web.twilio import TwilioDoors
from voicebot.wire.twilio import Signatures
from voicebot.wire.twiml import Doors
from voicebot.workers.crew import Alone, Inside

ALONE = Alone()

SIGNALS = (signal.SIGTERM, signal.SIGINT)
CLOSING_S = 5.0
"""What the doors, the courier and the store may take for their end when it is forced."""
LINGERING_S = 1.0
"""How long the rest of a body is read that nobody wants any more, so that the answer is not lost with the connection."""


@dataclass(frozen=True, slots=True)
class Service:
    """A running service."""

    port: int
    calls: Calls
    dialled: Dialled
    live: Live
    metrics: Metrics


@asynccontextmanager
async def running(settings: Settings, tracing: Tracing | None = None, crew: Alone = ALONE) -> AsyncIterator[Service]:
    """Run the service inside the `with`; leaving it ends calls that still live, each with its last words told.

    `crew` is this process's part in a service of several workers.
    `tracing` takes the place of what the settings say about it. Raises ConfigurationError for settings that cannot work,
    OSError when the port is taken.
    """
    check(settings)
    pass_over_bad_requests()
    with crew.listen(settings) as listening:
        async with _open_rooms(settings, tracing, crew) as (rooms, carrier):
            dialled = Dialled(rooms.store, crew.share)
            calls = Calls(rooms, dialled, crew.share.has)
            _gauge(rooms, calls)
            retention = Retention(
                rooms.store,
                settings,
                lambda call: calls.by_id(call) is not None or call in calls.leftovers,
                Recordings(settings.record).delete,
            )
            await calls.leftovers.load()
            async with asyncio.TaskGroup() as group:
                store, recorder, courier = rooms.store, rooms.recorder, rooms.courier
                work = (store.run, rooms.voices.run, calls.run, recorder.run, courier.run, retention.run)
                measuring = (store.watch, rooms.pressure.run)
                workers = [group.create_task(worker()) for worker in (*work, *measuring)]
                application = _application(rooms, calls, dialled, carrier, crew)
                try:
                    async with _open_doors(application, listening, settings.limits, rooms.metrics, crew):
                        try:
                            yield Service(listening.getsockname()[1], calls, dialled, rooms.live, rooms.metrics)
                        finally:
                            retention.close()
                            await calls.end_all()
                            await _hang_up(dialled, carrier, settings.limits.force_timeout_s)
                finally:
                    await courier.close()
                    await store.close()
                    await recorder.close()
                    for worker in workers:
                        worker.cancel()


@asynccontextmanager
async def _open_rooms(settings: Settings, tracing: Tracing | None, crew: Alone) -> AsyncIterator[tuple[Rooms, Carrier]]:
    """Build every room; those that hold connections or files are closed at the end of the `with`."""
    metrics = Metrics()
    async with (
        open_tracing(settings.tracing) as opened,
        crew.open(),
        Store.open(settings.store, metrics, crew.share) as store,
        open_session(settings.webhook) as session,
        Clips(settings.play, metrics) as clips,
        Carrier(settings.twilio) as carrier,
    ):
        accounts, batching = Accounts(settings.soniox, metrics.soniox), Batching(settings.soniox.batch_ms)
        rooms = Rooms(
            settings=settings,
            doors=Doors(settings.public_url, named=crew.share.of > 1),
            accounts=accounts,
            voices=Voices(settings.soniox, accounts, metrics),
            clips=clips,
            courier=Courier(settings.webhook, store, session, metrics=metrics, tracing=tracing or opened),
            store=store,
            live=Live(settings.live.history),
            metrics=metrics,
            recorder=Recorder(settings.record),
            pressure=Pressure(settings.limits, metrics, batching),
            batching=batching,
            tracing=tracing or opened,
        )
        yield rooms, carrier


@asynccontextmanager
async def _open_doors(
    application: web.Application, listening: socket.socket, limits: LimitSettings, metrics: Metrics, crew: Alone
) -> AsyncIterator[None]:
    """Take connections inside the `with`; live readers get what was published until its end."""
    runner = web.AppRunner(
        application,
        access_log=None,
        shutdown_timeout=1,
        keepalive_timeout=limits.keepalive_timeout_s,
        lingering_time=LINGERING_S,
    )
    await runner.setup()
    server = await listen(runner, listening, limits.connections, metrics)
    try:
        async with crew.answer(runner):
            yield
    finally:
        server.close()
        await runner.cleanup()


def _gauge(rooms: Rooms, calls: Calls) -> None:
    """What is read when somebody asks for the metrics."""
    metrics = rooms.metrics
    metrics.calls_limit.set(rooms.settings.limits.max_calls)
    metrics.ready.set_function(lambda: calls.refusal is None)
    metrics.store_waiting.set_function(lambda: rooms.store.waiting)
    metrics.readers.set_function(lambda: rooms.live.watchers)


async def serve(settings: Settings, started: Callable[[Service], None], crew: Alone = ALONE) -> None:
    """Run until SIGTERM or SIGINT, then drain: no new calls, those that run may finish.

    A second signal gives them `limits.force_timeout_s`, and kills the process when something hangs for longer; a third kills
    it at once. What is in the store is safe then, too.
    """
    stop, force = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def on_signal() -> None:
        if stop.is_set():
            end_now()
        stop.set()

    def end_now() -> None:
        force.set()
        for number in SIGNALS:
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_DFL)
        _kill_after(2 * settings.limits.force_timeout_s + CLOSING_S)

    for number in SIGNALS:
        loop.add_signal_handler(number, on_signal)
    crew.obey(stop.set, end_now)
    async with running(settings, crew=crew) as service:
        started(service)
        await stop.wait()
        await _drained(service, settings, force)
    _kill_after(0)
    structlog.get_logger().info("service.stopped")


def _kill_after(seconds: float) -> None:
    """Have the system kill this process, 0 for never: whatever hangs, perhaps in a thread, hangs no longer."""
    if hasattr(signal, "setitimer"):  # not there on Windows
        signal.setitimer(signal.ITIMER_REAL, seconds)


async def _drained(service: Service, settings: Settings, force: asyncio.Event) -> None:
    """Wait until no call is left, at least for the delay in which load balancers notice, or until that is forced."""
    log, limits, calls = structlog.get_logger(), settings.limits, service.calls
    began = asyncio.get_running_loop().time()
    log.info("service.draining", calls=len(calls), ringing=len(service.dialled), deadline_s=limits.drain_timeout_s)
    async with asyncio.TaskGroup() as group:
        waiting = [group.create_task(calls.drain()), group.create_task(asyncio.sleep(limits.drain_delay_s))]
        done = group.create_task(asyncio.wait(waiting))
        forced = group.create_task(force.wait())
        await asyncio.wait((done, forced), return_when=asyncio.FIRST_COMPLETED)
        for task in (*waiting, done, forced):
            task.cancel()
    if force.is_set():
        calls.hurry()
        log.warning("service.forced", calls=len(calls), within_s=limits.force_timeout_s)
    s = round(asyncio.get_running_loop().time() - began, 1)
    log.info("service.stopping", calls=len(calls), ringing=len(service.dialled), drained_s=s)


async def _hang_up(dialled: Dialled, carrier: Carrier, within_s: float) -> None:
    """End calls that still ring: whoever answered one now would hear nothing."""
    log = structlog.get_logger()

    async def end(call: str) -> None:
        try:
            await carrier.hang_up(call)
        except VoicebotError as error:
            log.warning("call.trouble", call=call, what=f"it rings, and could not be ended: {error}")

    with suppress(TimeoutError):
        async with asyncio.timeout(within_s), asyncio.TaskGroup() as group:
            for dialling in dialled.ringing():
                group.create_task(end(dialling.carrier_id))


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
        "VOICEBOT_TWILIO__DIRECT_STREAMS: only with one worker, for such a stream's handshake does not name its call": (
            settings.workers == 1 or not settings.twilio.direct_streams
        ),
    }
    if missing := [text for text, value in faults.items() if not value]:
        raise ConfigurationError("\n".join(missing))


def _application(rooms: Rooms, calls: Calls, dialled: Dialled, carrier: Carrier, crew: Alone) -> web.Application:
    """All doors; a proxy in front strips the path of the public URL, if it has one."""
    settings, metrics = rooms.settings, rooms.metrics
    token = settings.twilio.auth_token.get_secret_value()
    signatures = Signatures(token) if settings.twilio.check_signatures else None
    if signatures is None:
        structlog.get_logger().warning("Twilio's signatures are not checked: anybody can place calls here")
    history = HistoryDoors(
        rooms.store, calls, dialled, Recordings(settings.record), rooms.live, elsewhere=crew.elsewhere
    )
    application = web.Application(client_max_size=settings.twilio.max_form_bytes)
    elsewhere = crew.guard(application, settings, Inside(calls=calls, dialled=dialled, living=history.living))
    application.add_routes(HealthDoors(calls, metrics, rooms.store.outbox).routes())
    twilio, limits, doors = settings.twilio, settings.limits, rooms.doors
    twilio_doors = TwilioDoors(twilio, limits, doors, signatures, calls, dialled, metrics, elsewhere=elsewhere)
    application.add_routes(twilio_doors.routes())
    application.add_routes(MediaDoor(twilio, limits, doors, signatures, calls, rooms.batching, metrics).routes())
    _mount_api(application, rooms, calls, dialled, carrier, history)
    return application


def _mount_api(
    application: web.Application,
    rooms: Rooms,
    calls: Calls,
    dialled: Dialled,
    carrier: Carrier,
    history: HistoryDoors,
) -> None:
    """The HTTP API, and the console, which asks it."""
    settings, store = rooms.settings, rooms.store
    guard = Guard(settings.api, settings.public_url, rooms.metrics)
    streams = StreamDoors(rooms.live, history.summaries, settings.live, rooms.metrics)
    handlers = {
        **history.handlers(),
        **ControlDoors(settings, calls, dialled, carrier, store, rooms.doors, rooms.metrics).handlers(),
        **DeliveryDoors(store).handlers(),
        **SessionDoors(guard, settings.api, settings.public_url).handlers(),
        "watch_all": streams.all_calls,
        "watch_call": streams.one_call,
    }
    ApiDoors(guard, handlers).mount(application)
    application.on_shutdown.append(streams.close)
    application.add_routes(ConsoleDoors().routes())
