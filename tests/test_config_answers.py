"""Filler and give-up actions are read by the rules of a reply."""

import pytest
from pydantic import ValidationError

from voicebot.config import NumberSettings, Settings, load
from voicebot.core.actions import HangUp, Pause, Say

SAY = {"type": "say", "text": "One moment."}


def test_they_are_read_as_in_a_reply():
    number = NumberSettings(
        filler={"actions": [SAY, {"type": "pause", "ms": 500}]}, give_up={"actions": [SAY, {"type": "hangup"}]}
    )
    assert number.filler.actions == (Say(text="One moment."), Pause(ms=500))
    assert number.give_up.actions == (Say(text="One moment."), HangUp())


def test_without_them_nothing_is_said():
    number = NumberSettings()
    assert (number.filler.actions, number.give_up.actions, number.filler.after_ms) == ((), (), 1_500)


def test_a_number_may_differ():
    settings = Settings(
        default={"filler": {"actions": [SAY]}, "give_up": {"actions": [{"type": "hangup"}]}},
        numbers={"+1": {"filler": {"after_ms": 3_000}}, "+2": {"filler": {"actions": []}}},
    )
    assert settings.number("+1").filler.actions == (Say(text="One moment."),)
    assert settings.number("+1").filler.after_ms == 3_000
    assert settings.number("+2").filler.actions == ()
    assert settings.number("+2").give_up.actions == (HangUp(),)


def test_they_come_from_the_environment(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VOICEBOT_DEFAULT__FILLER__ACTIONS", '[{"type": "say", "text": "Moment, bitte."}]')
    assert load().default.filler.actions == (Say(text="Moment, bitte."),)


@pytest.mark.parametrize(
    ("branch", "actions", "why"),
    [
        pytest.param("filler", [{"type": "hangup"}], "hangup would be an answer", id="no-filler"),
        pytest.param("filler", [{"type": "listen"}], "listen would be an answer", id="listen"),
        pytest.param("filler", [SAY | {"interruptible": False}], "can always be interrupted", id="interruptible"),
        pytest.param("filler", [{"type": "say"}], r"\$.actions\[0\].text", id="incomplete"),
        pytest.param("filler", [SAY | {"vioce": "x"}], r"\$.actions\[0\].vioce", id="mistyped"),
        pytest.param("give_up", [{"type": "hangup"}, SAY], "hangup", id="order"),
        pytest.param("give_up", [{"type": "sing"}], "sing", id="unknown"),
        pytest.param("give_up", "hangup", "tuple", id="no-list"),
    ],
)
def test_mistakes_are_named(branch, actions, why):
    with pytest.raises(ValidationError, match=why):
        NumberSettings.model_validate({branch: {"actions": actions}})
