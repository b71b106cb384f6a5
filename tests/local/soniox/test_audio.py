import io
import struct

import audioop
import numpy as np
import pytest
import soundfile

from voicebot.local.soniox.audio import RawDecoder, to_float
from voicebot.local.soniox.containers import ContainerDecoder, sniff
from voicebot.local.soniox.formats import AudioFormat, raw_format
from voicebot.local.soniox.refusals import Refused
from voicebot.local.soniox.wav import CHUNK, FMT, read_header, stream_header

TONE = (0.5 * np.sin(2 * np.pi * 300 * np.arange(16_000) / 16_000)).astype(np.float32)
PCM16 = (TONE * 32767).astype("<i2").tobytes()


def packed(values, name):
    """Floats in -1..1 written in a raw format, by other means than the code under test."""
    sample = raw_format(name)
    order = ">" if sample.big_endian else "<"
    if sample.encoding == "float":
        return struct.pack(f"{order}{len(values)}{'d' if sample.width == 8 else 'f'}", *values)
    if sample.encoding in {"mulaw", "alaw"}:
        pcm = struct.pack(f"<{len(values)}h", *(round(value * 32767) for value in values))
        return audioop.lin2ulaw(pcm, 2) if sample.encoding == "mulaw" else audioop.lin2alaw(pcm, 2)
    half = 1 << (8 * sample.width - 1)
    endian = "big" if sample.big_endian else "little"
    signed = sample.encoding == "signed"
    numbers = (round(value * (half - 1)) + (0 if signed else half) for value in values)
    return b"".join(number.to_bytes(sample.width, endian, signed=signed) for number in numbers)


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


@pytest.mark.parametrize("name", RAW)
def test_every_raw_format_is_read(name):
    values = [0.0, 0.5, -0.5, 0.25, -0.9, 0.99]
    samples = to_float(packed(values, name), raw_format(name))
    assert samples.dtype == np.float32
    assert samples == pytest.approx(values, abs=0.04 if name in {"mulaw", "alaw", "pcm_s8", "pcm_u8"} else 0.001)


def test_samples_that_are_no_numbers_become_silence():
    data = np.array([np.nan, np.inf, 0.5, -7], dtype="<f4").tobytes()
    assert list(to_float(data, raw_format("pcm_f32le"))) == [0.0, 1.0, 0.5, -1.0]


def test_audio_may_be_cut_anywhere():
    values = [0.1, 0.2, -0.3, 0.4, 0.5]
    decoder = RawDecoder(AudioFormat("pcm_s24le", raw_format("pcm_s24le"), 8_000, 1))
    data = packed(values, "pcm_s24le")
    pieces = [decoder.feed(data[at : at + 1]) for at in range(len(data))]
    assert np.concatenate(pieces) == pytest.approx(values, abs=0.001)


def test_two_channels_are_mixed():
    decoder = RawDecoder(AudioFormat("pcm_s16le", raw_format("pcm_s16le"), 8_000, 2))
    assert decoder.feed(packed([0.5, 0.1, -0.2, 0.2], "pcm_s16le")) == pytest.approx([0.3, 0.0], abs=0.001)


@pytest.mark.parametrize(("rate", "expected"), [(8_000, 8_000), (16_000, 16_000), (44_100, 16_000), (11_025, 16_000)])
def test_other_rates_become_16_khz(rate, expected):
    decoder = RawDecoder(AudioFormat("pcm_f32le", raw_format("pcm_f32le"), rate, 1))
    tone = (0.5 * np.sin(2 * np.pi * 300 * np.arange(rate) / rate)).astype("<f4").tobytes()
    out = np.concatenate(
        [decoder.feed(tone[at : at + 4_000]) for at in range(0, len(tone), 4_000)] + [decoder.finish()]
    )
    assert decoder.rate == expected
    assert len(out) == pytest.approx(expected, abs=2)
    assert float(np.abs(out).max()) == pytest.approx(0.5, abs=0.02)


SECONDS = 6


def encoded(kind, rate=16_000, channels=1):
    noise = np.random.default_rng(1).uniform(-0.1, 0.1, rate * SECONDS)
    tone = (0.5 * np.sin(2 * np.pi * 300 * np.arange(rate * SECONDS) / rate) + noise).astype(np.float32)
    file = io.BytesIO()
    subtype = {"OGG": "VORBIS", "OPUS": "OPUS"}.get(kind)
    data = tone if channels == 1 else np.column_stack([tone] * channels)
    soundfile.write(file, data, rate, format="OGG" if kind == "OPUS" else kind, subtype=subtype)
    return file.getvalue()


@pytest.mark.parametrize("kind", ["WAV", "FLAC", "OGG", "OPUS", "MP3", "AIFF"])
@pytest.mark.parametrize("piece", [700, 1_000_000])
def test_a_file_is_decoded_as_it_arrives(kind, piece):
    data = encoded(kind)
    decoder = ContainerDecoder()
    parts = [decoder.feed(data[at : at + piece]) for at in range(0, len(data), piece)]
    early = sum(map(len, parts))
    out = np.concatenate([*parts, decoder.finish()])
    assert decoder.recognised
    assert early > 0
    assert len(out) == pytest.approx(16_000 * SECONDS, abs=2_000)
    middle = out[8_000:24_000]
    assert float(np.sqrt((middle**2).mean())) == pytest.approx(0.357, abs=0.02)


@pytest.mark.parametrize("kind", ["WAV", "FLAC", "OGG"])
def test_a_file_of_another_rate_with_two_channels(kind):
    data = encoded(kind, rate=44_100, channels=2)
    decoder = ContainerDecoder()
    out = np.concatenate([decoder.feed(data), decoder.finish()])
    assert len(out) == pytest.approx(16_000 * SECONDS, abs=100)


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        pytest.param(b"RIFF\0\0\0\0WAVE", "wav", id="wav"),
        pytest.param(b"fLaC" + bytes(8), "flac", id="flac"),
        pytest.param(b"OggS" + bytes(8), "ogg", id="ogg"),
        pytest.param(b"ID3" + bytes(9), "mp3", id="mp3 with tags"),
        pytest.param(b"\xff\xfb" + bytes(10), "mp3", id="mp3 frame"),
        pytest.param(b"\xff\xf1" + bytes(10), "aac", id="aac"),
        pytest.param(b"\x1a\x45\xdf\xa3" + bytes(8), "webm", id="webm"),
        pytest.param(b"\0\0\0\x18ftypM4A ", "mp4", id="mp4"),
        pytest.param(b"\xff" * 12, None, id="µ-law silence is no mp3"),
        pytest.param(bytes(12), None, id="zeros"),
    ],
)
def test_files_are_told_by_their_first_bytes(head, kind):
    assert sniff(head) == kind


def test_what_no_file_starts_with_is_never_recognised():
    decoder = ContainerDecoder()
    assert len(decoder.feed(bytes(50_000))) == 0
    assert not decoder.recognised
    with pytest.raises(Refused, match="Audio decode error"):
        decoder.finish()


@pytest.mark.parametrize(
    ("data", "text"),
    [
        pytest.param(b"\x1a\x45\xdf\xa3" + bytes(20), "cannot decode webm", id="a kind we cannot decode"),
        pytest.param(b"RIFF\0\0\0\0AVI " + bytes(20), "Audio decode error", id="RIFF that is no WAV"),
        pytest.param(b"fLaC" + bytes(300_000), "Audio decode error", id="broken inside"),
    ],
)
def test_a_broken_file_is_refused(data, text):
    with pytest.raises(Refused, match=text):
        ContainerDecoder().feed(data)


def test_a_cut_file_gives_what_is_there():
    data = encoded("FLAC")
    decoder = ContainerDecoder()
    out = np.concatenate([decoder.feed(data[: len(data) // 2]), decoder.finish()])
    assert 0 < len(out) < 16_000 * SECONDS * 3 / 4


def wav(tag, bits, channels=1, rate=8_000, extra=b""):
    fmt = FMT.pack(tag, channels, rate, 0, 0, bits) + extra
    return (
        b"RIFF\0\0\0\0WAVE"
        + CHUNK.pack(b"LIST", 3)
        + b"abc\0"
        + CHUNK.pack(b"fmt ", len(fmt))
        + fmt
        + CHUNK.pack(b"data", 0)
    )


@pytest.mark.parametrize(
    ("head", "encoding", "width"),
    [
        pytest.param(wav(1, 16), "signed", 2, id="pcm 16"),
        pytest.param(wav(1, 8), "unsigned", 1, id="pcm 8 is unsigned"),
        pytest.param(wav(3, 32), "float", 4, id="float"),
        pytest.param(wav(7, 8), "mulaw", 1, id="mulaw"),
        pytest.param(wav(6, 8), "alaw", 1, id="alaw"),
        pytest.param(
            wav(0xFFFE, 24, extra=struct.pack("<HHIH", 22, 24, 0, 1) + bytes(14)), "signed", 3, id="extensible"
        ),
    ],
)
def test_wav_headers(head, encoding, width):
    header = read_header(head + b"samples")
    assert (header.audio.sample.encoding, header.audio.sample.width) == (encoding, width)
    assert head[header.data_at :] == b""
    assert all(read_header(head[:cut]) is None for cut in range(len(head)))


@pytest.mark.parametrize("head", [wav(85, 16), wav(1, 12), wav(1, 16, channels=0), wav(1, 16, rate=0)])
def test_wav_headers_we_cannot_read(head):
    with pytest.raises(Refused, match="Audio decode error"):
        read_header(head)


def test_our_own_header_is_a_wav_of_unknown_length():
    data = stream_header(16_000) + PCM16
    samples, rate = soundfile.read(io.BytesIO(data), dtype="float32")
    assert rate == 16_000
    assert samples == pytest.approx(TONE, abs=0.001)
