"""What a call does by itself: while the application thinks, and when it does not answer."""

import json
from dataclasses import asdict, is_dataclass
from typing import Annotated

from pydantic import BeforeValidator, Field, field_validator
from pydantic_core import to_jsonable_python

from voicebot.config.sections import Section
from voicebot.core.actions import Action, Pause, Play, Say
from voicebot.core.handover import ANYWHERE
from voicebot.errors import ReplyRefused
from voicebot.wire.webhook_reply import parse_reply

MAX_BYTES = 65_536
APOLOGY = "I am sorry, I cannot hear you at the moment. You can use the keys of your phone."


def _read_actions(value: object) -> object:
    """Read actions by the very rules of a reply."""
    if not isinstance(value, list | tuple):
        return value
    plain = [asdict(action) if is_dataclass(action) and not isinstance(action, type) else action for action in value]
    body = json.dumps({"actions": to_jsonable_python(plain)}).encode()
    try:
        return parse_reply(200, "application/json", body, max_bytes=MAX_BYTES, handover=ANYWHERE).actions
    except ReplyRefused as refusal:
        raise ValueError(str(refusal)) from None


type Actions = Annotated[tuple[Action, ...], BeforeValidator(_read_actions)]
"""Actions as in a reply to a webhook."""


class FillerSettings(Section):
    """Said while the application thinks; dropped when its reply comes before the caller has heard any of it."""

    after_ms: Annotated[int, Field(ge=200, le=600_000)] = 1_500
    """The caller has waited so long for a reply."""
    actions: Actions = ()
    """`say`, `play` and `pause`, as in a reply; empty says nothing."""

    @field_validator("actions")
    @classmethod
    def _check_actions(cls, actions: tuple[Action, ...]) -> tuple[Action, ...]:
        for action in actions:
            if not isinstance(action, Say | Play | Pause):
                raise ValueError(f"filler can say, play and pause; {action.type} would be an answer")  # noqa: TRY004
            if not isinstance(action, Pause) and not action.interruptible:
                raise ValueError("filler can always be interrupted")
        return actions


class GiveUpSettings(Section):
    """Done when no usable reply came before `webhook.reply_deadline_s` was over; a later reply is not performed."""

    actions: Actions = ()
    """As in a reply, for example `say` and `hangup`; empty listens on."""


class DegradedSettings(Section):
    """Done when the call cannot hear any more (`call.degraded`), before what the application answers."""

    actions: Actions = (Say(text=APOLOGY),)
    """As in a reply, for example `say` and `transfer`; empty does nothing."""
