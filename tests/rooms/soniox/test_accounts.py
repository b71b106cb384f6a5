"""Which account is used, and how long one recogniser goes on trying."""

import http

import pytest
from pydantic import SecretStr
from websockets.asyncio.server import serve

from voicebot.config import FallbackSettings, SonioxSettings
from voicebot.core.incidents import Failed, Switched
from voicebot.soniox_accounts import Accounts, accounts_of
from voicebot.soniox_socket import PeerBusy, open_socket, without_key
from voicebot.stt.patience import Again, GiveUp, Patience
from voicebot.stt.session import ROLLOVER, Lost
from voicebot.wire.soniox_errors import retry_class

TWO = SonioxSettings(
    api_key=SecretStr("first-key"),
    fallback=FallbackSettings(api_key=SecretStr("second-key")),
    connect_attempts=2,
    retry_wait_s=1,
    retry_wait_max_s=3,
)
ONE = TWO.model_copy(update={"fallback": FallbackSettings()})


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


def lost(code, kind="x", **changes):
    return Lost(retry_class(code), code, kind, "no", **changes)


def test_a_fallback_takes_from_the_first_what_it_leaves_out():
    assert len(accounts_of(ONE)) == 1
    first, second = accounts_of(TWO)
    assert (second.key.get_secret_value(), second.stt_url) == ("second-key", first.stt_url)
    assert second.fallback and not first.fallback


def test_all_learn_from_one_and_one_tries_for_all():
    told, clock = [], Clock()
    accounts = Accounts(TWO, told.append, clock)
    first, second = accounts.all
    accounts.failed(first)
    accounts.failed(first)
    assert (accounts.choose(), accounts.present()) == (second, second)
    assert told == [Switched(fallback=True)]
    clock.now += TWO.fallback_retry_s
    assert [accounts.choose(), accounts.choose()] == [first, second], "one tries, the others wait for the outcome"
    accounts.worked(first)
    assert accounts.choose() is first
    assert told[1:] == [Switched(fallback=False)]
    assert accounts.present(frozenset(accounts.all)) is None


def test_of_two_that_failed_the_one_that_failed_longer_ago():
    clock = Clock()
    accounts = Accounts(TWO, clock=clock)
    first, second = accounts.all
    accounts.failed(first)
    clock.now += 1
    accounts.failed(second)
    assert accounts.choose() is first


@pytest.mark.parametrize(
    ("loss", "wait_s"),
    [
        pytest.param(lost(503), 0, id="503"),
        pytest.param(lost(408), 0, id="408"),
        pytest.param(lost(413), 0, id="413"),
        pytest.param(lost(429), 0.75, id="429"),
        pytest.param(lost(500), 0.75, id="500"),
        pytest.param(lost(429, retry_after_s=2), 2, id="Retry-After"),
        pytest.param(lost(429, retry_after_s=2_000), 3, id="Retry-After too long"),
        pytest.param(lost(0, ROLLOVER), 0, id="rollover"),
    ],
)
def test_how_long_to_wait(loss, wait_s):
    accounts = Accounts(ONE)
    patience = Patience(ONE, accounts, recovers=True)
    verdict = patience.judge(loss, accounts.all[0], None, chance=0.5)
    assert isinstance(verdict, Again) and verdict.wait_s == wait_s


def test_waits_grow_and_end():
    settings = ONE.model_copy(update={"connect_attempts": 5})
    accounts = Accounts(settings)
    patience = Patience(settings, accounts, recovers=True)
    verdicts = [patience.judge(lost(503), accounts.all[0], None, chance=1) for _ in range(5)]
    assert verdicts == [
        Again(0, "error"),
        Again(2, "error"),
        Again(3, "error"),
        Again(3, "error"),
        GiveUp(recovering=True),
    ]


@pytest.mark.parametrize("code", [401, 402, 403])
def test_a_refused_key_is_never_tried_again(code):
    accounts = Accounts(TWO)
    patience = Patience(TWO, accounts, recovers=True)
    first, second = accounts.all
    assert patience.judge(lost(code), first, 60, chance=0) == Again(0, "fallback")
    assert accounts.choose(patience.without) is second
    assert patience.judge(lost(code), second, None, chance=0) == GiveUp(recovering=False)


def test_a_wrong_request_is_wrong_everywhere():
    accounts = Accounts(TWO)
    assert Patience(TWO, accounts, recovers=True).judge(lost(400), accounts.all[0], None, chance=0) == GiveUp(
        recovering=False
    )


def test_each_account_has_its_attempts():
    accounts = Accounts(TWO)
    patience = Patience(TWO, accounts, recovers=True)
    first, second = accounts.all
    verdicts = [patience.judge(lost(500), account, None, chance=1) for account in (first, first, second, second)]
    assert verdicts == [Again(1, "error"), Again(0, "fallback"), Again(1, "error"), GiveUp(recovering=True)]


def test_a_session_that_worked_is_no_failed_attempt():
    accounts = Accounts(ONE)
    patience = Patience(ONE, accounts, recovers=True)
    for _ in range(10):
        patience.worked()
        assert patience.judge(lost(413), accounts.all[0], 60, chance=0) == Again(0, "error")


def test_no_key_is_told():
    assert without_key("first-key and second-key", TWO) == "*** and ***"
    assert "first-key" not in repr(Accounts(TWO).all) and "second-key" not in repr(Accounts(TWO).all)


def test_kinds_are_a_closed_set():
    assert Failed("stt", "limit_exceeded").label == "limit_exceeded"
    assert Failed("tts", "error_599").label == "other"


@pytest.mark.parametrize(("header", "seconds"), [("7", 7), ("soon", None), (None, None)])
async def test_a_busy_handshake_says_how_long(header, seconds):
    def refuse(connection, _request):
        response = connection.respond(http.HTTPStatus.TOO_MANY_REQUESTS, "no\n")
        if header:
            response.headers["Retry-After"] = header
        return response

    async with serve(lambda socket: socket.wait_closed(), "127.0.0.1", 0, process_request=refuse) as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        with pytest.raises(PeerBusy) as raised:
            async with open_socket(url, SecretStr("key"), ONE):
                pass
    assert (raised.value.code, raised.value.retry_after_s) == (429, seconds)
