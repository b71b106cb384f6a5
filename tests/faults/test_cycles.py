"""Calls that come and go leave nothing behind that only the garbage collector would find: in a service it hardly ever runs."""

import asyncio
import gc
from collections import Counter

import pytest

SCRIPT = [{"at_ms": 400, "say": "hello there", "until_ms": 800, "end_ms": 1_000}]
SAY = {"type": "say", "text": "An answer of some length."}
OURS = (
    *("voicebot.call.", "voicebot.stt.", "voicebot.courier.lane", "voicebot.soniox_line", "voicebot.web."),
    "aiohttp.web",  # what carries a call to us
)
# A task group whose task is cancelled keeps that task's variables: those of speech that was cut off, which hold little.
CUT_OFF = {"voicebot.call.speaker.Speaker", "voicebot.call.script.Script", "voicebot.call.trace.CallTrace"}
CUT_OFF |= {"voicebot.call.trace.Speech"}


def of_calls():
    """How many objects there are of each class that belongs to a call."""
    names = (f"{type(each).__module__}.{type(each).__name__}" for each in gc.get_objects())
    return Counter(name for name in names if name.startswith(OURS) and name not in CUT_OFF)


@pytest.fixture
def uncollected():
    """No collector while the test runs."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.parametrize("end", ["bot", "caller"])
async def test_a_call_is_freed_when_it_is_over(house, uncollected, end):
    h = await house(SCRIPT)
    h.app.on("call.started", {"actions": [SAY]})
    h.app.on("turn.completed", {"actions": [SAY, {"type": "hangup"}] if end == "bot" else [SAY]})

    async def one():
        phone = h.dial()
        await h.app.until("turn.completed", call=phone.sid)
        await (phone.report() if end == "bot" else phone.hang_up())
        await h.app.until("call.ended", call=phone.sid)
        await h.empty()

    await one()
    before = of_calls()
    for _ in range(3):
        await one()
    try:
        async with asyncio.timeout(20):
            while of_calls() - before:
                await asyncio.sleep(0.05)  # the last callbacks of what has ended
    except TimeoutError:
        assert of_calls() - before == Counter(), "what is left of three calls"
