"""The telephone line: one clock tick every 20 ms carries the caller's sound out and the other side's sound in."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from voicebot.local.phone.echo import EchoPath
from voicebot.local.phone.events import BotQuiet, BotSpeaks
from voicebot.local.phone.hearing import SpeechLog
from voicebot.local.phone.journal import Journal
from voicebot.local.phone.microphone import Microphone
from voicebot.local.phone.options import CallOptions
from voicebot.local.phone.playout import Playout
from voicebot.local.phone.sound import FRAME_BYTES, FRAME_MS, SILENT_BYTE, is_loud


class Listener(Protocol):
    """Somebody who gets every frame of the call."""

    def frame(self, inbound: bytes | None, outbound: bytes) -> None:
        """Take one frame of each direction; inbound is None where a quiet caller sends nothing."""


@dataclass(frozen=True, slots=True)
class Source:
    """What the caller hears: a buffer, and whom to tell about the marks in it."""

    playout: Playout
    reached: Callable[[str], None]


class Line:
    """Ticks from the answer to the end of the call; knows what each side sounded like and when."""

    def __init__(self, options: CallOptions, journal: Journal) -> None:
        self.journal = journal
        self.microphone = Microphone(options.quiet, options.seed)
        self.bot = SpeechLog()
        self.caller = SpeechLog()
        self.spoken = bytearray()
        self.heard = bytearray()
        self.source: Source | None = None
        self.listeners: list[Listener] = []
        self.finished: set[int] = set()
        #: Set when the call must be interrupted: somebody hung up, or it was given another document.
        self.interrupted = asyncio.Event()
        #: Set when the call is over; nothing is heard or said after that.
        self.ended = asyncio.Event()
        #: The line's own time: when the next frame begins. Frames late by a stall keep their nominal times.
        self.now_ms = 0.0
        self._echo = None if options.echo is None else EchoPath(options.echo)
        self._suppress = options.quiet == "suppress"
        self._keep = options.record is not None
        self._quiet_ms = options.limits.quiet_ms
        self._bot_speaking = False
        self._waiters: list[tuple[Callable[[], bool], asyncio.Future[None]]] = []

    async def run(self) -> None:
        """Carry frames until cancelled, against an absolute clock: late ticks are made up for in a burst."""
        clock = self.journal.clock
        began = clock.now()
        number = 0
        while True:
            await clock.until(began + number * FRAME_MS)
            self._tick(began + number * FRAME_MS)
            number += 1

    @property
    def over(self) -> bool:
        """Whether the call is over."""
        return self.ended.is_set()

    def bot_speaking(self) -> bool:
        """Whether the caller hears something, or did just now."""
        return self._bot_speaking

    async def until(self, condition: Callable[[], bool], timeout_s: float) -> bool:
        """Wait for a condition about the call, judged at every tick; False when it took longer than `timeout_s`."""
        if condition():
            return True
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiter = (condition, future)
        self._waiters.append(waiter)
        try:
            async with asyncio.timeout(self.journal.clock.real_s(timeout_s)):
                await future
        except TimeoutError:
            return condition()
        finally:
            self._waiters.remove(waiter)
        return True

    def poke(self) -> None:
        """Let everybody who waits look again."""
        for condition, future in self._waiters:
            if not future.done() and condition():
                future.set_result(None)

    def _tick(self, at_ms: float) -> None:
        self.now_ms = at_ms + FRAME_MS
        frame = self.microphone.take()
        self.finished.update(frame.finished)
        if frame.voiced and is_loud(frame.audio):
            self.caller.add(at_ms, FRAME_MS)
        outbound = self._play(at_ms)
        audio = frame.audio if self._echo is None else self._echo.through(frame.audio, outbound)
        if self._keep:
            self.spoken += audio
            self.heard += outbound
        silent = not frame.voiced and (self._echo is None or not is_loud(audio))
        inbound = None if self._suppress and silent else audio
        for listener in tuple(self.listeners):
            listener.frame(inbound, outbound)
        self.poke()

    def _play(self, at_ms: float) -> bytes:
        audio = b""
        if self.source is not None:
            taken = self.source.playout.take(FRAME_BYTES)
            audio = taken.audio
            for mark in taken.marks:
                self.source.reached(mark)
        self._listen(at_ms, audio)
        return audio.ljust(FRAME_BYTES, SILENT_BYTE)

    def _listen(self, at_ms: float, audio: bytes) -> None:
        if is_loud(audio):
            self.bot.add(at_ms, FRAME_MS)
            if not self._bot_speaking:
                self._bot_speaking = True
                self.journal.add(BotSpeaks(at_ms))
        elif self._bot_speaking and not self.bot.speaking(at_ms, self._quiet_ms):
            self._bot_speaking = False
            self.journal.add(BotQuiet(at_ms))
