"""Memory: what a call remembers is bounded however long it lasts, and a process that holds too much takes no further calls."""

import asyncio
import gc
import json
import random
import sys
import tracemalloc

import pytest

from voicebot.call import dialogue, past
from voicebot.call.inputs import FromTrack
from voicebot.config import LimitSettings
from voicebot.core import echo
from voicebot.core.audio import FRAME, FRAME_MS
from voicebot.core.batching import Batching
from voicebot.core.events import Endpoint, Heard, MarkReached, Media, StreamStarted, Token
from voicebot.core.transcript import Transcript
from voicebot.live import history
from voicebot.metrics import Metrics
from voicebot.pressure import MEBIBYTE, Pressure, resident_bytes

DEADLINE_S = 50
SPOKEN_EVERY = 10
FURTHER, A_CALL_BYTES = 20, 55_000
SAY = {"actions": [{"type": "say", "text": "Yes."}]}


# --- in total -------------------------------------------------------------------------------------


def test_the_process_knows_what_it_holds():
    before = resident_bytes()
    ballast = b"x" * 64 * MEBIBYTE
    assert 30 * MEBIBYTE < before < resident_bytes() - 32 * MEBIBYTE
    del ballast


def test_the_judgement_does_not_flap(logs):
    metrics = Metrics()
    judge = Pressure(LimitSettings(max_memory_mb=1_000), metrics, Batching(100))
    seen = []
    for megabytes in (990, 1_000, 1_001, 990, 951, 949, 990, 1_001):
        judge.weigh(megabytes * MEBIBYTE)
        seen.append(bool(judge.memory))
    assert seen == [False, False, True, True, True, False, False, True]
    assert [entry["event"] for entry in logs] == ["service.overloaded", "service.relieved", "service.overloaded"]
    assert metrics.registry.get_sample_value("voicebot_overloaded", {"why": "memory"}) == 1


async def test_a_process_that_holds_too_much_takes_no_second_call(house, twilio, logs):
    h = await house(limits={"max_memory_mb": 1})
    async with twilio(h) as carrier:
        await logs.until(lambda entry: entry["event"] == "service.overloaded")
        assert await carrier.get("/readyz") == (200, "ready\n")
        first = "CA" + "1" * 32
        assert await carrier.ring(first) == "Connect", "without a call there is nothing to protect"
        assert await carrier.ring() == "Say"
        assert h.metric("refused_total", door="voice", why="memory") == 1
        assert (await carrier.get("/readyz"))[1].startswith("memory: ")
        assert await carrier.ring(first) == "Connect"
        await carrier.over(first)
        await h.empty()
        assert (await carrier.get("/readyz"))[0] == 200
        _, page = await carrier.get("/metrics")
    assert "process_resident_memory_bytes" in page
    assert "python_gc_objects_collected_total" in page
    assert "python_info" in page


# --- per call -------------------------------------------------------------------------------------


def test_a_transcript_forgets_its_oldest_lines():
    kept = Transcript(max_chars=20)
    for number in range(100):
        kept.add("user", f"line {number:03}", number)
    assert [line.text for line in kept.lines] == ["line 098", "line 099"]
    kept.add("assistant", "a" * 30 + "the end", 100)
    assert [line.text for line in kept.lines] == ["a" * 13 + "the end"]
    kept.add("user", "   ", 101)
    kept.add("user", "ok", 102)
    assert [line.text for line in kept.lines] == ["ok"]


def test_a_transcript_has_so_many_lines_at_most():
    kept = Transcript(max_lines=3, max_chars=1_000)
    for number in range(10):
        kept.add("user", str(number), number)
    assert [line.text for line in kept.lines] == ["7", "8", "9"]


class Ear:
    """The carrier's side of a stream: it plays at once what it is sent."""

    def __init__(self):
        self.call, self.marks, self.asked = None, 0, 0

    async def send(self, message):
        told = json.loads(message)
        if told["event"] == "mark":
            self.marks += 1
            await self.call.put(MarkReached(told["mark"]["name"]))

    async def close(self):
        pass


@pytest.fixture
async def long_call(house, logs, monkeypatch):
    """A call whose every bound is small, so that whatever grows has none."""
    bounds = ((history, "KNOWN_EVENTS"), (past, "MAX_ANSWERS"), (dialogue, "MAX_RETRACTED"), (echo, "AHEAD"))
    for module, name in bounds:
        monkeypatch.setattr(module, name, 20)
    h = await house(limits={"transcript_chars": 1_000}, live={"history": 100})
    forgetful(h, logs)
    ear = Ear()

    def answer(event):
        ear.asked = event["data"]["turn"]["number"]
        return {} if ear.asked % SPOKEN_EVERY else SAY

    h.app.on("turn.completed", answer)
    yield h, await begun(h, ear), ear
    await h.service.calls.end_all()


def forgetful(h, logs):
    """Have the test keep nothing: that is no part of the question."""
    for keeper in (h.seen, h.app.received, logs):
        keeper.all.clear()
        keeper.add = lambda _item: None


async def begun(h, ear, number=1):
    """Return a call whose stream `ear` is."""
    call = h.service.calls.open({"CallSid": f"CA{number:032}", "From": "+1555", "To": "+1556"})
    ear.call = call
    started = StreamStarted(
        stream_id=f"MZ{number}",
        call_id=call.identity.carrier_id,
        account_id="AC1",
        tracks=("caller",),
        encoding="audio/x-mulaw",
        sample_rate=8_000,
        channels=1,
        parameters={},
    )
    async with asyncio.timeout(DEADLINE_S):
        while call._group is None:
            await asyncio.sleep(0)
    call.route.claim(started, call.route.leg.token, call.identity.carrier_id)
    await call.attach(started, ear)
    return call


async def talk(call, ear, turns):
    """Say something, and wait until the answer was heard, so many times."""
    for _ in range(turns):
        number = call.turns + 1
        words = Token(text=f" turn number {number}", start_ms=number * 3_000, end_ms=number * 3_000 + 900)
        await call.put(FromTrack(1, "caller", Heard(settled=(words,))))
        await call.put(FromTrack(1, "caller", Endpoint()))
        async with asyncio.timeout(DEADLINE_S):
            # An utterance that is heard has two marks, at its beginning and at its end.
            while ear.asked < number or ear.marks < 2 * (number // SPOKEN_EVERY):
                await asyncio.sleep(0.001)


async def held(*calls):
    """Bytes that code of the service has allocated and holds, once nothing waits for the store any more."""
    async with asyncio.timeout(DEADLINE_S):
        while any(call._scribe._tray.waiting or call._lane._ledger._notes.waiting for call in calls):
            await asyncio.sleep(0.05)
    gc.collect()
    # CPython's cache of type attributes, 4,096 entries, holds names that C code asks for, each a string of its own: a
    # datetime asked for its offset leaves one behind for about every second time. It is charged to whoever asked.
    sys._clear_internal_caches()
    snapshot = tracemalloc.take_snapshot().filter_traces(
        [tracemalloc.Filter(True, "*/voicebot/*"), tracemalloc.Filter(False, "*/voicebot/local/*")]
    )
    return sum(trace.size for trace in snapshot.traces), snapshot


@pytest.mark.timeout(300)
async def test_a_call_of_many_turns_holds_no_more_than_one_of_few(long_call):
    _, call, ear = long_call
    tracemalloc.start()
    try:
        await talk(call, ear, 30)
        few, before = await held(call)
        await talk(call, ear, 300)
        many, after = await held(call)
    finally:
        tracemalloc.stop()
    assert call.turns == 330
    grown = "\n".join(str(line) for line in after.compare_to(before, "lineno")[:8])
    print(few, many, grown)
    # The measuring window and the rows under way vary by some kilobytes.
    assert many - few < 20_000, f"{few} bytes, then {many}:\n{grown}"


async def test_a_further_call_holds_little(house, logs):
    h = await house(limits={"max_calls": 100})
    forgetful(h, logs)
    h.app.on("turn.completed", {})
    sound = random.Random(1).randbytes(FRAME)

    async def heard(numbers):
        """Begin calls, let each hear two seconds of sound and a turn of twenty words, and return them."""
        calls = []
        for number in numbers:
            calls.append(call := await begun(h, Ear(), number))
            for at_ms in range(0, 2_000, FRAME_MS):
                call.route.leg.hear([Media("caller", at_ms, bytes(sound))], at_ms / 1_000)
            words = tuple(Token(f" word{n}", n * 100, n * 100 + 90, 0.9, language="en") for n in range(3, 23))
            await call.put(FromTrack(1, "caller", Heard(settled=words)))
            await call.put(FromTrack(1, "caller", Endpoint()))
        async with asyncio.timeout(DEADLINE_S):
            while not all(call.turns and not call._dialogue.awaiting for call in calls):
                await asyncio.sleep(0.01)
        return calls

    first = await heard(range(1, 4))  # what a process needs once is no part of the question
    tracemalloc.start()
    try:
        nothing, before = await held(*first)
        further = await heard(range(4, 4 + FURTHER))
        something, after = await held(*first, *further)
    finally:
        tracemalloc.stop()
    each = (something - nothing) / FURTHER
    largest = "\n".join(str(line) for line in after.compare_to(before, "lineno")[:12])
    print(each, largest)
    assert each < A_CALL_BYTES, f"{each:.0f} bytes for a call:\n{largest}"
    await h.service.calls.end_all()
