"""The wall clock is set while a call runs: nothing that is counted or waited for follows it, signatures stay valid."""

import sys
import time
from datetime import UTC, datetime, timedelta

import pytest

REAL, REAL_TIME = datetime, time.time
HELLO = [
    {"at_ms": 300, "say": "one", "until_ms": 500, "end_ms": 700},
    {"at_ms": 6_000, "say": "two", "until_ms": 6_200, "end_ms": 6_400},
]
SAY = {"type": "say", "text": "An answer."}


class Kind(type):
    def __instancecheck__(cls, value):
        return isinstance(value, REAL)


@pytest.fixture
def clock(monkeypatch):
    """Sets the wall clock of this process: `clock(seconds)` forwards or back, for whoever asks from then on."""
    offset = timedelta(0)

    class Shifted(REAL, metaclass=Kind):
        @classmethod
        def now(cls, tz=None):
            return REAL.now(tz) + offset

    for name, module in list(sys.modules.items()):
        known = name.startswith(("voicebot", "standardwebhooks")) and getattr(module, "datetime", None) is REAL
        if known:
            monkeypatch.setattr(module, "datetime", Shifted)

    def jump(seconds):
        nonlocal offset
        offset = timedelta(seconds=seconds)
        monkeypatch.setattr(time, "time", lambda: REAL_TIME() + seconds)

    return jump


@pytest.mark.parametrize("seconds", [-3_600, 3_600], ids=["back", "forwards"])
async def test_it_jumps_in_mid_call(house, clock, level, seconds):
    """The application's clock is set with ours: it accepts no signature that is older than five minutes."""
    h = await house(HELLO, default={"turns": {"no_input_ms": 60_000}})
    h.app.on("turn.completed", {"actions": [SAY]}, {"actions": [SAY, {"type": "hangup"}]})
    other = h.dial(pace=1.0)
    phone = h.dial()
    await h.app.until("speech.finished", call=phone.sid)
    clock(seconds)
    report = await phone.report()
    assert (report.ended, report.notes) == ("service", [])
    ended = await h.app.until("call.ended", call=phone.sid)
    told = [event for event in h.app.events if event["call"]["id"] == phone.sid]
    assert [event["sequence"] for event in told] == list(range(1, len(told) + 1))
    first, second = h.app.of("turn.completed", phone.sid)
    apart = REAL.fromisoformat(second["created_at"]) - REAL.fromisoformat(first["created_at"])
    assert abs(apart.total_seconds() - seconds) < 60, "an event says when it was, as the clock has it"
    latency = second["data"]["latency"]
    assert latency and all(0 <= ms < 20_000 for ms in latency.values() if ms is not None)
    assert 0 < ended["data"]["duration_ms"] < 60_000
    started = REAL.fromisoformat(ended["call"]["started_at"])
    at = [(REAL.fromisoformat(line["at"]) - started).total_seconds() for line in ended["data"]["transcript"]]
    assert at == sorted(at) and 0 <= at[0] <= at[-1] < 60
    assert h.service.calls.find(other.sid) is not None
    await other.hang_up()
    await h.empty()
    assert [len(h.app.of("call.ended", sid)) for sid in (phone.sid, other.sid)] == [1, 1]
    assert abs((REAL.fromisoformat(h.app.events[-1]["created_at"]) - REAL.now(UTC)).total_seconds() - seconds) < 60
