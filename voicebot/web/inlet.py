"""The way of a stream's audio to its leg: frames that came together are heard together, and nothing is timed for each."""

import asyncio
from collections.abc import Callable, Sequence

from voicebot.call.call import Call
from voicebot.call.inputs import FromTrack
from voicebot.call.leg import Leg
from voicebot.config import TwilioSettings
from voicebot.core.audio import FRAME_MS
from voicebot.core.batching import Batching
from voicebot.core.events import Media
from voicebot.core.stagger import Phase, earlier
from voicebot.web.low_water import LowWater
from voicebot.wire import twilio

MAX_RUN = 50
"""Frames that are heard at a time at most: a second of one track."""
LOOK_S = 0.1
"""Every stream is looked at so often."""
PONG = 0.5
"""A ping must be answered within this share of the time without a message after which it is sent."""
LATE_S = 0.1
"""Audio that is later than its batch by so much may have stopped: nothing may be left lying in the kernel."""
SPREAD_S = 1.0
"""Streams are spread anew so often."""


class Inlet:
    """One stream: what its messages tell the call, and when anything came at all."""

    def __init__(
        self, call: Call, leg: Leg, low_water: LowWater, silent: asyncio.Timeout, ping: Callable[[], object]
    ) -> None:
        """`silent` expires when the stream has been silent for too long, or has not answered a `ping`."""
        self._call, self._leg, self._low_water, self._silent, self._ping = call, leg, low_water, silent, ping
        self._loop = asyncio.get_running_loop()
        self._untold: list[FromTrack] = []
        self._message_bytes = 0
        self._frames, self._early, self._short = 1, 0, False
        self._audio_at = float("-inf")
        self._phase = Phase()
        self._pinged_at = float("-inf")
        self._given_up = False
        self.touched_at = self._loop.time()
        """When the last message came."""

    @property
    def stream_id(self) -> str:
        """The carrier's name of the stream."""
        return self._leg.stream_id

    def take(self, messages: Sequence[bytes]) -> int:
        """Let the leg hear the media messages at the front, which came together; return how many those are.

        None while the call's mailbox is full, until `settle` has had its turn: what it is told must keep its order.
        """
        if self._untold:
            return 0
        frames: list[Media] = []
        for message in messages:
            if (frame := twilio.read_frame(message)) is None:
                break
            frames.append(frame)
        for at in range(0, len(frames), MAX_RUN):
            self.hear(frames[at : at + MAX_RUN], len(messages[0]))
        return len(frames)

    def hear(self, run: Sequence[Media], message_bytes: int) -> None:
        """Let the leg hear frames that came together, each in a message of about this length."""
        self._message_bytes = message_bytes
        self.touched_at = self._audio_at = now = self._loop.time()
        self._phase.note(now * 1_000, run[-1].timestamp_ms)
        for change in self._leg.hear(run, now):
            if self._untold or not self._call.offer(change):
                self._untold.append(change)
        if self._early or self._short:
            self._shift(message_bytes)

    async def settle(self) -> None:
        """Let the call have everything that came until now, in its order."""
        while self._untold:
            await self._call.put(self._untold.pop(0))

    def hasten(self) -> None:
        """Let what was heard go up at once."""
        self._leg.flush()

    def collects(self, now: float) -> bool:
        """Say whether audio of one track flows, and the kernel collects it."""
        return self._low_water.raised and not self._stopped(now) and len(self._leg.tracks) == 1

    def place(self, frames: int) -> int:
        """Return in which frame of a batch's time the audio comes, counted from 0; only after some was heard."""
        return self._phase.place(frames)

    def come_earlier(self, frames: int) -> None:
        """Let the batch after this one be so many messages shorter; all later ones come earlier by that."""
        self._early = frames

    def _shift(self, message_bytes: int) -> None:
        """A batch was read: let it go as it is if it was the short one, and collect for the next."""
        if self._short:
            self.hasten()
        self._low_water.wait_for(max(1, self._frames - self._early), message_bytes)
        self._early, self._short = 0, self._early > 0

    def look(self, now: float, frames: int, settings: TwilioSettings) -> None:
        """See whether the stream has fallen silent; wait for `frames` at a time as long as it flows."""
        if self._stopped(now):
            self._low_water.lower()
        elif not self._short:
            self._frames = frames
            self._low_water.wait_for(frames, self._message_bytes)
        quiet_s = now - self.touched_at
        if self._given_up or quiet_s < min(settings.ping_s, settings.silence_timeout_s):
            return
        asked = self._pinged_at > self.touched_at
        unanswered = asked and now - self._pinged_at >= settings.ping_s * PONG
        if unanswered or quiet_s >= settings.silence_timeout_s:
            self._given_up = True
            self._silent.reschedule(now)
        elif not asked:
            self._pinged_at = now
            self._ping()

    def _stopped(self, now: float) -> bool:
        return now - self._audio_at >= self._frames * FRAME_MS / 1_000 + LATE_S


class Inlets:
    """All streams, looked at together: a timer each, set anew by each message, would cost more than the messages."""

    def __init__(self, settings: TwilioSettings, batching: Batching) -> None:
        self._settings, self._batching = settings, batching
        self._inlets: dict[Inlet, None] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._spread_at = float("-inf")

    def add(self, inlet: Inlet) -> None:
        """Look at this one from now on."""
        self._inlets[inlet] = None
        if self._timer is None:
            self._set_timer()

    def remove(self, inlet: Inlet) -> None:
        """Look at it no longer."""
        del self._inlets[inlet]
        if not self._inlets and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    @property
    def frames(self) -> int:
        """Media messages that are waited for at a time: as many as go up together."""
        return self._batching.frames if self._settings.low_water else 1

    def _set_timer(self) -> None:
        period_s = min(LOOK_S, self._settings.silence_timeout_s / 2, self._settings.ping_s * PONG)
        self._timer = asyncio.get_running_loop().call_later(period_s, self._look)

    def _look(self) -> None:
        now = asyncio.get_running_loop().time()
        frames = self.frames
        if now - self._spread_at >= SPREAD_S:
            self._spread_at = now
            self._spread(now, frames)
        for inlet in self._inlets:
            inlet.look(now, frames, self._settings)
        self._set_timer()

    def _spread(self, now: float, frames: int) -> None:
        """Let as many streams be read in every frame of a batch's time.

        A stream would else keep for good the place that its first batch had, and those that share one wait for each other
        with every batch while the rest of the time nobody comes.
        """
        collecting = [inlet for inlet in self._inlets if inlet.collects(now)]
        steps = earlier([inlet.place(frames) for inlet in collecting], frames)
        for inlet, sooner in zip(collecting, steps, strict=True):
            inlet.come_earlier(sooner)
