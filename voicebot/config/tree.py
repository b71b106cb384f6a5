"""Settings: one frozen tree of values; what is not named has its default."""

import re
from dataclasses import asdict
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, field_validator

from voicebot.config.answers import DegradedSettings, FillerSettings, GiveUpSettings
from voicebot.config.sections import (
    ApiSettings,
    LimitSettings,
    LiveSettings,
    LogSettings,
    PlaySettings,
    RecordSettings,
    Section,
    SonioxSettings,
    StoreSettings,
    TracingSettings,
    TwilioSettings,
    WebhookSettings,
    WebUrl,
    check_host,
)
from voicebot.core.actions import Configure, EndpointPolicy
from voicebot.core.events import Track
from voicebot.core.redaction import RedactionPolicy
from voicebot.core.turns import TurnPolicy
from voicebot.errors import ConfigurationError
from voicebot.wire.soniox_stt import SttOptions
from voicebot.wire.soniox_tts import VoiceOptions
from voicebot.wire.twiml import check_verbs


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
    filler: FillerSettings = FillerSettings()
    give_up: GiveUpSettings = GiveUpSettings()
    degraded: DegradedSettings = DegradedSettings()
    retention_days: Annotated[float, Field(ge=0, le=36_500)] = 0
    """A call is deleted with everything kept of it so many days after its start; 0 keeps it for ever."""
    redaction: RedactionPolicy = RedactionPolicy()

    @field_validator("then")
    @classmethod
    def _check_then(cls, then: str) -> str:
        check_verbs(then)
        return then

    @property
    def tracks(self) -> tuple[Track, ...]:
        """Whom a call to this number listens to."""
        if self.mode == "bot":
            return ("caller",)
        match self.track:
            case "inbound_track":
                return ("caller",)
            case "outbound_track":
                return ("agent",)
            case "both_tracks":
                return ("caller", "agent")

    def changed_by(self, change: Configure | EndpointPolicy) -> Self:
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
    workers: Annotated[int, Field(ge=1, le=256)] = 1
    """Processes that share the port and the calls, for a machine with as many cores to spare."""
    public_url: str = ""
    """How Twilio reaches this service, for example `https://voice.example.com`; signatures are checked against it."""
    twilio: TwilioSettings = TwilioSettings()
    soniox: SonioxSettings = SonioxSettings()
    webhook: WebhookSettings = WebhookSettings()
    store: StoreSettings = StoreSettings()
    play: PlaySettings = PlaySettings()
    api: ApiSettings = ApiSettings()
    limits: LimitSettings = LimitSettings()
    live: LiveSettings = LiveSettings()
    log: LogSettings = LogSettings()
    record: RecordSettings = RecordSettings()
    tracing: TracingSettings = TracingSettings()
    default: NumberSettings = NumberSettings()
    """How a call is handled unless its number says otherwise."""
    numbers: dict[str, dict[str, Any]] = {}  # noqa: RUF012 - pydantic copies it
    """Per called number (E.164): what differs from `default`."""

    @field_validator("public_url")
    @classmethod
    def _check_public_url(cls, url: str) -> str:
        if url and not re.fullmatch(r"https?://[^/?#@\s]+(/[^?#\s]*)?", url):
            raise ValueError("must look like https://voice.example.com, without query or user")
        check_host(url)
        return url.rstrip("/")

    @property
    def only_transcribes(self) -> bool:
        """No number has a bot: a call needs no application."""
        return all(each.mode == "transcribe" for each in (self.default, *map(self.number, self.numbers)))

    def number(self, number: str) -> NumberSettings:
        """Return how calls to `number` are handled."""
        differences = self.numbers.get(number)
        if not differences:
            return self.default
        return NumberSettings.model_validate(merge(self.default.model_dump(), differences))


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
