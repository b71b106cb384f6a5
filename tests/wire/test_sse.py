"""Server-sent events: what is written can be read, wherever the network cuts it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicebot.wire.sse import HEARTBEAT, Message, Reader, message, retry


def read(data, size=None, reader=None):
    reader = reader or Reader()
    pieces = [data] if size is None else [data[at : at + size] for at in range(0, len(data), size)]
    return [found for piece in pieces for found in reader.push(piece)]


def test_a_message_as_written():
    assert message("partial", b'{"a":1}', "f00-12") == b'id: f00-12\nevent: partial\ndata: {"a":1}\n\n'
    assert message("dropped", b"{}") == b"event: dropped\ndata: {}\n\n"
    assert retry(1_000) == b"retry: 1000\n\n"


@pytest.mark.parametrize(
    ("data", "messages"),
    [
        pytest.param(b"data: a\n\n", [Message("message", b"a", "")], id="no-name"),
        pytest.param(b"data:a\n\n", [Message("message", b"a", "")], id="no-space"),
        pytest.param(b"data:  a\n\n", [Message("message", b" a", "")], id="one-space-is-ours"),
        pytest.param(b"data: a\ndata: b\n\n", [Message("message", b"a\nb", "")], id="two-lines"),
        pytest.param(b"event: x\r\ndata: a\r\n\r\n", [Message("x", b"a", "")], id="crlf"),
        pytest.param(b"event: x\rdata: a\r\r\n", [Message("x", b"a", "")], id="cr"),
        pytest.param(b"event: x\n\ndata: a\n\n", [Message("message", b"a", "")], id="a-name-without-data-is-none"),
        pytest.param(b"id: 7\n\ndata: a\n\n", [Message("message", b"a", "7")], id="an-id-without-data-counts"),
        pytest.param(b"id: 7\ndata: a\n\ndata: b\n\n", [Message("message", x, "7") for x in (b"a", b"b")], id="id-stays"),
        pytest.param(b"id: 7\ndata: a\n\nid\ndata: b\n\n", [Message("message", b"a", "7"), Message("message", b"b", "")], id="empty-id"),
        pytest.param(b"id: 7\0\ndata: a\n\n", [Message("message", b"a", "")], id="id-with-nul"),
        pytest.param(HEARTBEAT + retry(5) + b"other: 1\ndata: a\n\n", [Message("message", b"a", "")], id="nothing-for-us"),
        pytest.param(b"data: a\n", [], id="cut-off"),
    ],
)  # fmt: skip
def test_reading(data, messages):
    assert read(data) == messages


def test_a_reader_goes_on_from_an_id():
    assert Reader("7").last_id == "7"
    assert read(b"data: a\n\n", reader=Reader("7")) == [Message("message", b"a", "7")]


def test_it_knows_what_it_holds():
    reader = Reader()
    assert read(b"data: abc\ndata: de", reader=reader) == []
    assert reader.held == len(b"abc" + b"data: de")
    assert len(read(b"\n\n", reader=reader)) == 1
    assert reader.held == 0


TEXTS = st.text(st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"]), max_size=8)


@given(
    st.lists(st.tuples(TEXTS.map(str.strip).filter(bool), TEXTS), max_size=5),
    st.integers(1, 9),
    st.sampled_from([b"\n", b"\r\n", b"\r"]),
)
def test_the_network_may_cut_anywhere(sent, size, end):
    data = b"".join(message(name, text.encode(), f"b-{n}") for n, (name, text) in enumerate(sent)).replace(b"\n", end)
    got = read(data + b":" + end, size)
    assert got == [Message(name, text.encode(), f"b-{n}") for n, (name, text) in enumerate(sent)]
