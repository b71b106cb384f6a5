"""The bot's own voice coming back, told from a caller who repeats it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicebot.core.echo_words import is_echo

SAID = (
    "Thank you for calling. Your appointment is on Monday, the fifth of May, at ten o'clock. "
    "Would you like the first one or the second one?"
)

ECHOES = [
    pytest.param("Your appointment is on Monday", id="a run of words"),
    pytest.param("your appointment is on monday the fifth of may at ten o clock", id="case and punctuation"),
    pytest.param("pointment is on monday the fif", id="first and last word cut"),
    pytest.param("your apartment is on Monday the", id="one word wrong"),
    pytest.param("your appointment is Monday the fifth", id="one word missing"),
    pytest.param("your appointment is uh on Monday", id="one word too many"),
    pytest.param(SAID, id="all of it"),
]
ANSWERS = [
    pytest.param("", id="nothing"),
    pytest.param("Monday", id="one word"),
    pytest.param("the first one", id="an option"),
    pytest.param("thank you", id="a courtesy"),
    pytest.param("I would like the first one", id="an option in a sentence"),
    pytest.param("yes Monday at ten o'clock is fine", id="an answer with the bot's words"),
    pytest.param("can you move my appointment to Monday", id="a question with the bot's words"),
    pytest.param("is your on Monday appointment", id="the bot's words in another order"),
    pytest.param("your appointment was at ten", id="the bot's words from two places"),
    pytest.param("r appointment is on", id="one letter is no cut word"),
    pytest.param("appointment was on Monday", id="one of four words wrong"),
]


@pytest.mark.parametrize("heard", ECHOES)
def test_echoes(heard):
    assert is_echo(heard, SAID)


@pytest.mark.parametrize("heard", ANSWERS)
def test_answers(heard):
    assert not is_echo(heard, SAID)


@pytest.mark.parametrize(
    ("heard", "said", "echo"),
    [
        pytest.param("one moment please", "One moment, please.", True, id="the whole statement"),
        pytest.param("moment please", "One moment, please.", False, id="part of the statement"),
        pytest.param("one moment plea", "One moment, please.", False, id="not exactly the statement"),
        pytest.param("customer service", "Customer service?", False, id="the whole question"),
        pytest.param("Tuesday", "Tuesday.", False, id="one word"),
        pytest.param("\u5ba2\u670d", "\u5ba2\u670d\uff1f", False, id="a question in Chinese"),
        pytest.param("one moment please", "", False, id="nothing said"),
    ],
)
def test_short_runs(heard, said, echo):
    assert is_echo(heard, said) is echo


def test_the_least_number_of_words_is_a_choice():
    assert not is_echo("your appointment is on", SAID, least_words=5)
    assert is_echo("your appointment is on Monday", SAID, least_words=5)
    assert is_echo("Welcome", "Welcome!", least_words=1)
    assert not is_echo("", "", least_words=0)


words = st.lists(st.sampled_from(["ba", "cd", "ef", "gh", "ij"]), max_size=14)


def least_errors(heard, said):
    """The plain table of distances, as an oracle; no word of its alphabet begins or ends another."""
    row = [0] * (len(said) + 1)
    for count, word in enumerate(heard, start=1):
        before, row = row, [count]
        for at, other in enumerate(said):
            row.append(min(before[at] + (word != other), before[at + 1] + 1, row[at] + 1))
    return min(row)


@given(words.filter(lambda heard: len(heard) >= 4), words)
def test_one_word_in_five_may_differ(heard, said):
    assert is_echo(" ".join(heard), " ".join(said)) is (least_errors(heard, said) <= len(heard) // 5)


@given(words.filter(lambda said: len(said) >= 4), st.data())
def test_every_stretch_of_four_words_is_an_echo(said, data):
    start = data.draw(st.integers(0, len(said) - 4))
    end = data.draw(st.integers(start + 4, len(said)))
    assert is_echo(" ".join(said[start:end]), " ".join(said))


@given(st.text(max_size=80), st.text(max_size=80), st.integers(-1, 5))
def test_any_text_is_judged(heard, said, least_words):
    assert is_echo(heard, said, least_words=least_words) in (True, False)
