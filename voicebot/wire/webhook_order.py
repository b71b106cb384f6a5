"""What a reply holds, and what its actions may follow."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from enum import Enum
from typing import Literal

from pydantic import JsonValue

from voicebot.core.actions import Action, HangUp, Redirect, Say, Transfer
from voicebot.core.handover import HandoverPolicy
from voicebot.errors import ReplyRefused
from voicebot.wire.webhook_handover import handover_fault
from voicebot.wire.webhook_rules import fault_of

MAX_ACTIONS = 50
"""Most actions in one reply; a sentence in pieces counts as one."""
MAX_TEXT = 5_000
"""Most characters of one sentence, in one piece or in many, and of a reply in plain text; as for `say`."""
SHARED = ("voice", "language", "speed", "interruptible")
"""What the pieces of a sentence have in common; the first one says it."""


class Unset(Enum):
    """The reply does not mention `state`; `null` would be a value."""

    UNSET = "unset"


UNSET: Literal[Unset.UNSET] = Unset.UNSET


@dataclass(frozen=True, slots=True)
class Reply:
    """What the application asks for; without actions the call keeps listening."""

    actions: tuple[Action, ...] = ()
    state: JsonValue | Unset = UNSET


class Order:
    """Checks the actions of one reply one after the other, each against those before it."""

    def __init__(self, *, streamed: bool, handover: HandoverPolicy) -> None:
        self._streamed, self._handover = streamed, handover
        self._count = 0
        self._last = ""
        self._sentence: Say | None = None
        self._letters = 0

    def add(self, root: str, action: Action, named: Collection[str]) -> Action:
        """Return the action as it is performed; raises ReplyRefused with its JSON path, which begins with `root`.

        `named` are the keys that the application wrote: a piece of a sentence takes the others from the first piece.
        """
        if self._last:
            raise ReplyRefused(root, f"{action.type} comes after {self._last}, which ends the conversation")
        taken = self._begin(root, action) if self._sentence is None else self._go_on(root, action, named)
        if isinstance(taken, Say):
            self._letters += len(taken.text)
            if self._letters > MAX_TEXT:
                raise ReplyRefused(f"{root}.text", f"makes the sentence longer than {MAX_TEXT} characters")
            self._sentence = (self._sentence or taken) if taken.more else None
        return taken

    def _begin(self, root: str, action: Action) -> Action:
        self._count += 1
        if self._count > MAX_ACTIONS:
            raise ReplyRefused(root, f"is action {self._count} of the reply; {MAX_ACTIONS} are the most")
        if isinstance(action, Say) and action.more and not self._streamed:
            raise ReplyRefused(
                f"{root}.more", "is only for replies in application/x-ndjson and text/event-stream; leave it out here"
            )
        if fault := fault_of(action) or handover_fault(action, self._handover):
            raise ReplyRefused(root + fault[0], fault[1])
        self._letters = 0
        self._last = action.type if isinstance(action, HangUp | Transfer | Redirect) else ""
        return action

    def _go_on(self, root: str, action: Action, named: Collection[str]) -> Say:
        """Take a piece of a sentence; it may be blank, as the pieces of a language model sometimes are."""
        first = self._sentence
        if first is None or not isinstance(action, Say):
            raise ReplyRefused(root, f"{action.type} comes inside a sentence; end the last say without more")
        for name in SHARED:
            if name in named and getattr(action, name) != getattr(first, name):
                raise ReplyRefused(f"{root}.{name}", "differs from the beginning of the sentence; leave it out here")
        return replace(first, text=action.text, more=action.more)
