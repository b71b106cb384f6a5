"""E-mail addresses as they are read out and as recognisers write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicebot.core.actions import Expect
from voicebot.core.entries import Entry, read_entry

WHOLE = [
    pytest.param("en", "john dot smith at example dot com", "john.smith@example.com", id="dot and at"),
    pytest.param("en", "My email is John.Smith@Example.com.", "john.smith@example.com", id="as a recogniser writes it"),
    pytest.param("en", "JOHN@EXAMPLE.COM", "john@example.com", id="capitals"),
    pytest.param("en", "john@example dot com", "john@example.com", id="half written"),
    pytest.param("en", "john @ example . com", "john@example.com", id="spaced"),
    pytest.param("en", "It's j o h n at example dot com, thank you.", "john@example.com", id="spelled"),
    pytest.param("en", "j, o, h, n, at, example, dot, com.", "john@example.com", id="with commas"),
    pytest.param("en", "Smith, s m i t h, at example dot com", "smith@example.com", id="said and spelled"),
    pytest.param("en", "double t o m at example dot com", "ttom@example.com", id="double"),
    pytest.param("en", "j for juliet dot smith at example dot c o m", "j.smith@example.com", id="explained letters"),
    pytest.param("en", "john underscore smith at g mail dot co dot uk", "john_smith@gmail.co.uk", id="underscore"),
    pytest.param(
        "en", "john dash doe plus news at sign example.org", "john-doe+news@example.org", id="dash, plus, at sign"
    ),
    pytest.param("en", "john twelve at one dot com", "john12@one.com", id="numbers before the sign only"),
    pytest.param("en", "I'm at home, it's john at example dot com", "john@example.com", id="another at"),
    pytest.param("en", "Sure. john at example dot com", "john@example.com", id="after a sentence"),
    pytest.param("en", "john at example dot com. Bye now.", "john@example.com", id="before a sentence"),
    pytest.param("en", "hello at example dot com", "hello@example.com", id="a greeting as the name"),
    pytest.param("en", "it is mail dot me at example dot com", "mail.me@example.com", id="lead-in words in the name"),
    pytest.param("en", "reach me under john dot smith at example dot com", "john.smith@example.com", id="lead-in"),
    pytest.param("en", "info at barnes and noble dot com please", "info@barnesandnoble.com", id="words of a domain"),
    pytest.param("en", "tango at hotel dot com", "tango@hotel.com", id="codewords are words"),
    pytest.param("en", "john at example dot com slash news", "john@example.com", id="a sign behind the domain"),
    pytest.param("en", "all lowercase, john dot doe at x dot com", "john.doe@x.com", id="how it is written"),
    pytest.param("en", "john at x dot com, look at it", "john@x.com", id="an at behind it"),
    pytest.param("en", "tango bravo at x dot com", "tangobravo@x.com", id="two codewords are words"),
    pytest.param("en", "tango bravo mike at x dot com", "tbm@x.com", id="three codewords are letters"),
    pytest.param("en", "a at x dot com, no, b at y dot com", "b@y.com", id="the last of two"),
    pytest.param("de", "Meine E-Mail ist hans Punkt m\u00fcller at gmx Punkt de", "hans.mueller@gmx.de", id="German"),
    pytest.param("de", "hans Klammeraffe t Bindestrich online Punkt d e", "hans@t-online.de", id="German sign"),
    pytest.param("fr", "c'est jean point dupont arobase orange point fr", "jean.dupont@orange.fr", id="French"),
    pytest.param("es", "mar\u00eda punto garc\u00eda arroba gmail punto com", "maria.garcia@gmail.com", id="Spanish"),
    pytest.param("it", "mario punto rossi chiocciola libero punto it", "mario.rossi@libero.it", id="Italian"),
    pytest.param(
        "pt", "o meu email \u00e9 jo\u00e3o ponto silva arroba sapo ponto pt", "joao.silva@sapo.pt", id="Portuguese"
    ),
    pytest.param("nl", "jan punt jansen apenstaartje ziggo punt nl", "jan.jansen@ziggo.nl", id="Dutch"),
    pytest.param(None, "john punkt smith arroba example point com", "john.smith@example.com", id="no language"),
]


@pytest.mark.parametrize(("language", "text", "value"), WHOLE)
def test_whole_addresses(language, text, value):
    assert read_entry(Expect(kind="email"), text, (), language) == Entry("email", value, complete=True)


BEGUN = [
    pytest.param("", "", id="nothing"),
    pytest.param("I don't know", "", id="no address"),
    pytest.param("I'm at home", "", id="at in a sentence"),
    pytest.param("john at example", "", id="at, and no dot yet"),
    pytest.param("john at sign example", "john@example", id="no top-level domain yet"),
    pytest.param("john at sign example dot", "john@example.", id="nothing behind the dot yet"),
    pytest.param("john at sign example dot c", "john@example.c", id="one letter behind the dot"),
    pytest.param("john@", "john@", id="nothing behind the sign"),
    pytest.param("at sign example dot com", "@example.com", id="nothing before the sign"),
]


@pytest.mark.parametrize(("text", "value"), BEGUN)
def test_what_is_no_address_yet(text, value):
    assert read_entry(Expect(kind="email"), text, (), "en") == Entry("email", value, complete=False)


names = st.text("bcdfghjklmnpqrstvwxz", min_size=3, max_size=8)


@given(names, names, names, st.sampled_from(["com", "org", "co dot uk"]))
def test_what_is_read_out_is_written(first, last, domain, top):
    text = f"my address is {first} dot {last} at {domain} dot {top}, thanks"
    entry = read_entry(Expect(kind="email"), text, (), "en")
    assert entry == Entry("email", f"{first}.{last}@{domain}.{top.replace(' dot ', '.')}", complete=True)


def test_a_long_text_of_signs_is_read_in_bounded_time():
    text = " ".join(["at john dot"] * 2_000)
    assert not read_entry(Expect(kind="email"), text, (), "en").complete
