"""Secrets of the webhook, and what they sign."""

import base64
from datetime import UTC, datetime, timedelta, timezone

import pytest

from voicebot.errors import LocalProtocolError
from voicebot.wire.webhook import check_secret, new_secret, sign

NOW = datetime(2026, 11, 22, 12, 0, 0, 123_456, tzinfo=UTC)


def secret_of(size: int) -> str:
    return "whsec_" + base64.b64encode(bytes(size)).decode()


# --- secrets ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [24, 32, 64])
def test_new_secrets_pass_the_check(size):
    check_secret(new_secret(bytes(range(size))))


def test_unpadded_secrets_pass_the_check():
    check_secret(secret_of(32).rstrip("="))


@pytest.mark.parametrize(
    ("secret", "says"),
    [
        pytest.param("", "starts with whsec_", id="empty"),
        pytest.param("sesame-sesame-sesame-sesame", "starts with whsec_", id="no-prefix"),
        pytest.param("whsec_!!!!sesame!!!!", "is base64", id="not-base64"),
        pytest.param("whsec_sésame", "is base64", id="not-ascii"),
        pytest.param("whsec_", "this one 0", id="nothing-after-the-prefix"),
        pytest.param(secret_of(23), "this one 23", id="too-short"),
        pytest.param(secret_of(65), "this one 65", id="too-long"),
    ],
)
def test_bad_secrets_are_refused_without_being_shown(secret, says):
    with pytest.raises(ValueError, match=says) as caught:
        check_secret(secret)
    assert "sesame" not in str(caught.value)


@pytest.mark.parametrize("size", [0, 23, 65])
def test_new_secrets_need_enough_randomness(size):
    with pytest.raises(LocalProtocolError):
        new_secret(bytes(size))


# --- signing ---------------------------------------------------------------------------------------


def test_headers_name_the_event_and_the_second():
    headers = sign([secret_of(32)], "evt_1", NOW, b"{}")
    assert headers["webhook-id"] == "evt_1"
    assert headers["webhook-timestamp"] == str(int(NOW.timestamp()))
    assert headers["webhook-signature"].startswith("v1,")


def test_each_secret_signs_in_order():
    one, two = secret_of(24), secret_of(32)
    both = sign([one, two], "evt_1", NOW, b"{}")["webhook-signature"]
    assert both == " ".join(sign([secret], "evt_1", NOW, b"{}")["webhook-signature"] for secret in (one, two))


def test_without_a_secret_nothing_is_signed():
    assert sign([], "evt_1", NOW, b"{}").keys() == {"webhook-id", "webhook-timestamp"}


@pytest.mark.parametrize(
    "instant",
    [
        pytest.param(NOW.replace(tzinfo=None), id="naive"),
        pytest.param(NOW.astimezone(timezone(timedelta(hours=1))), id="another-zone"),
    ],
)
def test_only_utc_is_signed(instant):
    with pytest.raises(LocalProtocolError, match="UTC"):
        sign([secret_of(32)], "evt_1", instant, b"{}")
