"""The branches of the settings tree that belong to one room each."""

import re
from ipaddress import ip_network
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, field_validator

from voicebot.core.handover import PUBLIC, HandoverPolicy
from voicebot.wire.twiml import check_verbs
from voicebot.wire.webhook import check_secret


def _check_address(schemes: str) -> AfterValidator:
    def check(url: str) -> str:
        if url and not re.fullmatch(rf"(?:{schemes})://[^/?#\s]+[^\s]*", url):
            raise ValueError(f"must be a whole URL that begins with {schemes.replace('|', ':// or ')}://")
        check_host(url)
        return url

    return AfterValidator(check)


def check_host(url: str) -> None:
    """Refuse here what could not even be looked up later."""
    try:
        parts = urlsplit(url)
        _ = parts.port
        (parts.hostname or "").encode("idna")
    except UnicodeError:
        raise ValueError("has a host name with a part that is empty or longer than 63 letters") from None
    except ValueError as error:
        raise ValueError(f"is no URL: {str(error).lower()}") from None


def _check_network(network: str) -> str:
    return str(ip_network(network))


def _check_twiml(verbs: str) -> str:
    check_verbs(verbs)
    return verbs


type Network = Annotated[str, AfterValidator(_check_network)]
type WebUrl = Annotated[str, _check_address("https|http")]
type SocketUrl = Annotated[str, _check_address("wss|ws")]
type Seconds = Annotated[float, Field(gt=0, le=86_400)]
type Milliseconds = Annotated[int, Field(ge=0, le=600_000)]
type Twiml = Annotated[str, AfterValidator(_check_twiml)]


class Section(BaseModel):
    """A branch of the settings tree."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, use_attribute_docstrings=True)


class TwilioSettings(Section):
    """Twilio's doors."""

    auth_token: SecretStr = SecretStr("")
    """The account's primary auth token: every request and WebSocket handshake is checked against it."""
    check_signatures: bool = True
    """Only ever off for tools that cannot sign; without it anybody can place calls."""
    account_sid: str = ""
    """Checked against the account of each request when given."""
    direct_streams: bool = False
    """Take a stream that your own TwiML starts (`twiml/transcribe.xml`), without a voice webhook; only numbers in the mode `transcribe`."""
    start_timeout_s: Seconds = 10
    """From the WebSocket handshake to a valid `start` message."""
    silence_timeout_s: Seconds = 60
    """No message for so long means that the stream is over although no `stop` came; a muted caller may send none."""
    ring_timeout_s: Seconds = 60
    """From the voice webhook to its media stream; after that the call is given up and its recogniser closed."""
    resume_timeout_s: Seconds = 25
    """A call that has lost its stream, or its service, is waited for so long: Twilio asks what follows for 15 s at most, and as
    long again where the number's fallback URL is the voice webhook."""
    stream_attempts: Annotated[int, Field(ge=1, le=100)] = 5
    """So often the carrier is told to open one and the same stream, where it asks what follows and has not come."""
    transfer_timeout_s: Seconds = 14_400
    """Longest time a transferred call is kept for its return (Twilio's own call limit is four hours)."""
    ping_s: Seconds = 15
    """A WebSocket ping is sent after so long without a message; half of it later without a pong the stream is lost."""
    mark_timeout_s: Seconds = 5
    """Speech counts as heard so long after it should have been, although the carrier has not echoed its mark."""
    max_message_bytes: int = 65_536
    """Largest WebSocket message taken from the carrier; Twilio's media messages have about 400 bytes."""
    max_form_bytes: int = 65_536
    """Largest form body taken on the HTTP doors."""
    form_timeout_s: Seconds = 10
    """From the head of a request to the last byte of its form."""
    low_water: bool = True
    """Let the kernel collect the media messages of one upstream batch before it wakes the service (`SO_RCVLOWAT`); only on Linux, and where TLS does not end in the service itself."""
    max_gap_ms: Milliseconds = 10_000
    """Longest hole in the media timestamps that is filled with silence."""
    api_url: WebUrl = "https://api.twilio.com"
    """Twilio's REST API, for calls that the service places; wants `twilio.account_sid` as well."""
    api_timeout_s: Seconds = 10
    """One request to it."""


class FallbackSettings(Section):
    """A second Soniox account or region, used while the first refuses or fails; what is empty is as for the first.

    There is none while everything is empty.
    """

    api_key: SecretStr = SecretStr("")
    stt_url: SocketUrl = ""
    tts_url: SocketUrl = ""


class SonioxSettings(Section):
    """Soniox's two sockets."""

    api_key: SecretStr = SecretStr("")
    stt_url: SocketUrl = "wss://stt-rt.soniox.com/transcribe-websocket"
    tts_url: SocketUrl = "wss://tts-rt.soniox.com/tts-websocket"
    fallback: FallbackSettings = FallbackSettings()
    fallback_retry_s: Seconds = 60
    """So long after it has failed or refused, the first account is tried again."""
    connect_timeout_s: Seconds = 5
    """TCP, TLS and WebSocket handshake of one attempt."""
    connect_attempts: Annotated[int, Field(ge=1, le=20)] = 4
    """Attempts in a row before an account counts as failed, and recognition as given up where there is no other."""
    retry_wait_s: Seconds = 0.25
    """Wait before the second attempt; doubles with each further one, shortened by chance to a half at most. 503, 408 and 413 want a new session at once."""
    retry_wait_max_s: Seconds = 10
    """Longest such wait, also where Soniox asks for a longer one (`Retry-After`)."""
    recover_s: Seconds = 15
    """Recognition that was given up for what may pass is tried again so often."""
    recover_ms: Milliseconds = 5_000
    """Newest audio that recognition hears first when it comes back."""
    replay_ms: Annotated[int, Field(ge=200, le=600_000)] = 30_000
    """Audio kept until its words are settled, for a new session to hear again; beyond it the oldest is given up. 8 kB a second."""
    replay_speed: Annotated[float, Field(ge=2, le=1_000)] = 10
    """A backlog is sent at most so many times faster than it was spoken, its first seconds at once (Soniox, real-time error handling)."""
    rollover_s: Seconds = 16_200
    """A session is replaced at the next quiet moment after so long; Soniox ends it after 300 minutes (limits)."""
    rollover_patience_s: Seconds = 600
    """Without a quiet moment it is replaced so much later all the same."""
    ping_s: Seconds = 5
    """A WebSocket ping goes out so often."""
    pong_timeout_s: Seconds = 5
    """Without an answer for so long the connection counts as broken, although nobody closed it."""
    keepalive_s: Seconds = 5
    """A keepalive is sent after so long without audio; Soniox closes after 20 s (connection keepalive)."""
    finish_timeout_s: Seconds = 3
    """From end of audio to `finished`."""
    batch_ms: Annotated[int, Field(ge=20, le=500)] = 200
    """Most audio collected before one upstream message: 20 ms while the process has time, up to half of this the busier it is, and to all of it when the core is nearly full; what is read together goes up together, up to twice as much. Finalize and end of audio flush it."""
    max_message_bytes: int = 1_048_576
    tts_first_audio_timeout_s: Seconds = 5
    tts_idle_close_s: Seconds = 30
    """An unused speech socket is closed after so long."""
    tts_streams_per_socket: Annotated[int, Field(ge=1, le=5)] = 5
    """Soniox allows five (TTS, limits and quotas)."""


class WebhookSettings(Section):
    """The application's endpoint."""

    url: WebUrl = ""
    secrets: tuple[SecretStr, ...] = ()
    """Standard Webhooks secrets (`whsec_…`); the first is the newest, all sign. Make one with `voicebot secret`."""
    reply_deadline_s: Seconds = 10
    """From the first attempt of an event that wants a reply to giving up on its reply."""
    attempt_timeout_s: Seconds = 8
    """One attempt of an event that wants a reply."""
    inform_timeout_s: Seconds = 3
    """One attempt of an event that wants none."""
    retry_waits_s: tuple[Seconds, ...] = (0.25, 0.5, 1, 2)
    """Waits between attempts inside the reply deadline; the last one repeats."""
    stream_timeout_s: Seconds = 120
    """From the first to the last byte of a streamed reply."""
    stream_idle_s: Seconds = 20
    """Longest silence inside a streamed reply."""
    max_reply_bytes: Annotated[int, Field(ge=1_024, le=1_048_576)] = 65_536
    connections: Annotated[int, Field(ge=1, le=10_000)] = 200
    """Most sockets to the application at a time."""
    messages: bool = True
    """Send the conversation so far with every event that wants a reply."""
    background: bool = True
    """Deliver later what was not delivered at once; where several services share a database, only one may do so."""
    schedule_s: tuple[Seconds, ...] = (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
    """Waits between the later attempts (Standard Webhooks, operational considerations); after the last one it is dead."""
    background_timeout_s: Seconds = 15
    """One later attempt."""
    background_requests: Annotated[int, Field(ge=1, le=1_000)] = 20
    """Most requests at a time that deliver later, and as many again to the second endpoint."""
    copy_url: WebUrl = ""
    """A second endpoint, which gets every event of every number too; its answers are not read."""
    copy_secrets: tuple[SecretStr, ...] = ()
    """Secrets of the second endpoint; without any, `secrets` sign."""
    handover: HandoverPolicy = PUBLIC

    @field_validator("secrets", "copy_secrets")
    @classmethod
    def _check_secrets(cls, secrets: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        for secret in secrets:
            check_secret(secret.get_secret_value())
        return secrets


class StoreSettings(Section):
    """Where calls, turns and events are kept."""

    url: Annotated[str, Field(repr=False)] = "sqlite:///voicebot.db"
    """An SQLAlchemy URL: a SQLite file, or `postgresql://…` (the extra `postgresql`)."""
    max_pending: Annotated[int, Field(ge=10, le=1_000_000)] = 10_000
    """Writes waiting for the database before callers wait too."""
    group_commit_rows: Annotated[int, Field(ge=1, le=10_000)] = 256
    """Most writes that share one commit."""
    sweep_every_s: Seconds = 3_600
    """Time between two sweeps, which delete the calls that are older than their number's `retention_days`."""
    sweep_calls: Annotated[int, Field(ge=1, le=10_000)] = 100
    """Calls deleted at a time; a sweep gives way to the calls under way after each."""


class PlaySettings(Section):
    """Audio fetched for `play`."""

    max_bytes: Annotated[int, Field(ge=1_024)] = 10_000_000
    max_seconds: Seconds = 600
    timeout_s: Seconds = 10
    cache_entries: Annotated[int, Field(ge=0, le=10_000)] = 64
    redirects: Annotated[int, Field(ge=0, le=20)] = 3
    """Redirects followed, each checked like the first URL."""
    connections: Annotated[int, Field(ge=1, le=1_000)] = 20
    """Most connections at a time."""
    ports: tuple[Annotated[int, Field(ge=1, le=65_535)], ...] = (80, 443)
    """Ports that are fetched from; empty is any."""
    allow_private: bool = False
    """Also fetch from private, loopback and link-local addresses, on any port."""


class LimitSettings(Section):
    """Bounds of the whole process and of one call."""

    max_calls: Annotated[int, Field(ge=1, le=100_000)] = 500
    """Calls at a time, those that ring and those that are ending included; further ones get `busy_twiml`."""
    calls_per_second: Annotated[float, Field(ge=0, le=10_000)] = 25
    """New calls a second, on average; a storm beyond it gets `busy_twiml`. 0 takes any."""
    calls_burst: Annotated[int, Field(ge=1, le=100_000)] = 50
    """New calls at once after a quiet time, before `calls_per_second` counts."""
    busy_twiml: Twiml = "<Say>All lines are busy. Please call again later.</Say><Hangup/>"
    """TwiML verbs for callers who are not taken: full, overloaded, too many at once, or the store is out of order."""
    drain_twiml: Twiml = "<Say>All lines are busy. Please call again later.</Say><Hangup/>"
    """TwiML verbs for callers who come while the service drains."""
    max_lag_ms: Milliseconds = 250
    """No new calls while the event loop is late by more than this (p95 of `lag_window_s`), until it is half of it. 0 is off."""
    lag_window_s: Annotated[float, Field(ge=0.5, le=600)] = 10
    """Time over which the event loop's lag is judged, and from the start on not judged."""
    max_memory_mb: Annotated[int, Field(ge=0, le=16_777_216)] = 0
    """No new calls while the process holds more memory (resident, MiB), until it is 95 % of it. 0 is off."""
    require_store: bool = True
    """No new calls while the store cannot commit: their events would not be kept."""
    mailbox: Annotated[int, Field(ge=10, le=100_000)] = 1_000
    """Events waiting inside one call."""
    actions: Annotated[int, Field(ge=1, le=1_000)] = 100
    """Actions waiting to be performed inside one call."""
    transcript_chars: Annotated[int, Field(ge=1_000, le=10_000_000)] = 100_000
    """Characters of the conversation that one call remembers and sends (`messages`, `transcript`); the oldest go first."""
    pending_streams: Annotated[int, Field(ge=1, le=100_000)] = 200
    """Media streams at a time that have not sent a valid `start` yet; further handshakes are refused."""
    connections: Annotated[int, Field(ge=10, le=1_000_000)] = 10_000
    """Connections to the service at a time, streams and live readers included; further ones are closed at once."""
    keepalive_timeout_s: Seconds = 75
    """A connection may be idle, and take for the head of a request, so long; more than a proxy keeps its own (60 s)."""
    hangup_timeout_s: Seconds = 30
    """From a decision to end or hand over the call to doing so although the last speech was not reported as heard."""
    drain_timeout_s: Seconds = 120
    """From SIGTERM to ending the calls that still run."""
    drain_delay_s: Annotated[float, Field(ge=0, le=3_600)] = 1
    """The service listens at least so long after SIGTERM, so that load balancers see that it is not ready."""
    force_timeout_s: Seconds = 5
    """From a second signal to cutting off the calls that still run."""


class LiveSettings(Section):
    """Live events over HTTP (`GET /events`, `GET /calls/{id}/events`)."""

    history: Annotated[int, Field(ge=1, le=1_000_000)] = 20_000
    """Events kept for readers that come back (`Last-Event-ID`); one that is further behind is dropped."""
    heartbeat_s: Seconds = 15
    """A comment is sent after so long without an event."""
    write_timeout_s: Seconds = 10
    """A reader that takes nothing for so long is dropped."""
    readers: Annotated[int, Field(ge=0, le=100_000)] = 5_000
    """Most readers at a time."""
    readers_per_token: Annotated[int, Field(ge=0, le=100_000)] = 500
    """Most readers with one token; its browser sessions count as well."""


class ApiToken(Section):
    """One who may use the HTTP API."""

    name: Annotated[str, Field(min_length=1, max_length=60, pattern=r"^[A-Za-z0-9_.-]+$")]
    """Whose it is; stands in the log."""
    token: SecretStr
    """At least 20 visible characters; `openssl rand -hex 24` makes a good one."""
    scopes: Annotated[tuple[Literal["watch", "control", "admin"], ...], Field(min_length=1)] = ("watch",)
    """`watch` reads, `control` also acts on calls, `admin` also deletes and replays."""

    @field_validator("token")
    @classmethod
    def _check_token(cls, token: SecretStr) -> SecretStr:
        if not re.fullmatch(r"[!-~]{20,500}", token.get_secret_value()):
            raise ValueError("must have 20 to 500 visible ASCII characters")
        return token


class ApiSettings(Section):
    """The HTTP API and the console; without a token it is closed."""

    tokens: tuple[ApiToken, ...] = ()
    """Who may use it: `[{"name": "console", "token": "…", "scopes": ["control"]}]`."""
    session_s: Seconds = 43_200
    """How long a browser stays let in."""
    failures_per_minute: Annotated[int, Field(ge=1, le=10_000)] = 20
    """Wrong tokens from one address before it has to wait."""
    requests_per_minute: Annotated[int, Field(ge=10, le=1_000_000)] = 3_000
    """Requests from one address, and requests with one token, before they have to wait."""
    trusted_proxies: tuple[Network, ...] = ("127.0.0.0/8", "::1/128")
    """Networks whose `X-Forwarded-For` says who asks."""
    max_body_bytes: Annotated[int, Field(ge=1_024, le=1_048_576)] = 131_072
    """Largest body taken."""
    body_timeout_s: Seconds = 10
    """From the first to the last byte of a body."""

    @field_validator("tokens")
    @classmethod
    def _check_tokens(cls, tokens: tuple[ApiToken, ...]) -> tuple[ApiToken, ...]:
        if len({token.name for token in tokens}) < len(tokens):
            raise ValueError("two tokens have the same name")
        if len({token.token.get_secret_value() for token in tokens}) < len(tokens):
            raise ValueError("two tokens are the same")
        return tokens


class LogSettings(Section):
    """What is logged, and how."""

    format: Literal["auto", "console", "json"] = "auto"
    """`auto` is `console` on a terminal and `json` elsewhere."""
    level: Literal["debug", "info", "warning", "error"] = "info"
    transcripts: bool = False
    """Write what is said into the log."""


class TracingSettings(Section):
    """OpenTelemetry spans; where they go is set by the standard variables `OTEL_EXPORTER_OTLP_ENDPOINT` and the like."""

    enabled: bool = False
    """Send spans; wants the extra `otel`. An SDK that `opentelemetry-instrument` has set up is used without this."""


class RecordSettings(Section):
    """Recordings for `voicebot replay`; they hold what was said, in sound and in text."""

    directory: str = ""
    """Where each call's recording goes; empty records nothing."""
    audio: bool = True
    """Keep the sound as well."""
    max_bytes_per_call: Annotated[int, Field(ge=10_000)] = 200_000_000
    """A recording ends here; its call goes on."""
