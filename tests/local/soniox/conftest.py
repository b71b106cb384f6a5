"""A local Soniox on a free port, and clients that read its frames with a deadline."""

import asyncio
import csv
import json
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import audioop
import numpy as np
import pytest
import soundfile
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

import voicebot.local
from voicebot.local.engines.load import load_hearing
from voicebot.local.soniox.server import LocalSonioxOptions, local_soniox

DEADLINE_S = 50
BEARER = {"Authorization": "Bearer a-key"}
SPEECH = Path(voicebot.local.__file__).parent / "speech"


class Client:
    """A client that keeps every frame."""

    def __init__(self, socket):
        self.socket = socket
        self.frames = []

    async def send(self, message):
        await self.socket.send(message if isinstance(message, str | bytes) else json.dumps(message))

    async def frame(self):
        """The next frame; fails when the connection ends or the deadline passes."""
        async with asyncio.timeout(DEADLINE_S):
            text = await self.socket.recv()
        assert isinstance(text, str)
        self.frames.append(json.loads(text))
        return self.frames[-1]

    async def until(self, wanted):
        """Frames until one satisfies `wanted`, which is returned."""
        while not wanted(frame := await self.frame()):
            pass
        return frame

    async def until_token(self, text):
        return await self.until(lambda frame: any(token["text"] == text for token in frame.get("tokens", ())))

    async def rest(self):
        """All frames until the connection ends."""
        frames = []
        try:
            while True:
                frames.append(await self.frame())
        except ConnectionClosed:
            return frames

    @property
    def finals(self):
        """Texts of all final tokens so far, in order."""
        return [token["text"] for frame in self.frames for token in frame.get("tokens", ()) if token["is_final"]]

    @property
    def spoken(self):
        """The final text so far, without control tokens."""
        return "".join(text for text in self.finals if text not in {"<end>", "<fin>"})

    @property
    def close_code(self):
        return self.socket.close_code


@asynccontextmanager
async def connection(url, headers=BEARER, **more):
    async with connect(
        url, additional_headers=headers, compression=None, proxy=None, close_timeout=0.5, **more
    ) as socket:
        yield Client(socket)


@pytest.fixture
async def stack():
    async with AsyncExitStack() as opened:
        yield opened


@pytest.fixture
def serve(stack):
    """Start a server: `await serve(script=…, faults=…)`; it stops with the test."""

    async def start(*, engines=None, notify=None, **options):
        options = LocalSonioxOptions(**{"script": None, **options})
        return await stack.enter_async_context(local_soniox(options, engines=engines, notify=notify))

    return start


@pytest.fixture
def open_stt(stack):
    """Connect and, with a config, send it and take the ack: `await open_stt(server, config)`."""

    async def start(server, config=None, **more):
        client = await stack.enter_async_context(connection(server.stt_url, **more))
        if config is not None:
            await client.send(config)
        return client

    return start


@pytest.fixture
def open_tts(stack):
    async def start(server, **more):
        return await stack.enter_async_context(connection(server.tts_url, **more))

    return start


@pytest.fixture(scope="session")
def hearing():
    """The real recogniser and speech gate, loaded once."""
    return load_hearing("moonshine")


@pytest.fixture(scope="session")
def clips():
    """Recorded speech with known text: id → (µ-law bytes with silence around them, text)."""

    def read(row):
        samples, _ = soundfile.read(SPEECH / row["file"], dtype="int16")
        padded = np.concatenate([np.zeros(4_000, np.int16), samples, np.zeros(12_000, np.int16)])
        return audioop.lin2ulaw(padded.tobytes(), 2), row["text"]

    with (SPEECH / "clips.tsv").open(encoding="utf-8") as file:
        return {row["id"]: read(row) for row in csv.DictReader(file, delimiter="\t")}
