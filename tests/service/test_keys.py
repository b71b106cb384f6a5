"""Keys that the caller presses, and a caller who says and presses nothing."""

import pytest

from voicebot import live
from voicebot.local.phone.scenario import Wait

HANG_UP = {"type": "hangup"}


def expect(**changes):
    return {"actions": [{"type": "listen", "expect": changes}]}


@pytest.mark.parametrize(
    ("expected", "pressed", "digits", "reason"),
    [
        pytest.param({"digits": 4}, "1234", "1234", "count", id="count"),
        pytest.param({"digits": 4}, "12#", "12", "finish_key", id="finish key before the count"),
        pytest.param({"digits": 2, "finish_key": "*"}, "7*", "7", "finish_key", id="another finish key"),
        pytest.param({"digits": 2, "finish_key": ""}, "#*", "#*", "count", id="no finish key"),
        pytest.param({"between_digits_ms": 200}, "98", "98", "timeout", id="pause"),
        pytest.param({}, "#", "", "finish_key", id="only the finish key"),
    ],
)
async def test_keys_without_words(house, expected, pressed, digits, reason):
    h = await house()
    h.app.on("call.started", expect(**expected))
    h.app.on("digits.completed", {"actions": [HANG_UP]})
    phone = h.dial()
    await h.live(live.ReplyTaken)
    await h.live(live.StreamOpened)
    phone.press(pressed)
    await phone.report()
    await h.empty()
    assert h.app.types == ["call.started", "digits.completed", "call.ended"]
    data = h.app.of("digits.completed")[0]["data"]
    assert (data["digits"], data["reason"]) == (digits, reason)


async def test_keys_left_over_at_the_hangup_are_told(house):
    h = await house()
    h.app.on("call.started", expect(digits=9))
    phone = h.dial()
    await h.live(live.ReplyTaken)
    await h.live(live.StreamOpened)
    phone.press("123")
    await h.live(live.DigitPressed, count=3)
    await phone.hang_up()
    await h.empty()
    data = h.app.of("digits.completed")[0]["data"]
    assert (data["digits"], data["reason"]) == ("123", "hangup")


async def test_silence_is_counted_until_the_caller_speaks(house):
    script = [{"at_ms": 9_000, "say": "here", "until_ms": 9_100, "end_ms": 9_200}]
    h = await house(script, default={"turns": {"no_input_ms": 300}})
    h.app.on("no_input", {"actions": [{"type": "say", "text": "?"}]}, {}, {})
    h.app.on("turn.completed", {})
    phone = h.dial(pace=4.0)
    await h.app.until("no_input", 3)
    await h.app.until("turn.completed")
    after = len(h.app.of("no_input"))
    await h.app.until("no_input", after + 1)
    await phone.hang_up()
    await h.empty()
    counts = [event["data"]["count"] for event in h.app.of("no_input")]
    assert counts[:after] == list(range(1, after + 1))
    assert counts[after] == 1
    assert h.app.of("no_input")[1]["data"]["spoken"][0]["text"] == "?"
    assert h.app.events[-1]["data"]["totals"]["no_inputs"] == len(counts)


async def test_silence_is_not_counted_while_the_bot_speaks(house):
    h = await house(default={"turns": {"no_input_ms": 200}})
    h.app.on("call.started", {"actions": [{"type": "say", "text": "a" * 60}]})
    h.app.on("no_input", {"actions": [HANG_UP]})
    await h.call(pace=4.0)
    assert h.app.types == ["call.started", "speech.finished", "no_input", "call.ended"]


async def test_nobody_is_asked_twice_without_a_limit_of_silence(house):
    h = await house(default={"turns": {"no_input_ms": 0}})
    await h.call(Wait(wait=3))
    assert h.app.of("no_input") == []
