"""Letters that were spelled, in several languages, with what stands among them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicebot.core.actions import Expect
from voicebot.core.entries import Entry, read_entry

SPELLINGS = [
    pytest.param("en", "S M I T H", "smith", id="letters"),
    pytest.param("en", "s, m, i, t, h.", "smith", id="commas"),
    pytest.param("en", "S-M-I-T-H", "smith", id="joined by hyphens"),
    pytest.param("en", "S. M. I. T. H.", "smith", id="with full stops"),
    pytest.param("en", "SMITH", "smith", id="capitals"),
    pytest.param("en", "S as in sugar, M I T H", "smith", id="as in"),
    pytest.param("en", "s for sierra m i t h", "smith", id="for"),
    pytest.param("en", "f as in Sam", "s", id="the word is heard better than the letter"),
    pytest.param("en", "x as in fox", "x", id="a letter inside its word"),
    pytest.param("en", "S M I double T", "smitt", id="double"),
    pytest.param("en", "double u o w", "wow", id="double u"),
    pytest.param("en", "double five a", "55a", id="double digit"),
    pytest.param("en", "alpha bravo", "ab", id="NATO"),
    pytest.param("en", "x-ray yankee", "xy", id="x-ray"),
    pytest.param("en", "m mike i india k kilo e echo", "mike", id="letters with their words"),
    pytest.param("en", "my name is Mike, m i k e", "mike", id="a name among the codewords"),
    pytest.param("en", "Mike Victor, m v b c", "mvbc", id="two names and twice as many letters"),
    pytest.param("en", "m i sierra tango", "mist", id="codewords and as few letters"),
    pytest.param("en", "Mike", "mike", id="one codeword is a name"),
    pytest.param("en", "Smith, s m i t h", "smith", id="the spelled part wins"),
    pytest.param("en", "s m i t h, Smith", "smith", id="the spelled part wins in front"),
    pytest.param("en", "Smith", "smith", id="one word"),
    pytest.param("en", "my name is Smith", "", id="a sentence without letters"),
    pytest.param("en", "one moment please", "", id="a number in a sentence"),
    pytest.param("en", "capital O apostrophe b r i e n", "o'brien", id="apostrophe"),
    pytest.param("en", "a b dash c hyphen d", "ab-c-d", id="dash"),
    pytest.param("en", "ess em eye tee aitch", "smith", id="names of letters"),
    pytest.param("en", "m are k", "mrk", id="a word among letters"),
    pytest.param("en", "they are m a r y", "mary", id="the same word before letters"),
    pytest.param("en", "I spell it j o n e s", "jones", id="I"),
    pytest.param("en", "um s uh m and then t", "smt", id="hesitations"),
    pytest.param("en", "SW1A 1AA", "sw1a1aa", id="postcode written"),
    pytest.param("en", "S W one A one A A", "sw1a1aa", id="postcode spoken"),
    pytest.param("en", "OK, A B", "ab", id="okay in capitals"),
    pytest.param("en", "the 4th", "", id="ordinal"),
    pytest.param("en", "twenty five a", "25a", id="number of two words"),
    pytest.param("en", "x\u00a8y", "x\u0308y", id="an accent that stands alone"),
    pytest.param("en", "", "", id="nothing"),
    pytest.param("de", "Meyer, M E Y E R", "meyer", id="German"),
    pytest.param("de", "M wie Martha, E wie Emil", "me", id="German wie"),
    pytest.param("de", "Siegfried C\u00e4sar Heinrich", "sch", id="German alphabet"),
    pytest.param("de", "M u umlaut scharfes s", "m\u00fc\u00df", id="umlaut"),
    pytest.param("fr", "d u p o n t", "dupont", id="French"),
    pytest.param("fr", "i grec tiret a", "y-a", id="French y"),
    pytest.param("es", "g a r c \u00ed a", "garc\u00eda", id="Spanish"),
    pytest.param("es", "s de Sevilla, e", "se", id="Spanish de"),
    pytest.param("it", "erre o esse esse i", "rossi", id="Italian"),
    pytest.param("pt", "j o \u00e3 o", "jo\u00e3o", id="Portuguese"),
    pytest.param("nl", "v a n apostrof t", "van't", id="Dutch"),
    pytest.param(None, "a b c", "abc", id="no language"),
    pytest.param("ja", "a b c", "abc", id="unknown language"),
]


@pytest.mark.parametrize(("language", "text", "value"), SPELLINGS)
def test_spelling(language, text, value):
    assert read_entry(Expect(kind="spelling"), text, (), language) == Entry("spelling", value, complete=False)


@pytest.mark.parametrize(("letters", "complete"), [(4, True), (5, True), (6, False), (None, False)], ids=str)
def test_spelling_is_complete_by_its_length_only(letters, complete):
    entry = read_entry(Expect(kind="spelling", digits=letters), "s m i t h", (), "en")
    assert entry == Entry("spelling", "smith", complete=complete)


def test_keys_take_their_place_among_letters():
    entry = read_entry(Expect(kind="spelling"), "s w a", [(2, "1"), (2, "0"), (9, "2"), (1, "#")], "en")
    assert entry.value == "sw10a2"


@given(st.lists(st.sampled_from("bcdfghjklmnpqrstuvwxz"), min_size=1, max_size=20), st.sampled_from([" ", ", ", ". "]))
def test_no_letter_is_lost(letters, between):
    spelled = between.join(letter.upper() for letter in letters)
    assert read_entry(Expect(kind="spelling"), spelled, (), "en").value == "".join(letters)
