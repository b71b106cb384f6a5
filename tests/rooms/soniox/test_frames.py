"""The cutter against the parser of `websockets`: whatever comes, and however it is cut, both read the same."""

from hypothesis import given
from hypothesis import strategies as st
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.uri import parse_uri

from voicebot.soniox_frames import TEXT, Cutter

MOST = 70_000
HEAD = b"HTTP/1.1 101 Switching Protocols\r\nX: 1\r\n\r\n"

payloads = st.one_of(st.binary(max_size=140), st.sampled_from([0, 125, 126, 65_535, 65_536, MOST]).map(bytes))
messages = st.builds(
    lambda opcode, payload: [Frame(opcode, payload)], st.sampled_from([Opcode.TEXT, Opcode.BINARY]), payloads
)
parts = st.builds(
    lambda opcode, first, rest: [
        Frame(opcode, first, fin=False),
        *(Frame(Opcode.CONT, payload, fin=False) for payload in rest),
        Frame(Opcode.CONT, b"end"),
    ],
    st.sampled_from([Opcode.TEXT, Opcode.BINARY]),
    payloads,
    st.lists(payloads, max_size=2),
)
pings = st.builds(lambda payload: [Frame(Opcode.PING, payload)], st.binary(max_size=125))
wrong = st.sampled_from(
    [
        Frame(Opcode.TEXT, b"masked").serialize(mask=True),
        b"\xc1\x01x",
        Frame(Opcode.CONT, b"continues nothing").serialize(mask=False),
        Frame(Opcode.TEXT, bytes(MOST + 1)).serialize(mask=False),
        Frame(Opcode.CLOSE, b"\x03\xe8bye").serialize(mask=False),
        b"\x83\x00",
        b"\x09\x01x",
    ]
)
streams = st.lists(
    st.one_of(
        st.one_of(messages, messages, parts, pings).map(
            lambda frames: b"".join(frame.serialize(mask=False) for frame in frames)
        ),
        wrong,
    ),
    max_size=6,
).map(b"".join)
cuts = st.lists(st.integers(min_value=1, max_value=400), min_size=1, max_size=40)


def pieces(data, sizes):
    at = 0
    for size in sizes:
        yield data[at : at + size]
        at += size
    yield data[at:]


class Reader:
    """What `websockets` makes of bytes: whole messages, and how it ends."""

    def __init__(self):
        self.protocol = ClientProtocol(parse_uri("ws://127.0.0.1"), state=State.OPEN, max_size=MOST)
        self.read, self.parts = [], []

    def take(self, data):
        self.protocol.receive_data(data)
        for frame in self.protocol.events_received():
            if frame.opcode in {Opcode.TEXT, Opcode.BINARY, Opcode.CONT}:
                self.parts.append(frame)
                if frame.fin:
                    opcode = self.parts[0].opcode
                    self.read.append((opcode, b"".join(part.data for part in self.parts)))
                    self.parts = []

    @property
    def end(self):
        return self.protocol.state, self.protocol.close_rcvd, self.protocol.close_sent


@given(streams, cuts)
def test_both_read_the_same(stream, sizes):
    plain, rest = Reader(), Reader()
    plain.take(stream)
    cutter, heads = Cutter(MOST), []
    for data in pieces(HEAD + stream, sizes):
        for first, piece in cutter.feed(data):
            if first:
                assert not rest.parts
                rest.read.append((Opcode.TEXT if first == TEXT else Opcode.BINARY, piece))
            elif sum(map(len, heads)) < len(HEAD):
                heads.append(piece)
            else:
                rest.take(piece)
                if rest.protocol.state is not State.OPEN:
                    cutter.stop()
    assert b"".join(heads) == HEAD
    assert rest.read == plain.read
    assert rest.end == plain.end


@given(st.lists(messages, min_size=1, max_size=5), cuts)
def test_messages_in_one_frame_need_no_protocol(frames, sizes):
    stream = b"".join(frame.serialize(mask=False) for (frame,) in frames)
    cutter = Cutter(MOST)
    list(cutter.feed(HEAD))
    found = [piece for data in pieces(stream, sizes) for piece in cutter.feed(data)]
    assert [first & 0x0F for first, _ in found] == [frame.opcode for (frame,) in frames]
    assert [piece for _, piece in found] == [frame.data for (frame,) in frames]


def test_nothing_is_cut_once_it_was_stopped():
    cutter = Cutter(MOST)
    list(cutter.feed(HEAD))
    message = Frame(Opcode.TEXT, b"late").serialize(mask=False)
    found = []
    for first, piece in cutter.feed(message[:-1]):
        found.append((first, piece))
    cutter.stop()
    assert found + list(cutter.feed(message[-1:])) == [(0, message)]
