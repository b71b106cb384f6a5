"""Carries out the actions of a reply in their order, so that the caller hears them."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import replace

from voicebot.call.gone import nobody, nothing
from voicebot.call.inputs import BotBegan, CallInput, CarrierSay, Leaving, NotSpoken, Performed
from voicebot.call.leg import Leg
from voicebot.call.rooms import Rooms
from voicebot.call.script import Script
from voicebot.call.trace import CallTrace
from voicebot.core.actions import Action, Configure, HangUp, Listen, Pause, Play, Redirect, Say, SendDigits, Transfer
from voicebot.core.audio import BYTES_PER_MS, duration_ms, silence
from voicebot.core.playback import Playback, Spoken
from voicebot.errors import PeerError, PeerRefused
from voicebot.tts import SpeechStream
from voicebot.waiting import Flag
from voicebot.wire.soniox_tts import VoiceOptions

BEGINNING_MS = 20
"""So much of an utterance goes out before the mark whose echo tells that the caller hears it."""
GATHERED_S = 0.25
"""Speech comes faster than it is spoken: so long it comes together before it is sent, in one message ..."""
IN_HAND_S = 0.5
"""... as long as the carrier has more than this left to play."""

type _Source = Say | Play | Pause


class Speaker:
    """One performance at a time; an interruption ends it together with everything queued behind it.

    What an interruption has cut off can be kept until `forget`: it may have been a cough.
    """

    def __init__(
        self,
        rooms: Rooms,
        voice: VoiceOptions,
        trace: CallTrace,
        deliver: Callable[[CallInput], Awaitable[None]],
        adjust: Callable[[Listen | Configure], None],
        leave: Callable[[Leaving], Awaitable[None]],
    ) -> None:
        self.playback = Playback()
        self.voice = voice
        self._leg: Leg | None = None
        self._moved = Flag()
        self._voices, self._clips, self._settings = rooms.voices, rooms.clips, rooms.settings
        self._deliver, self._adjust, self._leave = deliver, adjust, leave
        self._trace = trace
        self._queue: list[Script] = []
        self._group: asyncio.TaskGroup | None = None
        self._performing = False
        self._script: Script | None = None
        self._performance: asyncio.Task[None] | None = None
        self._pending: Action | None = None
        """The action under way, as long as the ledger of playback does not account for it."""
        self._utterance = 0
        """The one that was begun last."""
        self._sources: dict[int, _Source] = {}
        """What each utterance of the ledger came from."""
        self._kept: list[Script] = []
        self._stopped = False
        self._silent = Flag()
        self._silent.set()

    @property
    def leg(self) -> Leg | None:
        """Where the caller is."""
        return self._leg

    @leg.setter
    def leg(self, leg: Leg) -> None:
        self._leg = leg
        self._moved.set()

    @property
    def idle(self) -> bool:
        """Nothing is being performed, queued or heard."""
        return not self._queue and self._performance is None and not self.playback.speaking

    @property
    def keeps(self) -> bool:
        """Something was cut off that may still be said."""
        return bool(self._kept)

    def begin(self, group: asyncio.TaskGroup) -> None:
        """Perform replies one after another until stopped, by tasks of this group: there is none while the bot is silent."""
        self._group = group
        self._go_on()

    def _go_on(self) -> None:
        if self._queue and self._group and not (self._performing or self._stopped):
            self._performing = True
            self._group.create_task(self._perform_all(self._group))

    async def _perform_all(self, group: asyncio.TaskGroup) -> None:
        while self._queue and not self._stopped:
            self._script = self._queue.pop(0)
            self._performance = group.create_task(self._perform(self._script))
            await asyncio.wait([self._performance])
            self._performance = self._script = self._pending = None
            await self._deliver(Performed())
        self._performing = False

    def stop(self) -> None:
        """Perform nothing more; what goes on ends by itself: a group holds on to everything that a cancelled task knew."""
        self._stopped = True
        if self._performance:
            self._performance.cancel()

    def let_go(self) -> None:
        """The call is gone: what was interrupted while it spoke knows us until the collector comes, but not the call."""
        self._leg = self._group = None
        self._deliver, self._adjust, self._leave = nobody, nothing, nobody
        self._sources.clear()

    def perform(self, script: Script) -> bool:
        """Queue a reply; False when the queue is full."""
        if len(self._queue) >= self._settings.limits.actions:
            return False
        self._queue.append(script)
        self._go_on()
        return True

    def drop(self, script: Script) -> None:
        """Perform nothing more of a reply of which nothing was heard yet."""
        if script is self._script and self._performance:
            self._performance.cancel()
        elif script in self._queue:
            self._queue.remove(script)

    def cut_short(self, script: Script) -> None:
        """Perform nothing more of a reply but the utterance that the caller can hear already."""
        script.clear()
        if script in self._queue:
            self._queue.remove(script)
        if script is not self._script or not self._performance:
            return
        if self._pending is None and self.playback.has_sound(self._utterance):
            return
        self.playback.fail(self._utterance)
        self._performance.cancel()

    def reached(self, mark: str) -> tuple[Spoken, ...]:
        """Take an echoed mark; return the utterances that were heard to their end."""
        return self._over(self.playback.reached(mark))

    def overdue(self, now: float) -> tuple[Spoken, ...]:
        """Return the utterances that count as heard although the carrier has not said so in time."""
        return self._over(self.playback.overdue(now, self._settings.twilio.mark_timeout_s))

    def overdue_at(self) -> float | None:
        """Return when `overdue` must be asked, or None."""
        return self.playback.overdue_at(self._settings.twilio.mark_timeout_s)

    async def interrupt(self, now: float, *, keep: bool = False, but: Script | None = None) -> tuple[Spoken, ...]:
        """Stop at once: what is queued is dropped, or kept; what the carrier still holds is cleared.

        `but` names a reply that is not touched; nothing of it was heard yet.
        """
        audible = self.playback.speaking
        spoken = self.playback.clear(now)
        cut = [] if self._script in {None, but} else [self._script]
        rest = tuple(self._rest(spoken))
        if cut and self._pending is not None:
            rest += (self._pending,)
        self._pending = None if cut else self._pending
        self._kept.clear()
        if keep and (cut or rest):
            script = cut[0] if cut else Script(0)
            script.put_back(rest)
            self._kept = [script, *(queued for queued in self._queue if queued is not but)]
        if cut and self._performance:
            self._performance.cancel()
        self._queue = [queued for queued in self._queue if queued is but]
        self._over(spoken)
        if audible and self.leg:
            await self.leg.clear()
        return spoken

    def resume(self) -> None:
        """Go on with what the last interruption cut off."""
        self._queue[:0] = self._kept
        self._kept.clear()
        self._go_on()

    def forget(self) -> None:
        """Drop what the last interruption cut off."""
        self._kept.clear()

    # --- one reply --------------------------------------------------------------------------------

    async def _perform(self, script: Script) -> None:
        while action := await script.next():
            self._pending = action
            match action:
                case Say():
                    await self._say(action, script)
                case Play():
                    await self._play(action, script)
                case Pause():
                    await script.released.wait()
                    await self._utter(action, "", silence(action.ms), interruptible=True)
                case Listen() | Configure():
                    await script.released.wait()
                    self._adjust(action)
                case HangUp() | Transfer() | Redirect() | SendDigits():
                    await script.released.wait()
                    await self._heard()
                    await self._leave(action)
                    return
            self._pending = None

    async def _say(self, say: Say, script: Script) -> None:
        """Speak; a text that goes on is spoken while its next pieces are being written."""
        changes = {"language": say.language, "voice": say.voice, "speed": say.speed}
        wanted = {key: value for key, value in changes.items() if value is not None}
        voice = self.voice.model_copy(update=wanted) if wanted else self.voice
        with self._trace.speech(script.sequence, voice) as speech:
            async with self._voices.speak(voice) as stream:
                error = await self._write(stream, say)
                await script.released.wait()
                number = self._begin(say, say.text, interruptible=say.interruptible)
                async with asyncio.TaskGroup() as group:
                    writing = group.create_task(self._write_on(number, say, stream, script))
                    error = error or await self._sound(number, stream)
                    if error:
                        writing.cancel()
                speech.over(self.playback.text_of(number), stream.first_audio_at, failed=error is not None)
        if error:
            await self._deliver(NotSpoken(str(error)))
        unheard = isinstance(error, PeerRefused) and not self.playback.has_sound(number)
        text = self.playback.text_of(number)
        await self._mark(self.playback.fail(number) if error else self.playback.complete(number))
        if unheard:
            await self._say_by_carrier(text, voice.language, script)

    async def _say_by_carrier(self, text: str, language: str, script: Script) -> None:
        """Our own voice is refused: the carrier says it, and what follows it, between two streams."""
        texts = [text]
        while more := script.next_say():
            texts.append(more.text)
        await self._heard()
        self._moved.clear()
        await self._leave(CarrierSay(" ".join(texts), language))
        await self._moved.wait()
        if self.leg:
            await self.leg.attached.wait()

    async def _write_on(self, number: int, say: Say, stream: SpeechStream, script: Script) -> None:
        """Hand on the pieces of a text as they arrive; the ledger knows the whole of what was begun."""
        text, more = say.text, say.more
        while more:
            piece = await script.next()
            if not isinstance(piece, Say):  # the stream has ended, or broke, in the middle of the sentence
                script.put_back([] if piece is None else [piece])
                piece = replace(say, text="", more=False)
            text, more = text + piece.text, piece.more
            self.playback.extend(number, piece.text)
            self._sources[number] = replace(say, text=text, more=False)
            await self._write(stream, piece)

    async def _write(self, stream: SpeechStream, say: Say) -> PeerError | None:
        """Give a piece of text to the voice; return what went wrong."""
        try:
            await stream.write(say.text, last=not say.more)
        except PeerError as error:
            return error
        return None

    async def _sound(self, number: int, stream: SpeechStream) -> PeerError | None:
        """Send the audio of an utterance; return what went wrong."""
        try:
            async for chunk in stream:
                await self._send(number, chunk.audio, chunk.characters)
                in_hand_s = self.playback.remaining_s(asyncio.get_running_loop().time())
                await stream.gather(min(GATHERED_S, in_hand_s - IN_HAND_S))
        except PeerError as error:
            return error
        return None

    async def _play(self, play: Play, script: Script) -> None:
        try:
            audio = await self._clips.fetch(play.url)
        except PeerError as error:
            await self._deliver(NotSpoken(str(error)))
            return
        await script.released.wait()
        await self._utter(play, play.url, audio[play.from_ms * BYTES_PER_MS :], interruptible=play.interruptible)

    async def _utter(self, source: _Source, text: str, audio: bytes, *, interruptible: bool) -> None:
        number = self._begin(source, text, interruptible=interruptible)
        await self._send(number, audio, ())
        await self._mark(self.playback.complete(number))

    def _begin(self, source: _Source, text: str, *, interruptible: bool) -> int:
        number = self.playback.begin(text, interruptible=interruptible)
        self._sources[number] = source
        self._pending, self._utterance = None, number
        return number

    async def _send(self, number: int, audio: bytes, characters: Sequence[tuple[str, int, int]]) -> None:
        """Send audio once there is a stream to send it on; synthesis begins while the call still rings."""
        if self.leg is None:
            return
        await self.leg.attached.wait()
        self._silent.clear()
        text = self.playback.text_of(number)
        first = bool(text) and not self.playback.has_sound(number)
        starts_at = self.playback.sent(number, duration_ms(audio), characters, asyncio.get_running_loop().time())
        if not first:
            await self.leg.speak(audio, starts_at)
            return
        head = BEGINNING_MS * BYTES_PER_MS
        await self.leg.speak(audio[:head], starts_at)
        await self._deliver(BotBegan(number, text, self._script.sequence if self._script else 0))
        await self.leg.mark(self.playback.beginning(number))
        if len(audio) > head:
            await self.leg.speak(audio[head:], starts_at + BEGINNING_MS / 1_000)

    async def _mark(self, name: str | None) -> None:
        if name and self.leg:
            await self.leg.attached.wait()
            await self.leg.mark(name)

    async def _heard(self) -> None:
        """Wait until the caller has heard everything; a carrier that never says so is given up on."""
        remaining = self.playback.remaining_s(asyncio.get_running_loop().time())
        try:
            async with asyncio.timeout(remaining + self._settings.limits.hangup_timeout_s):
                await self._silent.wait()
        except TimeoutError:
            await self._deliver(NotSpoken("the carrier did not report the end of the last speech"))

    # --- what is left -----------------------------------------------------------------------------

    def _rest(self, spoken: Iterable[Spoken]) -> Iterable[Action]:
        """Return what is left of utterances that were cut off."""
        for one in spoken:
            match self._sources.get(one.utterance):
                case Say() as say if one.interrupted and one.rest:
                    yield replace(say, text=one.rest, more=False)
                case Play() as play if one.interrupted:
                    yield replace(play, from_ms=play.from_ms + one.ms)
                case _:
                    pass

    def _over(self, spoken: tuple[Spoken, ...]) -> tuple[Spoken, ...]:
        for one in spoken:
            self._sources.pop(one.utterance, None)
        if not self.playback.speaking:
            self._silent.set()
        return spoken
