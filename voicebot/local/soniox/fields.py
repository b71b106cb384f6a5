"""Reads typed fields out of a client's JSON message and refuses a wrong type or range with a 400."""

import json
from dataclasses import dataclass
from typing import Any

from voicebot.local.soniox.refusals import Refusal, Refused, invalid
from voicebot.text import whole


def parse_object(text: str, refusal: Refusal) -> dict[str, Any]:
    """The JSON object in `text`, without half characters; raises Refused with `refusal` for anything else."""
    try:
        value = json.loads(text)
        if "\\ud" in text.lower():  # JSON can spell halves, which no socket and no log takes
            value = json.loads(whole(json.dumps(value, ensure_ascii=False)))
    except (ValueError, RecursionError) as broken:
        raise Refused(refusal) from broken
    if not isinstance(value, dict):
        raise Refused(refusal)
    return value


@dataclass(frozen=True, slots=True)
class Fields:
    """A JSON object read field by field; null counts as absent, unknown keys are nobody's business."""

    raw: dict[str, Any]

    def text(self, name: str, *, longest: int | None = None, too_long: str | None = None) -> str | None:
        """A string of at most `longest` characters."""
        value: str | None = self._typed(name, str, "a string")
        if value is not None and longest is not None and len(value) > longest:
            raise Refused(invalid(too_long or f"{name} is too long (max length {longest})."))
        return value

    def flag(self, name: str, *, default: bool) -> bool:
        """A boolean."""
        value = self._typed(name, bool, "a boolean")
        return default if value is None else value

    def integer(self, name: str, low: int, high: int) -> int | None:
        """An integer from `low` to `high`."""
        value: int | None = self._typed(name, int, "an integer")
        if value is not None and not low <= value <= high:
            raise Refused(invalid(f"{name} must be between {low} and {high}."))
        return value

    def number(self, name: str, low: float, high: float) -> float | None:
        """A number from `low` to `high`."""
        value = self._typed(name, (int, float), "a number")
        if value is not None and not low <= value <= high:
            raise Refused(invalid(f"{name} must be between {low} and {high}."))
        return None if value is None else float(value)

    def strings(self, name: str) -> tuple[str, ...]:
        """A list of strings; absent means none."""
        value = self._typed(name, list, "a list of strings")
        if value is None:
            return ()
        if not all(isinstance(entry, str) for entry in value):
            raise Refused(invalid(f"{name} must be a list of strings."))
        return tuple(value)

    def _typed(self, name: str, kind: type | tuple[type, ...], said: str) -> Any:
        value = self.raw.get(name)
        if value is None:
            return None
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise Refused(invalid(f"{name} must be {said}."))
        return value
