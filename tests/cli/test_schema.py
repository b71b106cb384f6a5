"""`voicebot schema` prints what the contract says."""

import json

import pytest

from voicebot.__main__ import main
from voicebot.wire.webhook import EVENT_TYPES, json_schema


@pytest.mark.parametrize(
    ("option", "part"), [([], "all"), (["--events"], "events"), (["--reply"], "reply")], ids=["all", "events", "reply"]
)
def test_it_prints_the_schema(capsys, option, part):
    assert main(["schema", *option]) == 0
    assert json.loads(capsys.readouterr().out) == json_schema(part)


def test_the_halves_are_different(capsys):
    main(["schema", "--events"])
    events = capsys.readouterr().out
    main(["schema", "--reply"])
    reply = capsys.readouterr().out
    assert all(f'"{kind}"' in events for kind in EVENT_TYPES)
    assert '"hangup"' in reply
    assert not any(f'"{kind}"' in reply for kind in EVENT_TYPES)


def test_one_half_at_a_time(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["schema", "--events", "--reply"])
    assert caught.value.code == 2
    assert "not allowed with" in capsys.readouterr().err
