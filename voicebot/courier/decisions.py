"""What a person may decide about an event: send it again, or never."""

from datetime import datetime

from voicebot.errors import VoicebotError
from voicebot.store import AttemptRow, EventRecord, EventState, Store

REPLAYED: frozenset[EventState] = frozenset({"pending", "delivered", "dead", "dropped"})
"""States from which an event can be sent (again); a withdrawn one was taken back."""
DROPPED: frozenset[EventState] = frozenset({"pending", "dead"})


class DecisionRefused(VoicebotError):  # noqa: N818 - an answer to a person, not a failure of ours
    """The event is not in a state for this."""


async def replay(store: Store, event: EventRecord, at: datetime) -> None:
    """Have an event sent again at once; raises DecisionRefused when it cannot be.

    What was delivered to its own endpoint and not to the second one goes to the second one alone.
    """
    summary = event.summary
    if summary.url is None:
        raise DecisionRefused(f"{summary.id} has no endpoint: none was configured when it was made")
    if summary.state not in REPLAYED:
        raise DecisionRefused(f"{summary.id} is {summary.state} and is not sent again")
    if not event.body:
        raise DecisionRefused(f"{summary.id} was delivered, and its content was not kept")
    copies = [copy for copy in event.copies if copy.state in {"dead", "dropped"}]
    if summary.state != "delivered" or not copies:
        await store.write(_change(summary.id, "pending", at, next_attempt_at=at))
    for copy in copies:
        await store.write(_change(summary.id, "pending", at, next_attempt_at=at, copy_url=copy.url))


async def drop(store: Store, event: EventRecord, at: datetime) -> None:
    """Give an event up, at both endpoints; raises DecisionRefused when there is nothing to give up."""
    copies = [copy for copy in event.copies if copy.state in DROPPED]
    if event.summary.state not in DROPPED and not copies:
        raise DecisionRefused(
            f"{event.summary.id} is {event.summary.state}: only what is pending or dead can be dropped"
        )
    if event.summary.state in DROPPED:
        await store.write(_change(event.summary.id, "dropped", at))
    for copy in copies:
        await store.write(_change(event.summary.id, "dropped", at, copy_url=copy.url))


def _change(
    event_id: str,
    state: EventState,
    at: datetime,
    *,
    next_attempt_at: datetime | None = None,
    copy_url: str | None = None,
) -> AttemptRow:
    """Return a change of state without an attempt; what is known of earlier attempts stays."""
    return AttemptRow(
        event_id=event_id,
        attempt=0,
        started_at=at,
        ms=0,
        status=None,
        error=None,
        state=state,
        next_attempt_at=next_attempt_at,
        copy_url=copy_url,
    )
