"""See which webhooks were delivered, send one again, give one up, resume an endpoint; the service may run meanwhile."""

import argparse
import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from typing import get_args

from pydantic_core import to_jsonable_python
from rich.console import Console
from rich.table import Table

from voicebot.config import StoreSettings, load
from voicebot.courier import decisions
from voicebot.errors import VoicebotError
from voicebot.store import DeliveryFilter, EndpointResume, EventRecord, EventState, EventSummary, Store

SHOWN = 50
"""Events in a list, unless more are wanted."""
PAGE = 100
WIDE = 400
"""Columns where the output is no terminal, so that nothing is folded."""

type Command = Callable[[Store, argparse.Namespace, Console], Awaitable[int]]


class NothingThere(VoicebotError):  # noqa: N818 - an answer to a person, not a failure of ours
    """What was named is not there."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to do with which events."""
    commands = parser.add_subparsers(metavar="WHAT", required=True)
    listing = _command(commands.add_parser("list", help="the newest events, and the endpoints that are stopped"), _list)
    _add_filter(listing)
    listing.add_argument("--state", choices=get_args(EventState.__value__), help="only those in this state")
    listing.add_argument("--limit", type=int, default=SHOWN, help=f"how many at most (default {SHOWN})")
    _add_json(listing)
    show = _command(commands.add_parser("show", help="one event with its attempts and its body"), _show)
    show.add_argument("event", metavar="EVENT")
    _add_json(show)
    replay = _command(commands.add_parser("replay", help="send events again, at once"), _replay)
    replay.add_argument("events", metavar="EVENT", nargs="*")
    replay.add_argument("--all-dead", action="store_true", help="all that are dead")
    _add_filter(replay)
    drop = _command(commands.add_parser("drop", help="never send events that are pending or dead"), _drop)
    drop.add_argument("events", metavar="EVENT", nargs="+")
    resume = _command(commands.add_parser("resume", help="send again to an endpoint that answered 410"), _resume)
    resume.add_argument("url", metavar="URL")


def run(arguments: argparse.Namespace) -> int:
    """Do it on the database of the settings; the exit code is 0 when all of it was done."""
    console = Console(soft_wrap=True)
    if not console.is_terminal:
        console.width = WIDE
    return asyncio.run(_on_store(load().store, arguments, console))


def _command(parser: argparse.ArgumentParser, command: Command) -> argparse.ArgumentParser:
    parser.set_defaults(command=command)
    return parser


def _add_filter(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--call", metavar="ID", help="only those of this call")


def _add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="JSON, one object a line")


async def _on_store(settings: StoreSettings, arguments: argparse.Namespace, console: Console) -> int:
    async with Store.open(settings) as store, asyncio.TaskGroup() as group:
        group.create_task(store.run())
        try:
            return await _told(store, arguments, console)
        finally:
            await store.close()


async def _told(store: Store, arguments: argparse.Namespace, console: Console) -> int:
    """Do it; what is refused is told here, because a group of tasks would wrap it."""
    try:
        return int(await arguments.command(store, arguments, console))
    except VoicebotError as error:
        Console(stderr=True, soft_wrap=True).print(f"voicebot: {error}", markup=False, highlight=False)
        return 1


# --- list and show ---------------------------------------------------------------------------------


async def _list(store: Store, arguments: argparse.Namespace, console: Console) -> int:
    wanted = DeliveryFilter(call_id=arguments.call, states=(arguments.state,) if arguments.state else ())
    table = Table("event", "call", "no.", "type", "state", "attempts", "last answer", "next attempt", box=None)
    shown = 0
    async for event in _every(store, wanted):
        if shown == arguments.limit:
            break
        shown += 1
        if arguments.json:
            _print_json(console, asdict(event))
        else:
            table.add_row(*_row(event))
    if not arguments.json:
        console.print(table if shown else "no events", highlight=False)
        for endpoint in await store.outbox.stopped():
            at = _instant(endpoint.stopped_at)
            text = (
                f"{endpoint.url} was stopped at {at} ({endpoint.why}); `voicebot deliveries resume URL` starts it again"
            )
            console.print(text, style="red", markup=False, highlight=False)
    return 0


async def _show(store: Store, arguments: argparse.Namespace, console: Console) -> int:
    event = await _event(store, arguments.event)
    if arguments.json:
        summary = asdict(event) | {"body": json.loads(event.body) if event.body else None}
        _print_json(console, summary)
        return 0
    plain = partial(console.print, markup=False, highlight=False)
    for name, value in asdict(event.summary).items():
        plain(f"{name:<17} {_instant(value) if isinstance(value, datetime) else value}")
    for attempt in event.attempts:
        answer = attempt.error or f"status {attempt.status}"
        to = f" to {attempt.copy_url}" if attempt.copy_url else ""
        plain(f"attempt {attempt.attempt:<9} {_instant(attempt.started_at)}  {attempt.ms} ms  {answer}{to}")
    for copy in event.copies:
        plain(f"copy              {copy.url}: {copy.state}, {copy.attempts} attempts, {copy.last_error or 'no error'}")
    plain(json.dumps(json.loads(event.body), indent=2, ensure_ascii=False) if event.body else "its content is not kept")
    return 0


def _row(event: EventSummary) -> tuple[str, ...]:
    answer = event.last_error or (f"status {event.last_status}" if event.last_status else "")
    next_at = _instant(event.next_attempt_at) if event.state == "pending" and event.next_attempt_at else ""
    return (
        event.id,
        event.call_id,
        str(event.sequence),
        event.type,
        event.state,
        str(event.attempts),
        answer,
        next_at,
    )


def _print_json(console: Console, value: object) -> None:
    console.print(json.dumps(to_jsonable_python(value, bytes_mode="utf8")), markup=False, highlight=False)


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")


# --- decisions -------------------------------------------------------------------------------------


async def _replay(store: Store, arguments: argparse.Namespace, console: Console) -> int:
    ids = list(arguments.events)
    if arguments.all_dead:
        dead = DeliveryFilter(call_id=arguments.call, states=("dead",))
        # Oldest first, and all of them before the first changes its state and with it the list.
        ids += reversed([event.id async for event in _every(store, dead)])
    elif not ids:
        raise NothingThere("name the events to send again, or say --all-dead")
    for event_id in ids:
        await decisions.replay(store, await _event(store, event_id), datetime.now(UTC))
    console.print(f"{len(ids)} to be sent again; a service that runs notices within two seconds", highlight=False)
    return 0


async def _drop(store: Store, arguments: argparse.Namespace, console: Console) -> int:
    for event_id in arguments.events:
        await decisions.drop(store, await _event(store, event_id), datetime.now(UTC))
    console.print(f"{len(arguments.events)} dropped", highlight=False)
    return 0


async def _resume(store: Store, arguments: argparse.Namespace, console: Console) -> int:
    stopped = [endpoint.url for endpoint in await store.outbox.stopped()]
    if arguments.url not in stopped:
        raise NothingThere(f"{arguments.url} is not stopped; stopped are: {', '.join(stopped) or 'none'}")
    await store.write(EndpointResume(arguments.url))
    console.print("resumed; a service that runs notices within two seconds", highlight=False)
    return 0


async def _event(store: Store, event_id: str) -> EventRecord:
    event = await store.outbox.event(event_id)
    if event is None:
        raise NothingThere(f"there is no event {event_id}; `voicebot deliveries list` shows those there are")
    return event


async def _every(store: Store, wanted: DeliveryFilter) -> AsyncIterator[EventSummary]:
    """Yield all that fit, newest first."""
    after: str | None = None
    while True:
        page = await store.outbox.deliveries(wanted, PAGE, after)
        for event in page.items:
            yield event
        after = page.next
        if after is None:
            return
