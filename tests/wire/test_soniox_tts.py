"""Soniox's text-to-speech messages, as tables."""

import base64
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from tests.wire.nearly import damaged, nearly
from voicebot.errors import PeerProtocolError
from voicebot.wire.soniox_errors import ErrorFrame, Retry
from voicebot.wire.soniox_tts import (
    Ignored,
    Speech,
    Terminated,
    TtsError,
    VoiceOptions,
    cancel_message,
    read,
    read_any,
    read_speech,
    start_message,
    text_message,
)


def test_messages_out():
    assert json.loads(start_message("s1", VoiceOptions(reduce_silence=True))) == {
        "stream_id": "s1",
        "model": "tts-rt-v2",
        "language": "en",
        "voice": "Adrian",
        "reduce_silence": True,
        "audio_format": "pcm_mulaw",
        "sample_rate": 8000,
        "return_timestamps": True,
    }
    assert json.loads(text_message("s1", "Grüße", last=True)) == {"stream_id": "s1", "text": "Grüße", "text_end": True}
    assert json.loads(cancel_message("s1")) == {"stream_id": "s1", "cancel": True}


@pytest.mark.parametrize("options", [{"speed": 0.6}, {"speed": 1.4}, {"language": "english"}, {"voice": ""}, {"x": 1}])
def test_wrong_options_are_refused(options):
    with pytest.raises(ValidationError):
        VoiceOptions.model_validate(options)


TIMES = {
    "characters": ["a", "b"],
    "character_start_times_seconds": [0, 0.1],
    "character_end_times_seconds": [0.1, 0.2004],
}


@pytest.mark.parametrize(
    ("frame", "event"),
    [
        pytest.param(
            {"audio": "AAE=", "audio_end": False, "stream_id": "s"}, Speech("s", b"\0\1", (), last=False), id="audio"
        ),
        pytest.param({"audio": "", "audio_end": True, "stream_id": "s"}, Speech("s", b"", (), last=True), id="end"),
        pytest.param({"audio_end": True, "stream_id": "s"}, Speech("s", b"", (), last=True), id="end-without-audio"),
        pytest.param(
            {"audio": "AA==", "stream_id": "s", "timestamps": TIMES},
            Speech("s", b"\0", (("a", 0, 100), ("b", 100, 200)), last=False),
            id="timestamps",
        ),
        pytest.param({"terminated": True, "stream_id": "s"}, Terminated("s"), id="terminated"),
        pytest.param(
            {"stream_id": "s", "error_code": 400, "error_type": "invalid_request", "error_message": "m"},
            TtsError("s", ErrorFrame(400, "invalid_request", "m", "", Retry.NEVER)),
            id="stream-error",
        ),
        pytest.param(
            {"error_code": 401, "error_message": "m"},
            TtsError(None, ErrorFrame(401, "error_401", "m", "", Retry.NEVER)),
            id="connection-error",
        ),
        pytest.param({}, Ignored(), id="empty"),
        pytest.param({"something": "new"}, Ignored(), id="unknown"),
    ],
)
def test_messages_in(frame, event):
    assert read(json.dumps(frame)) == event


@pytest.mark.parametrize(
    ("frame", "complaint"),
    [
        ({"audio": "*", "stream_id": "s"}, "audio: not base64"),
        ({"audio": "ä", "stream_id": "s"}, "audio: not base64"),
        ({"audio": 5, "stream_id": "s"}, "audio: expected a string"),
        ({"audio": "AA=="}, "stream_id: missing"),
        ({"audio": "AA==", "stream_id": 1}, "stream_id: expected a string"),
        ({"terminated": 1, "stream_id": "s"}, "terminated: expected true or false"),
        ({"audio": "AA==", "stream_id": "s", "timestamps": []}, "timestamps: expected an object"),
        ({"audio": "AA==", "stream_id": "s", "timestamps": {**TIMES, "characters": ["a"]}}, "different lengths"),
        ({"audio": "AA==", "stream_id": "s", "timestamps": {**TIMES, "characters": [1, 2]}}, "characters: expected"),
        (
            {"audio": "AA==", "stream_id": "s", "timestamps": {**TIMES, "character_end_times_seconds": [0, "1"]}},
            "character_end_times_seconds: expected a number",
        ),
    ],
)
def test_wrong_types_are_named(frame, complaint):
    with pytest.raises(PeerProtocolError, match=complaint):
        read(json.dumps(frame))


# --- the short way --------------------------------------------------------------------------------

AUDIO = st.binary(min_size=1, max_size=20).map(lambda audio: base64.b64encode(audio).decode())
SECONDS = st.floats(0, 120) | st.integers(0, 120)
CHARACTERS = st.lists(st.tuples(st.text(max_size=2), SECONDS, SECONDS), max_size=4)


def timestamps(characters):
    return {
        "characters": [character for character, _, _ in characters],
        "character_start_times_seconds": [start for _, start, _ in characters],
        "character_end_times_seconds": [end for _, _, end in characters],
    }


SPEECH = st.fixed_dictionaries(
    {"stream_id": st.text(min_size=1, max_size=4), "audio": AUDIO},
    optional={"audio_end": st.booleans(), "timestamps": CHARACTERS.map(timestamps)},
)
OTHERS = st.fixed_dictionaries(
    {}, optional={"stream_id": st.just("s"), "terminated": st.booleans(), "error_code": st.sampled_from([0, 400, 503])}
)
MESSAGES = nearly(SPEECH | OTHERS)


def outcome(reader, written):
    try:
        return reader(written)
    except PeerProtocolError as error:
        return str(error)


@given(MESSAGES | damaged(MESSAGES, st.text(max_size=2)))
@settings(max_examples=500)
def test_the_short_way_and_the_long_way_agree(written):
    assert outcome(read, written) == outcome(read_any, written)


@given(st.binary(min_size=1, max_size=500), CHARACTERS, st.booleans())
def test_speech_as_documented_takes_the_short_way(audio, characters, last):
    frame = {"audio": base64.b64encode(audio).decode(), "audio_end": last, "stream_id": "s"}
    for written in (json.dumps(frame), json.dumps(frame | {"timestamps": timestamps(characters)})):
        speech = read_speech(written)
        assert speech is not None
        assert speech == read_any(written)


GOOD = {"audio": "AA==", "stream_id": "s"}


@pytest.mark.parametrize(
    "frame",
    [
        pytest.param({"terminated": True, "stream_id": "s"}, id="no speech"),
        pytest.param(GOOD | {"new": 1}, id="a new field"),
        pytest.param(GOOD | {"error_code": 400, "error_message": "no"}, id="an error"),
        pytest.param(GOOD | {"audio": "AA="}, id="broken base64"),
        pytest.param(GOOD | {"stream_id": ""}, id="nobody's"),
        pytest.param(GOOD | {"timestamps": TIMES | {"characters": ["a"]}}, id="lists of different lengths"),
        pytest.param(GOOD | {"timestamps": TIMES | {"characters": ["a", "\ud800"]}}, id="half a character"),
        pytest.param(GOOD | {"timestamps": TIMES | {"character_end_times_seconds": [1, 1e12]}}, id="no time"),
    ],
)
def test_anything_else_takes_the_long_way(frame):
    written = json.dumps(frame)
    assert read_speech(written) is None
    assert outcome(read, written) == outcome(read_any, written)
