"""Cases about the line: slow bodies, kept connections, many calls at once, other methods."""

import asyncio
from collections.abc import AsyncIterator

import aiohttp

from voicebot.local.probe import target as targets
from voicebot.local.probe.target import Letter, Target
from voicebot.local.probe.verdicts import Case, Finding, Told, taken

PIECES = 5
PIECE_PAUSE_S = 0.05
CALLS_AT_ONCE = 8
KEPT = 4
"""Requests over one connection."""


async def _slow_body(target: Target) -> Finding:
    call = target.call()
    answers: list[Told] = []
    for event in (call.started(), call.turn()):
        letter = target.letter(event)
        answers.append((f"{event.type} in {PIECES} pieces", await target.post(letter, _slowly(letter))))
    return taken(answers)


async def _slowly(letter: Letter) -> AsyncIterator[bytes]:
    size = len(letter.body) // PIECES + 1
    for start in range(0, len(letter.body), size):
        yield letter.body[start : start + size]
        await asyncio.sleep(PIECE_PAUSE_S)


async def _keep_alive(target: Target) -> Finding:
    """Use one connection again and again, as the service does between the turns of its calls."""
    opened: list[object] = []

    async def count(_session: object, _context: object, found: object) -> None:
        opened.append(found)

    trace = aiohttp.TraceConfig()
    trace.on_connection_create_end.append(count)
    async with targets.target(target.url, target.keys, target.timeout_s, (trace,)) as fresh:
        call = fresh.call()
        answers = [("call.started", await fresh.send(call.started()))]
        answers += [(f"turn {number}", await fresh.send(call.turn())) for number in range(1, KEPT)]
    finding = taken(answers)
    if finding.verdict == "fail":
        return finding
    if len(opened) > 1:
        advice = "It works; a connection that is kept saves the caller one or two round trips per turn."
        return Finding("info", f"{len(opened)} connections for {KEPT} requests", advice)
    return Finding("pass", f"{KEPT} requests over one connection")


async def _concurrent(target: Target) -> Finding:
    async with asyncio.TaskGroup() as group:
        calls = [group.create_task(_short_call(target, number)) for number in range(1, CALLS_AT_ONCE + 1)]
    finding = taken([answer for call in calls for answer in call.result()])
    return finding if finding.verdict == "fail" else Finding("pass", f"{CALLS_AT_ONCE} calls at once")


async def _short_call(target: Target, number: int) -> list[Told]:
    call = target.call()
    events = (call.started(), call.turn(), call.example("call.ended"))
    return [(f"call {number}, {event.type}", await target.send(event)) for event in events]


async def _methods(target: Target) -> Finding:
    told = []
    for method in ("GET", "OPTIONS"):
        try:
            async with target.session.request(
                method, target.url, allow_redirects=False, timeout=aiohttp.ClientTimeout(total=target.timeout_s)
            ) as response:
                told.append(f"{method}: status {response.status}")
        except (aiohttp.ClientError, OSError, TimeoutError) as fault:
            told.append(f"{method}: {type(fault).__name__}")
    return Finding("info", ", ".join(told))


CASES = (
    Case(
        name="slow-body",
        group="transport",
        expected="2xx although the body comes in pieces",
        advice="Read the body to its end (`content-length`) before you verify it.",
        run=_slow_body,
    ),
    Case(
        name="keep-alive",
        group="transport",
        expected="2xx for one request after the other on one connection",
        advice="Say `connection: close` before closing, or keep connections for a minute.",
        run=_keep_alive,
    ),
    Case(
        name="concurrent",
        group="transport",
        expected=f"2xx for {CALLS_AT_ONCE} calls at once",
        advice="Calls come side by side: use a server that takes several requests at a time, and no shared state.",
        run=_concurrent,
    ),
    Case(
        name="methods",
        group="transport",
        expected="(only told) what GET and OPTIONS answer",
        advice="",
        run=_methods,
    ),
)
