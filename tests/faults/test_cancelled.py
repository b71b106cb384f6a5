"""A call whose task is cancelled, at whatever step: nothing of it stays behind, and other calls do not notice."""

import asyncio
import json
import random
import tempfile
from collections import Counter

import pytest
from aiohttp import web
from sqlalchemy import select

from voicebot import live
from voicebot.courier import courier
from voicebot.local.phone.scenario import Dtmf, Wait
from voicebot.store import schema

SCRIPT = [
    {"at_ms": 400 * n, "say": f"turn {n}", "until_ms": 400 * n + 100, "end_ms": 400 * n + 200} for n in range(1, 9)
]
SAY = {"type": "say", "text": "An answer of some length."}
DEADLINE_S = 50


def the_call(sid):
    """The task that lives through a call; its coroutine knows the call."""
    for task in asyncio.all_tasks():
        coroutine = task.get_coro()
        if getattr(coroutine, "__qualname__", "") == "Calls._live_through" and coroutine.cr_frame is not None:
            call = coroutine.cr_frame.f_locals["call"]
            if call.identity.carrier_id == sid:
                return task
    return None


async def steps(count):
    for _ in range(count):
        await asyncio.sleep(0)


async def appears(h, sid):
    async with asyncio.timeout(DEADLINE_S):
        while the_call(sid) is None:
            await asyncio.sleep(0)
    return the_call(sid)


def answers(h):
    h.app.on("call.started", {"actions": [SAY]})
    h.app.on("turn.completed", {"actions": [SAY, {"type": "pause", "ms": 100}, SAY]})


async def gone(h, phone, task):
    """The call is gone, the phone was told, the recogniser's socket is closed."""
    report = await phone.report()
    async with asyncio.timeout(DEADLINE_S):
        await asyncio.wait([task])
        while any(not session.closed for session in h.tap.stt[1:]):
            await h.tap.changed.until(lambda _news: True, len(h.tap.changed.all) + 1)
    assert h.service.calls.find(phone.sid) is None
    return report


# Early steps one by one; later ones, where a call waits for others most of the time, more and more apart.
SWEEP = [*range(8), *(8 * 2**n for n in range(1, 8))]


async def test_at_any_step_of_its_beginning(house):
    h = await house(SCRIPT)
    answers(h)
    good = h.dial(pace=1.0)
    await h.live(live.StreamOpened)
    for count in SWEEP:
        phone = h.dial()
        task = await appears(h, phone.sid)
        await steps(count)
        task.cancel()
        await gone(h, phone, task)
        assert len(h.service.calls) == h.metric("calls") == 1
    await h.app.until("turn.completed", call=good.sid)
    report = await good.hang_up()
    assert report.notes == []
    await h.empty()
    ended = h.app.of("call.ended", good.sid)[0]
    assert ended["data"]["reason"] == "caller_hangup"


@pytest.mark.parametrize(
    "moment",
    [
        pytest.param(live.StreamOpened, id="stream opened"),
        pytest.param(live.BotSays, id="bot speaks"),
        pytest.param(live.Partial, id="caller speaks"),
        pytest.param(live.TurnEnded, id="turn completed"),
        pytest.param(live.ReplyTaken, id="reply taken"),
        pytest.param(live.BotSaid, id="bot interrupted"),
    ],
)
@pytest.mark.parametrize("count", [0, 3])
async def test_at_the_steps_behind_its_events(house, moment, count):
    h = await house(SCRIPT)
    answers(h)
    good = h.dial(pace=1.0)
    await h.live(live.StreamOpened)
    phone = h.dial(Wait(wait=0.5), Dtmf(dtmf="12", optional=True), Wait(wait=600))
    task = await appears(h, phone.sid)
    await h.live(moment, lambda event: event.call == phone.sid)
    await steps(count)
    task.cancel()
    await gone(h, phone, task)
    assert h.service.calls.find(good.sid) is not None
    await good.hang_up()
    await h.empty()
    assert h.app.of("call.ended", good.sid)[0]["data"]["reason"] == "caller_hangup"


AFTER_A_SECOND = {"provisional": True, "finalize_after_ms": 200, "commit_after_ms": 1_000}
# At six times the pace of speech: told once silent for a second, taken back by more words, told again.
SECOND_THOUGHTS = [{"at_ms": 600, "partial": " one"}, {"at_ms": 9_600, "final": " one", "partial": " two"}]


@pytest.mark.parametrize("count", [0, 3])
@pytest.mark.parametrize(
    ("moment", "nth"),
    [
        pytest.param(live.TurnOffered, 1, id="a turn is told that is not sure"),
        pytest.param(live.ReplyTaken, 2, id="its reply is held"),
        pytest.param(live.TurnTakenBack, 1, id="it is taken back"),
        pytest.param(live.TurnEnded, 1, id="it stands"),
    ],
)
async def test_at_the_steps_of_a_head_start(house, moment, nth, count):
    h = await house(SECOND_THOUGHTS, default={"turns": AFTER_A_SECOND})
    h.app.on("turn.provisional", {"actions": [SAY]})
    phone = h.dial()
    task = await appears(h, phone.sid)
    await h.live(moment, count=nth)
    await steps(count)
    task.cancel()
    await gone(h, phone, task)
    assert len(h.service.calls) == h.metric("calls") == 0


@pytest.mark.parametrize("count", [0, 3])
@pytest.mark.parametrize("moment", [live.ReplyTaken, live.BotSays])
async def test_while_a_reply_is_being_written(house, moment, count):
    """The application notices."""
    h = await house()
    closed = asyncio.Event()

    async def unfinished(_event, request):
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        try:
            await response.prepare(request)
            await response.write(json.dumps(SAY).encode() + b"\n")
            await asyncio.Event().wait()
        finally:
            closed.set()

    h.app.on("call.started", unfinished)
    phone = h.dial()
    task = await appears(h, phone.sid)
    await h.live(moment)
    await steps(count)
    task.cancel()
    await gone(h, phone, task)
    async with asyncio.timeout(DEADLINE_S):
        await closed.wait()


def cough():
    """Loud noise on a quiet line, raw µ-law."""
    chance = random.Random(1)
    return bytes(chance.choices(b"\x7a\xfa", k=8 * 200)) + chance.randbytes(8 * 500)


@pytest.mark.parametrize("count", [0, 3])
@pytest.mark.parametrize("moment", [live.BotSaid, live.BotResumed])
async def test_while_it_is_not_clear_whether_it_was_a_cough(house, moment, count):
    h = await house(default={"turns": {"barge_in": {"resume_after_ms": 100}}})
    h.app.on("call.started", {"actions": [SAY, SAY, {"type": "hangup"}]})
    phone = h.dial(pace=1.0)
    task = await appears(h, phone.sid)
    await phone.heard("BotSpeaks")
    phone.call.say(cough())
    await h.live(moment)
    await steps(count)
    task.cancel()
    await gone(h, phone, task)
    assert len(h.service.calls) == h.metric("calls") == 0


async def test_while_it_ends(house):
    h = await house(SCRIPT)
    answers(h)
    good = h.dial(pace=1.0)
    await h.live(live.StreamOpened)
    for count in (0, 1, 2, 8, 32, 128):
        phone = h.dial()
        task = await appears(h, phone.sid)
        await h.live(live.StreamOpened, lambda event, sid=phone.sid: event.call == sid)
        phone.call.hang_up("caller", "the caller hung up")
        await steps(count)
        task.cancel()
        await gone(h, phone, task)
    await good.hang_up()
    await h.empty()


async def test_a_bug_in_one_call_ends_that_call_alone_and_is_told(house, logs, monkeypatch):
    """Whatever breaks one call is an outcome of this call."""
    from voicebot.call.speaker import Speaker

    h = await house(SCRIPT)
    answers(h)
    good = h.dial(pace=1.0)
    await h.live(live.StreamOpened)
    sound = Speaker.perform

    def broken(self, actions):
        target = h.service.calls.find(phone.sid)
        if target is not None and target._speaker is self:
            raise ZeroDivisionError("planted")
        return sound(self, actions)

    phone = h.dial()
    monkeypatch.setattr(Speaker, "perform", broken)
    report = await phone.report()
    assert report.ended == "service"
    ended = await h.app.until("call.ended", call=phone.sid)
    assert ended["data"]["reason"] == "error"
    assert h.service.calls.find(good.sid) is not None
    assert [entry["call"] for entry in logs if entry["event"] == "call.failed"] == [phone.sid]
    assert "ZeroDivisionError: planted" in next(entry for entry in logs if entry["event"] == "call.failed")["exception"]
    logs.all[:] = [entry for entry in logs if entry["event"] != "call.failed"]
    monkeypatch.undo()
    await h.app.until("turn.completed", call=good.sid)
    await good.hang_up()
    await h.empty()


EVERYTHING = [
    {"at_ms": 400, "say": "one", "until_ms": 500, "end_ms": 600},
    {"at_ms": 1_000, "partial": " two"},
    {"at_ms": 2_200, "final": " two three", "end": True},
    {"at_ms": 3_000, "say": "four", "until_ms": 3_100, "end_ms": 3_200},
]
STREAMED = b"".join(json.dumps(action).encode() + b"\n" for action in (SAY, {"type": "pause", "ms": 50}, SAY))


async def streamed(_event, request):
    response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
    await response.prepare(request)
    await response.write(STREAMED)
    return response


def everything(h):
    """A greeting, a provisional turn, a streamed reply, keys, a transfer that fails and comes back, and the end."""
    turns = Counter()
    listen = {"type": "listen", "expect": {"kind": "digits", "digits": 2}, "provisional": False}

    async def turn(event, request):
        turns[event["call"]["id"]] += 1
        match turns[event["call"]["id"]]:
            case 1:
                return {"actions": [SAY, listen]}
            case 2:
                return await streamed(event, request)
            case 3:
                return {"actions": [{"type": "transfer", "to": "+15550177", "timeout": 5}]}
            case _:
                return {"actions": [{"type": "hangup"}]}

    h.app.on("call.started", {"actions": [SAY]})
    h.app.on("turn.provisional", streamed)
    h.app.on("turn.completed", turn)
    h.app.on("transfer.failed", {"actions": [{"type": "hangup"}]})


class Sweep:
    """Cancels calls before they take their n-th input, or a few steps of the loop behind that; counts their inputs."""

    def __init__(self, monkeypatch):
        from voicebot.call.call import Call

        self.plans, self.taken, self.kinds = {}, Counter(), Counter()
        take = Call._take

        async def counted(call, event):
            sid = call.identity.carrier_id
            self.taken[sid] += 1
            self.kinds[type(event).__name__] += 1
            at, count = self.plans.get(sid, (0, 0))
            if self.taken[sid] == at:
                asyncio.get_running_loop().call_soon(self._cancel, sid, count)
                if not count:
                    await asyncio.sleep(0)
            await take(call, event)

        monkeypatch.setattr(Call, "_take", counted)

    def _cancel(self, sid, count):
        """Cancel, after so many steps."""
        if count:
            asyncio.get_running_loop().call_soon(self._cancel, sid, count - 1)
        elif task := the_call(sid):
            task.cancel()

    async def call(self, h, at=0, count=0):
        """Make the whole call, cancelled at its `at`th input; returns how many inputs it took."""
        phone = h.dial(Wait(wait=1.2), Dtmf(dtmf="12", optional=True), Wait(wait=60))
        self.plans[phone.sid] = (at, count)
        await gone(h, phone, await appears(h, phone.sid))
        return self.taken[phone.sid]


LEAST_INPUTS = 20
"""A call with everything in it takes more."""
AT_ONCE = 16


async def told(h, sids):
    """Wait until every event that the store has of these calls is delivered, or waits and it says why."""
    query = select(schema.events).where(schema.events.c.call_id.in_(sids))
    async with asyncio.timeout(DEADLINE_S):
        while True:
            rows = await h.service.calls._rooms.store.read(query)
            untold = [row for row in rows if row["state"] != "delivered"]
            if all(row["state"] == "pending" and row["last_error"] for row in untold):
                break
            await asyncio.sleep(0.02)  # what a call left is delivered in the background, and nobody tells
    assert rows
    assert {row["id"] for row in rows} - {row["id"] for row in untold} <= {event["id"] for event in h.app.events}
    for sid in sids:
        sequences = sorted(row["sequence"] for row in rows if row["call_id"] == sid)
        assert sequences == list(range(1, len(sequences) + 1))


@pytest.fixture
def temporary(monkeypatch, tmp_path):
    """Where temporary files go."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    for name in ("TMPDIR", "SQLITE_TMPDIR"):
        monkeypatch.setenv(name, str(folder))
    return folder


@pytest.mark.timeout(150)
async def test_at_every_input_of_a_whole_call(house, monkeypatch, temporary, level):
    """A call with everything in it, again and again, each cancelled a little later in its life."""
    monkeypatch.setattr(courier, "KEEPALIVE_S", 0.1)  # idle connections end at once: what stays open is a leak
    turns = AFTER_A_SECOND | {"commit_after_ms": 400}
    # Sixteen calls with everybody in one process may be late on a busy machine; none may be refused for that.
    h = await house(EVERYTHING, default={"turns": turns}, soniox={"tts_idle_close_s": 0.1}, limits={"max_lag_ms": 0})
    everything(h)
    sweep = Sweep(monkeypatch)
    whole = await sweep.call(h)
    assert whole > LEAST_INPUTS
    assert set(sweep.kinds) >= {
        "FromTrack",
        "Digit",
        "MarkReached",
        "Replied",
        "Streamed",
        "LegClosed",
        "Dialed",
        "Tick",
    }
    plans = [(at, (0, 1, 5)[at % 3]) for at in range(1, whole + 1)]
    await h.tap.changed.until(lambda _news: all(session.closed for session in h.tap.sessions))
    async with level():
        for begin in range(0, len(plans), AT_ONCE):
            async with level(), asyncio.TaskGroup() as group:
                for plan in plans[begin : begin + AT_ONCE]:
                    group.create_task(sweep.call(h, *plan))
            await h.empty()
            assert len(h.service.calls) == h.metric("calls") == 0
            assert list(temporary.iterdir()) == []
            await told(h, list(sweep.plans))
    assert [session for session in h.tap.stt if not session.closed] == []
