"""Show what happens on the calls of a running service while it happens."""

import argparse
import asyncio
import sys
from collections.abc import Callable
from contextlib import aclosing
from typing import Any, override
from urllib.parse import quote

from pydantic_core import from_json
from rich.console import Console
from rich.text import Text

from voicebot.cli import api_client, running
from voicebot.cli.api_client import Api, StreamOver
from voicebot.cli.console import CallView
from voicebot.cli.pipes import quiet_pipe
from voicebot.errors import PeerProtocolError, PeerUnavailable
from voicebot.wire import live_events as live
from voicebot.wire.live_json import Told, decode, decoded
from voicebot.wire.sse import Message

RETRY_S, MAX_RETRY_S = 1.0, 15.0
"""Wait before connecting again; doubles with each failure in a row."""
ID_TAIL = 6
"""Characters of a call's name in the column that tells calls apart."""
OPEN_LINES = 8
"""Open utterances shown at a time."""

type Show = Callable[[Message], None]
type Note = Callable[[str], None]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which call, where, and in which form."""
    parser.add_argument("call", nargs="?", metavar="CALL", help="name of one live call (default: all of them)")
    parser.add_argument("--json", action="store_true", help="print the events as they come, one line of JSON each")
    api_client.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Watch until the call ends, or until interrupted."""
    api, call = Api(arguments.url, arguments.token), arguments.call
    with quiet_pipe():
        if arguments.json:
            running.run(_watch(api, call, _print_raw, lambda note: print(note, file=sys.stderr)))
        else:
            with LiveView(Console(highlight=False), call) as view:
                running.run(_watch(api, call, view.message, view.say))
    return 0


async def _watch(api: Api, call: str | None, show: Show, note: Note) -> None:
    """Read, and after a lost connection go on where it was; only a first connection that fails is an error."""
    path = f"/calls/{quote(call, safe='')}/events" if call else "/events"
    last_id, wait_s = "", RETRY_S
    async with api:
        while True:
            try:
                async with aclosing(api.watch(path, last_id)) as messages:
                    async for message in messages:
                        show(message)
                        last_id, wait_s = message.last_id, RETRY_S
                        if call and _ends_call(message):
                            return
                why = "the stream ended"
            except StreamOver:
                return
            except PeerUnavailable as error:
                if not last_id:
                    raise
                why = str(error)
            note(f"  {why}; connecting again")
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, MAX_RETRY_S)


def _ends_call(message: Message) -> bool:
    """The end of the call, or a snapshot of one that has ended."""
    return message.event == "call.ended" or (message.event == "snapshot" and _object(message).get("live") is False)


def _print_raw(message: Message) -> None:
    sys.stdout.write(message.data.decode() + "\n")
    sys.stdout.flush()


def _object(message: Message) -> dict[str, Any]:
    try:
        value = from_json(message.data)
    except ValueError as error:
        raise PeerProtocolError("voicebot", f"{message.event} is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise PeerProtocolError("voicebot", f"{message.event} is no JSON object")
    return value


class LiveView(CallView):
    """One line per event at the time when it happened; of several calls each line says which."""

    def __init__(self, console: Console, call: str | None) -> None:
        super().__init__(console)
        self._call = call
        self._told: Told | None = None
        self._open: dict[str, Text] = {}

    def message(self, message: Message) -> None:
        """Show one message of the stream."""
        match message.event:
            case "snapshot":
                self._snapshot(_object(message))
            case "reset":
                self.say("  what happened in between is not known")
            case "dropped":
                self.say(f"  {_object(message).get('detail', 'dropped')}")
            case _:
                self._event(decode(message.data))

    def _snapshot(self, snapshot: dict[str, Any]) -> None:
        if self._call is None:
            calls = snapshot.get("calls", [])
            self.say(f"  {len(calls) or 'no'} live {'call' if len(calls) == 1 else 'calls'}")
            for call in calls:
                self.say(f"  {call.get('id')}  {call.get('from')} → {call.get('to')}, since {call.get('started_at')}")
            return
        if not snapshot.get("whole", True):
            self.say("  the call began earlier than this")
        for event in snapshot.get("events", []):
            self._event(decoded(event))

    def _event(self, told: Told | None) -> None:
        if told is None:
            return  # a newer service knows more
        self._told = told
        self.show(told.event)
        self._told = None

    @override
    def show(self, event: live.LiveEvent) -> None:
        match event:
            case live.Partial() if self._call is None and self._console.is_terminal:
                self._grow_one(event)
            case live.CallClosed() | live.TurnEnded():
                self._open.pop(event.call, None)
                super().show(event)
                self._draw()
            case _:
                super().show(event)
                self._draw()

    def _grow_one(self, partial: live.Partial) -> None:
        """Of several calls each has its own open line."""
        self._open.pop(partial.call, None)
        if partial.settled or partial.tentative:
            words = (partial.settled.lstrip(), (partial.tentative, "dim italic"))
            label = (f"  {partial.track:>8} ", "cyan")
            self._open[partial.call] = Text.assemble(" " * 8, self._column(partial.call), label, *words)
        self._draw()

    def _draw(self) -> None:
        if self._call is None and self._console.is_terminal:
            self._screen.update(Text("\n").join(list(self._open.values())[-OPEN_LINES:]))

    def _column(self, call: str) -> Text:
        return Text(f"  …{call[-ID_TAIL:]:<{ID_TAIL}}", "dim")

    @override
    def _print(self, line: Text) -> None:
        told = self._told
        if told is None:
            self._console.print(line, soft_wrap=True)
            return
        clock = Text(f"{told.at.astimezone():%H:%M:%S}", "dim")
        column = Text() if self._call else self._column(told.event.call)
        if isinstance(told.event, live.CallOpened):
            line = line + Text(f"   {told.event.call}", "dim")
        self._console.print(clock + column + line, soft_wrap=not self._console.is_terminal)
