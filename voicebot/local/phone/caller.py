"""Makes a phone call the way Twilio does: asks the voice webhook, follows its TwiML, and reports what happened."""

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import aiohttp

from voicebot.local.phone import twiml
from voicebot.local.phone.assembly import assemble
from voicebot.local.phone.callbacks import Callbacks
from voicebot.local.phone.clock import Clock, race
from voicebot.local.phone.codes import PARSE_FAILURE
from voicebot.local.phone.documents import Fetched, document_of
from voicebot.local.phone.events import Answered, Dialled, Ended, PhoneEvent
from voicebot.local.phone.faults import PhoneFaults
from voicebot.local.phone.journal import Journal
from voicebot.local.phone.line import Line
from voicebot.local.phone.messages import StreamIdentity
from voicebot.local.phone.options import CallOptions, DialOutcome, Limits, Voice
from voicebot.local.phone.parameters import CallStatus, call_parameters
from voicebot.local.phone.report import CallReport, EndReason, ExitCode
from voicebot.local.phone.routes import Routes
from voicebot.local.phone.runner import Finished, Goto, Interrupted, Runner
from voicebot.local.phone.script import Script
from voicebot.local.phone.signing import Signer
from voicebot.local.phone.socket import MediaStream, StreamContext, StreamPlan
from voicebot.local.phone.sound import write_stereo
from voicebot.local.phone.tls import trusting
from voicebot.local.phone.webhooks import Answer, Ask, WebhookFailure, Webhooks

__all__ = [
    "CallOptions",
    "CallReport",
    "DialOutcome",
    "ExitCode",
    "Limits",
    "PhoneCall",
    "PhoneEvent",
    "PhoneFaults",
    "Voice",
    "call",
]

_MS = 1000.0


async def call(options: CallOptions, *, observe: Callable[[PhoneEvent], None] | None = None) -> CallReport:
    """Make one call and report it; a failing service is in the report, never an exception."""
    return await PhoneCall(options, observe=observe).run()


@dataclass(frozen=True, slots=True)
class Document:
    """A TwiML document given directly, and the URL its relative URLs are resolved against."""

    text: str
    url: str


class PhoneCall:
    """One call; while `run` is under way it can be hung up, given another document, and streamed from."""

    def __init__(self, options: CallOptions, *, observe: Callable[[PhoneEvent], None] | None = None) -> None:
        self.options = options
        self.call_sid = options.call_sid or new_sid("CA")
        self.status: CallStatus = "queued"
        self.started = datetime.now(UTC)
        self.ended: datetime | None = None
        self.streams: dict[str, MediaStream] = {}
        signer, routes = Signer(options.auth_token), Routes(options.connect_to)
        self._journal = Journal(Clock(options.pace), observe)
        self._line = Line(options, self._journal)
        self._webhooks = Webhooks(signer, routes, options.limits, options.faults, self._journal)
        self._callbacks = Callbacks(options, self.call_sid, self._webhooks, self._journal)
        self._script = Script(options, self._line, self._journal, self._press, self._caller_hangs_up)
        self._runner = Runner(options, self._line, self._journal, self)
        self._context = StreamContext(options, self._line, self._journal, self._callbacks, signer, routes)
        self._replacement: Ask | Document | None = None
        self._answered = asyncio.Event()
        self._session: aiohttp.ClientSession
        self._group: asyncio.TaskGroup

    async def run(self) -> CallReport:
        """Dial, talk, hang up; the report, which is also written to the files the options name."""
        self._journal.add(Dialled(self._journal.clock.now(), self.options.voice_url, self.call_sid))
        async with await self._open_session() as self._session, asyncio.TaskGroup() as self._group:
            self._group.create_task(self._callbacks.run(self._session))
            acting = self._group.create_task(self._act())
            beside = [self._group.create_task(work) for work in (self._carry(), self._watch_time())]
            await self._converse()
            await self._wind_up()
            for task in beside:
                task.cancel()
            await acting
            if self.options.expect is not None:
                self._script.check(self.options.expect, None)
            self._callbacks.close()
        report = assemble(self.options, self.call_sid, self.started, self._journal, self._line, self._script)
        await asyncio.to_thread(self._write, report)
        return report

    async def _open_session(self) -> aiohttp.ClientSession:
        ca_file = self.options.ca_file
        trusted = True if ca_file is None else await asyncio.to_thread(trusting, ca_file)
        jar = aiohttp.CookieJar(unsafe=True)
        return aiohttp.ClientSession(cookie_jar=jar, connector=aiohttp.TCPConnector(ssl=trusted))

    def hang_up(self, reason: EndReason, detail: str) -> None:
        """End the call from outside the document: the caller, a REST request or the time limit."""
        self._journal.end(reason, detail)
        self._line.interrupted.set()
        self._line.poke()

    def say(self, audio: bytes) -> None:
        """Let the caller say raw µ-law, 8 kHz, behind whatever he is saying; his steps go on beside it."""
        self._line.microphone.say(audio)

    def replace(self, document: Ask | Document) -> None:
        """Give the call another document; the one being followed is dropped, streams and all."""
        self._replacement = document
        self._line.interrupted.set()
        self._line.poke()

    @property
    def over(self) -> bool:
        """Whether the call has ended."""
        return self._line.over

    async def fetch(self, ask: Ask) -> Answer:
        """Make a request of this call with its standard parameters; raises `WebhookFailure`."""
        parameters = call_parameters(self.options, self.call_sid, self.status) | dict(ask.parameters)
        sent = {} if ask.purpose == "play" else parameters
        return await self._webhooks.ask(self._session, Ask(ask.purpose, ask.url, ask.method, sent))

    def answer(self) -> None:
        """Take the call, unless it is taken."""
        if self._journal.answered_ms is None:
            now = self._journal.clock.now()
            self._journal.answered_ms = now
            self.status = "in-progress"
            self._journal.add(Answered(now))
            self._callbacks.call("answered")
            self._answered.set()

    async def connect_stream(self, stream: twiml.Stream) -> None:
        """Run a bidirectional stream until its socket closes or the call is interrupted."""
        running = self._begin_stream(stream, "connect")
        twin = self._begin_stream(stream, "duplicate") if self.options.faults.duplicate_socket else None
        await race(running.finished.wait(), self._line.interrupted)
        for each in (running, twin):
            if each is not None:
                each.request_stop()
                await each.finished.wait()

    async def start_stream(self, stream: twiml.Stream) -> str:
        """Begin a stream from the call to the service; its SID."""
        return self._begin_stream(stream, "start").plan.sid

    def stop_stream(self, name: str) -> bool:
        """End the stream with this name or SID; False when there is none."""
        found = [
            stream
            for stream in self.streams.values()
            if name in {stream.plan.name, stream.plan.sid} and not stream.finished.is_set()
        ]
        for stream in found:
            stream.request_stop()
        return bool(found)

    def _begin_stream(self, stream: twiml.Stream, kind: str) -> MediaStream:
        identity = StreamIdentity(self.options.account_sid, self.call_sid, new_sid("MZ"))
        match kind:
            case "connect" | "start" | "duplicate":
                plan = StreamPlan(stream, kind, identity)
            case _:
                raise ValueError(kind)
        running = MediaStream(plan, self._context)
        self.streams[plan.sid] = running
        self._group.create_task(running.run())
        return running

    async def _converse(self) -> None:
        """From dialling to the reason for hanging up."""
        self._callbacks.call("initiated")
        self._callbacks.call("ringing")
        self.status = "ringing"
        if self.options.direction == "outbound-api":
            self.answer()
        following: Ask | Document = Ask("voice", self.options.voice_url, self.options.voice_method)
        if self.options.twiml is not None:
            following = Document(self.options.twiml, self.options.voice_url)
        elif self.options.faults.webhook_twice:
            await self._obtain(following)
        for _ in range(self.options.limits.documents):
            fetched = await self._obtain(following)
            if fetched is None:
                self._journal.end("error", "Twilio says: an application error has occurred")
                return
            chosen = await self._after(await self._runner.follow(fetched))
            if chosen is None:
                return
            following = chosen
        self._journal.end("error", f"{self.options.limits.documents} documents without an end: a loop")

    async def _after(self, outcome: Goto | Finished | Interrupted) -> Ask | Document | None:
        if self._journal.ended is not None:
            if isinstance(outcome, Interrupted) and outcome.owed is not None:
                self.status = "completed"
                await self._obtain(outcome.owed)
            return None
        if self._replacement is not None:
            chosen, self._replacement = self._replacement, None
            self._line.interrupted.clear()
            return chosen
        match outcome:
            case Goto(ask=ask):
                return ask
            case Finished(reason=reason, detail=detail):
                self._journal.end(reason, detail)
            case Interrupted():
                self._journal.end("error", "interrupted without a reason")
        return None

    async def _obtain(self, following: Ask | Document) -> Fetched | None:
        """The next document; None when neither it nor the fallback can be had."""
        try:
            return await self._read(following)
        except WebhookFailure as failure:
            self._journal.trouble(failure.code, str(failure))
            fallback, failed = self.options.fallback_url, following
            if fallback is None or isinstance(failed, Document):
                return None
            told = {"ErrorCode": str(failure.code), "ErrorUrl": failed.url}
        try:
            return await self._read(Ask("fallback", fallback, "POST", told))
        except WebhookFailure as failure:
            self._journal.trouble(failure.code, str(failure))
            return None

    async def _read(self, following: Ask | Document) -> Fetched:
        try:
            if isinstance(following, Document):
                return Fetched(twiml.parse(following.text.encode()), following.url)
            answer = await self.fetch(following)
            return Fetched(document_of(answer), answer.url)
        except twiml.TwimlError as error:
            raise WebhookFailure(error.code or PARSE_FAILURE, f"{following.url}: {error}") from error

    async def _wind_up(self) -> None:
        self._line.ended.set()
        for stream in tuple(self.streams.values()):
            stream.request_stop()
        for stream in tuple(self.streams.values()):
            await stream.finished.wait()
        self._line.poke()
        now = self._journal.clock.now()
        answered = self._journal.answered_ms
        self.status = "completed" if answered is not None else _unanswered(self._journal.ended_detail)
        self.ended = datetime.now(UTC)
        duration = 0 if answered is None else round((now - answered) / _MS)
        self._callbacks.call("completed", duration_s=duration, status=self.status)
        self._journal.add(Ended(now, f"{self._journal.ended}: {self._journal.ended_detail}"))

    async def _carry(self) -> None:
        await self._answered.wait()
        await self._line.run()

    async def _act(self) -> None:
        await race(self._answered.wait(), self._line.ended)
        if self.options.steps:
            await self._script.run()
            self.hang_up("caller", "the caller had nothing left to do")

    async def _watch_time(self) -> None:
        await self._journal.clock.sleep(self.options.limits.call_s * _MS)
        self.hang_up("time-limit", f"the call was longer than {self.options.limits.call_s:g} s")

    def _press(self, digit: str) -> bool:
        return any(stream.digit(digit) for stream in self.streams.values())

    def _caller_hangs_up(self) -> None:
        self.hang_up("caller", "the caller hung up")

    def _write(self, report: CallReport) -> None:
        if self.options.record is not None:
            write_stereo(self.options.record, bytes(self._line.spoken), bytes(self._line.heard))
        if self.options.report is not None:
            Path(self.options.report).write_text(report.model_dump_json(indent=2) + "\n", encoding="utf-8")


def new_sid(prefix: str) -> str:
    """A new identifier as Twilio makes them: two letters and 32 hexadecimal digits."""
    return prefix + secrets.token_hex(16)


def _unanswered(detail: str) -> CallStatus:
    return "busy" if detail == "busy" else "no-answer"
