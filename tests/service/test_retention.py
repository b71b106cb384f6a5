"""A running service deletes the calls that are too old, with their recordings, and never one that lives."""

import sqlite3
from contextlib import closing

HELLO = {"at_ms": 300, "say": "hello there", "until_ms": 600, "end_ms": 800}
A_TENTH_OF_A_SECOND = 0.1 / 86_400


def count(folder, table):
    with closing(sqlite3.connect(folder / "0" / "calls.db")) as connection:
        return connection.execute(f"select count(*) from {table}").fetchone()[0]


async def test_what_is_too_old_goes_once_the_call_is_over(house, tmp_path, logs):
    recordings = tmp_path / "recordings"
    h = await house(
        [HELLO],
        default={"retention_days": A_TENTH_OF_A_SECOND},
        store={"sweep_every_s": 0.05},
        record={"directory": str(recordings)},
    )
    h.app.on("turn.completed", {"actions": [{"type": "say", "text": "Goodbye."}, {"type": "hangup"}]})
    phone = h.dial()
    await h.app.until("turn.completed")
    assert count(tmp_path, "calls") == 1
    await phone.report()
    await logs.until(lambda entry: entry["event"] == "store.swept")
    assert [count(tmp_path, table) for table in ("calls", "turns", "utterances", "events")] == [0, 0, 0, 0]
    assert list(recordings.iterdir()) == []
