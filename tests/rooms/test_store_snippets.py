"""What is shown of a text in which something was found."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicebot.store.search_query import parse
from voicebot.store.snippets import CUT, WORDS, snippet

BEFORE, AFTER = ("a " * 30).strip(), ("z " * 30).strip()


def shown(text, query):
    return "".join(f"[{part.text}]" if part.match else part.text for part in snippet(text, parse(query)))


@pytest.mark.parametrize(
    ("text", "query", "expected"),
    [
        pytest.param("¡Hola! ¿Qué tal?", "que", "¡Hola! ¿[Qué] tal?", id="short-texts-whole"),
        pytest.param("E\u0301te\u0301", "été", "[E\u0301te\u0301]", id="accents-of-their-own"),
        pytest.param("one two one two", '"one two"', "[one two] [one two]", id="side-by-side"),
        pytest.param("one two three", 'two "one two"', "[one two] three", id="overlapping"),
        pytest.param("tables and tab", "tab*", "[tables] and [tab]", id="prefix"),
        pytest.param("nothing of it", "word", "nothing of it", id="not-there"),
        pytest.param(
            f"{BEFORE} needle {AFTER}", "needle", f"{CUT}{'a ' * 6}[needle]{' z' * 9}{CUT}", id="words-on-both-sides"
        ),
        pytest.param(f"needle {AFTER}", "needle", f"[needle]{' z' * 15}{CUT}", id="at-the-beginning"),
        pytest.param(f"{BEFORE} needle.", "needle", f"{CUT}{'a ' * 15}[needle].", id="at-the-end"),
        pytest.param(f"x {BEFORE} x y", "x y", f"{CUT}{'a ' * 14}[x] [y]", id="where-most-is-seen"),
        pytest.param(f"{BEFORE} {AFTER}", f'"{AFTER[:39]}"', f"{CUT}[{AFTER[:39]}]{CUT}", id="a-long-phrase"),
    ],
)
def test_what_is_shown(text, query, expected):
    assert shown(text, query) == expected


@given(st.text("ab é.,\n", max_size=120), st.text('ab é"*', max_size=12))
def test_it_is_a_piece_of_the_text(text, query):
    parts = snippet(text, parse(query))
    plain = "".join(part.text for part in parts)
    assert plain.removeprefix(CUT).removesuffix(CUT) in text
    assert all(part.text for part in parts)
    assert len(re.findall(r"\w+", plain)) <= WORDS
