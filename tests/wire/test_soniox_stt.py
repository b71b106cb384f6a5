"""Soniox's speech-to-text messages, as tables and one law."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from tests.wire.nearly import damaged, nearly
from voicebot.core.events import Endpoint, Finalized, Heard, Token
from voicebot.errors import PeerProtocolError
from voicebot.wire.soniox_errors import ErrorFrame, Retry, read_error, retry_class
from voicebot.wire.soniox_stt import Message, SttOptions, config_message, headers, read, read_any, read_documented

END, FIN = {"text": "<end>", "is_final": True}, {"text": "<fin>", "is_final": True}


def final(text, **fields):
    return {"text": text, "is_final": True, **fields}


def tail(text):
    return {"text": text, "is_final": False}


def message(*tokens, **fields):
    return json.dumps({"tokens": list(tokens), "final_audio_proc_ms": 10, "total_audio_proc_ms": 20, **fields})


# --- out


def test_config_of_a_phone_call():
    assert json.loads(config_message(SttOptions())) == {
        "model": "stt-rt-v5",
        "audio_format": "mulaw",
        "sample_rate": 8000,
        "num_channels": 1,
        "language_hints_strict": False,
        "enable_language_identification": False,
        "enable_speaker_diarization": False,
        "enable_endpoint_detection": True,
        "max_endpoint_delay_ms": 1500,
        "endpoint_sensitivity": 0.3,
        "endpoint_latency_adjustment_level": 2,
    }


def test_config_with_everything():
    options = SttOptions.model_validate(
        {
            "language_hints": ["en", "es"],
            "language_hints_strict": True,
            "context": {
                "general": [{"key": "domain", "value": "Healthcare"}],
                "text": "A visit.",
                "terms": ["Zyrtec"],
                "translation_terms": [{"source": "stroke", "target": "ictus"}],
            },
            "translation": {"type": "two_way", "language_a": "en", "language_b": "es"},
            "client_reference_id": "call-1",
        }
    )
    config = json.loads(config_message(options, "pcm_s16le", 16_000, 2))
    assert config["language_hints"] == ["en", "es"]
    assert config["context"] == {
        "general": [{"key": "domain", "value": "Healthcare"}],
        "text": "A visit.",
        "terms": ["Zyrtec"],
        "translation_terms": [{"source": "stroke", "target": "ictus"}],
    }
    assert config["translation"] == {"type": "two_way", "language_a": "en", "language_b": "es"}
    assert config["client_reference_id"] == "call-1"
    assert (config["audio_format"], config["sample_rate"], config["num_channels"]) == ("pcm_s16le", 16000, 2)


def test_config_leaves_out_what_is_not_set():
    options = SttOptions.model_validate({"context": {"terms": ["a"]}, "endpoint_sensitivity": None})
    config = json.loads(config_message(options, "auto"))
    assert config["context"] == {"terms": ["a"]}
    assert not {"sample_rate", "num_channels", "endpoint_sensitivity", "translation", "language_hints"} & set(config)
    assert json.loads(config_message(SttOptions(), "auto"))["audio_format"] == "auto"


def test_config_without_endpoints_has_no_tuning():
    config = json.loads(config_message(SttOptions(enable_endpoint_detection=False)))
    assert config["enable_endpoint_detection"] is False
    assert not [key for key in config if key.startswith(("max_endpoint", "endpoint_"))]


def test_zero_is_a_value():
    options = SttOptions(endpoint_sensitivity=0, endpoint_latency_adjustment_level=0)
    config = json.loads(config_message(options))
    assert config["endpoint_sensitivity"] == config["endpoint_latency_adjustment_level"] == 0


def test_key_goes_into_the_handshake():
    assert headers("k") == {"Authorization": "Bearer k"}


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        pytest.param({"language_hints": ["en", "en"]}, "unique; given twice: en", id="hints-twice"),
        pytest.param({"language_hints": ["eng"]}, "match pattern", id="three-letters"),
        pytest.param({"language_hints": ["EN"]}, "match pattern", id="capitals"),
        pytest.param({"language_hints": ["nb"]}, "use 'no'", id="norwegian"),
        pytest.param({"language_hints_strict": True}, "needs language_hints", id="strict-without-hints"),
        pytest.param({"max_endpoint_delay_ms": 499}, "greater than or equal to 500", id="delay-short"),
        pytest.param({"max_endpoint_delay_ms": 3001}, "less than or equal to 3000", id="delay-long"),
        pytest.param({"endpoint_sensitivity": 1.1}, "less than or equal to 1", id="sensitivity"),
        pytest.param({"endpoint_latency_adjustment_level": 4}, "less than or equal to 3", id="level"),
        pytest.param({"client_reference_id": "x" * 257}, "at most 256", id="reference"),
        pytest.param({"translation": {"type": "three_way"}}, "one_way", id="translation-kind"),
        pytest.param({"translation": {"type": "one_way"}}, "target_language", id="translation-target"),
        pytest.param(
            {"translation": {"type": "two_way", "language_a": "en", "language_b": "en"}},
            "must differ",
            id="one-language",
        ),
        pytest.param({"context": {"generals": []}}, "Extra inputs", id="unknown-context"),
        pytest.param({"api_key": "k"}, "Extra inputs", id="key-in-config"),
        pytest.param({"model": ""}, "at least 1", id="no-model"),
    ],
)
def test_wrong_options_are_refused(options, complaint):
    with pytest.raises(ValidationError, match=complaint):
        SttOptions.model_validate(options)


# --- in


@pytest.mark.parametrize(
    ("tokens", "events"),
    [
        pytest.param([], (Heard(),), id="nothing-clears-the-tail"),
        pytest.param([final("a"), tail("b")], (Heard((Token("a"),), (Token("b"),)),), id="final-and-tentative"),
        pytest.param([final("a"), END], (Heard((Token("a"),)), Endpoint()), id="end"),
        pytest.param([END], (Heard(), Endpoint()), id="end-alone"),
        pytest.param([FIN], (Heard(), Finalized()), id="fin-alone"),
        pytest.param(
            [final("a"), END, tail("b")],
            (Heard((Token("a"),)), Endpoint(), Heard((), (Token("b"),))),
            id="tentative-behind-end",
        ),
        pytest.param(
            [final("a"), END, final("b"), FIN, final("c"), tail("d")],
            (
                Heard((Token("a"),)),
                Endpoint(),
                Heard((Token("b"),)),
                Finalized(),
                Heard((Token("c"),), (Token("d"),)),
            ),
            id="three-utterances",
        ),
        pytest.param([final("a"), END, FIN], (Heard((Token("a"),)), Endpoint(), Finalized()), id="end-and-fin"),
        pytest.param([FIN, FIN, FIN], (Heard(), Finalized(), Finalized(), Finalized()), id="each-request-answered"),
        pytest.param([tail("<end>")], (Heard(),), id="never-tentative"),
        pytest.param([final("<end>", start_ms=1, end_ms=1)], (Heard(), Endpoint()), id="end-with-times"),
        pytest.param([final("a<end>")], (Heard((Token("a<end>"),)),), id="by-token-not-by-substring"),
        pytest.param([final("")], (Heard(),), id="empty-token"),
        pytest.param([{"text": "a"}], (Heard((), (Token("a"),)),), id="without-is_final"),
    ],
)
def test_events(tokens, events):
    assert read(message(*tokens)) == Message(events, 10, 20, finished=False)


def test_times_are_shifted():
    read_message = read(message(final("a", start_ms=1, end_ms=2)), 1_000)
    assert read_message.events == (Heard((Token("a", 1_001, 1_002),)),)
    assert (read_message.final_ms, read_message.total_ms) == (1_010, 1_020)


def test_all_fields_of_a_token():
    token = final(
        " hola",
        confidence=0.5,
        speaker="1",
        language="es",
        source_language="en",
        translation_status="translation",
        unknown=[],
    )
    assert read(message(token)).events[0].settled == (
        Token(" hola", None, None, 0.5, "1", "es", "en", translation=True),
    )
    assert not read(message(final("a", translation_status="original"))).events[0].settled[0].translation


@pytest.mark.parametrize("text", ['{"finished":true}', '{"tokens":null,"finished":true}'])
def test_missing_tokens_and_counters(text):
    assert read(text) == Message((Heard(),), None, None, finished=True)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "not JSON"),
        ("[1]", "message: expected an object, got list"),
        ('{"tokens":"x"}', "tokens: expected a list, got str"),
        ('{"tokens":[[]]}', r"tokens\[0\]: expected an object, got list"),
        ('{"tokens":[{"text":"a"},{"text":2}]}', r"tokens\[1\].text: expected a string, got int"),
        ('{"tokens":[{"text":"a","is_final":1}]}', "is_final: expected true or false"),
        ('{"tokens":[{"text":"a","start_ms":1.5}]}', "start_ms: expected an integer"),
        ('{"tokens":[{"text":"a","end_ms":true}]}', "end_ms: expected an integer"),
        ('{"tokens":[{"text":"a","confidence":"high"}]}', "confidence: expected a number"),
        ('{"tokens":[{"text":"a","confidence":1e999}]}', "confidence: expected a number"),
        ('{"tokens":[{"text":"a","speaker":1}]}', "speaker: expected a string"),
        ('{"tokens":[{"text":"a","language":{}}]}', "language: expected a string"),
        ('{"finished":"yes"}', "finished: expected true or false"),
        ('{"total_audio_proc_ms":"5"}', "total_audio_proc_ms: expected an integer"),
    ],
)
def test_wrong_types_are_named(text, complaint):
    with pytest.raises(PeerProtocolError, match=complaint):
        read(text)


def test_complaints_do_not_quote_speech():
    with pytest.raises(PeerProtocolError) as raised:
        read('{"tokens":"my password is swordfish"')
    assert "swordfish" not in str(raised.value)


def test_error_frame():
    frame = message(
        final("a"), error_code=408, error_type="request_timeout", error_message="Request timeout.", request_id="r"
    )
    assert read(frame) == ErrorFrame(408, "request_timeout", "Request timeout.", "r", Retry.NEW_SESSION)


@pytest.mark.parametrize(
    ("frame", "error"),
    [
        pytest.param({"error_code": 503}, ErrorFrame(503, "error_503", "no message", "", Retry.NOW), id="code-only"),
        pytest.param({"error_message": "x"}, ErrorFrame(0, "unknown_error", "x", "", Retry.BACKOFF), id="message-only"),
        pytest.param(
            {"error_code": "401"}, ErrorFrame(401, "error_401", "no message", "", Retry.NEVER), id="text-code"
        ),
        pytest.param(
            {"error_code": []}, ErrorFrame(0, "unknown_error", "no message", "", Retry.BACKOFF), id="odd-code"
        ),
    ],
)
def test_odd_error_frames(frame, error):
    assert read(json.dumps(frame)) == read_error(frame) == error


def test_null_errors_are_none():
    assert isinstance(read(message(error_code=None, error_message=None)), Message)


@pytest.mark.parametrize(
    ("code", "kind", "retry"),
    [
        (400, "", Retry.NEVER),
        (400, "max_concurrent_streams_reached", Retry.BACKOFF),
        (402, "", Retry.NEVER),
        (413, "max_duration_reached", Retry.NEW_SESSION),
        (418, "", Retry.NEVER),
        (429, "", Retry.BACKOFF),
        (502, "", Retry.BACKOFF),
        (503, "", Retry.NOW),
    ],
)
def test_retry_classes(code, kind, retry):
    assert retry_class(code, kind) is retry


# --- a law

WORDS = st.sampled_from(["a", " b", "c", "<end>", "<fin>"]).map(final)


def utterances(messages):
    """Settled text, cut where the special tokens are."""
    cut = [""]
    for text in messages:
        for event in read(text).events:
            match event:
                case Heard(settled=settled):
                    cut[-1] += "".join(token.text for token in settled)
                case Endpoint() | Finalized():
                    cut += [type(event).__name__, ""]
    return cut


def model(tokens):
    """The same in five lines, straight from the documents."""
    cut = [""]
    for token in tokens:
        names = {"<end>": "Endpoint", "<fin>": "Finalized"}
        if token["text"] in names:
            cut += [names[token["text"]], ""]
        else:
            cut[-1] += token["text"]
    return cut


@given(st.lists(WORDS), st.data())
def test_splitting_a_message_changes_nothing(tokens, data):
    at = data.draw(st.integers(0, len(tokens)))
    assert utterances([message(*tokens, tail("x"))]) == model(tokens)
    assert utterances([message(*tokens[:at], tail("y")), message(*tokens[at:])]) == model(tokens)


# --- the short way --------------------------------------------------------------------------------

TIME = st.none() | st.integers(0, 10**6)
GOOD = st.fixed_dictionaries(
    {"text": st.sampled_from([" word", "ly", "<end>", "<fin>", ""]), "is_final": st.booleans()},
    optional={
        "start_ms": TIME,
        "end_ms": TIME,
        "confidence": st.floats(0, 1),
        "speaker": st.just("1"),
        "language": st.just("en"),
        "source_language": st.just("de"),
        "translation_status": st.sampled_from(["none", "original", "translation"]),
    },
)
FRAMES = st.fixed_dictionaries(
    {"tokens": st.lists(GOOD, max_size=6)},
    optional={
        "final_audio_proc_ms": TIME,
        "total_audio_proc_ms": TIME,
        "finished": st.booleans(),
        "error_code": st.sampled_from([0, 400, 503]),
    },
)
MESSAGES = nearly(FRAMES)


def outcome(reader, written, base_ms):
    try:
        return reader(written, base_ms)
    except PeerProtocolError as error:
        return str(error)


@given(MESSAGES | damaged(MESSAGES, st.text(max_size=2)), st.integers(0, 10**6))
@settings(max_examples=500)
def test_the_short_way_and_the_long_way_agree(written, base_ms):
    assert outcome(read, written, base_ms) == outcome(read_any, written, base_ms)


@given(st.lists(GOOD, max_size=8), st.integers(0, 10**6))
def test_messages_as_documented_take_the_short_way(tokens, base_ms):
    written = message(*tokens, finished=True)
    assert read_documented(written, base_ms) is not None
    assert read_documented(written, base_ms) == read_any(written, base_ms)


@pytest.mark.parametrize(
    "written",
    [
        pytest.param(message(tail(" a"), new=1), id="a new field"),
        pytest.param(message(tail(" a") | {"new": 1}), id="a new field of a token"),
        pytest.param(message(tail(" a") | {"confidence": 1e13}), id="no probability"),
        pytest.param(message(error_code=400, error_message="no"), id="an error"),
        pytest.param(message(tail("\ud800")), id="half a character"),
        pytest.param(message() + "]", id="something behind it"),
    ],
)
def test_anything_else_takes_the_long_way(written):
    assert read_documented(written) is None
    assert outcome(read, written, 0) == outcome(read_any, written, 0)
