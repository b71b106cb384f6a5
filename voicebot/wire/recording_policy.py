"""Reads `KEY=VALUE` changes of a turn policy, as they are written on a command line."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

from pydantic import TypeAdapter, ValidationError

from voicebot.core.policy import TurnPolicy
from voicebot.wire.recording import RecordingError

ENDPOINT = "endpoint.enabled"
"""Not a knob of the policy: whether the recogniser's `<end>` is heard."""

_POLICY = TypeAdapter(TurnPolicy)
_SHOWN = 60
"""So much of a wrong word is in the error."""


@dataclass(frozen=True, slots=True)
class PolicyChange:
    """Changes to lay over every policy of a call."""

    values: Mapping[str, object]
    endpoints: bool = True

    def __call__(self, policy: TurnPolicy) -> TurnPolicy:
        """Return the changed policy; raises RecordingError for a value that the knob does not take."""
        tree = _POLICY.dump_python(policy)
        for key, value in self.values.items():
            *path, name = key.split(".")
            branch = tree
            for part in path:
                branch = branch[part]
            branch[name] = value
        try:
            return _POLICY.validate_python(tree)
        except ValidationError as error:
            fault = error.errors(include_url=False, include_input=False)[0]
            raise RecordingError(f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}") from None


def read_changes(assignments: Iterable[str]) -> PolicyChange:
    """Return the changes that `KEY=VALUE` words name; values are JSON, or plain words.

    Raises RecordingError for an unknown key, with the known ones, and for a value that its knob does not take.
    """
    known = {*policy_keys(), ENDPOINT}
    values: dict[str, object] = {}
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals:
            raise RecordingError(f"{assignment[:_SHOWN]}: is not KEY=VALUE")
        if key not in known:
            raise RecordingError(f"{key[:_SHOWN]}: no such knob; there are {', '.join(sorted(known))}")
        values[key] = _value(text)
    endpoints = values.pop(ENDPOINT, True)
    if not isinstance(endpoints, bool):
        raise RecordingError(f"{ENDPOINT}: is true or false")
    change = PolicyChange(values, endpoints)
    change(TurnPolicy())
    return change


def policy_keys(cls: type[Any] = TurnPolicy, prefix: str = "") -> Iterator[str]:
    """Yield every knob of the policy, dots between the branches."""
    defaults = cls()
    for knob in fields(cls):
        if is_dataclass(getattr(defaults, knob.name)):
            yield from policy_keys(type(getattr(defaults, knob.name)), f"{prefix}{knob.name}.")
        else:
            yield prefix + knob.name


def _value(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
