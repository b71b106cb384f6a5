import itertools

import pytest

from voicebot.local.soniox.endpoint import FALL_DB, EndpointSettings, Outlook, endpoint_silence_ms, outlook

SENSITIVITIES = [-1.0, -0.5, 0.0, 0.3, 1.0]
LEVELS = [0, 1, 2, 3]
BOT = EndpointSettings(1500, 0.3, 2)


@pytest.mark.parametrize(
    ("settings", "seems", "ms"),
    [
        pytest.param(EndpointSettings(), Outlook.FINISHED, 800, id="defaults"),
        pytest.param(BOT, Outlook.FINISHED, 451, id="responsive voice"),
        pytest.param(EndpointSettings(2000, -1.0, 0), Outlook.FINISHED, 1120, id="most patient"),
        pytest.param(EndpointSettings(2000, 1.0, 3), Outlook.FINISHED, 246, id="least patient"),
        pytest.param(EndpointSettings(500, -1.0, 0), Outlook.FINISHED, 500, id="capped"),
        pytest.param(EndpointSettings(3000, 0.0, 0), Outlook.FINISHED, 800, id="a cap never lengthens"),
        pytest.param(BOT, Outlook.UNSURE, 901, id="responsive voice, unsure"),
        pytest.param(BOT, Outlook.UNFINISHED, 1352, id="responsive voice, unfinished"),
        pytest.param(EndpointSettings(), Outlook.UNFINISHED, 2000, id="unfinished, capped"),
        pytest.param(EndpointSettings(3000, 0.0, 0), Outlook.UNFINISHED, 2400, id="unfinished, a higher cap"),
    ],
)
def test_silence_for_an_endpoint(settings, seems, ms):
    assert endpoint_silence_ms(settings, seems) == ms


@pytest.mark.parametrize("seems", Outlook)
def test_higher_settings_are_always_quicker(seems):
    for level in LEVELS:
        waits = [endpoint_silence_ms(EndpointSettings(9000, value, level), seems) for value in SENSITIVITIES]
        assert all(later < earlier for earlier, later in itertools.pairwise(waits))
    for value in SENSITIVITIES:
        waits = [endpoint_silence_ms(EndpointSettings(9000, value, level), seems) for level in LEVELS]
        assert all(later < earlier for earlier, later in itertools.pairwise(waits))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("He was not an ill disposed young man.", Outlook.FINISHED, id="a sentence"),
        pytest.param("Yes, I do.", Outlook.FINISHED, id="a short answer"),
        pytest.param("I would like to.", Outlook.UNFINISHED, id="preposition, in spite of the full stop"),
        pytest.param("Seven of hearts and", Outlook.UNFINISHED, id="conjunction"),
        pytest.param("Please enter THE.", Outlook.UNFINISHED, id="article, loud"),
        pytest.param("He's gone and I\u2019d.", Outlook.UNFINISHED, id="an apostrophe of the other kind"),
        pytest.param("I want, um.", Outlook.UNFINISHED, id="hesitation"),
        pytest.param("To decrease,", Outlook.UNFINISHED, id="comma"),
        pytest.param("Well...", Outlook.UNFINISHED, id="dots"),
        pytest.param("I know who it is.", Outlook.FINISHED, id="a verb behind its pronoun"),
        pytest.param("I think the number is.", Outlook.UNFINISHED, id="a verb behind a noun"),
        pytest.param("Is.", Outlook.UNFINISHED, id="a verb behind nothing"),
        pytest.param("On Monday, m.", Outlook.UNFINISHED, id="a hum, written as a letter"),
        pytest.param("At three fifteen, r.", Outlook.UNFINISHED, id="a drawn-out vowel, written as a letter"),
        pytest.param("At nine fifteen P. M..", Outlook.FINISHED, id="p m"),
        pytest.param("On Wednesday.", Outlook.UNSURE, id="few words"),
        pytest.param("No.", Outlook.UNSURE, id="a word alone"),
        pytest.param("Five.", Outlook.UNSURE, id="one digit may be all"),
        pytest.param("Five, five.", Outlook.UNFINISHED, id="two digits"),
        pytest.param("Two-nine-three.", Outlook.UNFINISHED, id="three digits in one word"),
        pytest.param("206", Outlook.UNFINISHED, id="three digits in figures"),
        pytest.param("2 9 3 oh.", Outlook.UNSURE, id="four digits may be all"),
        pytest.param("Two six zero, one eight one.", Outlook.UNFINISHED, id="six digits"),
        pytest.param("Two six zero, one eight one four.", Outlook.FINISHED, id="seven digits"),
        pytest.param("Press two three.", Outlook.FINISHED, id="digits after another word"),
        pytest.param("T. W.", Outlook.UNFINISHED, id="two letters"),
        pytest.param("Q I M A.", Outlook.UNSURE, id="four letters"),
        pytest.param("P. M..", Outlook.UNSURE, id="no letters, but the afternoon"),
    ],
)
def test_what_was_said_tells_whether_it_is_finished(text, expected):
    assert outlook(text.split(), FALL_DB) is expected


@pytest.mark.parametrize(
    ("words", "fall_db", "expected"),
    [
        pytest.param(["Do", "not", "disturb."], FALL_DB, Outlook.FINISHED, id="faded"),
        pytest.param(["Do", "not", "disturb."], FALL_DB - 0.1, Outlook.UNSURE, id="not faded"),
        pytest.param(["the"], 60.0, Outlook.UNFINISHED, id="the word outweighs the voice"),
        pytest.param([], 60.0, Outlook.UNSURE, id="no words"),
    ],
)
def test_how_the_voice_fades_tells_too(words, fall_db, expected):
    assert outlook(words, fall_db) is expected
