"""Signs and serialises the webhook contract, and publishes it as JSON Schema."""

import base64
import binascii
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Literal

from pydantic import TypeAdapter
from pydantic.json_schema import JsonSchemaMode
from standardwebhooks import Webhook

from voicebot.errors import LocalProtocolError
from voicebot.wire.webhook_events import EVENT_TYPES, WANTS_REPLY, Event
from voicebot.wire.webhook_reply import UNSET, Reply, ReplyDocument, Unset, parse_reply

__all__ = [
    "EVENT_TYPES",
    "UNSET",
    "WANTS_REPLY",
    "Event",
    "Reply",
    "Unset",
    "check_secret",
    "encode",
    "json_schema",
    "new_secret",
    "parse_event",
    "parse_reply",
    "sign",
]

SECRET_PREFIX = "whsec_"  # noqa: S105 - how every secret begins, none itself
MIN_SECRET_BYTES = 24
"""Standard Webhooks, signature scheme: a secret has 24 to 64 bytes."""
MAX_SECRET_BYTES = 64
DIALECT = "https://json-schema.org/draft/2020-12/schema"

_EVENT: TypeAdapter[Event] = TypeAdapter(Event)


def check_secret(secret: str) -> None:
    """Raise ValueError unless `secret` is a Standard Webhooks secret; the text never holds the value."""
    if not secret.startswith(SECRET_PREFIX):
        raise ValueError(f"a webhook secret starts with {SECRET_PREFIX}; make one with `voicebot secret`")
    encoded = secret.removeprefix(SECRET_PREFIX)
    try:
        size = len(base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True))
    except (binascii.Error, ValueError):
        raise ValueError(f"after {SECRET_PREFIX} a webhook secret is base64, and this one is not") from None
    if not MIN_SECRET_BYTES <= size <= MAX_SECRET_BYTES:
        raise ValueError(
            f"a webhook secret holds {MIN_SECRET_BYTES} to {MAX_SECRET_BYTES} bytes, this one {size};"
            " make one with `voicebot secret`"
        )


def new_secret(random_bytes: bytes) -> str:
    """Return `random_bytes` (24 to 64 of them) as a secret, `whsec_…`."""
    if not MIN_SECRET_BYTES <= len(random_bytes) <= MAX_SECRET_BYTES:
        raise LocalProtocolError(f"a webhook secret needs {MIN_SECRET_BYTES} to {MAX_SECRET_BYTES} random bytes")
    return SECRET_PREFIX + base64.b64encode(random_bytes).decode("ascii")


def sign(secrets: Sequence[str], event_id: str, timestamp: datetime, body: bytes) -> dict[str, str]:
    """Return the Standard Webhooks headers of one attempt; every secret signs, newest first.

    Without secrets there is no `webhook-signature`. `timestamp` is aware and in UTC (LocalProtocolError otherwise):
    the library would silently sign another instant.
    """
    if timestamp.tzinfo is not UTC and timestamp.utcoffset() != timedelta(0):
        raise LocalProtocolError("webhook timestamps are aware and in UTC")
    headers = {"webhook-id": event_id, "webhook-timestamp": str(int(timestamp.timestamp()))}
    if secrets:
        text = body.decode("utf-8")
        headers["webhook-signature"] = " ".join(
            _signer(secret).sign(event_id, timestamp.astimezone(UTC), text) for secret in secrets
        )
    return headers


@lru_cache(maxsize=32)
def _signer(secret: str) -> Webhook:
    return Webhook(secret)


def encode(event: Event) -> bytes:
    """Return the body of an event: compact JSON in UTF-8."""
    return event.model_dump_json(by_alias=True).encode("utf-8")


def parse_event(body: bytes | str) -> Event:
    """Return the event in `body`; raises pydantic's ValidationError (for receivers, examples and tests)."""
    return _EVENT.validate_json(body)


def json_schema(part: Literal["events", "reply", "all"] = "all") -> dict[str, Any]:
    """Return the contract as JSON Schema: what is sent, what may be answered, or either."""
    wanted: list[tuple[str, JsonSchemaMode, TypeAdapter[Any]]] = []
    if part != "reply":
        wanted.append(("Event", "serialization", _EVENT))
    if part != "events":
        wanted.append(("Reply", "validation", TypeAdapter(ReplyDocument)))
    schemas, shared = TypeAdapter.json_schemas(wanted, by_alias=True)
    definitions = shared["$defs"]
    for definition in definitions.values():
        if "const" in definition.get("properties", {}).get("type", {}):
            definition["required"] = sorted({"type", *definition.get("required", ())})
    return {
        "$schema": DIALECT,
        "title": "voicebot webhooks",
        "anyOf": [schemas[key, mode] for key, mode, _ in wanted],
        "$defs": definitions,
    }
