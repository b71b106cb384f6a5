"""What callers and applications bring to a call: speech-like sound, and a small web server of the application's."""

import asyncio
import inspect
import json
import math
import random
import struct

import audioop
import pytest
from aiohttp import web


def ulaw(samples):
    return audioop.lin2ulaw(b"".join(struct.pack("<h", round(sample)) for sample in samples), 2)


def tone(ms, hertz=440, peak=8_000):
    """Raw µ-law, 8 kHz."""
    return ulaw(peak * math.sin(2 * math.pi * hertz * at / 8_000) for at in range(8 * ms))


def babble(ms, seed=1):
    """Raw µ-law that rises and falls as speech does, above the noise of a line."""
    chance = random.Random(seed)
    lead = [chance.gauss(0, 30) for _ in range(8 * 300)]
    voice = [
        (3_000 if at % (8 * 260) < 8 * 200 else 30) * chance.uniform(-1, 1) * (1 if at % 2 else 0.5)
        for at in range(8 * ms)
    ]
    return ulaw(lead + voice + lead)


def wav(audio):
    """Raw µ-law as the bytes of a WAV file."""
    fmt = struct.pack("<HHIIHH", 7, 1, 8_000, 8_000, 1, 8)
    body = b"WAVEfmt " + struct.pack("<I", len(fmt)) + fmt + b"data" + struct.pack("<I", len(audio)) + audio
    return b"RIFF" + struct.pack("<I", len(body)) + body


@pytest.fixture
def sound():
    """Makers of sound, all raw µ-law at 8 kHz; `wav` makes a file of it."""

    class Sound:
        pass

    Sound.tone, Sound.babble, Sound.wav = staticmethod(tone), staticmethod(babble), staticmethod(wav)
    return Sound


STEP_MS = 1_000
VOICE_MS, LEAD_MS = 700, 300


class Mouth:
    """A caller whose time stands still unless he is told to say something: `dial(**mouth.phone)`, `house(**mouth.service)`.

    Each step is a second of audio: a script's `at_ms` of 500 is in the middle of the first one. `audio` is all of it.
    """

    def __init__(self):
        self.phone = {"quiet": "suppress"}
        self.service = {"twilio": {"max_gap_ms": 0}}
        self.audio = b""

    def say(self, phone):
        self._voice(phone, babble(VOICE_MS)[8 * LEAD_MS : -8 * LEAD_MS] + b"\xff" * 8 * (STEP_MS - VOICE_MS))

    def hush(self, phone, ms=STEP_MS):
        self._voice(phone, b"\xff" * 8 * ms)

    def _voice(self, phone, audio):
        self.audio += audio
        phone.call.say(audio)


@pytest.fixture
def mouth():
    return Mouth()


class Writing:
    """A streamed reply that the test writes; `gone` is set when the service closes it."""

    def __init__(self):
        self.pieces, self.gone = asyncio.Queue(), asyncio.Event()

    def write(self, *actions):
        for action in actions:
            self.pieces.put_nowait(json.dumps(action).encode() + b"\n")

    def end(self):
        self.pieces.put_nowait(None)

    def abort(self):
        self.pieces.put_nowait(b"")

    async def answer(self, _event, request):
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        try:
            await response.prepare(request)
            while (piece := await self.pieces.get()) is not None:
                if not piece:
                    request.transport.abort()
                    break
                await response.write(piece)
        except (asyncio.CancelledError, ConnectionError):
            self.gone.set()
            raise
        return response


@pytest.fixture
def writing():
    return Writing()


@pytest.fixture
async def site():
    """A web server: `site.pages["/x"] = web.Response-maker`; `site.url("/x")`, `site.requests`."""

    class Site:
        def __init__(self):
            self.pages, self.requests, self.port = {}, [], 0

        def url(self, path):
            return f"http://127.0.0.1:{self.port}{path}"

        async def handle(self, request):
            self.requests.append((request.method, request.path))
            make = self.pages.get(request.path)
            page = make() if make else web.Response(status=404)
            return await page if inspect.isawaitable(page) else page

    made = Site()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", made.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    listening = web.TCPSite(runner, "127.0.0.1", 0)
    await listening.start()
    made.port = listening.port
    yield made
    await runner.cleanup()
