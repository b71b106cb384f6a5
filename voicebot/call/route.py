"""Where a call is: its current leg, and what follows that leg."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

from voicebot.call.gone import nobody, nothing
from voicebot.call.inputs import CallInput, CarrierAsks, CarrierSay, Dialed, HandedOver, Leaving
from voicebot.call.leg import Leg
from voicebot.config import NumberSettings, Settings
from voicebot.core.actions import Configure, EndpointPolicy, HangUp, Redirect, SendDigits, Transfer
from voicebot.core.batching import Batching
from voicebot.core.events import StreamStarted, Tick
from voicebot.soniox_accounts import Accounts
from voicebot.waiting import Flag
from voicebot.wire import twiml
from voicebot.wire.soniox_tts import VoiceOptions
from voicebot.wire.twiml import Doors

DIAL_SUCCEEDED = frozenset({"completed", "answered"})
"""Values of DialCallStatus after which the caller has been served (TwiML Dial, action)."""
TOKEN_BYTES = 24
SECONDS_PER_CHARACTER = 0.15
"""A slow voice."""


@dataclass(frozen=True, slots=True)
class Lost:
    """Nobody meant the call's last stream to end; `since` is a loop time, None where a process before this one had it."""

    why: Literal["stream_lost", "restart"]
    since: float | None = None


class Route:
    """A call outlives its media streams: the carrier asks for TwiML, and TwiML opens, ends and replaces them.

    `open_leg` starts the recognisers of a leg, while the carrier still connects it.
    """

    def __init__(
        self,
        options: NumberSettings,
        settings: Settings,
        doors: Doors,
        accounts: Accounts,
        batching: Batching,
        deliver: Callable[[CallInput], Awaitable[None]],
        open_leg: Callable[[Leg], None],
    ) -> None:
        self.options = options
        self.leaving: Leaving | None = None
        """The action that ends the current leg."""
        self.lost: Lost | None = None
        """The stream is gone and the call goes on, as soon as the carrier asks what follows and opens another one."""
        self.closed = False
        """The call is ending: no further leg."""
        self.begun = Flag()
        """The call has begun, or is over: from now on the carrier may be answered."""
        self.streamless_since: float | None = None
        """Since when a stream, or the end of a transfer, is waited for (loop time)."""
        self.dialing = False
        """The carrier has been told to connect the caller to somebody else."""
        self._saying_s = 0.0
        """How long the carrier may speak before the next stream."""
        self._asked = 0
        """How often the carrier has asked for the current leg without opening it."""
        self._askers: list[asyncio.Future[str]] = []
        self._settings, self._doors, self._accounts, self._batching = settings, doors, accounts, batching
        self._deliver, self._open_leg = deliver, open_leg
        self.leg = self._next_leg(1)
        self._opening = self.answer()
        """What opens the current leg."""

    def begin(self) -> None:
        """Open the first leg."""
        self._open_leg(self.leg)
        self.begun.set()

    def claim(self, started: StreamStarted, token: str, carrier_id: str) -> Leg | str:
        """Give the stream its leg, once, or say why not; the token is compared in constant time."""
        if self.closed:
            return "the call has ended"
        if not secrets.compare_digest(token.encode(), self.leg.token.encode()):
            return "wrong stream token"
        if self.leg.attached.is_set() or self.leg.closed:
            return "the stream token was used before"
        if started.call_id != carrier_id:
            return "the stream token belongs to another call"
        return self.leg

    async def leave(self, action: Leaving) -> None:
        """Close the stream, once it is there; the carrier then asks what follows."""
        await self.leg.attached.wait()
        self.leaving = action
        self._saying_s = len(action.text) * SECONDS_PER_CHARACTER if isinstance(action, CarrierSay) else 0.0
        await self.leg.close()

    def configure(self, change: Configure | EndpointPolicy) -> VoiceOptions:
        """Recognise in another way from here on; return how to speak."""
        before, self.options = self.options, self.options.changed_by(change)
        if self.options.stt != before.stt:
            self.leg.reconfigure(self.options)
        return self.options.voice

    def answer(self) -> str:
        """Return the TwiML that opens the current leg."""
        if self.options.mode == "transcribe":
            return twiml.start(self._doors, self.leg.token, track=self.options.track, then=self.options.then)
        return twiml.connect(self._doors, self.leg.token)

    async def what_follows(self) -> str:
        """Return the TwiML after the stream: what the last action decided."""
        match self.leaving:
            case CarrierSay(text=text, language=language) if self._reopen():
                self._opening = twiml.connect(self._doors, self.leg.token, say=text, language=language)
                return self._opening
            case SendDigits(digits=digits) if self._reopen():
                self._opening = twiml.connect(self._doors, self.leg.token, digits=digits)
                return self._opening
            case Transfer() as transfer:
                self.dialing, self.lost = True, None
                await self._deliver(Tick())  # it is to be kept
                return twiml.dial(self._doors, transfer)
            case Redirect() as redirect:
                await self._deliver(HandedOver())
                return redirect.twiml or twiml.redirect(redirect.url or "")
            case None if self._spent and not self.closed and self.options.mode == "bot":
                # The call's own task decides, behind everything that came from the stream before.
                asker: asyncio.Future[str] = asyncio.get_running_loop().create_future()
                self._askers.append(asker)
                await self._deliver(CarrierAsks())
                return await asker
            case _:
                return self._again()

    def lose(self, now: float) -> bool:
        """Nobody meant the stream to end, and it has; False where that ends the call, or where there was none."""
        if self.closed or self.leaving or self.options.mode != "bot" or not self.leg.attached.is_set():
            return False
        self.lost, self.streamless_since = self.lost or Lost("stream_lost", now), now
        self.leg.finish()
        return True

    @property
    def handed_over(self) -> bool:
        """The caller is elsewhere: under the same name he only comes back as a new call."""
        return self.closed and isinstance(self.leaving, Redirect)

    @property
    def asked(self) -> bool:
        """The carrier waits to be told what follows the stream."""
        return bool(self._askers)

    def go_on(self) -> None:
        """Tell the carrier to open another stream."""
        if self.leaving:  # decided since it asked: it may ask again
            self._tell(twiml.redirect(self._doors.at("connected") + twiml.PATIENCE))
        elif self.asked:
            if self._spent and self._reopen():
                self._opening = self.answer()
            self._tell(self._again())

    @property
    def _spent(self) -> bool:
        """The current leg had its stream: another one needs another leg."""
        return self.leg.attached.is_set() or self.leg.closed

    async def dialed(self, status: str) -> str:
        """Take the end of a transfer; return the TwiML that follows it."""
        transfer = self.leaving
        if not isinstance(transfer, Transfer):
            return self._again()
        failed = status not in DIAL_SUCCEEDED
        returned = failed and transfer.on_failure == "return" and self._reopen()
        await self._deliver(Dialed(transfer.to, status, failed=failed, returned=returned))
        if not returned:
            return twiml.hangup()
        self._opening = self.answer()
        return self._opening

    def stream_over(self, reason: str, now: float) -> str | None:
        """Say why the call ends with its stream, or None when it goes on: then the carrier asks what follows."""
        match self.leaving:
            case HangUp():
                return "bot_hangup"
            case Transfer() | SendDigits() | Redirect() if reason != "stop":
                self.streamless_since = now
                return None
            case _ if reason == "stop":
                return "caller_hangup"
            case _:
                return None if self.lose(now) else "stream_lost"

    def go_back(self, leaving: Leaving | None, *, dialing: bool, told: bool) -> None:
        """Go on where another process has left a call; `told` says that the application knows of it."""
        self.leaving, self.dialing = leaving, dialing
        if dialing:
            self.leg.finish()
        elif told:
            self.lost = Lost("restart")

    def close(self) -> None:
        """Open no further leg."""
        self.closed, self.streamless_since, self.lost = True, None, None
        self.begun.set()
        self._tell(twiml.hangup())

    def let_go(self) -> None:
        """The call is gone: whoever still asks is told so."""
        self.close()
        self.leg.let_go()
        self._deliver, self._open_leg = nobody, nothing

    def give_up_at(self) -> float | None:
        """Return until when the next stream, or the end of a transfer, is waited for.

        As long as the carrier has not asked what follows, the caller may have gone without a word.
        """
        if self.streamless_since is None:
            return None
        twilio = self._settings.twilio
        if isinstance(self.leaving, Transfer) and self.dialing:
            return self.streamless_since + self.leaving.timeout + twilio.transfer_timeout_s
        if self.lost:
            return self.streamless_since + twilio.resume_timeout_s
        return self.streamless_since + twilio.ring_timeout_s + self._saying_s

    def given_up(self) -> str:
        """Say why a call ends that was waited for in vain."""
        if self.dialing:
            return "transferred"
        if self.lost:
            return "lost" if self.lost.why == "restart" else "stream_lost"
        return "caller_hangup" if self.leaving else "no_stream"

    def _again(self) -> str:
        """Answer a request that comes a second time as the first: the carrier repeats what it got no answer to."""
        self._asked += 1
        over = self.closed or self._spent or self._asked > self._settings.twilio.stream_attempts
        return twiml.hangup() if over else self._opening

    def _tell(self, document: str) -> None:
        askers, self._askers = self._askers, []
        for asker in askers:
            if not asker.done():
                asker.set_result(document)

    def _reopen(self) -> bool:
        if self.closed:
            return False
        self.leaving, self.dialing, self._asked = None, False, 0
        self.leg = self._next_leg(self.leg.number + 1)
        self._open_leg(self.leg)
        return True

    def _next_leg(self, number: int) -> Leg:
        token = secrets.token_urlsafe(TOKEN_BYTES)
        return Leg(number, token, self._settings, self._accounts, self._batching, self.options, self._deliver)
