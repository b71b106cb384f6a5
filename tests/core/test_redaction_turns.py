"""Redaction of what is still being said, of tokens with their times, and of whole turns."""

from copy import replace

import pytest

from voicebot.core.entries import Entry
from voicebot.core.events import Token, Turn
from voicebot.core.redaction import RedactionPolicy, Redactor
from voicebot.core.redaction_numbers import is_luhn

KINDS = ("card_number", "iban", "email", "phone", "number_sequence", "digits_entered")
CARD = "4111111111111111"
GERMAN = "null eins zwei drei vier fünf sechs sieben acht neun"


def redactor(*kinds):
    return Redactor(RedactionPolicy(kinds=kinds))


def spoken(digits, words="zero one two three four five six seven eight nine"):
    return " ".join(words.split()[int(digit)] for digit in digits)


# --- what is still being said ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("my card is four one one", "my card is […]", id="beginning"),
        pytest.param("my card is 4111 11", "my card is […]", id="written"),
        pytest.param("my card is 4111 11 um ", "my card is […] ", id="hesitating"),
        pytest.param("a table for 2", "a table for 2", id="small"),
        pytest.param("it is 4111 on the card you see", "it is 4111 on the card you see", id="went-on"),
    ],
)
def test_digits_at_the_end_may_become_more(text, shown):
    assert redactor("card_number").text(text, open_end=True) == shown
    assert redactor("email").text(text, open_end=True) == text


@pytest.mark.parametrize("size", range(3, 17))
def test_no_partial_shows_the_digits_of_a_card(size):
    settled, tentative = redactor("card_number").partial(f"it is {CARD[: size - 2]}", CARD[size - 2 : size])
    assert (settled, tentative) == (
        "it is " + ("[…]" if size < 13 or (size < 16 and not is_luhn(CARD[:size])) else "[card number]"),
        "",
    )


def test_parts_stay_parts():
    assert redactor("email").partial("a@b.example is", " it") == ("[e-mail] is", " it")
    assert redactor("email").partial("", "x") == ("", "x")
    assert redactor("email").partial("", "") == ("", "")


@pytest.mark.parametrize("size", range(1, len(CARD)))
def test_a_number_that_an_interruption_has_cut_is_hidden_on_both_sides(size):
    heard, unheard = redactor("card_number").cut(f"your card is {CARD[:size]}", f"{CARD[size:]}, right?")
    assert (heard, unheard) == ("your card is [card number]", ", right?")


def test_a_cut_hides_no_number_that_may_become_more():
    assert redactor("card_number").cut("a table for 4111", " people") == ("a table for 4111", " people")
    assert redactor("card_number").cut("", f"it is {CARD}") == ("", "it is [card number]")


# --- tokens and turns ------------------------------------------------------------------------------


def test_a_label_takes_the_times_of_what_it_hides():
    tokens = [
        Token(" it's", 0, 100, 0.9, "1", "en"),
        Token(" 41", 100, 200, 0.8, "1", "en"),
        Token("11", 200, 300, 0.7, "1", "en"),
        Token(" 111111111111.", 300, 900, 0.6, "1", "en"),
        Token(" Thanks", 900, 999, 0.9, "1", "en"),
    ]
    shown = redactor("card_number").tokens(tokens)
    assert [token.text for token in shown] == [" it's", " [card number]", ".", " Thanks"]
    assert (shown[1].start_ms, shown[1].end_ms, shown[1].confidence) == (100, 300, 0.8)
    assert (shown[2].start_ms, shown[2].end_ms) == (300, 900)


def test_a_hidden_token_without_a_time_lends_none():
    shown = redactor("card_number").tokens([Token(CARD[:8], 1, 2), Token(CARD[8:])])
    assert shown == (Token("[card number]", 1, 2),)


def test_translations_are_hidden_as_well_and_stay_in_their_place():
    tokens = [
        Token("meine ", language="de"),
        Token("my ", language="en", translation=True),
        Token(spoken(CARD, GERMAN), language="de"),
        Token(spoken(CARD), language="en", translation=True),
    ]
    shown = redactor("card_number").tokens(tokens)
    assert [token.text for token in shown] == ["meine ", "my ", "[card number]", "[card number]"]


def test_a_turn_is_hidden_in_all_its_parts():
    said = f"it's {spoken(CARD)}"
    turn = Turn(
        number=3,
        text=said,
        reason="endpoint",
        tokens=(Token(said, 10, 20, language="en"),),
        digits="4711",
        translation=f"es ist {CARD}",
        entry=Entry("digits", CARD, complete=True),
        started_ms=10,
    )
    shown = redactor("card_number").turn(turn)
    assert (shown.text, shown.translation) == ("it's [card number]", "es ist [card number]")
    assert [token.text for token in shown.tokens] == ["it's [card number]"]
    assert shown.entry == Entry("digits", "[card number]", complete=True)
    assert (shown.digits, shown.number, shown.started_ms) == ("4711", 3, 10)
    assert redactor().turn(turn) == turn


def test_the_answer_to_a_question_for_digits_is_hidden_like_keys():
    turn = Turn(1, "it's seven 1, one two", "endpoint", digits="9", entry=Entry("digits", "7112", complete=True))
    turn = replace(turn, tokens=(Token("it's seven"), Token(" 1, one two")))
    shown = redactor("digits_entered").turn(turn)
    assert shown.text == "it's [digits] [digits], [digits] [digits]"
    assert [token.text for token in shown.tokens] == ["it's [digits]", " [digits], [digits] [digits]"]
    assert (shown.digits, shown.entry.value) == ("[digits]", "[digits]")
    assert redactor("digits_entered").turn(replace(turn, entry=None)).text == turn.text
    assert redactor("digits_entered").turn(replace(turn, digits="")).digits == ""


@pytest.mark.parametrize(
    ("entry", "value"),
    [
        pytest.param(Entry("email", "a@b.example", complete=True), "[e-mail]", id="email"),
        pytest.param(Entry("spelling", "smith", complete=False), "smith", id="spelling"),
        pytest.param(Entry("yes_no", "yes", complete=True), "yes", id="yes-no"),
        pytest.param(Entry("digits", "", complete=False), "", id="empty"),
        pytest.param(Entry("digits", "12", complete=False), "[digits]", id="digits"),
    ],
)
def test_entries(entry, value):
    assert redactor(*KINDS).entry(entry) == replace(entry, value=value)
    assert redactor(*KINDS).entry(None) is None


def test_every_text_of_a_turn_is_looked_at():
    """A new field of a turn must be thought of here."""
    harmless = {"number", "reason", "settled_at", "started_ms", "ended_ms"}
    assert set(Turn.__struct_fields__) - harmless == {"text", "tokens", "digits", "translation", "entry"}
