"""The conversation so far."""

import pytest

from voicebot.core.transcript import Line, Transcript


def test_lines_stay_in_the_order_in_which_they_were_said():
    transcript = Transcript()
    transcript.add("assistant", " Hello. ", 0)
    transcript.add("user", "Yes", 900)
    transcript.add("user", "please", 2_000)
    assert transcript.lines == [Line("assistant", "Hello.", 0), Line("user", "Yes", 900), Line("user", "please", 2_000)]


@pytest.mark.parametrize("text", ["", " ", "\n\t"])
def test_text_without_words_is_no_line(text):
    transcript = Transcript()
    transcript.add("assistant", text, 0)
    assert transcript.lines == []


def test_the_oldest_lines_are_let_go():
    transcript = Transcript(max_lines=3)
    for index in range(10):
        transcript.add("user", f"{index}", index)
    assert [line.text for line in transcript.lines] == ["7", "8", "9"]


def test_transcripts_are_apart():
    Transcript().add("user", "hello", 0)
    assert Transcript().lines == []
