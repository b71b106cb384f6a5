"""What a service must be told before it can take a call."""

import pytest

from voicebot import app
from voicebot.config import Settings
from voicebot.errors import ConfigurationError

COMPLETE = {
    "public_url": "https://voice.example.com",
    "soniox": {"api_key": "key"},
    "twilio": {"auth_token": "token"},
    "default": {"mode": "transcribe"},
}


def test_a_service_that_only_transcribes_needs_no_application():
    app.check(Settings.model_validate(COMPLETE))


def test_one_number_with_a_bot_needs_one():
    numbers = {"+15550100": {"mode": "bot"}}
    with pytest.raises(ConfigurationError, match=r"VOICEBOT_WEBHOOK__URL(.|\n)*VOICEBOT_WEBHOOK__SECRETS"):
        app.check(Settings.model_validate(COMPLETE | {"numbers": numbers}))


def test_an_application_needs_a_secret():
    webhook = {"url": "https://app.example.com/calls"}
    with pytest.raises(ConfigurationError, match="VOICEBOT_WEBHOOK__SECRETS"):
        app.check(Settings.model_validate(COMPLETE | {"webhook": webhook}))
