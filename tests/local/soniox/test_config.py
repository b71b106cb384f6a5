import json

import pytest

from voicebot.local.soniox.config import read_config, read_start
from voicebot.local.soniox.endpoint import EndpointSettings
from voicebot.local.soniox.formats import SampleFormat, raw_format
from voicebot.local.soniox.refusals import Refused

GOOD = {"model": "stt-rt-v5", "audio_format": "mulaw", "sample_rate": 8000, "num_channels": 1}
TWO_WAY = {"type": "two_way", "language_a": "en", "language_b": "es"}
RAW = [
    "pcm_s8",
    "pcm_s16le",
    "pcm_s16be",
    "pcm_s24le",
    "pcm_s24be",
    "pcm_s32le",
    "pcm_s32be",
    "pcm_u8",
    "pcm_u16le",
    "pcm_u16be",
    "pcm_u24le",
    "pcm_u24be",
    "pcm_u32le",
    "pcm_u32be",
    "pcm_f32le",
    "pcm_f32be",
    "pcm_f64le",
    "pcm_f64be",
    "mulaw",
    "alaw",
]
CONTAINERS = ["auto", "aac", "aiff", "amr", "asf", "flac", "mp3", "ogg", "wav", "webm"]


def refusal(raw, *, english_only=False):
    with pytest.raises(Refused) as refused:
        read_config(raw, english_only=english_only)
    return refused.value.refusal


@pytest.mark.parametrize("name", RAW)
def test_every_raw_format_is_accepted(name):
    config = read_config({**GOOD, "audio_format": name}, english_only=True)
    assert config.audio.sample == raw_format(name)
    assert config.audio.frame_bytes > 0


@pytest.mark.parametrize("name", CONTAINERS)
def test_a_container_needs_no_rate(name):
    config = read_config({"model": "stt-rt-v5", "audio_format": name}, english_only=True)
    assert config.audio.sample is None


@pytest.mark.parametrize(
    ("name", "sample"),
    [
        pytest.param("s16le", SampleFormat("signed", 2), id="old alias"),
        pytest.param("pcm_u24be", SampleFormat("unsigned", 3, big_endian=True), id="u24be"),
        pytest.param("pcm_f64le", SampleFormat("float", 8), id="f64le"),
        pytest.param("pcm_s16", None, id="no byte order"),
        pytest.param("pcm_s8le", None, id="byte order of one byte"),
        pytest.param("pcm_f16le", None, id="no such width"),
        pytest.param("pcm_mulaw", None, id="the name that text-to-speech uses"),
    ],
)
def test_raw_names(name, sample):
    assert raw_format(name) == sample


@pytest.mark.parametrize(
    ("change", "text"),
    [
        pytest.param({"model": None}, "Missing model.", id="no model"),
        pytest.param({"model": "stt-rt-v9"}, "Invalid model specified: stt-rt-v9.", id="unknown model"),
        pytest.param({"audio_format": None}, "Missing audio format.", id="no format"),
        pytest.param({"audio_format": "avi"}, "Invalid audio data format: avi", id="unknown format"),
        pytest.param({"sample_rate": None}, "Audio data sample rate must be specified for PCM formats", id="no rate"),
        pytest.param({"num_channels": None}, "Audio data channels must be specified for PCM formats", id="no channels"),
        pytest.param({"sample_rate": 0}, "sample_rate must be between", id="rate 0"),
        pytest.param({"sample_rate": "8000"}, "sample_rate must be an integer.", id="rate as text"),
        pytest.param({"sample_rate": True}, "sample_rate must be an integer.", id="rate as boolean"),
        pytest.param({"num_channels": 3}, "num_channels must be between 1 and 2.", id="three channels"),
        pytest.param({"language_hints": ["en", "xx"]}, "Invalid language hint.", id="unknown language"),
        pytest.param({"language_hints": ["nb"]}, "Invalid language hint.", id="nb"),
        pytest.param({"language_hints": ["en", "en"]}, "Language hints must be unique.", id="hint twice"),
        pytest.param({"language_hints": "en"}, "language_hints must be a list of strings.", id="hints as text"),
        pytest.param({"language_hints": [1]}, "language_hints must be a list of strings.", id="hint as number"),
        pytest.param({"max_endpoint_delay_ms": 499}, "max_endpoint_delay_ms must be between 500 and 3000.", id="delay"),
        pytest.param(
            {"endpoint_sensitivity": 1.1}, "endpoint_sensitivity must be between -1.0 and 1.0.", id="sensitivity"
        ),
        pytest.param(
            {"endpoint_latency_adjustment_level": 4},
            "endpoint_latency_adjustment_level must be between 0 and 3.",
            id="level",
        ),
        pytest.param(
            {"endpoint_latency_adjustment_level": 1.0},
            "endpoint_latency_adjustment_level must be an integer.",
            id="level type",
        ),
        pytest.param(
            {"model": "stt-rt-v3", "endpoint_sensitivity": 0.1}, "Model stt-rt-v3 does not support", id="v5 field on v3"
        ),
        pytest.param({"enable_endpoint_detection": "yes"}, "enable_endpoint_detection must be a boolean.", id="flag"),
        pytest.param(
            {"client_reference_id": "x" * 257}, "Client reference ID is too long (max length 256)", id="reference"
        ),
        pytest.param({"context": 5}, "context must be an object.", id="context type"),
        pytest.param({"translation": {"type": "three_way"}}, "Invalid translation type.", id="translation type"),
        pytest.param(
            {"translation": {"type": "one_way", "target_language": "xx"}},
            "Invalid translation target language.",
            id="translation target",
        ),
    ],
)
def test_what_is_refused(change, text):
    found = refusal({**GOOD, **change})
    assert found.code == 400
    assert found.text.startswith(text)


def test_a_context_above_the_limit_names_both_numbers():
    found = refusal({**GOOD, "context": {"text": "x" * 42_338}})
    assert found.text == "Context is too long: 10587 tokens, the maximum is 8000 tokens."


def test_an_unknown_model_has_its_own_type():
    assert refusal({**GOOD, "model": "x"}).kind == "model_not_available"


def test_engines_refuse_other_languages_and_translation():
    assert refusal({**GOOD, "language_hints": ["de"]}, english_only=True).text.startswith("Invalid language hint.")
    assert refusal({**GOOD, "translation": TWO_WAY}, english_only=True).text.startswith(
        "Model does not support translations."
    )
    assert read_config({**GOOD, "language_hints": ["de", "en"]}, english_only=True).language_hints == ("de", "en")


def test_a_script_may_have_any_language():
    config = read_config({**GOOD, "language_hints": ["de"], "translation": TWO_WAY}, english_only=False)
    assert config.translation == TWO_WAY


def test_nulls_and_unknown_keys_do_not_matter():
    nulls = dict.fromkeys(["language_hints", "context", "translation", "max_endpoint_delay_ms", "client_reference_id"])
    config = read_config({**GOOD, **nulls, "include_nonfinal": True, "something": {}}, english_only=True)
    assert config == read_config(GOOD, english_only=True)


def test_endpoint_settings_have_the_services_defaults():
    on = {**GOOD, "enable_endpoint_detection": True}
    assert read_config(GOOD, english_only=True).endpoint is None
    assert read_config(on, english_only=True).endpoint == EndpointSettings(2000, 0.0, 0)
    full = {**on, "max_endpoint_delay_ms": 700, "endpoint_sensitivity": -1, "endpoint_latency_adjustment_level": 3}
    assert read_config(full, english_only=True).endpoint == EndpointSettings(700, -1.0, 3)


@pytest.mark.parametrize("text", ["", "{", "[]", "5", "null", '"x"', "[" * 10_000])
def test_a_start_request_is_one_object(text):
    with pytest.raises(Refused) as refused:
        read_start(text)
    assert refused.value.refusal.text == "Start request is malformed."


def test_a_start_request_is_read():
    assert read_start(json.dumps(GOOD)) == GOOD
