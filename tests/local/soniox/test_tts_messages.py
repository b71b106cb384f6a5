import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicebot.local.engines.tone import Tone
from voicebot.local.soniox.refusals import Refused
from voicebot.local.soniox.sentences import LONGEST, SentenceSplitter
from voicebot.local.soniox.speech import characters_between, chunks, convert, speak
from voicebot.local.soniox.tts_messages import (
    Cancel,
    KeepAlive,
    SpeechConfig,
    Start,
    StreamRefused,
    Text,
    read_message,
)

ANY = frozenset()
START = {
    "stream_id": "s1",
    "model": "tts-rt-v2",
    "language": "en",
    "voice": "Maya",
    "audio_format": "pcm_mulaw",
    "sample_rate": 8000,
}


def read(message, languages=ANY):
    return read_message(json.dumps(message), languages)


def config(**changes):
    defaults = {
        "language": "en",
        "voice": "Maya",
        "audio_format": "pcm_mulaw",
        "rate": 8000,
        "speed": 1.0,
        "timestamps": False,
    }
    return SpeechConfig(**{**defaults, **changes})


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        pytest.param(START, Start("s1", config(), None), id="start"),
        pytest.param({**START, "api_key": "k", "speed": 1.3}, Start("s1", config(speed=1.3), "k"), id="start, old key"),
        pytest.param({**START, "sample_rate": None}, Start("s1", config(rate=24_000), None), id="start, no rate"),
        pytest.param(
            {**START, "language": "en-GB", "return_timestamps": True},
            Start("s1", config(timestamps=True), None),
            id="start, region",
        ),
        pytest.param({"stream_id": "s1", "text": "Hi"}, Text("s1", "Hi", end=False), id="text"),
        pytest.param({"stream_id": "s1", "text": "", "text_end": True}, Text("s1", "", end=True), id="end of text"),
        pytest.param({"stream_id": "s1", "text_end": True}, Text("s1", "", end=True), id="end without text"),
        pytest.param({"stream_id": "s1", "cancel": True}, Cancel("s1"), id="cancel"),
        pytest.param({"keep_alive": True}, KeepAlive(), id="keep alive"),
    ],
)
def test_messages(message, expected):
    assert read(message) == expected


@pytest.mark.parametrize(
    ("change", "text"),
    [
        pytest.param({"model": None}, "Missing model.", id="no model"),
        pytest.param({"model": "tts-rt-v9"}, "Invalid model specified: tts-rt-v9.", id="unknown model"),
        pytest.param({"language": None}, "Missing language.", id="no language"),
        pytest.param({"voice": ""}, "Missing voice.", id="no voice"),
        pytest.param({"audio_format": None}, "Missing audio format.", id="no format"),
        pytest.param({"audio_format": "mulaw"}, "Invalid audio format: mulaw", id="the name that speech-to-text uses"),
        pytest.param(
            {"audio_format": "mp3"}, "Invalid audio format: the local server does not write mp3", id="compressed"
        ),
        pytest.param({"sample_rate": 11_025}, "Invalid sample rate", id="rate"),
        pytest.param({"speed": 1.4}, "speed must be between 0.7 and 1.3.", id="speed"),
        pytest.param({"return_timestamps": 1}, "return_timestamps must be a boolean.", id="flag"),
    ],
)
def test_a_bad_start_is_refused_for_its_stream(change, text):
    with pytest.raises(StreamRefused) as refused:
        read({**START, **change})
    assert (refused.value.stream_id, refused.value.over) == ("s1", True)
    assert refused.value.refusal.text.startswith(text)


def test_a_voice_refuses_languages_it_does_not_speak():
    with pytest.raises(StreamRefused, match=r"Invalid language: ja\. The local voice speaks de, en\."):
        read({**START, "language": "ja"}, frozenset({"en", "de"}))


def test_text_has_a_limit():
    assert read({"stream_id": "s", "text": "x" * 5000}) == Text("s", "x" * 5000, end=False)
    with pytest.raises(StreamRefused, match="Text is too long"):
        read({"stream_id": "s", "text": "x" * 5001})


@pytest.mark.parametrize(
    "message",
    ["", "{", "[]", '{"text": "a"}', '{"stream_id": ""}', '{"stream_id": 5}', json.dumps({"stream_id": "x" * 257})],
)
def test_what_belongs_to_no_stream_is_refused_for_the_connection(message):
    with pytest.raises(Refused) as refused:
        read_message(message, ANY)
    assert not isinstance(refused.value, StreamRefused)
    assert refused.value.refusal.code == 400


@pytest.mark.parametrize(
    ("fed", "pieces", "rest"),
    [
        pytest.param(["Hello there. How are you?"], ["Hello there. "], "How are you?", id="two sentences"),
        pytest.param(["H", "ello.", " ", "Yes"], ["Hello. "], "Yes", id="in small pieces"),
        pytest.param(["It costs 3.50 euros"], [], "It costs 3.50 euros", id="a point inside a number"),
        pytest.param(['He said "no!" Then'], ['He said "no!" '], "Then", id="behind a quotation mark"),
        pytest.param(["a; b: c"], ["a; ", "b: "], "c", id="half stops"),
        pytest.param([""], [], "", id="nothing"),
    ],
)
def test_sentences_are_cut_when_they_are_complete(fed, pieces, rest):
    splitter = SentenceSplitter()
    assert [piece for text in fed for piece in splitter.feed(text)] == pieces
    assert splitter.finish() == rest


def test_a_sentence_that_gets_too_long_is_cut_at_a_comma_or_space_or_anywhere():
    text = "word, " * 60
    pieces = SentenceSplitter().feed(text)
    assert all(len(piece) <= LONGEST and piece.endswith(", ") for piece in pieces)
    assert [len(piece) for piece in SentenceSplitter().feed("x" * 450)] == [LONGEST, LONGEST]


@given(st.lists(st.text(alphabet="ab .,!?\n", max_size=300), max_size=8))
def test_no_text_is_lost_or_changed(fed):
    splitter = SentenceSplitter()
    pieces = [piece for text in fed for piece in splitter.feed(text)]
    assert "".join([*pieces, splitter.finish()]) == "".join(fed)


@pytest.mark.parametrize(
    ("audio_format", "rate", "bytes_per_second"),
    [
        ("pcm_mulaw", 8000, 8000),
        ("pcm_alaw", 8000, 8000),
        ("pcm_s16le", 16_000, 32_000),
        ("pcm_s16le", 44_100, 88_200),
        ("wav", 24_000, 48_000),
        ("pcm_f32le", 48_000, 192_000),
    ],
)
def test_every_format_has_the_right_length(audio_format, rate, bytes_per_second):
    spoken = speak(Tone(), "x" * 50, config(audio_format=audio_format, rate=rate), 0.0)
    assert spoken.seconds == pytest.approx(3.0, abs=0.01)
    assert len(spoken.audio) == pytest.approx(3 * bytes_per_second, abs=bytes_per_second / 100)


def test_speed_shortens_speech():
    assert speak(Tone(), "x" * 50, config(speed=1.25), 0.0).seconds == pytest.approx(2.4, abs=0.01)


def test_nothing_to_convert_is_nothing():
    assert convert(b"", 16_000, config()) == b""


def test_chunks_follow_one_another_and_hold_every_character_once():
    spoken = speak(Tone(), "Hello, how are you?", config(), 5.0)
    pieces = chunks(spoken, config())
    assert b"".join(audio for audio, _, _ in pieces) == spoken.audio
    assert all(len(audio) == 960 for audio, _, _ in pieces[:-1])
    parts = [characters_between(spoken, start, end) for _, start, end in pieces]
    assert "".join(character for part in parts for character in part["characters"]) == spoken.text
    starts = [start for part in parts for start in part["character_start_times_seconds"]]
    ends = [end for part in parts for end in part["character_end_times_seconds"]]
    assert starts == sorted(starts)
    assert (starts[0], ends[-1]) == (5.0, pytest.approx(5 + spoken.seconds, abs=0.01))
