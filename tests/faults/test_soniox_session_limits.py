"""Soniox ends a session for its age or its silence, or we do before: another takes over, nobody notices."""

import pytest

from voicebot.local.soniox.server import Faults

HELLO = [{"at_ms": 300, "say": "hello there my friend", "until_ms": 1_500, "end_ms": 2_000}]
HANG_UP = {"actions": [{"type": "hangup"}]}


def told(h):
    return [event["data"]["turn"]["text"] for event in h.app.of("turn.completed")]


@pytest.mark.parametrize("code", [408, 413])
async def test_its_limit_is_reached_in_mid_turn(house, logs, code):
    h = await house(
        [HELLO, HELLO], faults=[Faults(error_at_ms=900, error_code=code), None], soniox={"connect_attempts": 1}
    )
    h.app.on("turn.completed", HANG_UP)
    await h.call()
    assert told(h) == ["hello there my friend"]
    assert len(h.tap.stt) == 2
    [lost] = [entry for entry in logs if entry["event"] == "stt.lost"]
    assert lost["wait_s"] == 0


async def test_a_quiet_moment_is_taken_for_a_new_session(house):
    """Words, then silence that is longer than the session may grow old; the next words are the second session's."""
    later = [{"at_ms": 9_000, "say": "good bye", "until_ms": 9_500, "end_ms": 9_800}]
    h = await house([HELLO, later], soniox={"rollover_s": 0.2, "rollover_patience_s": 60})
    h.app.on("turn.completed", {}, HANG_UP)
    await h.call()
    assert told(h) == ["hello there my friend", "good bye"]
    assert h.metric("soniox_reconnects_total", why="rollover") >= 1
    assert h.metric("soniox_errors_total", side="stt", kind="rollover") == 0
    assert h.metric("audio_dropped_ms_total") == 0


async def test_without_a_quiet_moment_it_is_taken_in_mid_turn_and_no_word_is_lost(house):
    """At six times the pace of speech the first session grows old before the words are over."""
    h = await house(
        [HELLO, HELLO, HELLO],
        soniox={"rollover_s": 0.25, "rollover_patience_s": 0.01},
        default={"turns": {"finalize_after_ms": 10_000, "commit_after_ms": 30_000}},
    )
    h.app.on("turn.completed", HANG_UP)
    await h.call()
    assert told(h) == ["hello there my friend"]
    assert len(h.tap.stt) >= 2
