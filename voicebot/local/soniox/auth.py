"""Judges where a client put its API key and whether it is the right one (Soniox, "WebSocket authentication")."""

from collections.abc import Mapping
from dataclasses import dataclass
from hmac import compare_digest

from voicebot.local.soniox.refusals import LEGACY_KEY, MISSING_KEY, TWO_KEYS, WRONG_KEY, Refusal, Refused

SUBPROTOCOL = "soniox-api-key"
BEARER = "bearer "


@dataclass(frozen=True, slots=True)
class Lock:
    """What the server asks of a key: the exact one (None: any that is not empty), and only in the handshake if strict."""

    key: str | None
    strict_2027: bool = False


def handshake_keys(headers: Mapping[str, str]) -> tuple[str, ...]:
    """Every key offered in the handshake: the bearer header and what follows our name in the subprotocol list."""
    keys = []
    authorization = headers.get("Authorization", "")
    if authorization.lower().startswith(BEARER):
        keys.append(authorization[len(BEARER) :].strip())
    offered = [entry.strip() for entry in headers.get("Sec-WebSocket-Protocol", "").split(",")]
    if SUBPROTOCOL in offered:
        at = offered.index(SUBPROTOCOL) + 1
        keys.append(offered[at] if at < len(offered) else "")
    return tuple(keys)


def check_handshake(keys: tuple[str, ...], lock: Lock, *, required: bool = False) -> None:
    """
    Raise Refused for wrong keys in a handshake or request.

    No key at all is fine unless `required`: the start request may still bring one.
    """
    refusal = _judge_keys(keys, lock) if keys else (MISSING_KEY if required else None)
    if refusal is not None:
        raise Refused(refusal)


def judge_start(keys: tuple[str, ...], in_message: object, lock: Lock) -> Refusal | None:
    """What to answer to a start request that carries `in_message` as its `api_key` (None: carries none)."""
    if in_message is None:
        return None if keys else MISSING_KEY
    if keys:
        return TWO_KEYS
    if lock.strict_2027:
        return LEGACY_KEY
    return _judge_key(in_message if isinstance(in_message, str) else "", lock)


def _judge_keys(keys: tuple[str, ...], lock: Lock) -> Refusal | None:
    return TWO_KEYS if len(keys) > 1 else _judge_key(keys[0], lock)


def _judge_key(key: str, lock: Lock) -> Refusal | None:
    if not key:
        return MISSING_KEY
    if lock.key is not None and not compare_digest(key.encode(), lock.key.encode()):
        return WRONG_KEY
    return None
