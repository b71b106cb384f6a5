"""Redaction: what is hidden and what is not, written and spoken, in texts, tokens, turns and unfinished speech."""

import re
from copy import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from voicebot.core.events import Token
from voicebot.core.redaction import RedactionPolicy, Redactor
from voicebot.core.redaction_numbers import is_luhn, may_hold_number
from voicebot.core.redaction_spans import Span, merged, pieces
from voicebot.core.redaction_words import NUMBER_WORDS
from voicebot.core.spoken_digits import LANGUAGES, read_digits

KINDS = ("card_number", "iban", "email", "phone", "number_sequence", "digits_entered")
CARD = "4111111111111111"
ARABIC = CARD.translate({ord(str(digit)): chr(0x0660 + digit) for digit in range(10)})
DIGIT_WORDS = {
    "en": "zero one two three four five six seven eight nine",
    "de": "null eins zwei drei vier fünf sechs sieben acht neun",
    "fr": "zéro un deux trois quatre cinq six sept huit neuf",
    "es": "cero uno dos tres cuatro cinco seis siete ocho nueve",
    "it": "zero uno due tre quattro cinque sei sette otto nove",
    "pt": "zero um dois três quatro cinco seis sete oito nove",
    "nl": "nul een twee drie vier vijf zes zeven acht negen",
    "da": "nul en to tre fire fem seks syv otte ni",
}


def redactor(*kinds, patterns=()):
    return Redactor(RedactionPolicy(kinds=kinds, patterns=patterns))


def spoken(digits, language="en", joint=" "):
    words = DIGIT_WORDS[language].split()
    return joint.join(words[int(digit)] for digit in digits)


def with_check_digit(digits):
    """Return the digits with the one behind them that a card number ends with."""
    return next(digits + last for last in "0123456789" if is_luhn(digits + last))


def iban(country, account):
    """Return an account number with its check digits, by the book (ISO 13616)."""
    number = int("".join(str(int(char, 36)) for char in f"{account}{country}00"))
    return f"{country}{98 - number % 97:02}{account}"


# --- texts -----------------------------------------------------------------------------------------

HIDDEN = [
    ("card_number", "my card is 4111 1111 1111 1111", "my card is [card number]", None),
    ("card_number", "4111-1111-1111-1111.", "[card number].", None),
    ("card_number", "card:4111111111111111,ok", "card:[card number],ok", None),
    ("card_number", "amex 378282246310005 please", "amex [card number] please", None),
    ("card_number", f"it is {spoken(CARD)} thanks", "it is [card number] thanks", "en"),
    ("card_number", f"it is four one one one, um, {spoken(CARD[4:])}", "it is [card number]", "en-US"),
    ("card_number", "forty one eleven " + spoken(CARD[4:]), "[card number]", "en"),
    ("card_number", "four triple one " + spoken(CARD[4:]), "[card number]", "en"),
    ("card_number", f"{spoken(CARD[:8])} 1111 1111", "[card number]", "en"),
    ("card_number", "4111 1111 1111 1111 expires 12/26, code 123", "[card number]", None),
    ("card_number", ARABIC, "[card number]", "ar"),
    ("card_number", "14111111111111111", "[card number]", None),
    ("iban", "to DE89 3704 0044 0532 0130 00 and more", "to [IBAN] and more", None),
    ("iban", "DE89370400440532013000", "[IBAN]", None),
    ("iban", "GB82 WEST 1234 5698 7654 32", "[IBAN]", None),
    ("iban", f"D E {spoken('89370400440532013000')} ok", "[IBAN] ok", "en"),
    ("iban", f"delta echo {spoken('89370400440532013000')} ok", "[IBAN] ok", "en"),
    ("email", "john.smith@example.com, ok", "[e-mail], ok", None),
    ("email", "write to <j_s+x@mail.example.co.uk>", "write to <[e-mail]>", None),
    ("email", "my email is john dot smith at example dot com thanks", "my email is [e-mail] thanks", "en"),
    (
        "email",
        "meine Adresse ist hans punkt meier ät beispiel punkt de bitte",
        "meine Adresse ist [e-mail] bitte",
        "de",
    ),
    ("email", "ann at a dot com or bob at b dot org", "[e-mail] or [e-mail]", "en"),
    ("phone", "call +1 (555) 010-4477 now", "call [phone number] now", None),
    ("phone", "call 555-010-4477 now", "call [phone number] now", None),
    ("phone", f"plus {spoken('442079460958')}", "[phone number]", "en"),
    ("phone", f"unter {spoken('01711234567', 'de')} bitte", "unter [phone number] bitte", "de"),
    ("number_sequence", "the code is 4 7 1 1", "the code is [number]", None),
    ("number_sequence", "customer 20 26 um 17", "customer [number]", None),
]
KEPT = [
    ("card_number", "order 4111 1111 1111 1112", "no check digit"),
    ("card_number", "0000 0000 0000 0000", "zeros"),
    ("card_number", "4111 1111 people out of 1111 2222 and 1111", "too far apart"),
    ("iban", "DE88 3704 0044 0532 0130 00", "no check digits"),
    ("iban", "89 3704 0044 0532 0130 00", "no country"),
    ("iban", "D E eight nine", "too short"),
    ("email", "the dot is at the end", "no address"),
    ("email", "@ me", "a sign alone"),
    ("email", "look at that", "a word"),
    ("phone", "on 2026-11-22 at 12:30", "date and time"),
    ("phone", "on 22.11.2026 or 1/2/27", "dates"),
    ("phone", "for 1,250,000 dollars", "amount"),
    ("phone", "a table for two at eight thirty", "small numbers"),
    ("phone", "1234 5678 9012 3456 7890", "too long"),
    ("number_sequence", "12 people and 123 dogs", "short"),
    ("digits_entered", "my pin is 4711", "words are no keys"),
]


@pytest.mark.parametrize(
    ("kind", "text", "shown", "language"), [pytest.param(*row, id=f"{row[0]}-{n}") for n, row in enumerate(HIDDEN)]
)
def test_hidden(kind, text, shown, language):
    assert redactor(kind).text(text, language) == shown


@pytest.mark.parametrize(("kind", "text"), [pytest.param(*row[:2], id=f"{row[0]}-{row[2]}") for row in KEPT])
def test_kept(kind, text):
    assert redactor(kind).text(text) == text


@pytest.mark.parametrize("text", [text for _, text, _, _ in HIDDEN])
def test_without_a_policy_nothing_is_hidden(text):
    assert redactor().text(text) == text


@pytest.mark.parametrize(
    ("kind", "text", "shown", "language"), [pytest.param(*row, id=f"{row[0]}-{n}") for n, row in enumerate(HIDDEN)]
)
def test_all_kinds_together_hide_no_less(kind, text, shown, language):
    assert not set(re.findall(r"\w{3,}", redactor(*KINDS).text(text, language))) & set(
        re.findall(r"\w{3,}", text)
    ) - set(re.findall(r"\w{3,}", shown))


def test_several_in_one_text():
    text = f"mail a@b.example, card {CARD} or better and now use 0171 2345678"
    shown = "mail [e-mail], card [card number] or better and now use [phone number]"
    assert redactor("phone", "email", "card_number").text(text) == shown


@pytest.mark.parametrize("language", sorted(DIGIT_WORDS))
@given(st.from_regex("[1-9][0-9]{11,17}", fullmatch=True, alphabet="0123456789"))
def test_a_card_number_in_any_language(language, digits):
    number = with_check_digit(digits)
    assume(read_digits(spoken(number, language), language=language) == number)
    assert redactor("card_number").text(spoken(number, language), language) == "[card number]"


@given(
    st.sampled_from(["AT", "BE", "CH", "DE", "FR", "GB", "IT", "NL"]),
    st.text("ABCDEFGHJKLMNPQRSTUVWXYZ", max_size=4),
    st.text("0123456789", min_size=12, max_size=22),
    st.booleans(),
)
def test_an_account_number_of_any_country(country, bank, account, grouped):
    number = iban(country, bank + account)
    shown = " ".join(re.findall(".{1,4}", number)) if grouped and not bank else number
    assert redactor("iban").text(f"it's {shown}.") == "it's [IBAN]."


@pytest.mark.parametrize(
    ("patterns", "text", "shown"),
    [
        pytest.param(("secret",), "a secret and a Secret", "a [redacted] and a Secret", id="word"),
        pytest.param((r"(?i)\bMR-\d+", "x+"), "mr-12 xx", "[redacted] [redacted]", id="several"),
        pytest.param((r"\d*",), "a1b", "a[redacted]b", id="empty-matches"),
        pytest.param((r"\w+",), "redacted digits", "[redacted] [redacted]", id="labels-stay"),
        pytest.param((r".*",), "one two", "[redacted]", id="everything"),
        pytest.param((r"ab", r"bc"), "abc", "[redacted]", id="overlapping"),
    ],
)
def test_patterns(patterns, text, shown):
    assert redactor(patterns=patterns).text(text) == shown


@pytest.mark.parametrize("pattern", ["(", "[a", "*"])
def test_a_pattern_that_is_none_is_refused(pattern):
    with pytest.raises(ValueError, match="no regular expression"):
        RedactionPolicy(patterns=(pattern,))


def test_what_overlaps_is_named_after_the_more_telling_kind():
    assert redactor(*KINDS).text(CARD) == "[card number]"
    assert redactor(*KINDS).text("DE89370400440532013000") == "[IBAN]"


@pytest.mark.parametrize("place", ["store", "log", "live", "webhook"])
def test_where_it_applies(place):
    policy = RedactionPolicy(kinds=("email",), apply_to=("store", "webhook"))
    assert Redactor(policy).applies_to(place) is (place in policy.apply_to)
    assert not Redactor(replace(policy, kinds=())).applies_to(place)
    assert Redactor(replace(policy, kinds=(), patterns=("a",))).applies_to("store")


# --- laws ------------------------------------------------------------------------------------------

SAID = """four one 4111 1 at dot com @ . + plus a@b.example DE89 D E 3704 [card number] [number] [redacted] and um oh 12/26
é ß double twenty-two - ( [ ]"""
WORDS = st.sampled_from([*SAID.split(), ARABIC[0], CARD, "", " ", "  ", "\n"])
TEXTS = st.one_of(st.text(), st.lists(WORDS).map(" ".join), st.lists(WORDS).map("".join))
POLICIES = st.builds(
    RedactionPolicy,
    kinds=st.lists(st.sampled_from(KINDS), unique=True).map(tuple),
    patterns=st.lists(st.sampled_from(["a", r"\d", r"\w+", "card", r"\s", "."]), max_size=2).map(tuple),
)


@given(POLICIES, TEXTS, st.sampled_from([None, *sorted(LANGUAGES), "ja"]), st.booleans())
def test_hiding_twice_changes_nothing_more(policy, text, language, open_end):
    once = Redactor(policy).text(text, language, open_end=open_end)
    assert Redactor(policy).text(once, language, open_end=open_end) == once
    assert len(once) <= len(text) * len("[phone number]")


@given(TEXTS)
def test_nothing_but_the_labels_is_new(text):
    shown = redactor(*KINDS).text(text)
    rest = iter(text)
    for piece in re.split(r"\[(?:card number|IBAN|e-mail|phone number|number|…|digits|redacted)\]", shown):
        for sign in piece:
            assert sign in rest, "what is shown was said, in this order"


@given(TEXTS)
def test_a_card_number_is_hidden_in_any_surrounding(text):
    assert CARD not in redactor("card_number").text(f"{text} so now it is {CARD}. {text}")


@given(st.lists(WORDS | st.text(max_size=5), max_size=30))
def test_tokens_show_what_the_text_shows(words):
    tokens = [Token(f" {word}") for word in words]
    text = "".join(token.text for token in tokens)
    shown = redactor(*KINDS).tokens(tokens)
    assert "".join(token.text for token in shown) == redactor(*KINDS).text(text)


@given(st.text(max_size=40), st.text(max_size=40))
def test_both_parts_of_unfinished_speech_show_what_the_whole_shows(settled, tentative):
    shown = redactor(*KINDS).partial(settled, tentative)
    assert "".join(shown) == redactor(*KINDS).text(settled + tentative, open_end=True)


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 6)), max_size=8))
def test_merged_spans_cover_the_same_and_do_not_overlap(places):
    spans = [Span(start, start + size, str(n)) for n, (start, size) in enumerate(places) if size]
    found = merged(spans)
    covered = {at for span in spans for at in range(span.start, span.end)}
    assert [at for span in found for at in range(span.start, span.end)] == sorted(covered)
    for span in found:
        assert span.label == min((each.label for each in spans if span.start <= each.start < span.end), key=int), (
            "the first of them names it"
        )
    assert "".join(pieces("x" * 30, [replace(span, label="") for span in found])) == "x" * (30 - len(covered))


# --- speed -----------------------------------------------------------------------------------------


def test_the_quick_look_knows_every_language():
    assert set(NUMBER_WORDS) == LANGUAGES


@pytest.mark.parametrize("language", sorted(LANGUAGES))
@given(st.data())
def test_the_quick_look_never_overlooks_digits(language, data):
    digits = data.draw(st.text("0123456789", min_size=3, max_size=8))
    words = spoken(digits, language).split()
    filler = data.draw(st.lists(st.sampled_from(["xa", "qqq"]), max_size=2))
    at = data.draw(st.integers(0, len(words)))
    assert may_hold_number([*words[:at], *filler, *words[at:]], language)


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("twenty two", "en"),
        ("vierundzwanzig", "de"),
        ("neunzehnhundertachtzig", "de"),
        ("achtentwintig", "nl"),
        ("ventiquattro", "it"),
        ("veintiuno", "es"),
        ("enogtyve", "da"),
        ("soixante dix", "fr"),
        ("12", "ja"),
    ],
)
def test_the_quick_look_sees_compounds(text, language):
    assert may_hold_number(text.split(), language)


@pytest.mark.parametrize("text", ["a table for two on friday evening around eight", "hello", "", "1 b c d e 2"])
def test_the_quick_look_sees_that_there_is_no_long_number(text):
    assert not may_hold_number(text.split(), "en")
    assert not may_hold_number(text.replace("1", "one").replace("2", "two").split(), "ja")


@pytest.mark.parametrize(
    "piece",
    ["at ", "a@", "@.", "one ", "1", "1 ", "1/1/", "+ ( ", " ", "at dot com ", "a.", "D E 8 9 ", "[number]", "4111 "],
)
def test_the_effort_grows_with_the_length_alone(piece):
    """A long text takes a second; were the effort quadratic, the suite's own time limit would end it."""
    redactor(*KINDS).text(piece * 5_000, "en")
