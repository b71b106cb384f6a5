"""What an `expect` makes of words and keys: digits, yes and no, and the laws of all kinds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicebot.core.actions import Expect
from voicebot.core.entries import Entry, read_entry

LANGUAGES = ["en", "de", "fr", "es", "it", "pt", "nl", "da", "pl", "ja", "en-US", "", None]

DIGITS = [
    pytest.param("en", "two six zero", "260", id="words"),
    pytest.param("en", "Two. Six. Zero.", "260", id="sentences"),
    pytest.param("en", "two-six-zero", "260", id="hyphens"),
    pytest.param("en", "4155 550 123", "4155550123", id="groups"),
    pytest.param("en", "+1 (415) 555-0123.", "14155550123", id="written number"),
    pytest.param("en", "four one five, five five five", "415555", id="comma"),
    pytest.param("en", "oh four one", "041", id="oh in front"),
    pytest.param("en", "one oh oh", "100", id="oh twice at the end"),
    pytest.param("en", "five o two", "502", id="letter o"),
    pytest.param("en", "oh, it's five", "5", id="oh the exclamation"),
    pytest.param("en", "oh, oh, I see", "", id="only exclamations"),
    pytest.param("en", "double five", "55", id="double"),
    pytest.param("en", "triple zero one", "0001", id="triple"),
    pytest.param("en", "double oh seven", "007", id="double oh"),
    pytest.param("en", "double 5 1", "551", id="double written"),
    pytest.param("en", "double 23", "23", id="double a number"),
    pytest.param("en", "twenty five", "25", id="tens"),
    pytest.param("en", "twenty-five", "25", id="tens with a hyphen"),
    pytest.param("en", "twenty, five", "205", id="a comma parts"),
    pytest.param("en", "one eight hundred five", "1805", id="hundred"),
    pytest.param("en", "nine nineteen ninety", "91990", id="year"),
    pytest.param("en", "the fifth, I mean six", "6", id="ordinal"),
    pytest.param("en", "the 4th of 10", "10", id="written ordinal"),
    pytest.param("en", "my number is four two", "42", id="other words"),
    pytest.param("en", "three point five", "35", id="point"),
    pytest.param("en", "\u0663 \u00b2", "32", id="other scripts"),
    pytest.param("en", "", "", id="nothing"),
    pytest.param("en-GB", "seven", "7", id="region"),
    pytest.param(None, "seven", "7", id="no language"),
    pytest.param("pl", "siedem 7", "7", id="unknown language"),
    pytest.param("de", "null eins zwo drei f\u00fcnf", "01235", id="German"),
    pytest.param("de", "f\u00fcnfundzwanzig", "25", id="German tens"),
    pytest.param("de", "ein und zwanzig", "21", id="German tens in pieces"),
    pytest.param("de", "das ist eine vier", "4", id="German article"),
    pytest.param("de", "doppel null", "00", id="German double"),
    pytest.param("fr", "z\u00e9ro six douze trente-quatre quatre-vingt-dix", "06123490", id="French"),
    pytest.param("fr", "un deux", "12", id="French one"),
    pytest.param("es", "dos cero uno veinticinco", "20125", id="Spanish"),
    pytest.param("es", "es un cuatro", "4", id="Spanish article"),
    pytest.param("it", "tre zero uno ventitr\u00e9", "30123", id="Italian"),
    pytest.param("pt", "meia dois um", "621", id="Portuguese"),
    pytest.param("nl", "nul zes een vijfentwintig", "06125", id="Dutch"),
    pytest.param("da", "nul to tre", "023", id="Danish"),
]


@pytest.mark.parametrize(("language", "text", "value"), DIGITS)
def test_digits(language, text, value):
    assert read_entry(Expect(kind="digits"), text, (), language) == Entry("digits", value, complete=False)


KEYS = [
    pytest.param("", [(0, "1"), (0, "2")], "12", id="keys alone"),
    pytest.param("one two", [(0, "9"), (1, "8"), (2, "7")], "91827", id="among words"),
    pytest.param("one two", [(2, "7"), (2, "8"), (0, "9")], "91278", id="in order of words, then of keys"),
    pytest.param("one two", [(99, "7"), (-1, "8")], "8127", id="beyond the words"),
    pytest.param("twenty five", [(1, "9")], "2095", id="a key parts numbers"),
    pytest.param("my code is one", [(3, "9")], "91", id="other words count"),
    pytest.param("one", [(1, "*"), (1, "#"), (1, "A"), (1, "4")], "14", id="keys that are no digits"),
]


@pytest.mark.parametrize(("text", "keys", "value"), KEYS)
def test_keys_take_their_place_among_spoken_digits(text, keys, value):
    assert read_entry(Expect(kind="digits"), text, keys, "en") == Entry("digits", value, complete=False)


@pytest.mark.parametrize(("count", "complete"), [(1, True), (2, True), (3, True), (4, False), (None, False)], ids=str)
def test_digits_are_complete_by_count_and_never_cut(count, complete):
    entry = read_entry(Expect(kind="digits", digits=count), "one two", [(2, "3")], "en")
    assert entry == Entry("digits", "123", complete=complete)


def test_free_has_no_entry():
    assert read_entry(Expect(), "yes 1 2", [(0, "1")], "en") is None


YES_NO = [
    pytest.param("en", "Yes.", "yes", id="yes"),
    pytest.param("en", "Yeah, sure.", "yes", id="yeah sure"),
    pytest.param("en", "yep", "yes", id="yep"),
    pytest.param("en", "Uh-huh.", "yes", id="uh-huh"),
    pytest.param("en", "That's right.", "yes", id="that's right"),
    pytest.param("en", "That\u2019s correct.", "yes", id="typographic apostrophe"),
    pytest.param("en", "yes please", "yes", id="yes please"),
    pytest.param("en", "Please.", "yes", id="please alone"),
    pytest.param("en", "I do.", "yes", id="I do alone"),
    pytest.param("en", "no problem", "yes", id="no problem"),
    pytest.param("en", "why not", "yes", id="why not"),
    pytest.param("en", "No.", "no", id="no"),
    pytest.param("en", "nope", "no", id="nope"),
    pytest.param("en", "Uh-uh.", "no", id="uh-uh"),
    pytest.param("en", "not really", "no", id="not really"),
    pytest.param("en", "I don't think so", "no", id="I don't think so"),
    pytest.param("en", "No, thanks.", "no", id="no thanks"),
    pytest.param("en", "That's not right.", "no", id="not right"),
    pytest.param("en", "that is not quite correct", "no", id="not quite correct"),
    pytest.param("en", "No, that's right.", "yes", id="a comma ends the negation"),
    pytest.param("en", "yes, no, wait, no", "no", id="last clear one is no"),
    pytest.param("en", "no no, yes", "yes", id="last clear one is yes"),
    pytest.param("en", "Yes, I don't have any questions.", "yes", id="a hint of no behind a clear yes"),
    pytest.param("en", "I don't.", "no", id="a hint of no alone"),
    pytest.param("de", "Ja, aber nicht heute.", "yes", id="a German hint behind a clear yes"),
    pytest.param("de", "Heute nicht.", "no", id="a German hint alone"),
    pytest.param("en", "I know", "", id="I know"),
    pytest.param("en", "nobody noticed", "", id="whole words"),
    pytest.param("en", "I don't know", "", id="I don't know"),
    pytest.param("en", "I'm not sure", "", id="not sure"),
    pytest.param("en", "no idea", "", id="no idea"),
    pytest.param("en", "Right now?", "", id="right now"),
    pytest.param("en", "yes and no", "", id="yes and no"),
    pytest.param("en", "I would like a pizza, please", "", id="please in a sentence"),
    pytest.param("en", "", "", id="nothing"),
    pytest.param("de", "Ja, genau.", "yes", id="German yes"),
    pytest.param("de", "n\u00f6", "no", id="German no"),
    pytest.param("de", "Das stimmt nicht.", "no", id="German not"),
    pytest.param("de", "Das ist nicht ganz richtig.", "no", id="German not right"),
    pytest.param("de", "Das wei\u00df ich nicht.", "", id="German don't know"),
    pytest.param("fr", "Oui, c'est \u00e7a.", "yes", id="French yes"),
    pytest.param("fr", "Non merci.", "no", id="French no"),
    pytest.param("fr", "ce n'est pas correct", "no", id="French not"),
    pytest.param("es", "S\u00ed, claro.", "yes", id="Spanish yes"),
    pytest.param("es", "no es correcto", "no", id="Spanish not"),
    pytest.param("es", "No, gracias.", "no", id="Spanish no"),
    pytest.param("it", "S\u00ec, esatto.", "yes", id="Italian yes"),
    pytest.param("it", "non \u00e8 giusto", "no", id="Italian not"),
    pytest.param("pt", "Isso mesmo.", "yes", id="Portuguese yes"),
    pytest.param("pt", "n\u00e3o est\u00e1 certo", "no", id="Portuguese not"),
    pytest.param("nl", "ja hoor", "yes", id="Dutch yes"),
    pytest.param("nl", "nee, dank u", "no", id="Dutch no"),
    pytest.param("nl", "dat klopt niet", "no", id="Dutch not"),
    pytest.param(None, "oui", "yes", id="no language"),
    pytest.param("sv", "nein", "no", id="unknown language"),
    pytest.param("en-GB", "yes", "yes", id="region"),
]


@pytest.mark.parametrize(("language", "text", "value"), YES_NO)
def test_yes_no(language, text, value):
    expected = Entry("yes_no", value, complete=value != "")
    assert read_entry(Expect(kind="yes_no"), text, (), language) == expected


SOME_WORDS = (
    "two six zero hundred twenty five point first oh double triple and 12 4th B12 yes no not right at dot dash @ . , "
    "john.smith@ example com s m as in for sierra eins und zwanzig un ein S-M-I X-ray capital \u00df \u0130 \u00bd \u0301 \u0663"
)
WORDS = SOME_WORDS.split()
texts = st.one_of(st.text(max_size=60), st.lists(st.sampled_from(WORDS), max_size=20).map(" ".join))
pressed = st.lists(st.tuples(st.integers(-2, 25), st.sampled_from("0123456789*#A")), max_size=6)
expects = st.builds(
    Expect,
    kind=st.sampled_from(["yes_no", "digits", "spelling", "email"]),
    digits=st.one_of(st.none(), st.integers(1, 8)),
)


@given(expects, texts, pressed, st.sampled_from(LANGUAGES))
def test_any_text_has_an_entry_of_its_kind(expect, text, keys, language):
    entry = read_entry(expect, text, keys, language)
    assert entry is not None
    assert entry.kind == expect.kind
    assert entry.value == entry.value.lower()
    assert not any(sign.isspace() for sign in entry.value)
    if entry.complete:
        assert entry.value


@given(texts, pressed, st.sampled_from(LANGUAGES))
def test_digits_hold_digits_only_and_every_key_in_order(text, keys, language):
    entry = read_entry(Expect(kind="digits"), text, keys, language)
    rest = iter(entry.value)
    ordered = [key for _, key in sorted(keys, key=lambda pair: min(max(pair[0], 0), len(text.split())))]
    assert set(entry.value) <= set("0123456789")
    assert all(key in rest for key in ordered if key.isdecimal())


@given(st.text("0123456789 -./()", max_size=40), pressed)
def test_written_digits_are_all_there(text, keys):
    entry = read_entry(Expect(kind="digits"), text, keys, "en")
    pressed_digits = [key for _, key in keys if key.isdecimal()]
    assert sorted(entry.value) == sorted([*filter(str.isdecimal, text), *pressed_digits])


@given(texts, texts, st.sampled_from(LANGUAGES))
def test_a_later_clear_answer_wins(before, after, language):
    answer = read_entry(Expect(kind="yes_no"), after, (), language).value
    if answer and language in {"en", "de", "fr", "es", "it", "pt", "nl"} and " " in after:
        assert read_entry(Expect(kind="yes_no"), f"{before}. {after}", (), language).value == answer
