"""Soniox for the chaos run: it hears the words that are in the sound, keeps what it heard and settled, and fails at random."""

import asyncio
import base64
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from random import Random
from time import monotonic
from typing import Any

from chaos_words import BYTES_PER_MS, WORD_MS, Ear
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

QUIET_MS = 500
"""So much silence ends an utterance."""
ENDED = 0.7
"""So many utterances get an `<end>`; the others must be asked for with finalize."""
LIFE_MS = (1_000, 15_000)
"""A session with a fault meets it after so much audio."""
FAULTS = ("drop", "error", "garbage", "half_open")
HALF_OPEN_S = 8.0
"""A connection that neither reads nor writes ends after so long."""
SPOKEN_MS = 40
"""Speech for each character of text."""


@dataclass(slots=True)
class Soniox:
    """What the sessions share: the dice, how often something goes wrong, and the truth."""

    chance: Random
    trouble: float = 0.3
    """So many sessions fail; 0 heals everything."""
    heard: set[str] = field(default_factory=set[str])
    """Words that any session was told of, settled or not."""
    settled: dict[str, float] = field(default_factory=dict[str, float])
    """When each word was first sent as final (monotonic)."""
    injected: Counter[str] = field(default_factory=Counter[str])
    sessions: int = 0
    """Of speech-to-text, since the beginning."""

    def fails(self) -> bool:
        """Throw the dice."""
        return self.chance.random() < self.trouble

    async def handshake(self, connection: ServerConnection, _request: Request) -> Response | None:
        """Refuse a handshake now and then."""
        if self.chance.random() < self.trouble / 3:
            self.injected["soniox_handshake"] += 1
            return connection.respond(HTTPStatus.SERVICE_UNAVAILABLE, "later\n")
        return None

    async def serve(self, socket: ServerConnection) -> None:
        """Serve one connection of either kind."""
        try:
            if socket.request and "tts" in socket.request.path:
                await _speak(self, socket)
            else:
                self.sessions += 1
                await _Session(self, socket).run()
        except ConnectionClosed:
            pass


class _Session:
    """One session of speech-to-text."""

    def __init__(self, soniox: Soniox, socket: ServerConnection) -> None:
        self._soniox, self._socket = soniox, socket
        self._chance = Random(f"{soniox.chance.random()}")
        self._ear = Ear()
        self._tentative: list[tuple[str, int]] = []
        self._fault = self._chance.choice(FAULTS) if soniox.fails() else ""
        self._fault_ms = self._chance.randint(*LIFE_MS)

    async def run(self) -> None:
        """Answer until the end of audio or the fault."""
        await self._socket.recv()
        async for message in self._socket:
            if isinstance(message, bytes):
                await self._hear(message)
                if self._fault and self._ear.heard_ms >= self._fault_ms:
                    await self._fail()
                    return
            elif not message:
                await self._settle()
                await self._send([], finished=True)
                return
            elif json.loads(message).get("type") == "finalize":
                await self._settle("<fin>")

    async def _hear(self, sound: bytes) -> None:
        """Tell the words in it, and the end of an utterance."""
        if new := list(self._ear.hear(sound)):
            self._tentative += new
            await self._send([_token(*word, final=False) for word in self._tentative])
            self._soniox.heard.update(word for word, _ in new)
        elif self._tentative and self._ear.heard_ms - self._tentative[-1][1] >= QUIET_MS:
            await self._settle("<end>" if self._chance.random() < ENDED else "")

    async def _settle(self, control: str = "") -> None:
        words, self._tentative = self._tentative, []
        tokens = [_token(*word, final=True) for word in words]
        tokens += [{"text": control, "is_final": True}] * bool(control)
        if tokens:
            await self._send(tokens)
            for word, _ in words:
                self._soniox.settled.setdefault(word, monotonic())

    async def _send(self, tokens: list[dict[str, Any]], *, finished: bool = False) -> None:
        ms = self._ear.heard_ms
        frame = {"tokens": tokens, "final_audio_proc_ms": ms, "total_audio_proc_ms": ms, "finished": finished}
        await self._socket.send(json.dumps(frame))

    async def _fail(self) -> None:
        """Fail as the dice have it; what was sent before is on its way and counts."""
        self._soniox.injected[f"soniox_{self._fault}"] += 1
        match self._fault:
            case "drop":
                self._socket.transport.close()
            case "error":
                code = self._chance.choice((408, 413, 429, 500, 503))
                await self._socket.send(json.dumps({"error_code": code, "error_message": "as ordered"}))
            case "garbage":
                await self._socket.send('{"tokens": [{"text": 1')
            case "half_open":
                self._socket.transport.pause_reading()
                await asyncio.sleep(HALF_OPEN_S)
                self._socket.transport.abort()
            case _:
                pass


def _token(word: str, end_ms: int, *, final: bool) -> dict[str, Any]:
    times = {"start_ms": max(0, end_ms - WORD_MS), "end_ms": end_ms}
    return {"text": f" {word}", "is_final": final, "confidence": 0.9, **times}


async def _speak(soniox: Soniox, socket: ServerConnection) -> None:
    """Speak what is to be spoken, sounds of the right length."""
    lengths: Counter[str] = Counter()
    async for message in socket:
        request = json.loads(message)
        stream = request.get("stream_id", "")
        if request.get("cancel"):
            await socket.send(json.dumps({"stream_id": stream, "terminated": True}))
        lengths[stream] += len(request.get("text") or "")
        if not request.get("text_end"):
            continue
        fault = (
            soniox.chance.choice(("error", "drop", "silence")) if soniox.chance.random() < soniox.trouble / 4 else ""
        )
        if fault:
            soniox.injected[f"voice_{fault}"] += 1
        if fault == "error":
            await socket.send(json.dumps({"stream_id": stream, "error_code": 500, "error_message": "as ordered"}))
        elif fault == "drop":
            socket.transport.abort()
        elif not fault:
            audio = base64.b64encode(b"\x2f\xaf" * (lengths[stream] * SPOKEN_MS * BYTES_PER_MS // 2)).decode()
            await socket.send(json.dumps({"stream_id": stream, "audio": audio, "audio_end": True}))
            await socket.send(json.dumps({"stream_id": stream, "terminated": True}))


@asynccontextmanager
async def serving(soniox: Soniox) -> AsyncIterator[str]:
    """Serve it; yields its address."""
    async with serve(
        soniox.serve,
        "127.0.0.1",
        0,
        process_request=soniox.handshake,
        compression=None,
        close_timeout=1,
        ping_interval=None,
    ) as server:
        yield f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"
        await asyncio.sleep(0)
