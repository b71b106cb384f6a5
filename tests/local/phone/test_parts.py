"""The small parts: microphone, sound, routes, faults, documents, options."""

import io
import json

import numpy as np
import pytest
import soundfile

from voicebot.local.phone import twiml
from voicebot.local.phone.documents import document_of
from voicebot.local.phone.faults import MALFORMED, PhoneFaults, Spoiler, parse_faults
from voicebot.local.phone.messages import MessageWriter, StreamIdentity
from voicebot.local.phone.microphone import Microphone
from voicebot.local.phone.options import DialOutcome
from voicebot.local.phone.routes import Overrides, RouteError, Routes, path_and_query
from voicebot.local.phone.sound import SoundError, from_pcm, is_loud, read_sound, write_stereo
from voicebot.local.phone.voices import open_voice
from voicebot.local.phone.webhooks import Answer, WebhookFailure


def wav(samples: np.ndarray, rate: int, kind: str = "WAV") -> bytes:
    out = io.BytesIO()
    soundfile.write(out, samples, rate, format=kind)
    return out.getvalue()


def sine(seconds: float, rate: int) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * 440 * np.arange(round(seconds * rate)) / rate)


@pytest.mark.parametrize(
    ("quiet", "allowed"), [("noise", b"\x7f\xff"), ("suppress", b"\x7f\xff"), ("comfort", b"\x7e")]
)
def test_a_quiet_microphone(quiet, allowed):
    microphone = Microphone(quiet, seed=1)
    frames = [microphone.take() for _ in range(1000)]
    assert {len(frame.audio) for frame in frames} == {160}
    assert set(b"".join(frame.audio for frame in frames)) == set(allowed)
    assert not any(frame.voiced or is_loud(frame.audio) for frame in frames)


def test_clips_follow_each_other_without_a_gap():
    microphone = Microphone("comfort", seed=1)
    first, second = microphone.say(b"a" * 200), microphone.say(b"b" * 120)
    frames = [microphone.take() for _ in range(3)]
    assert frames[0].audio == b"a" * 160
    assert frames[1].audio == b"a" * 40 + b"b" * 120
    assert frames[1].finished == (first, second)
    assert [frame.voiced for frame in frames] == [True, True, False]


def test_an_interrupted_clip_stops():
    microphone = Microphone("comfort", seed=1)
    microphone.say(b"a" * 500)
    microphone.take()
    microphone.drop()
    assert not microphone.take().voiced


@pytest.mark.parametrize("kind", ["WAV", "FLAC", "OGG", "MP3"])
def test_reads_the_usual_files(kind):
    audio = read_sound(wav(np.stack([sine(0.5, 24000)] * 2, axis=1), 24000, kind))
    assert abs(len(audio) - 4000) < 600
    assert is_loud(audio)


def test_speech_beyond_the_telephones_band_does_not_fold_back():
    high = 0.5 * np.sin(2 * np.pi * 5000 * np.arange(16000) / 16000)
    assert not is_loud(read_sound(wav(high, 16000))[400:-400])


def test_pcm_is_resampled():
    pcm = (sine(1.0, 16000) * 32767).astype("<i2").tobytes()
    audio = from_pcm(pcm, 16000)
    assert len(audio) == 8000
    assert is_loud(audio)


@pytest.mark.parametrize("content", [b"", b"not sound at all"])
def test_what_is_no_sound(content):
    with pytest.raises(SoundError, match="not a readable sound file"):
        read_sound(content)


def test_a_missing_sound_file(tmp_path):
    with pytest.raises(SoundError, match="there is no such file"):
        read_sound(tmp_path / "none.wav")


def test_stereo_keeps_sides_and_pads(tmp_path):
    left, right = from_pcm((sine(0.2, 8000) * 32767).astype("<i2").tobytes(), 8000), b""
    write_stereo(tmp_path / "call.wav", left, right)
    samples, rate = soundfile.read(tmp_path / "call.wav")
    assert (rate, samples.shape) == (8000, (1600, 2))
    assert np.abs(samples[:, 0]).max() > 0.4
    assert np.abs(samples[:, 1]).max() == 0


ROUTES = Routes({"https://voice.example.com": "http://127.0.0.1:8080"})


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("https://voice.example.com/x", ("127.0.0.1", 8080, False, "voice.example.com")),
        ("wss://voice.example.com/x", ("127.0.0.1", 8080, False, "voice.example.com")),
        ("https://voice.example.com:443/x", ("127.0.0.1", 8080, False, "voice.example.com:443")),
        ("http://voice.example.com/x", ("voice.example.com", 80, False, "voice.example.com")),
        ("wss://other.example.com:8443/x", ("other.example.com", 8443, True, "other.example.com:8443")),
        ("ws://u:p@127.0.0.1:9/x", ("127.0.0.1", 9, False, "127.0.0.1:9")),
    ],
)
def test_routes(url, place):
    found = ROUTES.locate(url)
    assert (found.host, found.port, found.secure, found.authority) == place


@pytest.mark.parametrize("url", ["/relative", "ftp://h/", "https://", "https://h:99999/", "http://[::1/"])
def test_no_route(url):
    with pytest.raises(RouteError, match="URL"):
        ROUTES.locate(url)


def test_overrides_of_the_fragment():
    base = Overrides(5, 15, 15)
    assert base.from_fragment("https://h/x") == base
    changed = base.from_fragment("https://h/x#ct=2000&rt=500&tt=9000&rc=9&rp=rt,5xx&e=ie1")
    assert changed == Overrides(2, 0.5, 9, 5, frozenset({"rt", "5xx"}))
    assert changed.retries_on("5xx")
    assert not changed.retries_on("ct")
    assert base.from_fragment("https://h/x#rp=all&ct=x").retries_on("4xx")
    assert path_and_query("https://h?a=1#rt=5") == "/?a=1"


def frames(faults: PhoneFaults, count: int) -> list[list[str | bytes]]:
    writer, spoiler = MessageWriter(StreamIdentity("AC", "CA", "MZ")), Spoiler(faults)
    return [spoiler.frame(number, writer.media("inbound", number, b"x")) for number in range(count)]


def sequence(faults: PhoneFaults, count: int) -> list[int]:
    return [int(json.loads(message)["sequenceNumber"]) for out in frames(faults, count) for message in out]


@pytest.mark.parametrize(
    ("faults", "numbers"),
    [
        (PhoneFaults(), [1, 2, 3, 4, 5]),
        (PhoneFaults(swap_every=2), [1, 3, 2, 5, 4]),
        (PhoneFaults(duplicate_every=3), [1, 2, 3, 3, 4, 5]),
        (PhoneFaults(drop_every=2), [1, 3, 5]),
        (PhoneFaults(freeze_after_frames=1), [1]),
    ],
)
def test_spoiled_order(faults, numbers):
    assert sequence(faults, 5) == numbers


def test_spoiled_messages():
    out = frames(PhoneFaults(malformed_before_frame=0, binary_before_frame=1, unknown_event_every=3), 3)
    assert out[0][0] == MALFORMED
    assert isinstance(out[1][0], bytes)
    assert json.loads(out[2][0])["event"] == "weather"
    assert [len(each) for each in out] == [2, 2, 2]


def test_spoiled_fields():
    message = json.loads(frames(PhoneFaults(unknown_fields=True, numbers_as_numbers=True), 1)[0][0])
    assert message["sequenceNumber"] == 1
    assert message["media"]["timestamp"] == 0
    assert "futureField" in message
    assert len(frames(PhoneFaults(oversized_frame=1), 2)[1][0]) > 2_000_000


def test_faults_from_words():
    words = ["no_stop", "drop-every=3", "oversized_frame=0", "parameters.token=x=y", "start_call_sid=CA1"]
    assert parse_faults(words) == PhoneFaults(
        no_stop=True, drop_every=3, oversized_frame=0, parameters={"token": "x=y"}, start_call_sid="CA1"
    )
    assert parse_faults([]) == PhoneFaults()


@pytest.mark.parametrize("word", ["nonsense", "no_stop=1", "drop_every", "drop_every=x", "start_call_sid", ""])
def test_no_fault(word):
    with pytest.raises(ValueError, match=r"one of no_stop, die_after_frames=.*drop_every=.*parameters.NAME"):
        parse_faults([word])


async def test_a_local_voice_speaks_mu_law():
    audio = await open_voice("tone", "en")("ten chars.")
    assert len(audio) == 600 * 8
    assert is_loud(audio)


def answer(kind: str, body: bytes = b"<Response/>", status: int = 200) -> Answer:
    return Answer("https://h/x", status, kind, body)


@pytest.mark.parametrize("kind", ["text/xml", "application/xml; charset=utf-8", "text/html", "TEXT/XML"])
def test_xml_is_twiml(kind):
    assert document_of(answer(kind)) == twiml.Document(())


def test_audio_is_played_and_text_is_read():
    assert document_of(answer("audio/mpeg")).verbs == (twiml.Play("https://h/x"),)
    assert document_of(answer("text/plain", b"hello ")).verbs == (twiml.Say("hello"),)


@pytest.mark.parametrize(
    ("given", "code"),
    [
        pytest.param(answer("application/json"), 12300, id="json"),
        pytest.param(answer(""), 11200, id="no-type"),
        pytest.param(answer("text/xml", status=404), 11200, id="404"),
        pytest.param(answer("text/xml", status=302), 11200, id="redirect-without-location"),
    ],
)
def test_no_document(given, code):
    with pytest.raises(WebhookFailure) as failure:
        document_of(given)
    assert failure.value.code == code


@pytest.mark.parametrize(
    ("text", "outcome"),
    [
        ("busy", DialOutcome("busy")),
        ("no-answer", DialOutcome("no-answer")),
        ("answered", DialOutcome("completed", 2.0)),
        ("answered:1.5", DialOutcome("completed", 1.5)),
    ],
)
def test_dial_outcome(text, outcome):
    assert DialOutcome.parse(text) == outcome


@pytest.mark.parametrize("text", ["", "maybe", "answered:", "answered:x", "busy:1"])
def test_no_dial_outcome(text):
    with pytest.raises(ValueError, match="use busy, no-answer"):
        DialOutcome.parse(text)
