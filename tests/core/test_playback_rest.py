"""What the bot still has to say after an interruption, and texts that grow while they are spoken."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicebot.core.playback import Playback, Spoken

HELLO = tuple((letter, 100 * index, 100 * index + 100) for index, letter in enumerate("Hello you."))


def say(playback, text, ms, now, characters=(), *, interruptible=True):
    number = playback.begin(text, interruptible=interruptible)
    playback.sent(number, ms, characters, now)
    return number, playback.complete(number)


# --- what is left to say ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("heard", "unheard", "rest"),
    [
        pytest.param("", "Hello you.", "Hello you.", id="nothing was heard"),
        pytest.param("Hello", " you.", "you.", id="cut between two words, before the space"),
        pytest.param("Hello ", "you.", "you.", id="cut between two words, behind the space"),
        pytest.param("Hello y", "ou.", "you.", id="cut in the midst of a word"),
        pytest.param("Hel", "lo you.", "Hello you.", id="cut in the first word"),
        pytest.param("on Tues", "day, the 3rd", "Tuesday, the 3rd", id="the rest keeps its signs"),
        pytest.param("one\ntw", "o three", "two three", id="words part at any white space"),
        pytest.param("  ", "Hello", "Hello", id="only space was heard"),
        pytest.param("Hello", " ", "", id="only space is left"),
        pytest.param("お電話あり", "がとう", "お電話ありがとう", id="a text without spaces is one word"),
    ],
)
def test_the_rest_begins_with_the_word_that_was_cut(heard, unheard, rest):
    assert Spoken(1, heard + unheard, heard, unheard, 500, interrupted=True).rest == rest


@given(text=st.text("ab .\n", max_size=30), cut=st.integers(0, 30))
def test_the_rest_loses_no_word_and_repeats_at_most_one(text, cut):
    heard, unheard = text[:cut], text[cut:]
    rest = Spoken(1, text, heard, unheard, 0, interrupted=True).rest
    assert text.rstrip().endswith(rest)
    assert len(unheard.split()) <= len(rest.split()) <= len(unheard.split()) + 1


def test_what_is_being_said():
    """What waits for its audio is not being said; what the carrier still holds is."""
    playback = Playback()
    assert playback.text == ""
    _, mark = say(playback, "One.", 300, 0.0)
    say(playback, "", 500, 0.0)  # a pause
    number = playback.begin("Two.", interruptible=True)
    assert playback.text == "One."
    playback.sent(number, 100, (), 0.0)
    assert playback.text == "One. Two."
    playback.reached(mark)
    assert playback.text == "Two."
    playback.clear(0.1)
    assert playback.text == ""


# --- a text that goes on ---------------------------------------------------------------------------


def test_a_text_goes_on_while_it_is_spoken():
    playback = Playback()
    number = playback.begin("Hello", interruptible=True)
    playback.sent(number, 500, HELLO[:5], 10.0)
    playback.extend(number, " you.")
    assert playback.text_of(number) == "Hello you."
    playback.sent(number, 500, HELLO[5:], 10.2)
    mark = playback.complete(number)
    assert playback.reached(mark) == (Spoken(number, "Hello you.", "Hello you.", "", 1_000, interrupted=False),)


def test_an_interruption_splits_the_whole_text_although_it_came_in_pieces():
    playback = Playback()
    number = playback.begin("Hello", interruptible=True)
    playback.sent(number, 500, HELLO[:5], 10.0)
    playback.extend(number, " you.")
    playback.sent(number, 500, HELLO[5:], 10.5)
    (spoken,) = playback.clear(10.75)
    assert (spoken.text, spoken.heard, spoken.unheard, spoken.rest) == ("Hello you.", "Hello yo", "u.", "you.")


def test_nothing_is_added_to_what_is_over():
    playback = Playback()
    number, _ = say(playback, "one", 300, 0.0)
    playback.clear(0.1)
    playback.extend(number, " more")
    playback.extend(99, " of nothing")
    assert playback.text_of(number) == ""
    assert playback.text == ""
