"""Carries out the actions of a reply in their order, so that the caller hears them."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from voicebot.call.inputs import BotBegan, CallInput, Leaving, NotSpoken, Performed
from voicebot.call.leg import Leg
from voicebot.call.rooms import Rooms
from voicebot.core.actions import Action, Configure, HangUp, Listen, Pause, Play, Redirect, Say, SendDigits, Transfer
from voicebot.core.audio import duration_ms, silence
from voicebot.core.playback import Playback, Spoken
from voicebot.errors import PeerError
from voicebot.wire.soniox_tts import VoiceOptions


class Speaker:
    """One performance at a time; an interruption ends it together with everything queued behind it."""

    def __init__(
        self,
        rooms: Rooms,
        voice: VoiceOptions,
        deliver: Callable[[CallInput], Awaitable[None]],
        adjust: Callable[[Listen | Configure], None],
        leave: Callable[[Leaving], Awaitable[None]],
    ) -> None:
        self.playback = Playback()
        self.voice = voice
        self.leg: Leg | None = None
        self._voices, self._clips, self._limits = rooms.voices, rooms.clips, rooms.settings.limits
        self._deliver, self._adjust, self._leave = deliver, adjust, leave
        self._queue: asyncio.Queue[Sequence[Action]] = asyncio.Queue(self._limits.actions)
        self._performance: asyncio.Task[None] | None = None
        self._silent = asyncio.Event()
        self._silent.set()

    @property
    def idle(self) -> bool:
        """Nothing is being performed, queued or heard."""
        return self._queue.empty() and self._performance is None and not self.playback.speaking

    async def run(self) -> None:
        """Perform replies one after another until cancelled."""
        async with asyncio.TaskGroup() as group:
            while True:
                actions = await self._queue.get()
                self._performance = group.create_task(self._perform(actions))
                await asyncio.wait([self._performance])
                self._performance = None
                await self._deliver(Performed())

    def perform(self, actions: Sequence[Action]) -> bool:
        """Queue the actions of one reply; False when the queue is full."""
        try:
            self._queue.put_nowait(actions)
        except asyncio.QueueFull:
            return False
        return True

    def reached(self, mark: str) -> tuple[Spoken, ...]:
        """Take an echoed mark; return the utterances that were heard to their end."""
        spoken = self.playback.reached(mark)
        self._note_silence()
        return spoken

    async def interrupt(self, now: float) -> tuple[Spoken, ...]:
        """Stop at once: what is queued is dropped, what the carrier still holds is cleared."""
        while not self._queue.empty():
            self._queue.get_nowait()
        if self._performance:
            self._performance.cancel()
        audible = self.playback.speaking
        spoken = self.playback.clear(now)
        self._note_silence()
        if audible and self.leg:
            await self.leg.clear()
        return spoken

    async def _perform(self, actions: Sequence[Action]) -> None:
        for action in actions:
            match action:
                case Say():
                    await self._say(action)
                case Play():
                    await self._play(action)
                case Pause():
                    await self._utter("", (silence(action.ms),), interruptible=True)
                case Listen() | Configure():
                    self._adjust(action)
                case HangUp() | Transfer() | Redirect() | SendDigits():
                    await self._heard()
                    await self._leave(action)
                    return

    async def _say(self, say: Say) -> None:
        changes = {"language": say.language, "voice": say.voice, "speed": say.speed}
        voice = self.voice.model_copy(update={key: value for key, value in changes.items() if value is not None})
        number = self.playback.begin(say.text, interruptible=say.interruptible)
        try:
            async with self._voices.speak(voice) as stream:
                await stream.write(say.text, last=True)
                first = True
                async for chunk in stream:
                    await self._send(number, chunk.audio, chunk.characters, say.text if first else "")
                    first = False
        except PeerError as error:
            await self._mark(self.playback.fail(number))
            await self._deliver(NotSpoken(str(error)))
            return
        await self._mark(self.playback.complete(number))

    async def _play(self, play: Play) -> None:
        try:
            audio = await self._clips.fetch(play.url)
        except PeerError as error:
            await self._deliver(NotSpoken(str(error)))
            return
        await self._utter(play.url, (audio,), interruptible=play.interruptible)

    async def _utter(self, text: str, audio: Sequence[bytes], *, interruptible: bool) -> None:
        number = self.playback.begin(text, interruptible=interruptible)
        for chunk in audio:
            await self._send(number, chunk, (), text)
        await self._mark(self.playback.complete(number))

    async def _send(self, number: int, audio: bytes, characters: Sequence[tuple[str, int, int]], begins: str) -> None:
        """Send audio once there is a stream to send it on; synthesis begins while the call still rings."""
        if self.leg is None:
            return
        await self.leg.attached.wait()
        self._silent.clear()
        self.playback.sent(number, duration_ms(audio), characters, asyncio.get_running_loop().time())
        await self.leg.speak(audio)
        if begins:
            await self._deliver(BotBegan(number, begins))

    async def _mark(self, name: str | None) -> None:
        if name and self.leg:
            await self.leg.attached.wait()
            await self.leg.mark(name)

    async def _heard(self) -> None:
        """Wait until the caller has heard everything; a carrier that never says so is given up on."""
        remaining = self.playback.remaining_s(asyncio.get_running_loop().time())
        try:
            async with asyncio.timeout(remaining + self._limits.hangup_timeout_s):
                await self._silent.wait()
        except TimeoutError:
            await self._deliver(NotSpoken("the carrier did not report the end of the last speech"))

    def _note_silence(self) -> None:
        if not self.playback.speaking:
            self._silent.set()
