"""Reads a script: what a speech-to-text session answers at which millisecond of audio (docs/local-soniox.md)."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import yaml

from voicebot.errors import ConfigurationError
from voicebot.local.soniox.frames import Token
from voicebot.local.soniox.refusals import Refusal, by_code

MS_PER_WORD = 300
"""Pace of `say` when it gives no `until_ms`."""
END_AFTER_MS = 700
"""Silence between the last word of `say` and its `<end>` when it gives no `end_ms`."""
YAML_STUMBLES = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""What PyYAML raises besides its own: for a date that is none, an empty `!!int`, a thousand brackets."""
MAX_REASON = 300
"""Most characters of a YAML error that are repeated."""
LOOP_GAP_MS = 1000
"""Pause before a looping script starts again when it gives no `period_ms`."""
WORD = re.compile(r"\s*\S+")
KEYS = frozenset(
    {
        "at_ms",
        "say",
        "until_ms",
        "end_ms",
        "final",
        "partial",
        "tokens",
        "end",
        "frame",
        "error",
        "close",
        "language",
        "speaker",
        "confidence",
    }
)
EXTRAS = ("language", "speaker", "confidence")


@dataclass(frozen=True, slots=True)
class Entry:
    """What happens when `at_ms` of audio have come; `partial` None leaves the pending words as they are."""

    at_ms: int
    final: tuple[Token, ...] = ()
    end: bool = False
    partial: tuple[Token, ...] | None = None
    frame: str | None = None
    error: Refusal | None = None
    close: int | None = None


@dataclass(frozen=True, slots=True)
class Script:
    """A timeline in order of time; with `period_ms` it starts again after that many ms of audio."""

    entries: tuple[Entry, ...] = field(default=())
    period_ms: int | None = None

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a JSON or YAML file; raises ConfigurationError saying which entry is wrong."""
        try:
            return cls.parse(yaml.safe_load(path.read_text("utf-8")))
        except (OSError, yaml.YAMLError, *YAML_STUMBLES) as broken:
            raise ConfigurationError(f"script {path}: {str(broken)[:MAX_REASON]}") from broken

    @classmethod
    def parse(cls, document: Any) -> Self:
        """A script from its parsed document: an object with `entries`, or only the list of entries."""
        document = {"entries": document} if isinstance(document, list) else document
        if not isinstance(document, dict) or not isinstance(document.get("entries"), list):
            raise ConfigurationError("script: expected an object with a list `entries`")
        entries: list[Entry] = []
        for number, raw in enumerate(document["entries"]):
            entries += _entries(raw, f"script entry {number + 1}", entries[-1].at_ms if entries else 0)
        entries.sort(key=lambda entry: entry.at_ms)
        period = _number(document, "period_ms", "script", (entries[-1].at_ms if entries else 0) + LOOP_GAP_MS)
        return cls(tuple(entries), max(period, 1) if document.get("loop") else None)


def shifted(entry: Entry, by_ms: int) -> Entry:
    """The same entry later: its time and the times of its tokens."""
    if not by_ms:
        return entry
    partial = None if entry.partial is None else _later(entry.partial, by_ms)
    return replace(entry, at_ms=entry.at_ms + by_ms, final=_later(entry.final, by_ms), partial=partial)


def _later(tokens: tuple[Token, ...], by_ms: int) -> tuple[Token, ...]:
    times = ("start_ms", "end_ms")
    return tuple({key: value + by_ms if key in times else value for key, value in token.items()} for token in tokens)


def _entries(raw: Any, where: str, previous_ms: int) -> Iterator[Entry]:
    if not isinstance(raw, dict):
        raise ConfigurationError(f"{where}: expected an object")
    if unknown := sorted(set(raw) - KEYS):
        raise ConfigurationError(f"{where}: unknown key {unknown[0]!r}; known are {', '.join(sorted(KEYS))}")
    if "at_ms" not in raw:
        raise ConfigurationError(f"{where}: at_ms is missing")
    at_ms = _number(raw, "at_ms", where, 0)
    if "say" in raw:
        yield from _say(raw, where, at_ms)
    else:
        yield _entry(raw, where, previous_ms, at_ms)


def _say(raw: dict[str, Any], where: str, at_ms: int) -> Iterator[Entry]:
    """One utterance: words appear one by one as non-final, become final together, and `<end>` closes them."""
    words = str(raw["say"]).split()
    until = _number(raw, "until_ms", where, at_ms + MS_PER_WORD * len(words))
    end_at = _number(raw, "end_ms", where, until + END_AFTER_MS)
    text = "".join(f" {word}" for word in words)
    tokens = _tokens(text.removeprefix(" ") if at_ms == 0 else text, raw, where, (at_ms, until))
    for shown in range(1, len(tokens) + 1):
        yield Entry(tokens[shown - 1]["end_ms"], partial=tokens[:shown])
    yield Entry(max(end_at, until), final=tokens, end=raw.get("end", True) is not False, partial=())


def _entry(raw: dict[str, Any], where: str, previous_ms: int, at_ms: int) -> Entry:
    span = (previous_ms, at_ms)
    exact = _tokens(raw.get("tokens", []), raw, where, span)
    final = _tokens(raw.get("final", []), raw, where, span) + tuple(token for token in exact if token.get("is_final"))
    partial = _tokens(raw.get("partial", []), raw, where, span) + tuple(
        token for token in exact if not token.get("is_final")
    )
    said = {"final", "partial", "tokens", "end"} & set(raw)
    return Entry(
        at_ms,
        final=final,
        end=bool(raw.get("end", False)),
        partial=partial if said else None,
        frame=_frame(raw.get("frame")),
        error=_error(raw.get("error"), where),
        close=_number(raw, "close", where, 1000) if "close" in raw else None,
    )


def _tokens(value: Any, raw: dict[str, Any], where: str, span: tuple[int, int]) -> tuple[Token, ...]:
    """Tokens given exactly, or a text split before each space with its times spread over `span`."""
    if isinstance(value, str):
        return _words(value, {key: raw[key] for key in EXTRAS if key in raw}, span)
    if not isinstance(value, list) or not all(
        isinstance(token, dict) and isinstance(token.get("text"), str) for token in value
    ):
        raise ConfigurationError(f"{where}: expected a text or a list of tokens, each an object with a string `text`")
    return tuple(value)


def _words(text: str, extras: dict[str, Any], span: tuple[int, int]) -> tuple[Token, ...]:
    words = WORD.findall(text)
    start, width = span[0], max(0, span[1] - span[0])
    return tuple(
        {
            "text": word,
            "start_ms": start + width * place // len(words),
            "end_ms": start + width * (place + 1) // len(words),
            "confidence": 0.9,
            **extras,
        }
        for place, word in enumerate(words)
    )


def _frame(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value)


def _error(value: Any, where: str) -> Refusal | None:
    if value is None:
        return None
    if isinstance(value, int):
        return by_code(value)
    if isinstance(value, dict) and isinstance(value.get("code"), int):
        usual = by_code(value["code"])
        return Refusal(usual.code, str(value.get("type", usual.kind)), str(value.get("message", usual.text)))
    raise ConfigurationError(f"{where}: error must be a code or an object with code, type and message")


def _number(raw: dict[str, Any], name: str, where: str, default: int) -> int:
    value = raw.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ConfigurationError(f"{where}: {name} must be a whole number of milliseconds, 0 or more")
    return value
