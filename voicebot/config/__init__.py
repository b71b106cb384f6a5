"""Settings: one frozen tree, read once."""

from voicebot.config.answers import DegradedSettings, FillerSettings, GiveUpSettings
from voicebot.config.concealed import secret_values, shown_url
from voicebot.config.reading import ALIASES, CONFIG_VARIABLE, DEFAULT_FILE, NESTED, PREFIX, load, variables
from voicebot.config.sections import (
    ApiSettings,
    ApiToken,
    FallbackSettings,
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
)
from voicebot.config.tree import NumberSettings, Settings, merge

__all__ = [
    "ALIASES",
    "CONFIG_VARIABLE",
    "DEFAULT_FILE",
    "NESTED",
    "PREFIX",
    "ApiSettings",
    "ApiToken",
    "DegradedSettings",
    "FallbackSettings",
    "FillerSettings",
    "GiveUpSettings",
    "LimitSettings",
    "LiveSettings",
    "LogSettings",
    "NumberSettings",
    "PlaySettings",
    "RecordSettings",
    "Section",
    "Settings",
    "SonioxSettings",
    "StoreSettings",
    "TracingSettings",
    "TwilioSettings",
    "WebhookSettings",
    "load",
    "merge",
    "secret_values",
    "shown_url",
    "variables",
]
