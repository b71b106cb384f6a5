import pytest

from voicebot.local.soniox.frames import Frames, FrameStyle
from voicebot.local.soniox.misbehaviour import Fault, FaultClock, bend
from voicebot.local.soniox.options import Faults
from voicebot.local.soniox.refusals import IDLE, by_code, error_fields


def token(text, end_ms=100):
    return {"text": text, "start_ms": 0, "end_ms": end_ms, "confidence": 0.9}


def frames(**style):
    return Frames(FrameStyle(**style))


def test_the_ack_is_empty_and_at_zero():
    assert frames().ack() == {"tokens": [], "final_audio_proc_ms": 0, "total_audio_proc_ms": 0}


def test_a_sketch_is_a_snapshot_and_moves_only_the_total():
    frame = frames().sketch([token("a"), token(" b")], 500)
    assert [(entry["text"], entry["is_final"]) for entry in frame["tokens"]] == [("a", False), (" b", False)]
    assert (frame["final_audio_proc_ms"], frame["total_audio_proc_ms"]) == (0, 500)


def test_nothing_heard_and_nothing_shown_says_nothing():
    quiet = frames()
    assert quiet.sketch([], 500) is None
    assert quiet.settle([], 600) is None


def test_words_shown_are_taken_back_by_an_empty_frame():
    told = frames()
    told.sketch([token("a")], 500)
    assert told.settle([], 900)["tokens"] == []
    assert told.settle([], 1000) is None


def test_settled_words_come_before_the_control_token_and_the_next_utterance_after_it():
    frame = frames().settle([token("a", 300)], 900, control="<end>", tail=[token(" b", 880)])
    assert [(entry["text"], entry["is_final"]) for entry in frame["tokens"]] == [
        ("a", True),
        ("<end>", True),
        (" b", False),
    ]
    assert frame["total_audio_proc_ms"] == 900


def test_with_words_pending_the_final_counter_stops_at_the_last_final_word():
    frame = frames().settle([token("a", 300)], 900, tail=[token(" b", 880)])
    assert (frame["final_audio_proc_ms"], frame["total_audio_proc_ms"]) == (300, 900)


@pytest.mark.parametrize(
    ("timestamps", "expected"), [(False, {"text", "is_final"}), (True, {"text", "is_final", "start_ms", "end_ms"})]
)
def test_control_tokens_are_bare_unless_ordered(timestamps, expected):
    frame = frames(control_timestamps=timestamps).settle([], 900, control="<end>")
    assert set(frame["tokens"][0]) == expected


def test_counters_never_go_back():
    told = frames()
    seen = [
        told.sketch([token("a")], 1000),
        told.settle([token("a")], 700),
        told.settle([], 800, control="<fin>"),
        told.finished(900),
    ]
    totals = [frame["total_audio_proc_ms"] for frame in seen]
    final = [frame["final_audio_proc_ms"] for frame in seen]
    assert totals == [1000, 1000, 1000, 1000]
    assert final == [0, 700, 800, 1000]


def test_the_last_frame_has_equal_counters_and_no_tokens():
    assert frames().finished(1234) == {
        "tokens": [],
        "final_audio_proc_ms": 1234,
        "total_audio_proc_ms": 1234,
        "finished": True,
    }


def test_a_client_may_want_no_tentative_words():
    told = frames(non_final=False)
    assert told.sketch([token("a")], 500) is None
    assert [entry["text"] for entry in told.settle([token("a")], 900, tail=[token(" b")])["tokens"]] == ["a"]


def test_an_error_frame_has_every_key_and_others_have_none():
    frame = frames().error(IDLE, "an-id")
    assert frame == {
        "tokens": [],
        "final_audio_proc_ms": 0,
        "total_audio_proc_ms": 0,
        "error_code": 408,
        "error_type": "request_timeout",
        "error_message": "Request timeout.",
        "more_info": "https://soniox.com/docs/api-reference/errors#request-timeout",
        "request_id": "an-id",
    }
    assert not set(error_fields(IDLE, "")) & set(frames().finished(1))


@pytest.mark.parametrize(
    ("code", "kind"), [(503, "service_unavailable"), (429, "limit_exceeded"), (418, "internal_error")]
)
def test_errors_by_code(code, kind):
    assert (by_code(code).code, by_code(code).kind) == (code, kind)


def test_each_timed_fault_is_due_once():
    clock = FaultClock(Faults(drop_at_ms=500, garbage_at_ms=100, error_at_ms=500))
    assert clock.due(99) == []
    assert clock.due(450) == [Fault.GARBAGE]
    assert clock.due(450) == []
    assert clock.due(1000) == [Fault.ERROR, Fault.DROP]


FRAME = {"tokens": [{"text": "a"}, {"text": "<end>"}, {"text": "<fin>"}], "total_audio_proc_ms": 5}


@pytest.mark.parametrize(
    ("faults", "texts"),
    [
        pytest.param(Faults(), ["a", "<end>", "<fin>"], id="none"),
        pytest.param(Faults(never_end=True), ["a", "<fin>"], id="never end"),
        pytest.param(Faults(silent=True), ["<fin>"], id="silent"),
    ],
)
def test_standing_faults_bend_frames(faults, texts):
    assert [entry["text"] for entry in bend(FRAME, faults)["tokens"]] == texts


def test_a_frame_that_loses_all_its_tokens_is_not_sent_but_an_empty_one_is():
    silent = Faults(silent=True)
    assert bend({"tokens": [{"text": "a"}]}, silent) is None
    assert bend({"tokens": [], "finished": True}, silent) == {"tokens": [], "finished": True}
