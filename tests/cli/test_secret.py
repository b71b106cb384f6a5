"""`voicebot secret` prints a secret that the settings accept."""

import base64

from voicebot.__main__ import main
from voicebot.config import WebhookSettings


def test_it_prints_one_secret_and_nothing_else(capsys):
    assert main(["secret"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert WebhookSettings(secrets=[line]).secrets[0].get_secret_value() == line
    assert len(base64.b64decode(line.removeprefix("whsec_"), validate=True)) == 32


def test_each_is_new(capsys):
    for _ in range(3):
        main(["secret"])
    assert len(set(capsys.readouterr().out.splitlines())) == 3
