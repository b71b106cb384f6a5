"""Reads the settings once, from the environment and an optional TOML file."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, override

from pydantic import BaseModel, ValidationError
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from voicebot.config.tree import Settings
from voicebot.errors import ConfigurationError

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
TOKEN_VARIABLE = PREFIX + "TOKEN"
"""For the commands that ask a running service; the service itself does not read it."""


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
    except (ValueError, RecursionError) as error:  # TOML that does not parse, an environment value that is no JSON
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
    known = {name for name, _, _ in variables()} | {CONFIG_VARIABLE, TOKEN_VARIABLE}
    for name in os.environ:
        if not name.startswith(PREFIX) or name in known:
            continue
        if not any(name.startswith(variable + NESTED) for variable in known):
            yield name
