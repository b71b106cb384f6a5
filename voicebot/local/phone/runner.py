"""Follows one TwiML document verb by verb and says where the call goes from there."""

import asyncio
import math
import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, Protocol, assert_never
from urllib.parse import urljoin

from voicebot.local.phone import twiml
from voicebot.local.phone.clock import race
from voicebot.local.phone.codes import RETRIEVAL_FAILURE, SCHEMA_WARNING
from voicebot.local.phone.documents import Fetched
from voicebot.local.phone.events import Transferred
from voicebot.local.phone.journal import Journal
from voicebot.local.phone.line import Line, Source
from voicebot.local.phone.options import CallOptions
from voicebot.local.phone.parameters import dial_parameters
from voicebot.local.phone.playout import Playout
from voicebot.local.phone.report import DialSeen, EndReason
from voicebot.local.phone.sound import SoundError, read_sound, silence
from voicebot.local.phone.webhooks import Answer, Ask, WebhookFailure

#: How long a `<Say>` without a voice is, per character and at most, in milliseconds.
SAY_MS_PER_CHAR: Final = 60.0
MAX_SAY_MS: Final = 60_000.0
_MS: Final = 1000.0
_END_MARK: Final = "end"


@dataclass(frozen=True, slots=True)
class Goto:
    """Go on with the document that this request brings."""

    ask: Ask


@dataclass(frozen=True, slots=True)
class Finished:
    """The call is to end, for this reason."""

    reason: EndReason
    detail: str


@dataclass(frozen=True, slots=True)
class Interrupted:
    """Somebody else has decided how the call goes on; `owed` is requested all the same, its answer ignored."""

    owed: Ask | None = None


type _PassThrough = twiml.Start | twiml.Stop | twiml.Say | twiml.Play | twiml.Pause | twiml.Unknown
type Next = Goto | Finished | Interrupted


class Exchange(Protocol):
    """What the runner needs from the call around it."""

    async def fetch(self, ask: Ask) -> Answer:
        """Make a request of the call and return its answer; raises `WebhookFailure`."""

    def answer(self) -> None:
        """Take the call, unless it is taken."""

    async def connect_stream(self, stream: twiml.Stream) -> None:
        """Run a bidirectional stream to its end."""

    async def start_stream(self, stream: twiml.Stream) -> str:
        """Begin a stream beside the call; its SID."""

    def stop_stream(self, name: str) -> bool:
        """End a stream begun before; False when there is none of this name."""


class Runner:
    """Follows documents; everything that takes time ends early when the call is interrupted."""

    def __init__(self, options: CallOptions, line: Line, journal: Journal, exchange: Exchange) -> None:
        self._options = options
        self._line = line
        self._journal = journal
        self._exchange = exchange

    async def follow(self, fetched: Fetched) -> Next:
        """Follow a document; what comes after it."""
        for problem in fetched.document.problems:
            self._journal.trouble(problem.code, f"{fetched.url}: {problem.message}")
        for verb in fetched.document.verbs:
            if self._line.interrupted.is_set():
                return Interrupted()
            self._journal.verb(type(verb).__name__, _detail(verb))
            outcome = await self._verb(verb, fetched.url)
            if self._line.interrupted.is_set():
                # The action of a <Dial> is requested even when the caller hung up; that of a <Connect> is not.
                owed = outcome.ask if isinstance(verb, twiml.Dial) and isinstance(outcome, Goto) else None
                return Interrupted(owed)
            if outcome is not None:
                return outcome
        return Finished("service", "nothing was left in the document")

    async def _verb(self, verb: twiml.Verb, base: str) -> Next | None:
        match verb:
            case twiml.Connect():
                return await self._connect(verb, base)
            case twiml.Dial():
                return await self._dial(verb, base)
            case twiml.Redirect(url=url, method=method):
                return Goto(Ask("redirect", urljoin(base, url), method))
            case twiml.Hangup():
                return Finished("service", "<Hangup>")
            case twiml.Reject(reason=reason):
                return self._reject(reason)
            case _:
                await self._pass_through(verb, base)
        return None

    async def _pass_through(self, verb: _PassThrough, base: str) -> None:
        """Do a verb after which the next one always follows."""
        match verb:
            case twiml.Start(stream=stream):
                self._exchange.answer()
                await self._exchange.start_stream(_absolute(stream, base))
            case twiml.Stop(name=name):
                if not self._exchange.stop_stream(name):
                    self._journal.trouble(SCHEMA_WARNING, f"<Stop>: there is no stream called {name!r}")
            case twiml.Say():
                await self._say(verb)
            case twiml.Play():
                await self._play(verb, base)
            case twiml.Pause(length_s=seconds):
                await self._idle(seconds)
            case twiml.Unknown():
                pass
            case _:
                assert_never(verb)

    async def _connect(self, verb: twiml.Connect, base: str) -> Next | None:
        self._exchange.answer()
        await self._exchange.connect_stream(_absolute(verb.stream, base))
        if verb.action is None:
            return None
        return Goto(Ask("connect action", urljoin(base, verb.action), verb.method))

    def _reject(self, reason: str) -> Finished:
        if self._journal.answered_ms is not None:
            return Finished("service", "<Reject> after the call was answered")
        return Finished("rejected", reason)

    async def _say(self, verb: twiml.Say) -> None:
        self._exchange.answer()
        self._journal.said.append(verb.text)
        voice = self._options.bot_voice
        if voice is not None:
            audio = await voice(verb.text)
        else:
            audio = silence(min(MAX_SAY_MS, len(verb.text) * SAY_MS_PER_CHAR))
        await self._repeat(audio, verb.loop)

    async def _play(self, verb: twiml.Play, base: str) -> None:
        self._exchange.answer()
        if verb.digits is not None:
            self._journal.played.append(f"digits {verb.digits}")
            await self._idle(len(verb.digits) / 2)
            return
        url = urljoin(base, verb.url)
        self._journal.played.append(url)
        try:
            answer = await self._exchange.fetch(Ask("play", url, "GET"))
            audio = await asyncio.to_thread(read_sound, answer.body) if answer.ok else None
        except WebhookFailure as failure:
            self._journal.trouble(failure.code, f"<Play>: {failure}")
            return
        except SoundError as error:
            self._journal.trouble(RETRIEVAL_FAILURE, f"<Play>: {url}: {error}")
            return
        if audio is None:
            self._journal.trouble(RETRIEVAL_FAILURE, f"<Play>: {url}: HTTP {answer.status}")
            return
        await self._repeat(audio, verb.loop)

    async def _dial(self, verb: twiml.Dial, base: str) -> Next | None:
        self._exchange.answer()
        outcome = self._options.dial
        journal = self._journal
        await self._idle(min(outcome.ring_s, verb.timeout_s))
        seen = DialSeen(at_ms=round(journal.clock.now()), numbers=list(verb.numbers), status="canceled", duration_s=0)
        journal.dialled.append(seen)
        if not self._line.interrupted.is_set():
            seen.status = outcome.status
        journal.add(Transferred(journal.clock.now(), ", ".join(verb.numbers), seen.status))
        if seen.status == "completed":
            began = journal.clock.now()
            await self._talk(outcome.talk_s)
            seen.duration_s = math.ceil((journal.clock.now() - began) / _MS)
        if verb.action is None:
            return None
        child = "CA" + secrets.token_hex(16)
        told = dial_parameters(child, seen.status, seen.duration_s)
        return Goto(Ask("dial action", urljoin(base, verb.action), verb.method, told))

    async def _talk(self, seconds: float) -> None:
        """Let the called party speak for so long; his words are what the caller hears."""
        source = self._options.agent_audio
        audio = b"" if source is None else await asyncio.to_thread(read_sound, source)
        playout = Playout()
        playout.feed(audio)
        self._line.source = Source(playout, lambda _: None)
        await self._idle(seconds)
        self._line.source = None

    async def _repeat(self, audio: bytes, times: int) -> None:
        endless = times == 0
        while (endless or times > 0) and not self._line.interrupted.is_set() and audio:
            times -= 1
            await self._sound(audio)

    async def _sound(self, audio: bytes) -> None:
        done = asyncio.Event()
        playout = Playout()
        playout.feed(audio)
        playout.mark(_END_MARK)
        self._line.source = Source(playout, _setter(done))
        await race(done.wait(), self._line.interrupted)
        self._line.source = None

    async def _idle(self, seconds: float) -> None:
        await race(self._journal.clock.sleep(seconds * _MS), self._line.interrupted)


def _setter(event: asyncio.Event) -> Callable[[str], None]:
    return lambda _mark: event.set()


def _absolute(stream: twiml.Stream, base: str) -> twiml.Stream:
    """The stream with its callback's URL made absolute; its own `url` is left as the TwiML has it."""
    if stream.status_callback is None:
        return stream
    return replace(stream, status_callback=urljoin(base, stream.status_callback))


def _detail(verb: twiml.Verb) -> str:
    text = ""
    match verb:
        case twiml.Connect(stream=stream) | twiml.Start(stream=stream):
            text = stream.url
        case twiml.Stop(name=text) | twiml.Unknown(name=text) | twiml.Reject(reason=text) | twiml.Redirect(url=text):
            pass
        case twiml.Say(text=text):
            pass
        case twiml.Play(url=url, digits=digits):
            text = url if digits is None else f"digits {digits}"
        case twiml.Pause(length_s=seconds):
            text = f"{seconds:g} s"
        case twiml.Dial(numbers=numbers):
            text = ", ".join(numbers)
        case twiml.Hangup():
            pass
    return text
