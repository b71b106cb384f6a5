"""Audio for `play` from a real web server."""

import asyncio
import contextlib
import io
import struct

import audioop
import numpy as np
import pytest
import soundfile
from aiohttp import web

from voicebot.clips import Clips
from voicebot.clips.audio import to_telephone
from voicebot.config import PlaySettings
from voicebot.errors import LocalProtocolError, PeerProtocolError, PeerRefused, PeerUnavailable

HOME = PlaySettings(allow_private=True)


def tone(rate=16_000, seconds=0.5, channels=1, hertz=440):
    wave = 0.5 * np.sin(2 * np.pi * hertz * np.arange(int(rate * seconds)) / rate)
    return np.stack([wave] * channels, axis=1)


def encoded(kind, subtype=None, rate=16_000, **more):
    file = io.BytesIO()
    soundfile.write(file, tone(rate, **more), rate, format=kind, subtype=subtype)
    return file.getvalue()


def pitch(mulaw):
    samples = np.frombuffer(audioop.ulaw2lin(mulaw, 2), "<i2")
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return spectrum.argmax() * 8_000 / len(samples)


class Site:
    """A web server that counts."""

    def __init__(self):
        self.hits = []
        self.answers = {}
        self.url = ""
        self.gate = asyncio.Event()
        self.gate.set()

    async def handle(self, request):
        self.hits.append(request.path)
        await self.gate.wait()
        answer = self.answers.get(request.path, (404, b"", {}))
        return web.Response(status=answer[0], body=answer[1], headers=answer[2])

    def add(self, path, body=b"", status=200, **headers):
        self.answers[path] = (status, body, {name.replace("_", "-"): value for name, value in headers.items()})
        return self.url + path


@pytest.fixture
async def site():
    site = Site()
    runner = web.AppRunner(web.Application())
    runner.app.router.add_route("*", "/{path:.*}", site.handle)
    await runner.setup()
    server = web.TCPSite(runner, "127.0.0.1", 0)
    await server.start()
    site.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield site
    site.gate.set()
    await runner.cleanup()


@pytest.mark.parametrize(
    ("kind", "subtype", "rate", "channels"),
    [
        pytest.param("WAV", "PCM_16", 16_000, 1, id="wav"),
        pytest.param("WAV", "PCM_24", 44_100, 2, id="wav-24-bit-stereo"),
        pytest.param("WAV", "PCM_U8", 8_000, 1, id="wav-8-bit"),
        pytest.param("WAV", "ULAW", 8_000, 2, id="wav-mulaw-stereo"),
        pytest.param("WAV", "ALAW", 8_000, 1, id="wav-alaw"),
        pytest.param("AU", "ULAW", 8_000, 1, id="au"),
        pytest.param("AIFF", "PCM_16", 48_000, 1, id="aiff"),
        pytest.param("FLAC", "PCM_16", 22_050, 1, id="flac"),
        pytest.param("OGG", "VORBIS", 44_100, 2, id="ogg"),
        pytest.param("MP3", None, 44_100, 1, id="mp3"),
    ],
)
async def test_every_format_becomes_telephone_audio(site, kind, subtype, rate, channels):
    url = site.add("/a", encoded(kind, subtype, rate, channels=channels))
    async with Clips(HOME) as clips:
        audio = await clips.fetch(url)
    assert len(audio) == pytest.approx(4_000, rel=0.15)  # MP3 pads
    assert pitch(audio) == pytest.approx(440, abs=5)


def test_long_files_are_decoded_in_blocks():
    audio = to_telephone(encoded("FLAC", "PCM_16", 48_000, seconds=5), 10, "x")
    assert len(audio) == pytest.approx(40_000, abs=8)
    assert pitch(audio) == pytest.approx(440, abs=1)


def mulaw_wav(samples, *, extra=b""):
    form = struct.pack("<HHIIHH", 7, 1, 8_000, 8_000, 1, 8)
    chunks = b"fmt " + struct.pack("<I", len(form)) + form + extra + b"data" + struct.pack("<I", len(samples)) + samples
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


@pytest.mark.parametrize("extra", [b"", b"LIST\x03\x00\x00\x00abc\x00"], ids=["plain", "odd-chunk-before"])
def test_telephone_wav_is_taken_as_it_is(extra):
    samples = bytes(range(256)) * 4  # every code, also the two zeros that a conversion would merge
    assert to_telephone(mulaw_wav(samples, extra=extra), 10, "x") == samples


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        pytest.param(b"", "cannot be read", id="empty"),
        pytest.param(b"<html>", "cannot be read", id="html"),
        pytest.param(encoded("WAV")[:30], "cannot be read", id="cut-in-the-header"),
        pytest.param(encoded("WAV", seconds=0), "no audio in it", id="no-samples"),
        pytest.param(mulaw_wav(b""), "no audio in it", id="no-telephone-samples"),
        pytest.param(encoded("FLAC", seconds=3), "longer than 2 s", id="too-long"),
        pytest.param(mulaw_wav(b"x" * 24_000), "longer than 2 s", id="telephone-too-long"),
        pytest.param(encoded("WAV", channels=17), "17 channels", id="too-many-channels"),
    ],
)
def test_what_is_no_audio_is_named(data, complaint):
    with pytest.raises(PeerProtocolError, match=f"audio: x: .*{complaint}"):
        to_telephone(data, 2, "x")


async def test_cache_keeps_the_latest(site):
    urls = [site.add(f"/{n}", mulaw_wav(b"%d" % n * 100)) for n in range(3)]
    async with Clips(HOME.model_copy(update={"cache_entries": 2})) as clips:
        for url in (urls[0], urls[1], urls[0], urls[2], urls[0], urls[1]):
            await clips.fetch(url)
    assert site.hits == ["/0", "/1", "/2", "/1"]


@pytest.mark.parametrize("settings", [HOME.model_copy(update={"cache_entries": 0}), HOME], ids=["off", "forbidden"])
async def test_no_cache(site, settings):
    url = site.add("/a", mulaw_wav(b"x" * 100), Cache_Control="no-store")
    async with Clips(settings) as clips:
        assert await clips.fetch(url) == await clips.fetch(url) == b"x" * 100
    assert site.hits == ["/a", "/a"]


async def test_one_request_for_many_callers(site):
    url = site.add("/a", mulaw_wav(b"x" * 100))
    site.gate.clear()
    async with Clips(HOME.model_copy(update={"cache_entries": 0})) as clips, asyncio.timeout(10):
        tasks = [asyncio.create_task(clips.fetch(url)) for _ in range(5)]
        while not site.hits:
            await asyncio.sleep(0.01)
        site.gate.set()
        assert {await task for task in tasks} == {b"x" * 100}
    assert site.hits == ["/a"]


async def test_caller_that_hangs_up_does_not_take_the_others_along(site):
    url = site.add("/a", mulaw_wav(b"x" * 100))
    site.gate.clear()
    async with Clips(HOME) as clips, asyncio.timeout(10):
        first = asyncio.create_task(clips.fetch(url))
        while not site.hits:
            await asyncio.sleep(0.01)
        second = asyncio.create_task(clips.fetch(url))
        await asyncio.sleep(0)
        first.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await first
        site.gate.set()
        assert await second == b"x" * 100


async def test_failure_reaches_all_callers_and_is_not_kept(site):
    url = site.add("/a", status=500)
    site.gate.clear()
    async with Clips(HOME) as clips, asyncio.timeout(10):
        tasks = [asyncio.create_task(clips.fetch(url)) for _ in range(2)]
        while not site.hits:
            await asyncio.sleep(0.01)
        site.gate.set()
        for task in tasks:
            with pytest.raises(PeerUnavailable):
                await task
        site.add("/a", mulaw_wav(b"x"))
        assert await clips.fetch(url) == b"x"


@pytest.mark.parametrize(
    ("status", "error", "text"),
    [
        (404, PeerRefused, "404 Not Found"),
        (403, PeerRefused, "403 Forbidden"),
        (204, PeerRefused, "204 No Content"),
        (429, PeerUnavailable, "429 Too Many Requests"),
        (502, PeerUnavailable, "502 Bad Gateway"),
    ],
)
async def test_status(site, status, error, text):
    url = site.add("/x.mp3", status=status)
    async with Clips(HOME) as clips:
        with pytest.raises(error) as raised:
            await clips.fetch(url + "?token=secret")
    assert str(raised.value) == f"audio: {url}: {text}"


async def test_redirects_are_followed_three_times(site):
    site.add("/3", mulaw_wav(b"x"))
    for n in range(3):
        site.add(f"/{n}", status=302, Location=f"/{n + 1}")
    site.add("/-1", status=302, Location="/0")
    async with Clips(HOME) as clips:
        assert await clips.fetch(site.url + "/0") == b"x"
        with pytest.raises(PeerRefused, match="more than 3 redirects"):
            await clips.fetch(site.url + "/-1")


async def test_redirect_to_another_scheme(site):
    url = site.add("/a", status=302, Location="file:///etc/passwd")
    async with Clips(HOME) as clips:
        with pytest.raises(PeerRefused, match="only http"):
            await clips.fetch(url)


async def test_too_large(site):
    url = site.add("/a", b"\0" * 3_000)
    async with Clips(HOME.model_copy(update={"max_bytes": 2_000})) as clips:
        with pytest.raises(PeerProtocolError, match="more than 2000 bytes"):
            await clips.fetch(url)


async def test_too_slow(site):
    url = site.add("/a", mulaw_wav(b"x"))
    site.gate.clear()
    async with Clips(HOME.model_copy(update={"timeout_s": 0.1})) as clips:
        with pytest.raises(PeerUnavailable, match=r"not there after 0.1 s"):
            await clips.fetch(url)


async def test_nobody_there():
    async with Clips(HOME) as clips:
        with pytest.raises(PeerUnavailable, match=r"audio: http://127\.0\.0\.1:1/a"):
            await clips.fetch("http://127.0.0.1:1/a")


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "ftp://x/a", "nonsense", "", "http://", "http://[::1/", "data:,x"]
)
async def test_not_a_usable_url(url):
    async with Clips(HOME) as clips:
        with pytest.raises(PeerRefused):
            await clips.fetch(url)


async def test_outside_its_context():
    with pytest.raises(LocalProtocolError):
        await Clips(HOME).fetch("http://127.0.0.1:1/a")
