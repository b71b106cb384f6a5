"""Where a call goes when its stream is over, for every way to leave it and every end of it."""

import pytest

from voicebot.call.route import Route
from voicebot.config import Settings
from voicebot.core.actions import HangUp, Redirect, SendDigits, Transfer
from voicebot.core.batching import Batching
from voicebot.soniox_accounts import Accounts
from voicebot.wire.twiml import Doors

NOW = 1_000.0
SETTINGS = Settings.model_validate({"twilio": {"ring_timeout_s": 60, "transfer_timeout_s": 500}})


@pytest.fixture
async def route():
    async def deliver(_event):
        return

    doors, accounts = Doors("https://voice.example.com"), Accounts(SETTINGS.soniox)
    batching = Batching(SETTINGS.soniox.batch_ms)
    return Route(SETTINGS.default, SETTINGS, doors, accounts, batching, deliver, lambda _leg: None)


@pytest.mark.parametrize(
    ("leaving", "reason", "end"),
    [
        pytest.param(None, "stop", "caller_hangup", id="the caller hung up"),
        pytest.param(None, "closed", "stream_lost", id="the carrier closed without a word"),
        pytest.param(None, "watchdog", "stream_lost", id="nothing came any more"),
        pytest.param(HangUp(), "closed", "bot_hangup", id="we hung up"),
        pytest.param(HangUp(), "stop", "bot_hangup", id="both hung up"),
        pytest.param(Transfer(to="+15550100"), "closed", None, id="transfer"),
        pytest.param(Transfer(to="+15550100"), "stop", "caller_hangup", id="the caller did not wait for the transfer"),
        pytest.param(SendDigits(digits="1"), "closed", None, id="keys"),
        pytest.param(SendDigits(digits="1"), "stop", "caller_hangup", id="the caller did not wait for the keys"),
        pytest.param(Redirect(url="https://x.example.com"), "closed", None, id="redirect"),
        pytest.param(Redirect(url="https://x.example.com"), "stop", "caller_hangup", id="nor for the redirect"),
    ],
)
async def test_what_a_streams_end_means(route, leaving, reason, end):
    route.leaving = leaving
    assert route.stream_over(reason, NOW) == end
    assert route.give_up_at() == (NOW + 60 if end is None else None)


async def test_a_transfer_that_the_carrier_has_begun_is_waited_for_longer(route):
    route.leaving = Transfer(to="+15550100", timeout=20)
    route.stream_over("closed", NOW)
    assert (route.give_up_at(), route.given_up()) == (NOW + 60, "caller_hangup")
    assert "<Dial" in await route.what_follows()
    assert (route.give_up_at(), route.given_up()) == (NOW + 520, "transferred")
    assert "<Stream" in await route.dialed("busy")
    assert (route.leaving, route.given_up()) == (None, "no_stream")


async def test_a_call_that_has_ended_opens_no_further_stream(route):
    route.leaving = SendDigits(digits="1")
    route.close()
    assert "<Stream" not in await route.what_follows()
    assert route.leg.number == 1
    assert route.give_up_at() is None


async def test_every_leg_has_a_token_of_its_own(route):
    tokens = set()
    for _ in range(20):
        tokens.add(route.leg.token)
        route.leg.attached.set()
        route.leaving = SendDigits(digits="1")
        await route.what_follows()
    assert len(tokens) == 20
    assert min(len(token) for token in tokens) >= 32
