"""The JSON of live events: every kind has its shape, and comes back."""

import json
from copy import replace
from datetime import UTC, datetime
from typing import get_args

import pytest

from tests.wire.live_samples import EVENTS, TURN
from voicebot.errors import PeerProtocolError
from voicebot.wire import live_events as live
from voicebot.wire.live_json import NAMES, TYPES, Told, decode, encode

AT = datetime(2026, 11, 22, 12, 0, 0, 250_000, UTC)


def test_every_event_has_its_name():
    assert set(NAMES) == set(get_args(live.LiveEvent.__value__)) == {type(event) for event, _, _ in EVENTS}
    assert len(TYPES) == len(NAMES)


@pytest.mark.parametrize(("event", "name", "body"), [pytest.param(*row, id=row[1]) for row in EVENTS])
def test_shape_and_back(event, name, body):
    line = encode(event, AT)
    assert b"\n" not in line
    assert json.loads(line) == {"type": name, "call": "CA1", "at": "2026-11-22T12:00:00.250000Z", **body}
    if isinstance(event, live.TurnEnded | live.TurnOffered):
        event = replace(event, turn=replace(TURN, tokens=(), settled_at=None))
    assert decode(line) == Told(event, AT)


def test_what_is_new_is_no_fault():
    assert decode(b'{"type":"weather","call":"CA1","at":"2026-11-22T12:00:00Z","rain":true}') is None
    told = decode(b'{"type":"digit","call":"CA1","at":"2026-11-22T12:00:00Z","later":1}')
    assert told == Told(live.DigitPressed("CA1"), AT.replace(microsecond=0))


@pytest.mark.parametrize(
    ("line", "where"),
    [
        pytest.param(b"{", "not JSON", id="not-json"),
        pytest.param(b"[]", "at $", id="not-an-object"),
        pytest.param(b'{"call":"CA1","at":"2026-11-22T12:00:00Z"}', "at type", id="no-type"),
        pytest.param(b'{"type":"digit","call":"CA1","at":"2026-11-22T12:00:00"}', "at at", id="no-time-zone"),
        pytest.param(b'{"type":"trouble","call":"CA1","at":"2026-11-22T12:00:00Z"}', "at what", id="no-field"),
        pytest.param(b'{"type":"call.opened","call":"C","at":"2026-11-22T12:00:00Z"}', "at from_", id="no-caller"),
        pytest.param(b'{"type":"bot.said","call":"C","at":"2026-11-22T12:00:00Z"}', "at spoken.utt", id="nested"),
    ],
)
def test_what_nobody_writes_is_refused(line, where):
    with pytest.raises(PeerProtocolError, match=where.replace("$", r"\$")):
        decode(line)
