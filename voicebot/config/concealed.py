"""What of the settings may be shown to nobody: secrets, and what URLs hold besides the way."""

from collections.abc import Iterator, Mapping
from urllib.parse import unquote, urlsplit, urlunsplit

from pydantic import BaseModel, SecretStr

SHORTEST = 6
"""Shorter words are no secrets, and would be hidden in the middle of others."""


def secret_values(section: object) -> frozenset[str]:
    """Return every secret in a part of the settings: of secret fields, and of the user part of URLs."""
    return frozenset(value for value in _values(section) if len(value) >= SHORTEST)


def shown_url(url: str) -> str:
    """Return a URL without user, password, query and fragment."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _values(value: object) -> Iterator[str]:
    match value:
        case SecretStr():
            secret = value.get_secret_value()
            yield secret
            yield secret.removeprefix("whsec_")
        case str() if "://" in value:
            yield from _password(value)
        case BaseModel():
            for name in type(value).model_fields:
                yield from _values(getattr(value, name))
        case Mapping():
            for each in value.values():
                yield from _values(each)
        case tuple() | list():
            for each in value:
                yield from _values(each)
        case _:
            pass


def _password(url: str) -> Iterator[str]:
    try:
        password = urlsplit(url).password
    except ValueError:
        return
    if password:
        yield password
        yield unquote(password)
