"""Cases about a whole call: every event taken, every reply understood, in time."""

import asyncio
import contextlib

import aiohttp

from voicebot.errors import ReplyRefused
from voicebot.local.probe.calls import EXAMPLES, ProbeCall
from voicebot.local.probe.target import Answer, Target
from voicebot.local.probe.verdicts import Case, Finding, Told, advice_for, reply_of, taken
from voicebot.wire.webhook import UNSET
from voicebot.wire.webhook_events import WANTS_REPLY
from voicebot.wire.webhook_reply import MAX_ACTIONS
from voicebot.wire.webhook_stream import media_type, open_stream

SLOW_MS = 2_000
"""A caller takes a longer silence for a broken line."""
INFORM_MS = 3_000
"""The service waits so long when it wants no reply (`webhook.inform_timeout_s`)."""
STREAMED = frozenset({"application/x-ndjson", "text/event-stream"})
MAX_FAULTS = 3
POLITE = frozenset({b"ok", b"okay", b"true", b"accepted", b"received", b"success"})


async def _call(target: Target) -> Finding:
    return taken(await hold(target, target.call()))


async def _reply(target: Target) -> Finding:
    answers = [(kind, answer) for kind, answer in await hold(target, target.call()) if kind in WANTS_REPLY]
    faults, spoken = [], set()
    for kind, answer in answers:
        if not answer.taken:
            continue
        try:
            spoken |= {action.type for action in reply_of(answer).actions}
        except ReplyRefused as refusal:
            faults.append(f"{kind}: {refusal.path} {refusal.reason}")
    if faults:
        more = f" … and {len(faults) - MAX_FAULTS} more" if len(faults) > MAX_FAULTS else ""
        return Finding("fail", "; ".join(faults[:MAX_FAULTS]) + more)
    if polite := [kind for kind, answer in answers if answer.taken and _is_polite(answer)]:
        return Finding(
            "warn", f"the caller would hear “OK” after {polite[0]}", "Answer 204 when there is nothing to say."
        )
    if not spoken:
        return Finding(
            "warn", "no reply has an action: the caller hears nothing", "Answer call.started with a greeting."
        )
    return Finding("pass", "actions: " + ", ".join(sorted(spoken)))


async def _time(target: Target) -> Finding:
    answers = await hold(target, target.call())
    asked = [told for told in answers if told[0] in WANTS_REPLY]
    kind, slowest = max(asked, key=lambda told: _silence_ms(told[1]))
    if slowest.status is None:
        return Finding("fail", f"{kind}: {slowest.told}", advice_for(slowest))
    news, late = max((told for told in answers if told not in asked), key=lambda told: told[1].ms)
    if late.ms > INFORM_MS:
        advice = "The service waits 3 s for the answer to news, then sends it again: answer first, work afterwards."
        return Finding("warn", f"{news}: {late.ms} ms", advice)
    found = f"slowest: {kind}, {_silence_ms(slowest)} ms"
    return Finding("warn" if _silence_ms(slowest) > SLOW_MS else "pass", found)


async def _streamed(target: Target) -> Finding:
    call = target.call()
    await target.send(call.started())
    answer = await target.send(call.turn())
    if media_type(answer.content_type) not in STREAMED or not answer.taken:
        return Finding("skip", "the reply to turn.completed is not streamed")
    first = _first_action_ms(answer)
    if first is None:
        return Finding("warn", f"no action in {answer.ms} ms")
    await _leave(target, call)
    after = await target.send(call.turn())
    if not after.taken:
        return Finding("fail", f"after a stream that was closed: {after.told}", advice_for(after))
    return Finding("pass", f"first action after {first} ms, the end after {answer.ms} ms")


async def _reply_size(target: Target) -> Finding:
    """Count what a chatty application says at once: the service refuses what is over the limit."""
    answer = await target.send(target.call().started())
    try:
        reply = reply_of(answer) if answer.taken else None
    except ReplyRefused:
        reply = None
    if reply is None:
        return Finding("skip", "there is no reply to count")
    set_ = "set" if reply.state is not UNSET else "left as it is"
    return Finding("info", f"{len(reply.actions)} of {MAX_ACTIONS} actions, {len(answer.body)} bytes, state {set_}")


async def hold(target: Target, call: ProbeCall) -> list[Told]:
    """Go through a call with one event of every kind, carrying its state, and return the answers by kind."""
    answers = []
    for kind in EXAMPLES:
        answer = await target.send(call.example(kind))
        answers.append((kind, answer))
        if kind in WANTS_REPLY and answer.taken:
            with contextlib.suppress(ReplyRefused):
                state = reply_of(answer).state
                call.state = call.state if state is UNSET else state
    return answers


async def _leave(target: Target, call: ProbeCall) -> None:
    """Close a streamed reply behind its first bytes, as happens when the caller speaks over it."""
    with contextlib.suppress(aiohttp.ClientError, OSError, TimeoutError):
        async with asyncio.timeout(target.timeout_s), target.opened(target.letter(call.turn())) as response:
            await response.content.readany()


def _is_polite(answer: Answer) -> bool:
    """Is this what frameworks answer of their own accord? As text/plain it is spoken."""
    return media_type(answer.content_type) == "text/plain" and answer.body.strip().lower() in POLITE


def _silence_ms(answer: Answer) -> int:
    """How long the caller waits for something to hear, as far as the application can tell."""
    first = _first_action_ms(answer)
    return answer.ms if first is None else first


def _first_action_ms(answer: Answer) -> int | None:
    stream = open_stream(answer.content_type, max_bytes=len(answer.body))
    if stream is None:
        return None
    return next((ms for ms, piece in answer.pieces if stream.push(piece).actions), None)


CASES = (
    Case(
        name="call",
        group="conversation",
        expected="2xx for every event of a call, whatever its type",
        advice="Answer 2xx to every event; what you have nothing to say to, with 204.",
        run=_call,
    ),
    Case(
        name="reply",
        group="conversation",
        expected="replies that the service understands, or nothing",
        advice="A malformed reply is refused whole and the caller hears nothing of it; `voicebot schema --reply` has the rules.",
        run=_reply,
    ),
    Case(
        name="reply-size",
        group="conversation",
        expected="(only told) how much of what is allowed the greeting uses",
        advice="",
        run=_reply_size,
    ),
    Case(
        name="streamed-reply",
        group="conversation",
        expected="a streamed reply, and no harm when its connection is closed",
        advice="Catch the closed connection and stop writing.",
        run=_streamed,
    ),
    Case(
        name="time",
        group="conversation",
        expected=f"something to say within {SLOW_MS} ms",
        advice="The caller hears silence meanwhile: answer sooner, stream the reply, or switch on provisional turns.",
        run=_time,
    ),
)
