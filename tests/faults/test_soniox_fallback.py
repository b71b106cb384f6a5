"""The first account refuses or fails: the second one is used, by this call and by the next ones."""

import pytest

from voicebot import live
from voicebot.local.soniox.server import Faults, LocalSonioxOptions, Script, local_soniox

HELLO = [{"at_ms": 300, "say": "hello there my friend", "until_ms": 1_500, "end_ms": 2_000}]
HANG_UP = {"actions": [{"type": "say", "text": "Good bye."}, {"type": "hangup"}]}


def told(h):
    return [event["data"]["turn"]["text"] for event in h.app.of("turn.completed")]


def keys(sessions):
    return [session.key.removeprefix("Bearer ") for session in sessions]


async def test_a_second_key_is_used_when_the_first_is_refused_and_no_word_is_lost(house, logs):
    """Speech-to-text and text-to-speech both; the next call does not try the refused key again."""
    h = await house(HELLO, soniox={"api_key": "another-key", "fallback": {"api_key": "the-key"}})
    h.app.on("turn.completed", HANG_UP)
    await h.call()
    assert told(h) == ["hello there my friend"]
    assert keys(h.tap.stt) == ["another-key", "the-key"]
    assert h.metric("soniox_fallback") == 1
    assert h.metric("soniox_reconnects_total", why="fallback") == 1
    assert [event["data"]["text"] for event in h.app.of("speech.finished")] == ["Good bye."]
    assert h.app.of("call.degraded") == []
    await h.call()
    assert told(h) == ["hello there my friend"] * 2
    assert keys(h.tap.stt)[2:] == ["the-key"]
    assert "the-key" not in str(logs.all) and "another-key" not in str(logs.all)


@pytest.mark.parametrize("code", [402, 403, 500])
async def test_in_mid_turn(house, code):
    fault = Faults(error_at_ms=900, error_code=code)
    faults = [fault, None] if code != 500 else [fault, Faults(error_at_ms=1, error_code=500), None]
    h = await house(
        [HELLO, HELLO, HELLO][: len(faults)],
        faults=faults,
        soniox={"connect_attempts": 1, "fallback": {"api_key": "the-key "}},
    )
    h.app.on("turn.completed", HANG_UP)
    await h.call()
    assert told(h) == ["hello there my friend"]
    assert h.metric("soniox_fallback") == 1


async def test_when_the_first_works_again_it_is_preferred_again(house):
    h = await house(
        [HELLO, HELLO, HELLO],
        faults=[Faults(error_at_ms=100, error_code=402), None, None],
        soniox={"fallback_retry_s": 0.01, "fallback": {"api_key": "the-key "}},
    )
    h.app.on("turn.completed", HANG_UP)
    await h.call()
    await h.call()
    assert told(h) == ["hello there my friend"] * 2
    assert keys(h.tap.stt)[-1] == "the-key"
    await h.live(live.CallClosed, count=2)
    assert h.metric("soniox_fallback") == 0


async def test_both_refuse(house):
    h = await house(HELLO, soniox={"api_key": "another-key", "fallback": {"api_key": "a-third-key"}})
    h.app.on("call.degraded", {"actions": [{"type": "hangup"}]})
    await h.call()
    [degraded] = h.app.of("call.degraded")
    assert (degraded["data"]["code"], degraded["data"]["recovering"]) == (401, False)
    assert keys(h.tap.stt)[:2] == ["another-key", "a-third-key"]


@pytest.fixture
async def other_region():
    """A second Soniox, which has an address and a key of its own; with it come the notes that it takes."""
    notes = []
    options = LocalSonioxOptions(key="its-own-key", script=Script.parse(HELLO))
    async with local_soniox(options, notify=notes.append) as soniox:
        yield soniox, notes


@pytest.mark.parametrize(
    ("faults", "kind"),
    [
        pytest.param([Faults(error_at_ms=900, error_code=402)], "organization_balance_exhausted", id="refuses"),
        pytest.param([Faults(drop_at_ms=900), Faults(drop_at_ms=1)], "connection_lost", id="is gone"),
    ],
)
async def test_the_fallback_is_at_another_address(other_region, house, logs, faults, kind):
    """In mid-turn recognition moves there, and so does the voice of what is said next; the first is left alone."""
    there, notes = other_region
    fallback = {"api_key": "its-own-key", "stt_url": there.stt_url, "tts_url": there.tts_url}
    h = await house([HELLO] * len(faults), faults=faults, soniox={"connect_attempts": 1, "fallback": fallback})
    h.app.on("turn.completed", HANG_UP)
    await h.call()
    [turn] = h.app.of("turn.completed")
    assert turn["data"]["turn"]["text"] == "hello there my friend"
    assert [word["start_ms"] for word in turn["data"]["turn"]["words"]] == [300, 600, 900, 1_200]
    assert h.app.of("call.degraded") == []
    assert h.metric("soniox_errors_total", side="stt", kind=kind) >= 1
    assert h.metric("soniox_reconnects_total", why="fallback") == 1
    assert h.metric("soniox_fallback") == 1
    assert h.metric("audio_dropped_ms_total") == 0
    sessions = [entry["fallback"] for entry in logs if entry["event"] == "stt.connected"]
    assert sessions == [False] * len(faults) + [True]
    assert [event["data"]["text"] for event in h.app.of("speech.finished")] == ["Good bye."]
    assert [note.split()[0] for note in notes if note.endswith("connected") or " started" in note] == ["stt", "tts"]
    await h.call()
    assert told(h) == ["hello there my friend"] * 2
    assert len(h.tap.stt) == len(faults)
    assert "its-own-key" not in str(logs.all)
