"""Text is whole, wherever it came from: no socket, file or database takes halves of characters."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicebot.errors import PeerRefused, PeerUnavailable, ReplyRefused
from voicebot.text import whole


@given(st.text())  # which has no halves of its own
def test_what_is_whole_stays(text):
    assert whole(text) == text


@given(st.text(st.characters(categories=["Cs", "Ll", "So"])))
def test_the_rest_can_be_sent(text):
    assert whole(text).encode().decode() == whole(text)


@pytest.mark.parametrize("number", [0xD800, 0xDCFF])
def test_one_sign_for_each_half(number):
    half = chr(number)
    assert whole(f"a{half}\N{PILE OF POO}{half}b") == "a\ufffd\N{PILE OF POO}\ufffdb"


@pytest.mark.parametrize(
    "error",
    [
        PeerUnavailable("audio", "500 \udcff"),
        PeerRefused("audio", "404 \udcff", code=404),
        ReplyRefused("$", "application/\udcff"),
    ],
)
def test_an_error_with_the_words_of_a_peer_can_be_written_down(error):
    assert str(error).encode().endswith("\ufffd".encode())
