"""An event loop that runs late: it is measured, new calls are refused, running ones go on, and it passes by itself."""

import asyncio
import time

import pytest

from voicebot.config import LimitSettings
from voicebot.core.batching import Batching
from voicebot.metrics import Metrics
from voicebot.pressure import LagWindow, Pressure

DEADLINE_S = 50
QUICK = {"lag_window_s": 1.0, "max_lag_ms": 250}
HELLO = [{"at_ms": 300, "say": "hello there", "until_ms": 600, "end_ms": 800}]


def pressure(**limits):
    metrics = Metrics()
    return Pressure(LimitSettings(**limits), metrics, Batching(100)), metrics


# --- the window -----------------------------------------------------------------------------------


def test_a_late_wake_up_stands_for_every_tick_that_was_due():
    window = LagWindow(100)
    for _ in range(100):
        window.late(0.0)
    window.late(1.05)
    # Eleven ticks were late: 1.05 s, 0.95 s, … 0.05 s.
    assert window.quantiles(1.0)[0] == 1.05
    assert window.quantiles(0.95)[0] == pytest.approx(0.55)
    assert window.quantiles(0.5) == (0.0,)


def test_the_window_forgets():
    window = LagWindow(10)
    window.late(5.0)
    for _ in range(10):
        window.late(0.001)
    assert window.quantiles(1.0) == (0.001,)


def test_a_window_without_a_tick_has_no_lag():
    assert LagWindow(10).quantiles(0.5, 1.0) == (0.0, 0.0)


# --- the judgement --------------------------------------------------------------------------------


def test_what_is_late_while_the_service_loads_is_not_judged(logs):
    judge, _ = pressure()
    judge.tick(30.0)
    for _ in range(200):
        judge.tick(0.0)
        assert judge.lag == ""
    assert logs.all == []


def ticking(judge, count, lag_s):
    for _ in range(count):
        judge.tick(lag_s)


def test_a_single_hiccup_is_no_overload_and_a_second_of_them_is(logs):
    judge, metrics = pressure()
    ticking(judge, 101, 0.0)
    judge.tick(0.6)
    assert judge.lag == ""
    ticking(judge, 100, 0.0)
    judge.tick(1.2)
    assert judge.lag.startswith("loop lag")
    assert metrics.registry.get_sample_value("voicebot_overloaded", {"why": "overloaded"}) == 1
    ticking(judge, 100, 0.0)
    assert judge.lag == ""
    assert metrics.registry.get_sample_value("voicebot_overloaded", {"why": "overloaded"}) == 0
    assert [(entry["event"], entry["why"]) for entry in logs] == [
        ("service.overloaded", "overloaded"),
        ("service.relieved", "overloaded"),
    ]


def test_it_does_not_flap(logs):
    judge, _ = pressure()
    ticking(judge, 200, 0.26)
    assert judge.lag
    for _ in range(20):
        ticking(judge, 100, 0.2)
        assert judge.lag, "below the limit is not yet relieved"
        ticking(judge, 100, 0.3)
    ticking(judge, 200, 0.12)
    assert judge.lag == ""
    ticking(judge, 200, 0.24)
    assert judge.lag == ""
    assert len(logs.all) == 2


def test_it_may_be_switched_off():
    judge, metrics = pressure(max_lag_ms=0)
    ticking(judge, 300, 2.0)
    assert judge.lag == ""
    assert metrics.registry.get_sample_value("voicebot_loop_lag_seconds_count") == 300


def test_a_tick_costs_next_to_nothing():
    """Ten ticks a second: at 200 µs each it were a fifth of a percent of the processor; it is about a twentieth of that."""
    judge, _ = pressure()
    ticking(judge, 200, 0.001)
    best = min(timed(judge) for _ in range(20))
    assert best < 200e-6


def timed(judge, count=100):
    began = time.perf_counter()
    ticking(judge, count, 0.001)
    return (time.perf_counter() - began) / count


# --- batches --------------------------------------------------------------------------------------


def batches(cpu_s, lag_s):
    """The lengths of batches within ten seconds of which every tenth goes like this."""
    batching = Batching(100)
    judge, found = Pressure(LimitSettings(), Metrics(), batching), []
    for _ in range(100):
        judge.spent(cpu_s, lag_s, 0.1)
        found.append(batching.ms)
    return sorted(set(found))


def test_batches_grow_with_the_processor_time_and_with_the_lag():
    assert batches(0.01, 0.001) == [20]
    assert batches(0.09, 0.0) == [20, 40, 60, 100]
    assert batches(0.01, 0.05) == [20, 40, 60, 100]


def test_two_measurements_at_one_time_say_nothing():
    Pressure(LimitSettings(), Metrics(), Batching(100)).spent(0.0, 0.0, 0.0)


# --- a service whose loop stands still ------------------------------------------------------------


async def block(seconds):
    asyncio.get_running_loop().call_soon(time.sleep, seconds)
    await asyncio.sleep(0)
    await asyncio.sleep(0)


async def until(wanted):
    async with asyncio.timeout(DEADLINE_S):
        while not await wanted():
            await asyncio.sleep(0.02)


async def test_new_calls_are_refused_and_running_ones_go_on(house, twilio, logs):
    h = await house(HELLO, limits=QUICK)
    release = asyncio.Event()

    async def answer(_event):
        await release.wait()
        return {"actions": [{"type": "say", "text": "Bye."}, {"type": "hangup"}]}

    h.app.on("turn.completed", answer)
    async with twilio(h) as carrier:
        phone = h.dial()
        await h.app.until("turn.completed")
        pressed = h.service.calls._rooms.pressure

        async def judged():
            return pressed._window.whole

        await until(judged)
        await block(0.9)

        async def refused():
            return (await carrier.get("/readyz"))[1].startswith("overloaded: loop lag ")

        await until(refused)
        assert await carrier.ring() == "Say"
        assert h.metric("refused_total", door="voice", why="overloaded") == 1
        assert await carrier.ring(phone.sid) == "Connect", "it runs already"
        assert (await carrier.get("/healthz"))[0] == 200
        release.set()
        assert (await phone.report()).ended == "service"
        await h.app.until("call.ended")

        async def ready():
            return (await carrier.get("/readyz"))[0] == 200

        await until(ready)
        assert await carrier.ring() == "Connect"
        for call in h.service.calls.live():
            await carrier.over(call.identity.carrier_id)
        await h.empty()
        _, page = await carrier.get("/metrics")
    assert 'voicebot_loop_lag_window_seconds{quantile="0.99"}' in page
    assert 'voicebot_loop_lag_window_seconds{quantile="1"}' in page
    steps = [entry["event"] for entry in logs if entry["event"] in {"service.overloaded", "service.relieved"}]
    assert steps[:2] == ["service.overloaded", "service.relieved"]
