"""List and search the calls of a running service, or show one of them."""

import argparse
import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from urllib.parse import quote

from pydantic import BaseModel, ValidationError
from rich.console import Console
from rich.table import Table
from rich.text import Text

from voicebot.cli import api_client
from voicebot.cli.api_client import Api
from voicebot.cli.pipes import quiet_pipe
from voicebot.errors import PeerProtocolError
from voicebot.wire.api import CallDetail, CallPage, CallSummary

PAGE = 200
"""Most calls that the service gives at once."""
DEFAULT_LIMIT = 50
PIPE_WIDTH = 200
"""A pipe has no width; nothing is cut off there."""
FILTERS = {
    "q": "words that were said by anybody, “a phrase”, begin*",
    "number": "either side's number",
    "from": "the calling number",
    "to": "the called number",
    "reason": "why they ended",
    "since": "started at this instant or later, for example 2026-11-22T09:00:00Z",
    "until": "started before this instant",
}

type Line = tuple[datetime | None, Text]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which calls, and in which form."""
    parser.add_argument("call", nargs="?", metavar="ID", help="show this call: who said what")
    for name, meaning in FILTERS.items():
        parser.add_argument(f"--{name}", dest=f"only_{name}", metavar=name.upper(), help=meaning)
    state = parser.add_mutually_exclusive_group()
    state.add_argument("--live", action="store_const", const="live", dest="only_state", help="only those that live")
    state.add_argument(
        "--ended", action="store_const", const="ended", dest="only_state", help="only those that are over"
    )
    parser.add_argument("--limit", type=_count, default=DEFAULT_LIMIT, help="most calls listed (default: %(default)s)")
    parser.add_argument(
        "--json", action="store_true", help="the service's JSON: one line for each call, or the whole call"
    )
    api_client.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print the list, or the call."""
    api = Api(arguments.url, arguments.token)
    given = {name: getattr(arguments, f"only_{name}") for name in (*FILTERS, "state")}
    query = {name: value for name, value in given.items() if value is not None}
    with quiet_pipe():
        if arguments.call:
            asyncio.run(_show(api, arguments.call, raw=arguments.json))
        else:
            asyncio.run(_list(api, query, arguments.limit, raw=arguments.json))
    return 0


def _count(text: str) -> int:
    count = int(text)
    if count < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return count


def _console() -> Console:
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=PIPE_WIDTH)


# --- the list -----------------------------------------------------------------------------------------


async def _list(api: Api, query: dict[str, str], limit: int, *, raw: bool) -> None:
    async with api:
        if raw:
            async for call in _calls(api, query, limit):
                print(call.model_dump_json(by_alias=True), flush=True)
            return
        table = _table()
        async for call in _calls(api, query, limit):
            table.add_row(*_row(call))
    _console().print(table if table.row_count else Text("no calls", "dim"))


async def _calls(api: Api, query: dict[str, str], limit: int) -> AsyncIterator[CallSummary]:
    """Go from page to page; a page may be empty although others follow."""
    left, cursor = limit, ""
    while left:
        place = {"cursor": cursor} if cursor else {}
        page = _read(CallPage, await api.get("/calls", query | place | {"limit": str(min(left, PAGE))}))
        for call in page.items[:left]:
            left -= 1
            yield call
        if not page.next:
            return
        cursor = page.next


def _table() -> Table:
    table = Table(box=None, pad_edge=False)
    for name, style in (("started", "dim"), ("call", ""), ("from", "cyan"), ("to", "cyan"), ("state", "")):
        table.add_column(name, style=style, no_wrap=name != "state")
    for name in ("length", "turns"):
        table.add_column(name, justify="right")
    return table


def _row(call: CallSummary) -> tuple[str | Text, ...]:
    state = Text("live", "bold green") if call.state == "live" else Text(call.reason or "ended")
    length = _length(call)
    started = f"{call.started_at.astimezone():%Y-%m-%d %H:%M:%S}"
    return started, Text(call.id), Text(call.from_), Text(call.to), state, length, str(call.turns)


def _length(call: CallSummary) -> str:
    if call.duration_ms is not None:
        seconds = call.duration_ms // 1_000
    elif call.state == "live":
        seconds = max(0, round((datetime.now(UTC) - call.started_at).total_seconds()))
    else:
        return "?"
    return f"{seconds // 60}:{seconds % 60:02}"


# --- one call -----------------------------------------------------------------------------------------


async def _show(api: Api, call: str, *, raw: bool) -> None:
    async with api:
        body = await api.get(f"/calls/{quote(call, safe='')}")
    if raw:
        print(body.decode())
        return
    detail = _read(CallDetail, body)
    console, summary = _console(), detail.call
    state = "live" if summary.state == "live" else f"ended: {summary.reason or 'not told'}"
    console.print(Text.assemble((f"{summary.from_} → {summary.to}", "bold"), f"   {summary.id}"), soft_wrap=True)
    told = f"{summary.direction}, {summary.mode}, {state}, {_length(summary)}, {summary.turns} turns"
    if detail.latency:
        told += f", answers heard after {detail.latency.p50_ms} ms (median)"
    console.print(Text(told, "dim"), soft_wrap=True)
    for at, line in sorted(_lines(detail), key=lambda each: each[0] or summary.started_at):
        clock = f"{at.astimezone():%H:%M:%S}" if at else " " * 8
        console.print(Text.assemble((clock, "dim"), line), soft_wrap=not console.is_terminal)


def _lines(detail: CallDetail) -> Iterator[Line]:
    for turn in detail.turns:
        words = turn.text or f"keys {turn.digits}"
        yield turn.started_at or turn.ended_at, Text.assemble((f"  {turn.track:>8} ", "bold cyan"), words)
    for said in detail.utterances:
        cut = (said.heard.rstrip(), (f" (not heard: {said.unheard.strip()})", "dim"))
        parts = cut if said.unheard else (said.text,)
        yield said.started_at, Text.assemble(("       bot ", "green"), *parts)
    for aside in detail.asides:
        yield aside.at, Text.assemble(("    caller ", "dim cyan"), (f"{aside.text}   {aside.kind}, no turn", "dim"))


def _read[T: BaseModel](model: type[T], body: bytes) -> T:
    try:
        return model.model_validate_json(body, extra="ignore")
    except ValidationError as error:
        fault = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in fault["loc"]) or "$"
        raise PeerProtocolError(
            api_client.PEER, f"an answer of another shape than ours, at {where}: {fault['msg']}"
        ) from None
