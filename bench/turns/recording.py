"""Plays calls of the set to a recogniser at the pace of speech, and records what the turn machine is told and decides."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import audioop
import soundfile
from pydantic import SecretStr

from turns.cases import SUFFIX
from voicebot.config import SonioxSettings, load
from voicebot.core.audio import BYTES_PER_MS, FRAME, FRAME_MS, SpeechDetector
from voicebot.core.events import AskFinalize, BotStarted, BotStopped, HungUp, SttEvent, SttRecovered, Tick, TurnInput
from voicebot.core.policy import TurnPolicy
from voicebot.core.recording import Head
from voicebot.core.turns import TurnState, step, wake_at
from voicebot.local.soniox.server import LocalSonioxOptions, local_soniox
from voicebot.recorder import CallRecording
from voicebot.stt import Recognition
from voicebot.wire.recording import encode
from voicebot.wire.soniox_stt import SttOptions

AT_ONCE = 3
"""Calls side by side: two cores decode eight, so that decoding hardly ever waits."""
CLOCK_MS = 10
"""How often the turn machine's own deadlines are looked at."""
OPTIONS = SttOptions(language_hints=("en",))
"""The endpoint settings are the service's own defaults."""


class _Track:
    """One call's turn machine, and everything it is told, on the loop's clock."""

    def __init__(self, recording: CallRecording) -> None:
        self._recording = recording
        self._state = TurnState(policy=TurnPolicy(), languages=OPTIONS.language_hints)
        self.recognition: Recognition | None = None

    async def deliver(self, event: SttEvent) -> None:
        """Take what the recogniser says."""
        if not isinstance(event, SttRecovered):
            self.step(event)

    def step(self, event: TurnInput) -> None:
        """Take one event, and send what it asks for."""
        now = asyncio.get_running_loop().time()
        self._state, effects = step(self._state, event, now)
        if not isinstance(event, Tick) or effects:
            self._recording.input("caller", event, now)
        for effect in effects:
            self._recording.effect("caller", effect, now)
            if isinstance(effect, AskFinalize) and self.recognition is not None:
                self.recognition.finalize()

    def tick(self) -> None:
        """Let the machine act on the time that has passed."""
        due = wake_at(self._state)
        if due is not None and due <= asyncio.get_running_loop().time():
            self.step(Tick())


@asynccontextmanager
async def recogniser(*, live: bool) -> AsyncIterator[SonioxSettings]:
    """Yield the settings of Soniox itself, as the service reads them, or of a local server started for the purpose."""
    if live:
        yield load().soniox
        return
    async with local_soniox(LocalSonioxOptions(script=None, port=0, tts="tone")) as server:
        yield SonioxSettings(api_key=SecretStr("local"), stt_url=server.stt_url)


async def record_all(names: Sequence[str], source: Path, target: Path, settings: SonioxSettings) -> None:
    """Record the named calls of the set in `source`, a few at a time, into files of `target`, which is there."""
    free = asyncio.Semaphore(AT_ONCE)

    async def one(name: str) -> None:
        async with free:
            text = await record(name, source, settings)
            (target / f"{name}{SUFFIX}").write_bytes(gzip.compress(text.encode(), mtime=0))
            print(f"recorded {name}")

    async with asyncio.TaskGroup() as group:
        for name in names:
            group.create_task(one(name))


async def record(name: str, source: Path, settings: SonioxSettings) -> str:
    """Play one call in real time; return its recording, without the sound, which lies beside its labels."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    head = Head(call=name, policy=TurnPolicy(), stt=OPTIONS.model_dump(mode="json", exclude_defaults=True))
    recording = CallRecording(head, began, audio=False)
    track = _Track(recording)
    track.recognition = Recognition(settings, OPTIONS, track.deliver)
    audio, bot = _read(source, name)
    async with asyncio.TaskGroup() as group:
        group.create_task(track.recognition.run())
        recording.leg(1, "caller", loop.time(), name, loop.time())
        await _play(audio, bot, track)
        track.step(HungUp())
        track.recognition.finish()
    recording.close("played", loop.time())
    return "".join(encode(line) for line in recording.take())


async def _play(audio: bytes, bot: list[tuple[int, TurnInput]], track: _Track) -> None:
    """Hand over each 20 ms frame when its last sample would have been spoken, and let time pass in between."""
    loop = asyncio.get_running_loop()
    zero, detector, waiting = loop.time(), SpeechDetector(), sorted(bot, key=lambda each: each[0])
    for at_ms in range(0, len(audio) // BYTES_PER_MS, FRAME_MS):
        while (left_s := zero + (at_ms + FRAME_MS) / 1_000 - loop.time()) > 0:
            await asyncio.sleep(min(left_s, CLOCK_MS / 1_000))
            track.tick()
        while waiting and waiting[0][0] <= at_ms:
            track.step(waiting.pop(0)[1])
        frame = audio[at_ms * BYTES_PER_MS :][:FRAME]
        if track.recognition is not None:
            track.recognition.feed(frame)
        for change in detector.feed_all(frame):
            track.step(change)


def _read(source: Path, name: str) -> tuple[bytes, list[tuple[int, TurnInput]]]:
    """Return the µ-law of a call, and when its labels let the bot speak and stop."""
    samples, _ = soundfile.read(source / f"{name}.wav", dtype="int16")
    labels: dict[str, Any] = json.loads((source / f"{name}.json").read_text(encoding="utf-8"))
    bot: list[tuple[int, TurnInput]] = []
    for message in labels["messages"]:
        if message["role"] == "assistant":
            bot.append((message["start_ms"], BotStarted(text=message["content"])))
            bot.append((message["end_ms"], BotStopped()))
    return audioop.lin2ulaw(samples.tobytes(), 2), bot
