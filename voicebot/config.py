"""Settings: one frozen tree, read once, from the environment and an optional TOML file."""

import os
import re
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal, Self, override

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from voicebot.core.actions import Configure
from voicebot.core.turns import TurnPolicy
from voicebot.errors import ConfigurationError
from voicebot.wire.soniox_stt import SttOptions
from voicebot.wire.soniox_tts import VoiceOptions
from voicebot.wire.twiml import check_verbs
from voicebot.wire.webhook import check_secret

PREFIX = "VOICEBOT_"
NESTED = "__"
# The names that the field already uses for these keys; they win over nothing and lose to the prefixed names.
ALIASES = {
    "SONIOX_API_KEY": ("soniox", "api_key"),
    "TWILIO_AUTH_TOKEN": ("twilio", "auth_token"),
    "TWILIO_ACCOUNT_SID": ("twilio", "account_sid"),
}
CONFIG_VARIABLE = "VOICEBOT_CONFIG"
DEFAULT_FILE = "voicebot.toml"


def _check_address(schemes: str) -> AfterValidator:
    def check(url: str) -> str:
        if url and not re.fullmatch(rf"(?:{schemes})://[^/?#\s]+[^\s]*", url):
            raise ValueError(f"must be a whole URL that begins with {schemes.replace('|', ':// or ')}://")
        return url

    return AfterValidator(check)


type WebUrl = Annotated[str, _check_address("https|http")]
type SocketUrl = Annotated[str, _check_address("wss|ws")]
type Seconds = Annotated[float, Field(gt=0, le=86_400)]
type Milliseconds = Annotated[int, Field(ge=0, le=600_000)]


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
    start_timeout_s: Seconds = 10
    """From the WebSocket handshake to a valid `start` message."""
    silence_timeout_s: Seconds = 60
    """No message for so long means that the stream is over although no `stop` came; a muted caller may send none."""
    ring_timeout_s: Seconds = 60
    """From the voice webhook to its media stream; after that the call is given up and its recogniser closed."""
    transfer_timeout_s: Seconds = 14_400
    """Longest time a transferred call is kept for its return (Twilio's own call limit is four hours)."""
    ping_s: Seconds = 15
    """A WebSocket ping is sent after so long without a message; half of it later without a pong the stream is lost."""
    max_message_bytes: int = 65_536
    """Largest WebSocket message taken from the carrier; Twilio's media messages have about 400 bytes."""
    max_form_bytes: int = 65_536
    """Largest form body taken on the HTTP doors."""
    max_gap_ms: Milliseconds = 10_000
    """Longest hole in the media timestamps that is filled with silence."""


class SonioxSettings(Section):
    """Soniox's two sockets."""

    api_key: SecretStr = SecretStr("")
    stt_url: SocketUrl = "wss://stt-rt.soniox.com/transcribe-websocket"
    tts_url: SocketUrl = "wss://tts-rt.soniox.com/tts-websocket"
    connect_timeout_s: Seconds = 5
    """TCP, TLS and WebSocket handshake of one attempt."""
    connect_attempts: Annotated[int, Field(ge=1, le=20)] = 4
    """Attempts in a row before the recogniser counts as gone for this call."""
    retry_wait_s: Seconds = 0.25
    """Wait before the second attempt; doubles with each further one. A 503 is retried at once."""
    keepalive_s: Seconds = 5
    """A keepalive is sent after so long without audio; Soniox closes after 20 s (connection keepalive)."""
    finish_timeout_s: Seconds = 3
    """From end of audio to `finished`."""
    batch_ms: Annotated[int, Field(ge=20, le=500)] = 100
    """Audio collected before one upstream message; flushed early by finalize and end of audio."""
    buffer_ms: Annotated[int, Field(ge=200, le=60_000)] = 5_000
    """Audio kept while the socket is not ready; beyond it the oldest is dropped and counted."""
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
    max_reply_bytes: Annotated[int, Field(ge=1_024, le=1_048_576)] = 65_536
    connections: Annotated[int, Field(ge=1, le=10_000)] = 200
    """Most sockets to the application at a time."""
    messages: bool = True
    """Send the conversation so far with every event that wants a reply."""

    @field_validator("secrets")
    @classmethod
    def _check_secrets(cls, secrets: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        for secret in secrets:
            check_secret(secret.get_secret_value())
        return secrets


class StoreSettings(Section):
    """Where calls, turns and events are kept."""

    url: str = "sqlite:///voicebot.db"
    """An SQLAlchemy URL: a SQLite file, or `postgresql+psycopg://…` with psycopg installed."""
    max_pending: Annotated[int, Field(ge=10, le=1_000_000)] = 10_000
    """Writes waiting for the database before callers wait too."""
    group_commit_rows: Annotated[int, Field(ge=1, le=10_000)] = 256
    """Most writes that share one commit."""


class PlaySettings(Section):
    """Audio fetched for `play`."""

    max_bytes: Annotated[int, Field(ge=1_024)] = 10_000_000
    max_seconds: Seconds = 600
    timeout_s: Seconds = 10
    cache_entries: Annotated[int, Field(ge=0, le=10_000)] = 64
    allow_private: bool = False
    """Also fetch from private, loopback and link-local addresses."""


class LimitSettings(Section):
    """Bounds of the whole process and of one call."""

    max_calls: Annotated[int, Field(ge=1, le=100_000)] = 500
    """Calls at a time; further ones are refused with TwiML that says so."""
    mailbox: Annotated[int, Field(ge=10, le=100_000)] = 1_000
    """Events waiting inside one call."""
    actions: Annotated[int, Field(ge=1, le=1_000)] = 100
    """Actions waiting to be performed inside one call."""
    watcher_queue: Annotated[int, Field(ge=1, le=100_000)] = 1_000
    """Events waiting for one watcher before it is dropped."""
    hangup_timeout_s: Seconds = 30
    """From a decision to end or hand over the call to doing so although the last speech was not reported as heard."""
    drain_timeout_s: Seconds = 120
    """From SIGTERM to ending the calls that still run."""


class LogSettings(Section):
    """What is logged, and how."""

    format: Literal["auto", "console", "json"] = "auto"
    """`auto` is `console` on a terminal and `json` elsewhere."""
    level: Literal["debug", "info", "warning", "error"] = "info"
    transcripts: bool = False
    """Write what is said into the log."""


class NumberSettings(Section):
    """How calls to one number are handled."""

    mode: Literal["bot", "transcribe"] = "bot"
    """`bot` speaks (`<Connect>`); `transcribe` only listens (`<Start>`)."""
    track: Literal["inbound_track", "outbound_track", "both_tracks"] = "both_tracks"
    """What `transcribe` listens to."""
    then: str = ""
    """TwiML verbs that follow the stream of `transcribe` (for example `<Dial>+15550100</Dial>`)."""
    stt: SttOptions = SttOptions()
    voice: VoiceOptions = VoiceOptions()
    turns: TurnPolicy = TurnPolicy()
    webhook_url: WebUrl = ""
    """Another endpoint than `webhook.url` for this number."""

    @field_validator("then")
    @classmethod
    def _check_then(cls, then: str) -> str:
        check_verbs(then)
        return then

    def changed_by(self, change: Configure) -> Self:
        """Return these settings with what `change` names laid over them; raises ConfigurationError if they cannot be."""
        named = {name: value for name, value in asdict(change).items() if value is not None}
        try:
            voice, stt = (
                part.model_validate(
                    part.model_dump() | {name: named[name] for name in type(part).model_fields if name in named}
                )
                for part in (self.voice, self.stt)
            )
        except ValidationError as error:
            fault = error.errors(include_input=False, include_url=False)[0]
            where = ".".join(str(part) for part in fault["loc"])
            raise ConfigurationError(f"configure is not carried out: {where or 'together'}: {fault['msg']}") from None
        return self.model_copy(update={"voice": voice, "stt": stt})


class Settings(Section):
    """The whole tree; made from values alone it reads nothing, `load` reads the environment and the file."""

    host: str = "0.0.0.0"
    port: Annotated[int, Field(ge=0, le=65_535)] = 8080
    public_url: str = ""
    """How Twilio reaches this service, for example `https://voice.example.com`; signatures are checked against it."""
    twilio: TwilioSettings = TwilioSettings()
    soniox: SonioxSettings = SonioxSettings()
    webhook: WebhookSettings = WebhookSettings()
    store: StoreSettings = StoreSettings()
    play: PlaySettings = PlaySettings()
    limits: LimitSettings = LimitSettings()
    log: LogSettings = LogSettings()
    default: NumberSettings = NumberSettings()
    """How a call is handled unless its number says otherwise."""
    numbers: dict[str, dict[str, Any]] = {}
    """Per called number (E.164): what differs from `default`."""

    @field_validator("public_url")
    @classmethod
    def _check_public_url(cls, url: str) -> str:
        if url and not re.fullmatch(r"https?://[^/?#@\s]+(/[^?#\s]*)?", url):
            raise ValueError("must look like https://voice.example.com, without query or user")
        return url.rstrip("/")

    def number(self, number: str) -> NumberSettings:
        """Return how calls to `number` are handled."""
        differences = self.numbers.get(number)
        if not differences:
            return self.default
        return NumberSettings.model_validate(merge(self.default.model_dump(), differences))


class _Read(Settings, BaseSettings):
    """The tree as the environment and the file have it."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_nested_delimiter=NESTED)

    @classmethod
    @override
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Order the sources: arguments, environment, the field's usual names, the file."""
        file = config_file()
        return (
            init_settings,
            _Environment(settings_cls),
            _AliasSource(settings_cls),
            *([TomlConfigSettingsSource(settings_cls, file)] if file else []),
        )


class _Environment(EnvSettingsSource):
    """The environment; a list may be JSON, or just words between commas or spaces."""

    @override
    def decode_complex_value(self, field_name: str, field: Any, value: Any) -> Any:
        try:
            return super().decode_complex_value(field_name, field, value)
        except ValueError:
            if not isinstance(value, str) or value.lstrip().startswith(("[", "{")):
                names = [name for name in os.environ if name.startswith(PREFIX) and os.environ[name] == value]
                raise ConfigurationError(f"{', '.join(names) or field_name}: is not valid JSON") from None
            return [word for word in re.split(r"[\s,]+", value) if word]


class _AliasSource(PydanticBaseSettingsSource):
    """SONIOX_API_KEY and its like."""

    @override
    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:
        return None, field_name, False

    @override
    def __call__(self) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for name, (section, key) in ALIASES.items():
            if value := os.environ.get(name):
                values.setdefault(section, {})[key] = value
        return values


def config_file() -> Path | None:
    """Return the TOML file to read: the one named by VOICEBOT_CONFIG, or ./voicebot.toml if it is there."""
    named = os.environ.get(CONFIG_VARIABLE)
    if named:
        if not Path(named).is_file():
            raise ConfigurationError(f"{CONFIG_VARIABLE}={named}: no such file")
        return Path(named)
    return Path(DEFAULT_FILE) if Path(DEFAULT_FILE).is_file() else None


def load(**overrides: Any) -> Settings:
    """Read the settings once; raises ConfigurationError with one line per fault, never with a value."""
    try:
        settings = _Read(**overrides)
    except ValidationError as error:
        raise ConfigurationError("\n".join(_faults(error))) from None
    except OSError as error:
        raise ConfigurationError(f"settings file: {error}") from error
    except ValueError as error:  # TOML that does not parse, an environment value that is no JSON
        raise ConfigurationError(f"settings: {error}") from None
    _check_numbers(settings)
    if unknown := sorted(_unknown_variables()):
        raise ConfigurationError(
            "\n".join(f"{name}: no such setting; `voicebot check --settings` lists all names" for name in unknown)
        )
    return settings


def variables(section: type[Any] = Settings, prefix: str = PREFIX) -> Iterator[tuple[str, str, object]]:
    """Yield (variable, description, default) of every setting that the environment can carry."""
    for name, field in section.model_fields.items():
        variable = prefix + name.upper()
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from variables(field.annotation, variable + NESTED)
        else:
            yield variable, field.description or "", field.default


def merge(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Return `base` with `changes` laid over it, branch by branch; a branch of another `type` replaces the one below."""
    merged = dict(base)
    for key, value in changes.items():
        match merged.get(key), value:
            case dict(below), dict(above) if below.get("type") == above.get("type", below.get("type")):
                merged[key] = merge(below, above)
            case _:
                merged[key] = value
    return merged


def _check_numbers(settings: Settings) -> None:
    faults: list[str] = []
    for number in settings.numbers:
        try:
            settings.number(number)
        except ValidationError as error:
            faults += _faults(error, "numbers", number)
    if faults:
        raise ConfigurationError("\n".join(faults))


def _faults(error: ValidationError, *below: str) -> Iterator[str]:
    for fault in error.errors(include_input=False, include_url=False):
        where = NESTED.join(str(part) for part in (*below, *fault["loc"])).upper()
        yield f"{PREFIX}{where}: {fault['msg']}"


def _unknown_variables() -> Iterator[str]:
    """pydantic-settings overlooks mistyped names, so they are compared here."""
    known = {name for name, _, _ in variables()} | {CONFIG_VARIABLE}
    for name in os.environ:
        if not name.startswith(PREFIX) or name in known:
            continue
        if not any(name.startswith(variable + NESTED) for variable in known):
            yield name
