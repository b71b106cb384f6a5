"""The parsers of what a person or a program wrote into a file: settings, recordings, sound, scripts of the stand-ins."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from fuzzing.laws import Target, check_value, declared, same, text_of
from voicebot.clips.audio import to_telephone
from voicebot.config.reading import load
from voicebot.errors import ConfigurationError, PeerProtocolError
from voicebot.local.phone import messages, scenario, twiml
from voicebot.local.soniox import config, stt, tts_messages
from voicebot.local.soniox.containers import ContainerDecoder
from voicebot.local.soniox.refusals import Refused
from voicebot.local.soniox.script import Script, shifted
from voicebot.wire import recording, recording_labels, recording_policy
from voicebot.wire.recording import RecordingError
from voicebot.wire.wav import StereoSound

MAX_SECONDS = 60
LATER_MS = 100
VARIABLES = ("VOICEBOT_WEBHOOK__SECRETS", "VOICEBOT_API__TOKENS", "VOICEBOT_NUMBERS", "VOICEBOT_LIMITS__MAX_CALLS")


@contextmanager
def _file(name: str, data: bytes) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(data)
        yield path


@contextmanager
def _environment(**variables: str) -> Iterator[None]:
    before = dict(os.environ)
    try:
        for name in list(os.environ):
            if name.startswith("VOICEBOT_"):
                del os.environ[name]
        os.environ.update(variables)
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@declared(ConfigurationError)
def run_toml(data: bytes) -> object:
    """The file of settings."""
    with _file("voicebot.toml", data) as path, _environment(VOICEBOT_CONFIG=str(path)):
        return load()


@declared(ConfigurationError)
def run_environment(data: bytes) -> object:
    """A variable of the environment; the first byte chooses which."""
    name = VARIABLES[data[0] % len(VARIABLES)] if data else VARIABLES[0]
    with _environment(**{name: text_of(data[1:]).replace("\0", " ")}):
        return load()


@declared(RecordingError)
def run_recording(data: bytes) -> object:
    """A recording, line by line and whole; what is read is written and read again, and makes a file of sound."""
    lines = text_of(data).split("\n")
    for line in lines:
        try:
            read = recording.decode(line)
        except RecordingError:
            continue
        check_value(read)
        same(recording.decode(recording.encode(read)), recording.decode(recording.encode(read)), "a line")
    whole = recording.read(lines)
    sound = StereoSound((whole.head, *whole.lines))
    sound.part(0, 100)
    return whole


@declared(RecordingError)
def run_labels(data: bytes) -> object:
    """The labels of a recording."""
    return recording_labels.read_labels(data)


@declared(RecordingError)
def run_policy(data: bytes) -> object:
    """`KEY=VALUE` words of `voicebot replay`, one on each line."""
    return recording_policy.read_changes(text_of(data).split("\n"))


@declared(PeerProtocolError)
def run_sound(data: bytes) -> object:
    """A file for `play`."""
    return len(to_telephone(data, MAX_SECONDS, "sound"))


@declared(Refused)
def run_container(data: bytes) -> object:
    """Sound in a container that comes in pieces, as the local recogniser takes it."""
    decoder = ContainerDecoder()
    size = 1 + len(data) // 3
    samples = sum(len(decoder.feed(data[at : at + size])) for at in range(0, len(data), size))
    return samples + len(decoder.finish())


@declared(twiml.TwimlError)
def run_twiml(data: bytes) -> object:
    """A document for the local phone."""
    document = twiml.parse(data)
    check_value(document)
    return document


@declared()
def run_phone_message(data: bytes) -> object:
    """A message of the service, as the local phone judges it."""
    read = messages.read(text_of(data), "MZ1")
    check_value(read)
    return read


@declared(scenario.ScenarioError)
def run_scenario(data: bytes) -> object:
    """What a caller does, from a file."""
    with _file("call.yaml", data) as path:
        read = scenario.load(path)
        return [scenario.label(step) for step in read.steps]


@declared(ConfigurationError)
def run_script(data: bytes) -> object:
    """What the scripted Soniox answers, from a file."""
    with _file("script.yaml", data) as path:
        script = Script.load(path)
    return [shifted(entry, LATER_MS) for entry in script.entries]


@declared(Refused)
def run_soniox_start(data: bytes) -> object:
    """The start request of speech-to-text, and what may follow it, as the local Soniox takes it."""
    text = text_of(data)
    with suppress(Refused):
        stt.read_control(text)
    return config.read_config(config.read_start(text), english_only=False)


@declared(Refused)
def run_soniox_speech(data: bytes) -> object:
    """A message of text-to-speech, as the local Soniox takes it."""
    return tts_messages.read_message(text_of(data), frozenset())


_WAV = b"RIFF\x2c\0\0\0WAVEfmt \x10\0\0\0\7\0\1\0\x40\x1f\0\0\x40\x1f\0\0\1\0\x08\0data\x08\0\0\0" + b"\x7f" * 8
_PCM = b"RIFF\x2c\0\0\0WAVEfmt \x10\0\0\0\1\0\2\0\x40\x1f\0\0\0\x7d\0\0\4\0\x10\0data\x08\0\0\0" + b"\x11\0" * 4
_RECORDING = b"""{"type":"head","t_ms":0,"version":1,"call":"CA1","tracks":["caller"],"stt":{}}
{"type":"leg","t_ms":1,"leg":1,"track":"caller","zero_ms":1.5,"stream":"MZ1"}
{"type":"audio","t_ms":20,"track":"caller","at_ms":0,"ulaw":"////"}
{"type":"bot_audio","t_ms":30,"at_ms":30.5,"ulaw":"////"}
{"type":"bot_cleared","t_ms":35}
{"type":"input","t_ms":40,"track":"caller","name":"heard","event":{"settled":[{"text":"a","start_ms":1,"end_ms":2}]}}
{"type":"effect","t_ms":41,"track":"caller","name":"ask_finalize","event":{}}
{"type":"policy","t_ms":42,"track":"caller","policy":{"finalize_after_ms":300}}
{"type":"event","t_ms":43,"kind":"turn.completed","sequence":2}
{"type":"reply","t_ms":44,"sequence":2,"actions":[{"type":"say"}],"done_ms":43.5}
{"type":"end","t_ms":50,"reason":"caller_hangup"}
"""
_TOML = b"""public_url = "https://voice.example.com"
[webhook]
retry_waits_s = [0.25, 0.5]
[default]
mode = "bot"
[default.turns]
finalize_after_ms = 300
[default.filler]
after_ms = 1500
actions = [{ type = "say", text = "One moment, please." }]
[numbers."+15550100"]
mode = "transcribe"
then = "<Pause length='60'/>"
[default.redaction]
kinds = ["card_number"]
patterns = ["a+b"]
"""
_SCENARIO = b"""name: x
steps:
  - say: Hello
    barge_in: true
  - wait: 1.5
  - wait_for: speech
    timeout: 3
  - dtmf: "12#"
  - expect: { heard_ms: 100 }
    within: 2
  - hangup
"""
_SCRIPT = b"""entries:
  - { at_ms: 0, say: hello there, until_ms: 600, end_ms: 900 }
  - { at_ms: 1000, final: " yes", partial: " no", end: true, language: en }
  - { at_ms: 1500, tokens: [{ text: a, start_ms: 1, end_ms: 2, is_final: true }] }
  - { at_ms: 1600, frame: { x: 1 } }
  - { at_ms: 1700, error: 503 }
  - { at_ms: 1800, close: 1001 }
loop: true
period_ms: 3000
"""
_TWIML = b"""<?xml version="1.0" encoding="UTF-8"?><Response><Connect action="/a"><Stream url="wss://a/b" track="inbound_track">
<Parameter name="token" value="x"/></Stream></Connect><Say loop="2">Hi</Say><Play digits="1w2"/><Pause length="2"/>
<Dial timeout="20" callerId="+1"><Number>+15550100</Number></Dial><Redirect method="GET">/b</Redirect><Hangup/></Response>"""
_STT = (
    b'{"model":"stt-rt-v5","audio_format":"mulaw","sample_rate":8000,"num_channels":1,"language_hints":["en"],'
    b'"enable_endpoint_detection":true,"max_endpoint_delay_ms":1500,"endpoint_sensitivity":0.3,"context":{"text":"a"},'
    b'"translation":{"type":"one_way","target_language":"de"}}'
)
_YAML = (
    b"&a",
    b"*a",
    b"!!int",
    b"!!timestamp",
    b"!!float",
    b"!!binary",
    b"? ",
    b"<<: *a",
    b"---",
    b"2026-01-01",
    b"1_",
    b"1:2",
)

TARGETS = (
    Target("settings_toml", run_toml, (_TOML,), (b"[[", b"]]", b"'''", b'"""', b"1979-05-27", b"inf", b"nan")),
    Target(
        "settings_environment",
        run_environment,
        (
            b'\0["whsec_QUJDREVGR0hJSktMTU5PUFFSU1RVVldY"]',
            b'\1[{"name":"a","token":"' + b"x" * 20 + b'"}]',
            b"\3" + b"7",
        ),
    ),
    Target(
        "recording", run_recording, (_RECORDING,), (b'"track":"agent"', b'"finalized"', b'"turn_completed"', b'"end"')
    ),
    Target(
        "recording_labels",
        run_labels,
        (
            b'{"id":"a","silence_spans":[{"start_ms":1,"end_ms":2,"kind":"eot"}],"utterances":[{"start_ms":0,"end_ms":1}]}',
        ),
    ),
    Target(
        "replay_policy",
        run_policy,
        (b"finalize_after_ms=300\nbarge_in.min_ms=100", b"endpoint.enabled=false"),
        (b"=", b"."),
    ),
    Target("sound", run_sound, (_WAV, _PCM), (b"fLaC", b"OggS", b"ID3", b"FORM", b".snd", b"LIST", b"data", b"fact")),
    Target("sound_container", run_container, (_WAV, _PCM), (b"fLaC", b"OggS", b"ID3", b"\xfe\xff", b"data")),
    Target("phone_twiml", run_twiml, (_TWIML,), (b"encoding='utf-16'", b"<!--", b"<![CDATA[", b"&#0;", b"xmlns=")),
    Target(
        "phone_message",
        run_phone_message,
        (
            b'{"event":"media","streamSid":"MZ1","media":{"payload":"//8="}}',
            b'{"event":"mark","streamSid":"MZ1","mark":{"name":"a"}}',
            b'{"event":"clear","streamSid":"MZ1"}',
        ),
    ),
    Target("phone_scenario", run_scenario, (_SCENARIO,), _YAML),
    Target("soniox_script", run_script, (_SCRIPT,), _YAML),
    Target(
        "soniox_start",
        run_soniox_start,
        (_STT,),
        (b'{"type":"finalize","trailing_silence_ms":100}', b'{"type":"keepalive"}'),
    ),
    Target(
        "soniox_speech",
        run_soniox_speech,
        (
            (
                b'{"stream_id":"a","model":"tts-rt-v2","language":"en","voice":"Adrian","audio_format":"pcm_mulaw",'
                b'"sample_rate":8000,"speed":1.1,"return_timestamps":true}'
            ),
            b'{"stream_id":"a","text":"Hi","text_end":true}',
            b'{"stream_id":"a","cancel":true}',
            b'{"keep_alive":true}',
        ),
    ),
)
"""What comes from files, and what the stand-ins read."""
