"""A Soniox made of one real WebSocket server whose every connection follows a script."""

import asyncio
import base64
import json
from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest
from pydantic import SecretStr
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed

from voicebot.config import SonioxSettings
from voicebot.wire.soniox_tts import VoiceOptions

DEADLINE_S = 50


class Peer:
    """One connection, seen from the server."""

    def __init__(self, socket):
        self.socket = socket
        self.received = []
        self.config = None

    async def next(self):
        message = await self.socket.recv()
        self.received.append(message)
        return message

    async def start(self):
        """Read the configuration and acknowledge it."""
        self.config = json.loads(await self.next())
        await self.say()

    async def until(self, wanted):
        """Read up to and including the message `wanted`; return the audio before it."""
        audio = b""
        while (message := await self.next()) != wanted:
            if isinstance(message, bytes):
                audio += message
        return audio

    async def audio(self, size):
        """Read at least `size` bytes of audio."""
        audio = b""
        while len(audio) < size:
            message = await self.next()
            audio += message if isinstance(message, bytes) else b""
        return audio

    async def say(self, *tokens, total=0, **fields):
        frame = {"tokens": list(tokens), "final_audio_proc_ms": 0, "total_audio_proc_ms": total, **fields}
        await self.socket.send(json.dumps(frame))

    async def error(self, code, kind="", **fields):
        await self.socket.send(json.dumps({"error_code": code, "error_type": kind, "error_message": "no", **fields}))

    async def hold(self):
        """Read until the other side closes."""
        try:
            while True:
                await self.next()
        except ConnectionClosed:
            return


class Double:
    """The server; connection n follows `scripts[n]`, later ones the last script."""

    def __init__(self, *scripts):
        self.scripts = scripts
        self.peers = []
        self.headers = []
        self.url = ""
        self.faults = []

    async def serve(self, socket):
        peer = Peer(socket)
        self.peers.append(peer)
        self.headers.append(socket.request.headers)
        script = self.scripts[min(len(self.peers), len(self.scripts)) - 1]
        try:
            await script(peer)
        except ConnectionClosed:
            return
        except Exception as error:
            self.faults.append(error)
            raise


class Events:
    """Collects what is delivered; waits with a deadline for what is still to come."""

    def __init__(self):
        self.all = []
        self._more = asyncio.Condition()

    async def deliver(self, event):
        async with self._more:
            self.all.append(event)
            self._more.notify_all()

    async def until(self, kind, count=1):
        """Wait until `count` events of this kind have come; return the last of them."""

        def there():
            return [event for event in self.all if isinstance(event, kind)][count - 1 :]

        async with asyncio.timeout(DEADLINE_S), self._more:
            await self._more.wait_for(there)
        return there()[0]

    def words(self):
        return [token.text for event in self.all for token in getattr(event, "settled", ())]

    def kinds(self):
        return [type(event).__name__ for event in self.all]


ADRIAN = VoiceOptions()


def audio(stream_id, data, *, last=False, **fields):
    return json.dumps({"audio": base64.b64encode(data).decode(), "audio_end": last, "stream_id": stream_id, **fields})


def terminated(stream_id):
    return json.dumps({"terminated": True, "stream_id": stream_id})


class Synthesizer:
    """Says every text back as its own bytes, once its stream's text has ended."""

    def __init__(self):
        self.starts = {}
        self.cancelled = asyncio.Event()
        self.order = []

    async def __call__(self, peer):
        texts = {}
        while True:
            message = json.loads(await peer.next())
            self.order.append(message)
            stream_id = message.get("stream_id")
            if "model" in message:
                self.starts[stream_id] = message
                texts[stream_id] = ""
            elif message.get("cancel"):
                await peer.socket.send(audio(stream_id, b"late"))
                await peer.socket.send(terminated(stream_id))
                self.cancelled.set()
            elif "text" in message:
                texts[stream_id] += message["text"]
                if message["text_end"]:
                    await self.answer(peer, stream_id, texts[stream_id].encode())

    async def answer(self, peer, stream_id, data):
        await peer.socket.send(audio(stream_id, data[:2]))
        await peer.socket.send(audio(stream_id, data[2:], last=True))
        await peer.socket.send(terminated(stream_id))


async def spoken(voices, text):
    async with voices.speak(ADRIAN) as stream:
        await stream.write(text, last=True)
        return b"".join([chunk.audio async for chunk in stream])


@pytest.fixture
def tts():
    """What the tests of speech share."""
    return SimpleNamespace(ADRIAN=ADRIAN, Synthesizer=Synthesizer, audio=audio, terminated=terminated, spoken=spoken)


@pytest.fixture
async def soniox():
    """Start doubles: `await soniox(script, …)`."""
    servers = []

    async def start(*scripts):
        double = Double(*scripts)
        server = await serve(double.serve, "127.0.0.1", 0, close_timeout=1, compression=None)
        servers.append((server, double))
        double.url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        return double

    yield start
    for server, double in servers:
        server.close()
        await server.wait_closed()
        assert double.faults == []


@pytest.fixture
def settings():
    """Settings for one double: quick, so that tests are."""

    def make(double, **changes):
        values = {
            "api_key": SecretStr("the-soniox-key"),
            "stt_url": double.url,
            "tts_url": double.url,
            "retry_wait_s": 0.01,
            "batch_ms": 60,
        }
        return SonioxSettings(**values | changes)

    return make


@pytest.fixture
def events():
    return Events()


@pytest.fixture
def running():
    """Run a room's `run` beside the test and end it afterwards."""

    @asynccontextmanager
    async def run(room):
        task = asyncio.create_task(room.run())
        await asyncio.sleep(0)  # its first step
        try:
            yield task
        finally:
            task.cancel()
            await asyncio.wait([task])

    return run
