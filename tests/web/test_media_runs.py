"""Messages that the kernel collects: fewer wake-ups, and still nothing waits that should not."""

import asyncio
import socket
import sys
from contextlib import AsyncExitStack
from types import SimpleNamespace

import pytest
import uvloop

from tests.web.conftest import FRAME
from voicebot import live
from voicebot.core.batching import Batching
from voicebot.web.inlet import Inlet, Inlets
from voicebot.web.low_water import FRAME_HEAD, LowWater

HELLO = [{"at_ms": 300, "say": "hello there", "until_ms": 600, "end_ms": 800}]
linux = pytest.mark.skipif(sys.platform != "linux", reason="SO_RCVLOWAT is Linux's")


# --- the mark -------------------------------------------------------------------------------------


def mark(sock):
    return sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT)


def transport(sock, tls=None):
    return SimpleNamespace(get_extra_info={"socket": sock, "sslcontext": tls}.get)


@linux
def test_mark_of_several_messages():
    with socket.socket() as sock:
        low_water = LowWater(transport(sock))
        low_water.wait_for(5, 392)
        assert mark(sock) == 5 * (392 + FRAME_HEAD) - 196
        assert low_water.raised
        low_water.wait_for(5, 394)
        assert mark(sock) == 5 * (392 + FRAME_HEAD) - 196, "a digit more is no other length"
        low_water.wait_for(5, 800)
        assert mark(sock) == 5 * (800 + FRAME_HEAD) - 400
        low_water.lower()
        assert mark(sock) == 1
        assert not low_water.raised


@linux
def test_no_mark_where_tls_ends_here():
    with socket.socket() as sock:
        LowWater(transport(sock, tls=object())).wait_for(5, 392)
        assert mark(sock) == 1


def test_a_socket_that_is_gone():
    sock = socket.socket()
    sock.close()
    for low_water in (LowWater(transport(sock)), LowWater(transport(None)), LowWater(None)):
        low_water.wait_for(5, 392)
        low_water.lower()


def test_a_connection_that_uvloop_has_closed():
    async def close():
        taken = asyncio.get_running_loop().create_future()
        async with await asyncio.start_server(lambda *streams: taken.set_result(streams), "127.0.0.1", 0) as server:
            _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            _, accepted = await taken
            low_water = LowWater(accepted.transport)
            low_water.wait_for(5, 392)
            accepted.transport.abort()
            await accepted.wait_closed()
            try:
                low_water.lower()
            finally:
                writer.close()

    uvloop.run(close())


@linux
@pytest.mark.parametrize("factory", [asyncio.SelectorEventLoop, uvloop.Loop], ids=["asyncio", "uvloop"])
def test_several_messages_are_one_wake_up_and_lowering_brings_the_rest(factory):
    """Both event loops hand out a socket whose mark can be set."""

    class Peer(asyncio.Protocol):
        def __init__(self):
            self.reads, self.news = [], asyncio.Event()

        def connection_made(self, transport):
            self.low_water = LowWater(transport)

        def data_received(self, data):
            self.reads.append(len(data))
            self.news.set()

    async def scenario():
        with socket.create_server(("127.0.0.1", 0)) as listening:
            client = socket.create_connection(listening.getsockname())
            accepted, _ = listening.accept()
        line, peer = await asyncio.get_running_loop().connect_accepted_socket(Peer, accepted)
        peer.low_water.wait_for(3, 92)
        for _ in range(3):
            client.send(b"x" * 100)
            await asyncio.sleep(0.02)
        async with asyncio.timeout(10):
            await peer.news.wait()
            assert sum(peer.reads) in {254, 300}, peer.reads
            assert len(peer.reads) == 1
            peer.news.clear()
            client.send(b"short")
            await asyncio.sleep(0.1)
            assert not peer.news.is_set()
            peer.low_water.lower()
            await peer.news.wait()
        assert sum(peer.reads) == 305
        line.close()
        client.close()

    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(scenario())


@pytest.fixture
def busy(monkeypatch):
    """A process that is busy from its beginning, and stays it."""
    begin = Batching.__init__

    def begin_busy(self, *arguments, **options):
        begin(self, *arguments, **options)
        self.ms = 100

    monkeypatch.setattr(Batching, "__init__", begin_busy)
    monkeypatch.setattr(Batching, "note", lambda self, *_: None)


# --- the door -------------------------------------------------------------------------------------


async def test_a_call_while_many_share_the_core(house, carrier, busy):
    h = await house(HELLO)
    async with carrier(h) as twilio, twilio.talking() as stream:
        for _ in range(60):
            await stream.media()
            await asyncio.sleep(0.01)
        turn = await h.app.until("turn.completed")
        await stream.stop()
        await stream.closed()
        await h.empty()
    assert turn["data"]["turn"]["text"] == "hello there"
    assert len(h.tap.stt[0].audio) == 160 * 60


async def test_what_is_shorter_than_the_mark_is_heard_when_the_flow_stops(house, carrier, busy):
    h = await house(HELLO)
    async with carrier(h) as twilio, twilio.talking() as stream:
        for _ in range(30):
            await stream.media()
            await asyncio.sleep(0.01)
        await stream.media(2, payload=b"\x11" * 160)  # two messages are less than the mark
        await h.tap.changed.until(lambda message: isinstance(message, bytes) and message.endswith(b"\x11"))
        await stream.send(event="dtmf", streamSid=stream.sid, dtmf={"track": "inbound_track", "digit": "5"})
        await h.live(live.DigitPressed)
        await stream.stop()
        await stream.closed()
        await h.empty()
    assert h.app.events[-1]["data"]["reason"] == "caller_hangup"


async def test_many_frames_of_one_read_are_all_heard_in_order(house, carrier):
    h = await house(HELLO)
    async with carrier(h) as twilio, twilio.talking() as stream:
        for value in range(200):
            await stream.media(payload=bytes([value]) * 160)
        await h.app.until("turn.completed")
        await stream.stop()
        await stream.closed()
        await h.empty()
    assert h.tap.stt[0].audio == b"".join(bytes([value]) * 160 for value in range(200))


async def test_audio_before_a_key_is_heard_before_it(house, carrier, busy):
    h = await house([{"at_ms": 20, "partial": " word"}])
    async with carrier(h) as twilio, twilio.talking() as stream:
        await h.tap.sessions.until(lambda session: "transcribe" in session.path)
        await stream.media(10)
        await stream.send(event="dtmf", streamSid=stream.sid, dtmf={"track": "inbound_track", "digit": "#"})
        await stream.stop()
        await stream.closed()
        await h.empty()
    assert len(h.tap.stt[0].audio) == 160 * 10


async def test_an_idle_service_sends_each_frame_at_once(house, carrier):
    h = await house(HELLO)
    batching = h.service.calls._rooms.batching
    async with carrier(h) as twilio, twilio.talking() as stream:
        await stream.media()
        await h.tap.changed.until(lambda message: message == FRAME)
        await stream.stop()
        await stream.closed()
        await h.empty()
    assert batching.ms < 100


async def test_a_key_takes_the_audio_before_it_along(house, carrier, busy):
    h = await house(HELLO)
    async with carrier(h) as twilio, twilio.talking() as stream:
        await h.tap.sessions.until(lambda session: "transcribe" in session.path)
        await stream.media(2)
        await stream.send(event="dtmf", streamSid=stream.sid, dtmf={"track": "inbound_track", "digit": "1"})
        await h.tap.changed.until(lambda message: message == 2 * FRAME)
        await stream.stop()
        await stream.closed()
        await h.empty()


async def test_what_one_read_has_brought_goes_up_with_it(house, carrier, busy):
    h = await house(HELLO)
    h.service.calls._rooms.batching.ms = 60_000  # nothing is sent because time has passed
    async with carrier(h) as twilio, twilio.talking() as stream:
        await h.tap.sessions.until(lambda session: "transcribe" in session.path)
        await stream.media(2)
        await stream.send(event="mark", streamSid=stream.sid, mark={"name": "of nobody"})
        await h.tap.changed.until(lambda message: message == 2 * FRAME)
        await stream.stop()
        await stream.closed()
        await h.empty()


# --- streams that would be read at the same moment ------------------------------------------------


@pytest.fixture
def inlets(monkeypatch):
    """All that look after the streams of a service."""
    found, add = [], Inlets.add

    def seen(self, inlet):
        found.append(inlet)
        add(self, inlet)

    monkeypatch.setattr(Inlets, "add", seen)
    return found


@linux
async def test_a_batch_that_comes_earlier_is_short_once(house, carrier, busy, inlets):
    h = await house(HELLO)
    async with carrier(h) as twilio, twilio.talking() as stream:
        await flow(stream, until=lambda: inlets and inlets[0].collects(asyncio.get_running_loop().time()))
        sent, sizes = h.tap.stt[0].sent, list[int]()
        async with asyncio.timeout(60):
            while not sizes.count(5) > sizes.count(2) > 0:  # a machine that stands still for a moment makes other sizes
                before = len(sent)
                inlets[0].come_earlier(3)
                await flow(stream, until=lambda: len(sent) > before + 8)  # noqa: B023
                sizes = [len(message) // 160 for message in sent[before:] if isinstance(message, bytes)]
        await stream.stop()
        await stream.closed()
        await h.empty()


@linux
async def test_the_longest_batch_is_collected_whole(house, carrier, busy, monkeypatch):
    runs, hear = [], Inlet.hear

    def heard(self, run, message_bytes):
        runs.append(len(run))
        hear(self, run, message_bytes)

    monkeypatch.setattr(Inlet, "hear", heard)
    h = await house(HELLO)
    h.service.calls._rooms.batching.ms = 500
    async with carrier(h) as twilio, twilio.talking() as stream:
        await flow(stream, until=lambda: 25 in runs, pace_s=0.015)
        await stream.stop()
        await stream.closed()
        await h.empty()


@linux
async def test_streams_that_begin_together_are_read_one_after_the_other(house, carrier, busy, inlets):
    h = await house(HELLO)
    async with carrier(h) as twilio, AsyncExitStack() as stack:
        streams = [await stack.enter_async_context(twilio.talking()) for _ in range(5)]

        def spread():
            now = asyncio.get_running_loop().time()
            return len({inlet.place(5) for inlet in inlets if inlet.collects(now)}) == len(streams)

        await flow(*streams, until=spread)
        for stream in streams:
            await stream.stop()
            await stream.closed()
        await h.empty()


async def flow(*streams, until, pace_s=0.02):
    """Frames in all streams, at the pace of a phone and at the same moments, until it is so."""
    async with asyncio.timeout(60):
        while not until():
            for stream in streams:
                await stream.media()
            await asyncio.sleep(pace_s)
