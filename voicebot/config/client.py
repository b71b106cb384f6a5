"""What the commands need that ask a running service."""

from pydantic import SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from voicebot.config.reading import PREFIX


class _Client(BaseSettings):
    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore", hide_input_in_errors=True)

    token: SecretStr = SecretStr("")


def client_token() -> SecretStr:
    """Return the token in VOICEBOT_TOKEN, empty without one; the service itself does not read it."""
    return _Client().token
