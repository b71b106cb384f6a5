"""Signs of listening, and what only looks like them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicebot.core.backchannels import LANGUAGES, MAX_WORDS, is_backchannel

YES = [
    pytest.param("mhm", ["en"], id="mhm"),
    pytest.param("Mm-hmm.", ["en"], id="mm-hmm"),
    pytest.param("Uh-huh!", ["en"], id="uh-huh"),
    pytest.param("mmmhmm", ["en"], id="stretched sound"),
    pytest.param("OKAAAY...", ["en"], id="stretched word"),
    pytest.param("mhm mhm okay", ["en"], id="repeated"),
    pytest.param("Yeah, I see. Go on!", ["en"], id="phrases"),
    pytest.param("right", ["en-US"], id="region"),
    pytest.param("okay", [], id="no language"),
    pytest.param("aha", ["xx"], id="unknown language"),
    pytest.param("hm", ["tr"], id="sounds belong to every language"),
    pytest.param("Ach so, genau.", ["de"], id="German"),
    pytest.param("genau okay right", ["de", "en"], id="two languages"),
    pytest.param("D'accord, je vois.", ["fr"], id="French"),
    pytest.param("aj\u00e1, vale", ["es"], id="Spanish"),
    pytest.param("ho capito", ["it"], id="Italian"),
    pytest.param("t\u00e1 bom, entendi", ["pt"], id="Portuguese"),
    pytest.param("ja ja, precies", ["nl"], id="Dutch"),
    pytest.param("no tak, rozumiem", ["pl"], id="Polish"),
    pytest.param("jaha, just det", ["sv"], id="Swedish"),
    pytest.param("n\u00e5 ja", ["da"], id="Danish"),
    pytest.param("skj\u00f8nner", ["no"], id="Norwegian"),
    pytest.param("joo joo", ["fi"], id="Finnish"),
    pytest.param("h\u0131 h\u0131, tamam", ["tr"], id="Turkish"),
    pytest.param("\u3046\u30fc\u3093\u3001\u306f\u3044\u306f\u3044", ["ja"], id="Japanese"),
    pytest.param("\u3046\u3093\u306a\u308b\u307b\u3069", ["ja"], id="Japanese without a pause"),
    pytest.param("\u55ef\u55ef\u55ef\uff0c\u597d\u7684", ["zh"], id="Chinese"),
]
NO = [
    pytest.param("", ["en"], id="nothing"),
    pytest.param("...", ["en"], id="punctuation"),
    pytest.param("okay, stop", ["en"], id="okay stop"),
    pytest.param("right, but", ["en"], id="right but"),
    pytest.param("I see a problem", ["en"], id="a phrase begins a sentence"),
    pytest.param("yes", ["en"], id="yes is an answer"),
    pytest.param("no", ["en"], id="no"),
    pytest.param("ja", ["de"], id="ja is an answer"),
    pytest.param("genau", ["en"], id="another language"),
    pytest.param("no tak", ["en"], id="Polish in English"),
    pytest.param("go", ["en"], id="half a phrase"),
    pytest.param(" ".join(["mhm"] * (MAX_WORDS + 1)), ["en"], id="too many words"),
    pytest.param("m" * 1_000, ["en"], id="too many letters"),
]


@pytest.mark.parametrize(("text", "languages"), YES)
def test_backchannels(text, languages):
    assert is_backchannel(text, languages)


@pytest.mark.parametrize(("text", "languages"), NO)
def test_what_is_none(text, languages):
    assert not is_backchannel(text, languages)


def test_own_words_replace_the_lists():
    assert is_backchannel("Roger, roger that", ["en"], ["roger", "Roger that"])
    assert not is_backchannel("mhm", ["en"], ["roger"])


def test_an_empty_list_of_own_words_switches_backchannels_off():
    assert not is_backchannel("mhm", ["en"], [])
    assert not is_backchannel("mhm", ["en"], [" ", "..."])


@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_every_language_knows_the_sounds_and_no_plain_yes(language):
    assert is_backchannel("Mhm, aha.", [language])
    assert not any(
        is_backchannel(word, [language]) for word in ("yes", "ja", "oui", "s\u00ed", "s\u00ec", "sim", "tak", "evet")
    )


@given(st.text(max_size=80), st.lists(st.sampled_from([*LANGUAGES, "xx", ""]), max_size=3))
def test_any_text_is_judged(text, languages):
    assert not is_backchannel(f"{text} please stop talking now", languages)
    assert is_backchannel(text, languages) in (True, False)


@given(
    st.lists(st.sampled_from(["mhm", "okay", "I see", "right", "uh-huh"]), min_size=1, max_size=5),
    st.sampled_from(" ,.!"),
)
def test_backchannels_in_a_row_are_one(phrases, sign):
    assert is_backchannel(f"{sign} ".join(phrases).title(), ["en"])
