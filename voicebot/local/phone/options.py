"""Everything that can be said about a call before it is made."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, Self

from voicebot.local.phone.echo import Echo
from voicebot.local.phone.faults import PhoneFaults
from voicebot.local.phone.microphone import Quiet
from voicebot.local.phone.scenario import Expectation, Step

#: The auth token the phone signs with unless told; configure the service under test with the same.
DEFAULT_AUTH_TOKEN: Final = "local-auth-token"  # noqa: S105 - known to everybody, for calls on one's own machine
#: The account the phone's calls belong to unless told.
DEFAULT_ACCOUNT_SID: Final = "AC00000000000000000000000000000000"
DEFAULT_FROM: Final = "+4915112345678"
DEFAULT_TO: Final = "+493012345678"

#: Speaks a text: raw µ-law, 8 kHz, mono.
type Voice = Callable[[str], Awaitable[bytes]]
type CallEvent = Literal["initiated", "ringing", "answered", "completed"]
ALL_CALL_EVENTS: Final[tuple[CallEvent, ...]] = ("initiated", "ringing", "answered", "completed")
type DialStatus = Literal["completed", "busy", "no-answer", "failed", "canceled"]


@dataclass(frozen=True, slots=True)
class DialOutcome:
    """How a `<Dial>` goes: its status as Twilio reports it, and how long an answered one talks, in seconds."""

    status: DialStatus = "no-answer"
    talk_s: float = 0.0
    ring_s: float = 1.0

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `busy`, `no-answer`, `failed`, `answered` or `answered:SECONDS`; raises `ValueError` saying so."""
        match text.split(":", 1):
            case ["busy" | "no-answer" | "failed" | "canceled" as status]:
                return cls(status)
            case ["answered"]:
                return cls("completed", talk_s=DEFAULT_TALK_S)
            case ["answered", seconds] if seconds.replace(".", "", 1).isdigit():
                return cls("completed", talk_s=float(seconds))
            case _:
                raise ValueError(f"{text!r}: use busy, no-answer, failed, answered or answered:SECONDS")


#: How long an answered `<Dial>` talks unless told, in seconds.
DEFAULT_TALK_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class Limits:
    """Time-outs and sizes; seconds of real time unless said otherwise."""

    #: Longest call, in seconds of call time.
    call_s: float = 600.0
    #: HTTP: connect, read and total, as Twilio's defaults (webhook connection overrides).
    http_connect_s: float = 5.0
    http_read_s: float = 15.0
    http_total_s: float = 15.0
    #: Wait before a webhook is tried again; Twilio does not say how long it waits.
    retry_wait_s: float = 1.0
    #: WebSocket handshake, connect included.
    handshake_s: float = 10.0
    #: From `stop` to a closed socket before the connection is aborted.
    close_s: float = 5.0
    #: Largest answer to a webhook or `<Play>`, in bytes.
    body_bytes: int = 32 * 1024 * 1024
    #: Messages waiting to be sent on one stream; beyond it audio is discarded (31930). Ten seconds of one track.
    uplink_messages: int = 500
    #: Silence after which the other side counts as quiet, in milliseconds of call time.
    quiet_ms: float = 1_000.0
    #: How long a `say` or `play` waits for its moment, in seconds of call time.
    patience_s: float = 30.0
    #: Documents followed in one call before it counts as a loop.
    documents: int = 100
    #: Status callbacks waiting to be posted.
    callbacks: int = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class CallOptions:
    """One call: whom to ask, who calls, what he does, and how the rest of the world behaves."""

    voice_url: str
    voice_method: Literal["POST", "GET"] = "POST"
    fallback_url: str | None = None
    #: A TwiML document to follow instead of asking `voice_url` first.
    twiml: str | None = None
    auth_token: str = DEFAULT_AUTH_TOKEN
    account_sid: str = DEFAULT_ACCOUNT_SID
    #: None chooses one at random.
    call_sid: str | None = None
    from_: str = DEFAULT_FROM
    to: str = DEFAULT_TO
    direction: Literal["inbound", "outbound-api"] = "inbound"
    #: More parameters for every webhook, for example `StirVerstat` or `ForwardedFrom`.
    parameters: Mapping[str, str] = field(default_factory=dict)
    #: What the caller does; the call lasts until the steps are done or the service ends it. Without steps he listens.
    steps: tuple[Step, ...] = ()
    #: What must hold when the call is over.
    expect: Expectation | None = None
    #: Speaks the steps `say`.
    voice: Voice | None = None
    #: Speaks the verb `<Say>`; without it `<Say>` is silence of about the right length.
    bot_voice: Voice | None = None
    #: What the party called by `<Dial>` says: a sound file, or its bytes.
    agent_audio: Path | bytes | None = None
    dial: DialOutcome = field(default_factory=DialOutcome)
    #: Public origin → where it really is, e.g. {"https://voice.example.com": "http://127.0.0.1:8080"}.
    connect_to: Mapping[str, str] = field(default_factory=dict)
    #: Certificates to trust in addition to the system's, as a PEM file.
    ca_file: Path | None = None
    status_callback: str | None = None
    status_callback_method: Literal["POST", "GET"] = "POST"
    status_callback_events: tuple[CallEvent, ...] = ALL_CALL_EVENTS
    quiet: Quiet = "noise"
    #: The caller's phone lets the other side's voice back in; None for a phone that does not.
    echo: Echo | None = None
    #: Stereo WAV: left the caller, right what he heard.
    record: Path | None = None
    #: The report as JSON.
    report: Path | None = None
    faults: PhoneFaults = field(default_factory=PhoneFaults)
    limits: Limits = field(default_factory=Limits)
    #: Speed of the call's clock; 1.0 is real time.
    pace: float = 1.0
    #: Makes the noise of the line repeatable.
    seed: int = 1
