"""The report of a call: what was asked, what was heard, what went wrong, and whether that is a pass."""

from collections.abc import Sequence
from enum import IntEnum
from itertools import pairwise
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from voicebot.local.phone.codes import CANNOT_CONNECT, NO_VIOLATION

type EndReason = Literal["caller", "service", "rejected", "time-limit", "error", "rest"]


class ExitCode(IntEnum):
    """What `voicebot local call` tells the shell."""

    PASSED = 0
    EXPECTATION_FAILED = 1
    BOT_NEVER_SPOKE = 2
    PROTOCOL_VIOLATION = 3
    USAGE = 4
    CANNOT_CONNECT = 5


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Failure(_Model):
    """One expectation that did not hold: at which step, what was wanted and what was found."""

    step: int | None
    what: str
    expected: str
    found: str

    @property
    def message(self) -> str:
        """The failure as one sentence."""
        where = "after the call" if self.step is None else f"step {self.step}"
        return f"{where}: {self.what}: expected {self.expected}, found {self.found}"


class Note(_Model):
    """Something Twilio would log, with its code."""

    at_ms: int
    code: int
    level: Literal["error", "warning"]
    message: str
    expected: bool = False


class HttpExchange(_Model):
    """One request to the service; status 0 means that no answer came."""

    at_ms: int
    purpose: str
    method: str
    url: str
    parameters: dict[str, str]
    status: int
    content_type: str = ""
    took_ms: int = 0
    error: str | None = None


class VerbFollowed(_Model):
    """One verb of one document."""

    at_ms: int
    verb: str
    detail: str = ""


class MarkSeen(_Model):
    """One mark of the service: when it came, when it went back, and whether a `clear` sent it back."""

    name: str
    received_ms: int
    echoed_ms: int | None = None
    cleared: bool = False


class StreamReport(_Model):
    """One media stream; times in milliseconds since dialling."""

    stream_sid: str
    name: str
    url: str
    kind: Literal["connect", "start", "duplicate"]
    tracks: list[str]
    parameters: dict[str, str]
    opened_ms: int | None = None
    closed_ms: int | None = None
    close_code: int | None = None
    close_reason: str = ""
    handshake_status: int | None = None
    frames_sent: int = 0
    frames_dropped: int = 0
    media_received: int = 0
    media_received_ms: int = 0
    first_media_ms: int | None = None
    clears: list[int] = Field(default_factory=list)
    marks: list[MarkSeen] = Field(default_factory=list)
    digits: str = ""


def gaps_ms(streams: Sequence[StreamReport]) -> list[int]:
    """How long the caller had no stream between two that were open, in milliseconds, whatever the reason."""
    talks = [one for one in streams if one.kind == "connect" and one.opened_ms is not None]
    return [
        later.opened_ms - earlier.closed_ms
        for earlier, later in pairwise(talks)
        if later.opened_ms is not None and earlier.closed_ms is not None
    ]


class CallerTurn(_Model):
    """One thing the caller said, and how long after his last sound the answer's first sound came."""

    label: str
    began_ms: int
    reply_ms: int | None


class DialSeen(_Model):
    """One `<Dial>` and how it went."""

    at_ms: int
    numbers: list[str]
    status: str
    duration_s: int


class CallReport(_Model):
    """Everything one call left behind."""

    version: int = 1
    outcome: Literal["pass", "fail"] = "pass"
    exit_code: ExitCode = ExitCode.PASSED
    call_sid: str
    account_sid: str
    from_number: str
    to_number: str
    voice_url: str
    started_at: str
    duration_ms: int = 0
    answered_ms: int | None = None
    ended: EndReason = "error"
    ended_detail: str = ""
    first_audio_ms: int | None = None
    heard_ms: int = 0
    spoken_ms: int = 0
    turns: list[CallerTurn] = Field(default_factory=list)
    verbs: list[VerbFollowed] = Field(default_factory=list)
    said: list[str] = Field(default_factory=list)
    played: list[str] = Field(default_factory=list)
    dialled: list[DialSeen] = Field(default_factory=list)
    requests: list[HttpExchange] = Field(default_factory=list)
    streams: list[StreamReport] = Field(default_factory=list)
    gaps_ms: list[int] = Field(default_factory=list)
    failures: list[Failure] = Field(default_factory=list)
    notes: list[Note] = Field(default_factory=list)
    timeline: list[dict[str, Any]] = Field(default_factory=list)

    @property
    def marks(self) -> list[MarkSeen]:
        """The marks of all streams, in the order they came."""
        return sorted((mark for stream in self.streams for mark in stream.marks), key=lambda mark: mark.received_ms)

    @property
    def clears(self) -> list[int]:
        """When the service cleared, on all streams."""
        return sorted(at for stream in self.streams for at in stream.clears)

    def codes(self) -> list[int]:
        """The Twilio codes that occurred, in order."""
        return [note.code for note in self.notes]


def exit_code(report: CallReport) -> ExitCode:
    """Pass or what kind of failure; nobody there counts before a violation, that before a failed expectation."""
    open_notes = [note for note in report.notes if not note.expected]
    if any(note.code in CANNOT_CONNECT for note in open_notes):
        return ExitCode.CANNOT_CONNECT
    if any(note.code not in NO_VIOLATION for note in open_notes):
        return ExitCode.PROTOCOL_VIOLATION
    if report.failures:
        return ExitCode.EXPECTATION_FAILED
    talked = any(stream.kind == "connect" and stream.opened_ms is not None for stream in report.streams)
    if talked and report.heard_ms == 0:
        return ExitCode.BOT_NEVER_SPOKE
    return ExitCode.PASSED


def judge(report: CallReport) -> CallReport:
    """The report with its exit code and outcome filled in."""
    code = exit_code(report)
    outcome: Literal["pass", "fail"] = "pass" if code is ExitCode.PASSED else "fail"
    return report.model_copy(update={"exit_code": code, "outcome": outcome})
