"""Kill the service under phones that stay on the line, start it again, and measure how soon each call has a stream again."""

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from time import monotonic

from aiohttp import web
from lives import free_port, lives

from voicebot.local.phone.caller import CallOptions, PhoneCall
from voicebot.local.phone.events import PhoneEvent, StreamOpened
from voicebot.local.phone.options import DEFAULT_AUTH_TOKEN
from voicebot.local.soniox.server import LocalSonioxOptions, local_soniox
from voicebot.wire.webhook import new_secret

ORIGIN = "https://voice.example.com"
KEY = "bench"
LONGEST_S = 60.0


class Application:
    """Counts events; answers none of them with an action."""

    def __init__(self) -> None:
        self.types: Counter[str] = Counter()
        self.changed = asyncio.Event()

    async def take(self, request: web.Request) -> web.Response:
        """Answer one request."""
        event = json.loads(await request.read())
        self.types[event["type"]] += 1
        self.changed.set()
        return web.json_response({})

    async def until(self, kind: str, count: int) -> None:
        """Wait until so many events of a kind have come."""
        async with asyncio.timeout(LONGEST_S):
            while self.types[kind] < count:
                self.changed.clear()
                await self.changed.wait()


@asynccontextmanager
async def serving(application: Application) -> AsyncIterator[str]:
    """Serve the application; yields its address."""
    server = web.Application()
    server.router.add_post("/", application.take)
    runner = web.AppRunner(server, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/"
    finally:
        await runner.cleanup()


def environment_of(folder: Path, hook: str, soniox: str) -> dict[str, str]:
    """Return the settings of the service."""
    return {
        "VOICEBOT_PUBLIC_URL": ORIGIN,
        "TWILIO_AUTH_TOKEN": DEFAULT_AUTH_TOKEN,
        "SONIOX_API_KEY": KEY,
        "VOICEBOT_SONIOX__STT_URL": f"{soniox}/transcribe-websocket",
        "VOICEBOT_SONIOX__TTS_URL": f"{soniox}/tts-websocket",
        "VOICEBOT_WEBHOOK__URL": hook,
        "VOICEBOT_WEBHOOK__SECRETS": new_secret(bytes(range(32))),
        "VOICEBOT_STORE__URL": f"sqlite:///{folder}/calls.db",
        "VOICEBOT_DEFAULT__TURNS__NO_INPUT_MS": "0",
    }


async def measure(calls: int) -> dict[str, object]:
    """Return the figures of one restart under so many calls."""
    application, opened = Application(), list[float]()

    def observe(event: PhoneEvent) -> None:
        if isinstance(event, StreamOpened):
            opened.append(monotonic())

    with tempfile.TemporaryDirectory() as folder:
        async with (
            serving(application) as hook,
            local_soniox(LocalSonioxOptions(key=KEY)) as soniox,
            AsyncExitStack() as stack,
            asyncio.TaskGroup() as group,
        ):
            port = free_port()
            variables = environment_of(Path(folder), hook, f"ws://{soniox.host}:{soniox.port}")
            service = await stack.enter_async_context(lives(variables, port, Path(folder)))
            await service.begin()
            routes = {ORIGIN: f"http://127.0.0.1:{port}"}
            options = CallOptions(voice_url=f"{ORIGIN}/twilio/voice", connect_to=routes)
            phones = [PhoneCall(options, observe=observe) for _ in range(calls)]
            running = [group.create_task(phone.run()) for phone in phones]
            await application.until("call.started", calls)
            while len(opened) < calls:  # noqa: ASYNC110 - it was told while they still rang
                await asyncio.sleep(0.02)
            died = monotonic()
            await service.kill()
            await service.begin()
            ready = monotonic()
            with suppress(TimeoutError):  # who is not back by then has given up
                await application.until("call.resumed", calls)
            again = [at - ready for at in opened if at > died]
            for phone in phones:
                phone.hang_up("caller", "the bench is over")
            reports = [await one for one in running]
    ms = sorted(max(0, round(seconds * 1_000)) for seconds in again)
    return {
        "calls": calls,
        "resumed": sum(len(report.gaps_ms) == 1 for report in reports),
        "p50_ms": round(statistics.median(ms)) if ms else None,
        "max_ms": max(ms, default=None),
        "down_ms": round((ready - died) * 1_000),
    }


def main() -> int:
    """Print the figures as JSON: milliseconds from a service that listens to the streams; 0 when every call went on."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=20)
    arguments = parser.parse_args()
    figures = asyncio.run(measure(arguments.calls))
    print(json.dumps(figures))
    return 0 if figures["resumed"] == figures["calls"] else 1


if __name__ == "__main__":
    sys.exit(main())
