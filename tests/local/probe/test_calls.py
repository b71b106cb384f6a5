"""Invented calls are calls as the service tells them."""

from datetime import UTC, datetime

import pytest

from voicebot.config import WebhookSettings
from voicebot.errors import ConfigurationError, LocalProtocolError
from voicebot.local.probe import conversation, target
from voicebot.local.probe.calls import EXAMPLES, ProbeCall
from voicebot.local.probe.run import CASES, choose
from voicebot.wire.webhook import EVENT_TYPES, WANTS_REPLY, encode, parse_event


@pytest.fixture
def call():
    return ProbeCall(name="1", began_at=datetime(2026, 11, 22, 12, tzinfo=UTC))


def test_there_is_an_example_of_every_event_of_the_contract():
    assert set(EXAMPLES) == set(EVENT_TYPES)


@pytest.mark.parametrize("kind", EVENT_TYPES)
def test_each_example_is_an_event(call, kind):
    event = call.example(kind)
    assert event.type == kind
    assert parse_event(encode(event)) == event
    assert (getattr(event, "messages", None) is not None) == (kind in WANTS_REPLY)


def test_a_call_counts_and_remembers(call):
    call.state = {"notes": []}
    events = [call.started(), call.turn("One."), call.example("turn.completed"), call.example("turn.provisional")]
    assert [event.sequence for event in events] == [1, 2, 3, 4]
    assert len({event.id for event in events}) == 4
    assert {event.call.id for event in events} == {"CAprobe1"}
    assert [event.call.turns for event in events] == [0, 1, 2, 2]
    assert [event.data.turn.number for event in events[1:]] == [1, 2, 3]
    assert all(event.call.state == {"notes": []} for event in events)


def test_what_the_contract_does_not_have_cannot_be_made(call):
    with pytest.raises(LocalProtocolError, match="no example of the event sesame"):
        call.example("sesame")


def test_the_limits_are_those_of_the_service():
    settings = WebhookSettings()
    assert settings.attempt_timeout_s == target.DEFAULT_TIMEOUT_S
    assert settings.max_reply_bytes == target.MAX_REPLY_BYTES
    assert settings.stream_timeout_s == target.STREAM_TIMEOUT_S
    assert settings.inform_timeout_s * 1_000 == conversation.INFORM_MS


def test_cases_are_chosen_by_name_and_group():
    assert choose([]) == CASES
    assert [case.name for case in choose(["rotation", "huge"])] == ["rotation", "huge"]
    assert {case.group for case in choose(["delivery"])} == {"delivery"}
    assert not {case.group for case in CASES} & {case.name for case in CASES}
    with pytest.raises(
        ConfigurationError, match=r"no case 'sesame'; known are, by group, conversation: reach, call, reply"
    ):
        choose(["huge", "sesame"])


def test_cases_have_names_of_their_own():
    names = [case.name for case in CASES]
    assert len(set(names)) == len(names)
    assert {case.name for case in CASES if not case.advice} == {"reply-size", "methods"}
