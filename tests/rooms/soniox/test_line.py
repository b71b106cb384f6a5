"""The connection to Soniox against the server of `websockets`, which keeps to the letter of RFC 6455."""

import asyncio
import contextlib
import gc
import logging
import weakref

import pytest
from websockets.asyncio.server import serve
from websockets.exceptions import (
    ConnectionClosed,
    ConnectionClosedError,
    ConnectionClosedOK,
    InvalidHandshake,
    InvalidURI,
)
from websockets.frames import Frame, Opcode
from websockets.utils import accept_key

from voicebot import soniox_line
from voicebot.soniox_line import connect

LOG = logging.getLogger("line")
LOG.setLevel(logging.INFO)
DEADLINE_S = 50


@pytest.fixture
async def server():
    """Start servers that run a script for each connection; returns their URL."""
    async with contextlib.AsyncExitStack() as stack:

        async def start(script, **options):
            listening = await stack.enter_async_context(serve(script, "127.0.0.1", 0, **options))
            return f"ws://127.0.0.1:{listening.sockets[0].getsockname()[1]}/path?query"

        yield start


@contextlib.asynccontextmanager
async def line_to(url, **changed):
    options = {
        "headers": {"Authorization": "Bearer key"},
        "tls": None,
        "open_timeout_s": 5,
        "close_timeout_s": 1,
        "ping_s": 60,
        "pong_timeout_s": 60,
        "max_message_bytes": 100_000,
        "logger": LOG,
    }
    async with asyncio.timeout(DEADLINE_S):
        line = await connect(url, **options | changed)
        try:
            yield line
        finally:
            await line.abort()


async def echo(socket):
    async for message in socket:
        await socket.send(message)


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536, 99_999])
@pytest.mark.parametrize("kind", [str, bytes])
async def test_messages_of_any_length_there_and_back(server, size, kind):
    message = "x" * size if kind is str else bytes(index % 256 for index in range(size))
    async with line_to(await server(echo)) as line:
        for _ in range(3):
            await line.send(message)
        assert [await line.recv() for _ in range(3)] == [message] * 3


async def test_more_messages_than_masking_keys_are_drawn_at_a_time(server):
    async with line_to(await server(echo)) as line:
        for number in range(3 * soniox_line.KEYS):
            await line.send(f"größe {number}")
            assert await line.recv() == f"größe {number}"


async def test_handshake(server):
    requests = []

    async def script(socket):
        requests.append(socket.request)

    async with line_to(await server(script)) as line:
        with pytest.raises(ConnectionClosedOK):
            await line.recv()
    (request,) = requests
    assert request.path == "/path?query"
    assert request.headers["Authorization"] == "Bearer key"
    assert "Sec-WebSocket-Extensions" not in request.headers


async def test_a_message_in_several_frames(server):
    async def script(socket):
        await socket.send(["in ", "three ", "parts"])
        await socket.send([b"and ", b"bytes"])

    async with line_to(await server(script)) as line:
        assert await line.recv() == "in three parts"
        assert await line.recv() == b"and bytes"


async def test_what_came_before_the_end_is_read_before_the_end(server):
    async def script(socket):
        await socket.send("one")
        await socket.send("two")
        await socket.close(1001, "going away")

    async with line_to(await server(script)) as line:
        await line.close()
        assert await line.recv() == "one"
        assert await line.recv() == "two"
        for _ in range(2):
            with pytest.raises(ConnectionClosedOK) as closed:
                await line.recv()
            assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1001, "going away")
        with pytest.raises(ConnectionClosed):
            await line.send("late")


async def test_a_line_that_breaks(server):
    async def script(socket):
        await socket.recv()
        socket.transport.abort()

    async with line_to(await server(script)) as line:
        reading = asyncio.ensure_future(line.recv())
        await line.send("now")
        with pytest.raises(ConnectionClosedError) as closed:
            await reading
        assert closed.value.rcvd is None


async def test_our_close_is_answered(server):
    codes = []

    async def script(socket):
        await socket.wait_closed()
        codes.append(socket.close_code)

    async with line_to(await server(script)) as line:
        await line.close()
        await line.close()
        with pytest.raises(ConnectionClosedOK):
            await line.recv()
    while not codes:
        await asyncio.sleep(0.01)
    assert codes == [1000]


@contextlib.asynccontextmanager
async def bare(*answers):
    """A server that shakes hands and then says what it was given, and nothing else, whatever it hears."""
    heard = bytearray()

    async def script(reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        key = next(line for line in head.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key:"))
        accept = accept_key(key.split(b":")[1].strip().decode())
        writer.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept.encode() + b"\r\n\r\n"
        )
        for answer in answers:
            writer.write(answer)
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65_536):
                heard.extend(data)
        writer.close()

    listening = await asyncio.start_server(script, "127.0.0.1", 0)
    async with listening:
        yield f"ws://127.0.0.1:{listening.sockets[0].getsockname()[1]}", heard


async def test_a_peer_that_does_not_close_is_cut_off():
    async with bare() as (url, _), line_to(url, close_timeout_s=0.1) as line:
        await line.close()
        with pytest.raises(ConnectionClosedError) as closed:
            await line.recv()
        assert closed.value.sent.code == 1000


async def test_a_peer_that_answers_no_ping_is_given_up_on():
    async with bare() as (url, heard), line_to(url, ping_s=0.05, pong_timeout_s=0.05, close_timeout_s=0.05) as line:
        with pytest.raises(ConnectionClosedError) as closed:
            await line.recv()
        assert closed.value.sent.code == 1011
        assert heard[0] == 0x80 | Opcode.PING


async def test_pings_go_on_as_long_as_they_are_answered(server):
    url = await server(lambda socket: socket.wait_closed())
    async with line_to(url, ping_s=0.02, pong_timeout_s=0.02) as line:
        while line._pings < 5:
            await asyncio.sleep(0.01)
        await line.send("still here")


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        pytest.param(Frame(Opcode.TEXT, b"x" * 2_000).serialize(mask=False), 1009, id="too long"),
        pytest.param(Frame(Opcode.TEXT, b"\xff\xfe").serialize(mask=False), 1007, id="no UTF-8"),
        pytest.param(b"\xf1\x01x", 1002, id="reserved bits"),
        pytest.param(Frame(Opcode.CONT, b"x").serialize(mask=False), 1002, id="continues nothing"),
    ],
)
async def test_what_breaks_the_protocol_ends_the_line(answer, code):
    async with bare(answer) as (url, _), line_to(url, max_message_bytes=1_000, close_timeout_s=0.1) as line:
        with pytest.raises(ConnectionClosedError) as closed:
            await line.recv()
        assert closed.value.sent.code == code


async def test_nothing_is_read_while_nobody_takes_it(server):
    sent = 0

    async def script(socket):
        nonlocal sent
        while sent < 2_000:
            await socket.send("x" * 50_000)
            sent += 1

    async with line_to(await server(script)) as line:
        before = -1
        while before != sent:
            before = sent
            await asyncio.sleep(0.2)
        assert len(line._unread) < 2 * soniox_line.MOST_UNREAD
        assert sent < 2_000
        for _ in range(2_000):
            await line.recv()


async def test_sending_waits_while_the_network_takes_nothing(server):
    released, received = asyncio.Event(), asyncio.get_running_loop().create_future()

    async def script(socket):
        await released.wait()
        received.set_result([len(message) async for message in socket])

    async with line_to(await server(script, max_queue=1, max_size=None)) as line:

        async def send_all():
            for _ in range(100):
                await line.send(b"x" * 1_000_000)

        sending = asyncio.ensure_future(send_all())
        _, waiting = await asyncio.wait([sending], timeout=0.5)
        assert waiting, "a hundred megabytes do not fit into any buffer"
        released.set()
        await sending
        await line.close()
        assert await received == [1_000_000] * 100


async def test_a_writer_that_waits_hears_of_the_end(server):
    async def script(socket):
        await asyncio.sleep(0.3)
        socket.transport.abort()

    async with line_to(await server(script, max_queue=1, max_size=None)) as line:

        async def send_all():
            for _ in range(100):
                await line.send(b"x" * 1_000_000)

        with pytest.raises(ConnectionClosed):
            await send_all()


async def test_a_reader_that_was_cancelled_loses_nothing(server):
    async with line_to(await server(echo)) as line:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await line.recv()
        await line.send("after all")
        assert await line.recv() == "after all"


async def test_who_hears_gets_every_message_until_he_has_enough(server):
    async with line_to(await server(echo)) as line:
        heard = []

        def take(message):
            heard.append(message)
            return len(heard) % 3 > 0

        for number in range(8):
            await line.send(str(number))
        await line.hear(take)
        await line.hear(take)
        assert heard == list("012345")
        assert [await line.recv() for _ in range(2)] == ["6", "7"]


async def test_what_goes_wrong_while_hearing_is_raised_where_it_was_asked_for(server):
    def take(message):
        if message == "2":
            raise ValueError(message)
        return True

    async with line_to(await server(echo)) as line:
        hearing = asyncio.ensure_future(line.hear(take))
        for number in range(4):
            await line.send(str(number))
        with pytest.raises(ValueError, match="2"):
            await hearing
        assert await line.recv() == "3"


async def test_hearing_ends_with_the_line_after_what_came_before(server):
    async def script(socket):
        await socket.send("one")
        await socket.close(1001, "going away")

    async with line_to(await server(script)) as line:
        heard = []
        with pytest.raises(ConnectionClosedOK):
            await line.hear(lambda message: not heard.append(message))
        assert heard == ["one"]


async def test_nothing_is_given_to_one_who_hears_no_more(server):
    async with line_to(await server(echo)) as line:
        heard = []
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await line.hear(lambda message: not heard.append(message))
        await line.send("after all")
        assert await line.recv() == "after all"
        assert heard == []


@pytest.mark.parametrize("answer", [b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", b"nonsense\r\n\r\n", b""])
async def test_a_server_that_speaks_something_else(answer):
    async def script(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    async with await asyncio.start_server(script, "127.0.0.1", 0) as listening:
        with pytest.raises(InvalidHandshake):
            async with line_to(f"ws://127.0.0.1:{listening.sockets[0].getsockname()[1]}"):
                pass


async def test_a_server_that_never_answers():
    async def script(reader, writer):
        await reader.read()
        writer.close()

    async with await asyncio.start_server(script, "127.0.0.1", 0) as listening:
        with pytest.raises(TimeoutError, match="timed out"):
            async with line_to(f"ws://127.0.0.1:{listening.sockets[0].getsockname()[1]}", open_timeout_s=0.1):
                pass


async def test_no_address():
    with pytest.raises(InvalidURI):
        async with line_to("http://127.0.0.1"):
            pass


@pytest.mark.parametrize("end", ["closed", "cut"])
async def test_a_line_that_is_gone_is_freed_at_once(server, end):
    """Without the collector, which hardly ever runs in a service: each call has a line or two."""
    url = await server(echo)
    gc.collect()
    gc.disable()
    try:
        async with line_to(url) as line:
            await line.send("hello")
            await line.recv()
            protocol = weakref.ref(line._protocol)
            await (line.close() if end == "closed" else line.abort())
        del line
        for _ in range(20):
            await asyncio.sleep(0)  # the last callbacks
        assert protocol() is None
    finally:
        gc.enable()
