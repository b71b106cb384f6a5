import pytest

from voicebot.local.soniox.auth import Lock, check_handshake, handshake_keys, judge_start
from voicebot.local.soniox.refusals import LEGACY_KEY, MISSING_KEY, TWO_KEYS, WRONG_KEY, Refused

ANY = Lock(None)
ONE = Lock("right")
STRICT = Lock(None, strict_2027=True)


@pytest.mark.parametrize(
    ("headers", "keys"),
    [
        pytest.param({}, (), id="none"),
        pytest.param({"Authorization": "Bearer abc"}, ("abc",), id="header"),
        pytest.param({"Authorization": "bearer abc "}, ("abc",), id="case and space"),
        pytest.param({"Authorization": "Basic abc"}, (), id="another scheme"),
        pytest.param({"Sec-WebSocket-Protocol": "soniox-api-key, abc"}, ("abc",), id="subprotocol"),
        pytest.param({"Sec-WebSocket-Protocol": "soniox-api-key"}, ("",), id="subprotocol without key"),
        pytest.param({"Sec-WebSocket-Protocol": "chat, other"}, (), id="foreign subprotocol"),
        pytest.param(
            {"Authorization": "Bearer abc", "Sec-WebSocket-Protocol": "soniox-api-key, abc"}, ("abc", "abc"), id="both"
        ),
    ],
)
def test_keys_of_a_handshake(headers, keys):
    assert handshake_keys(headers) == keys


@pytest.mark.parametrize(
    ("keys", "lock", "refusal"),
    [
        pytest.param((), ANY, None, id="none yet"),
        pytest.param(("abc",), ANY, None, id="any"),
        pytest.param(("",), ANY, MISSING_KEY, id="empty"),
        pytest.param(("right",), ONE, None, id="right"),
        pytest.param(("wröng",), ONE, WRONG_KEY, id="wrong"),
        pytest.param(("right", "right"), ONE, TWO_KEYS, id="two, even if equal"),
    ],
)
def test_a_handshake_is_judged(keys, lock, refusal):
    if refusal is None:
        check_handshake(keys, lock)
        return
    with pytest.raises(Refused) as refused:
        check_handshake(keys, lock)
    assert refused.value.refusal is refusal


def test_a_key_can_be_required_in_the_request():
    with pytest.raises(Refused) as refused:
        check_handshake((), ANY, required=True)
    assert refused.value.refusal is MISSING_KEY


@pytest.mark.parametrize(
    ("keys", "in_message", "lock", "refusal"),
    [
        pytest.param(("abc",), None, ANY, None, id="handshake only"),
        pytest.param((), "abc", ANY, None, id="message only"),
        pytest.param((), "wrong", ONE, WRONG_KEY, id="message, wrong"),
        pytest.param((), None, ANY, MISSING_KEY, id="nowhere"),
        pytest.param((), "", ANY, MISSING_KEY, id="message, empty"),
        pytest.param((), 5, ANY, MISSING_KEY, id="message, not a string"),
        pytest.param(("abc",), "abc", ANY, TWO_KEYS, id="both"),
        pytest.param((), "abc", STRICT, LEGACY_KEY, id="message, from 2027"),
        pytest.param(("abc",), None, STRICT, None, id="handshake, from 2027"),
    ],
)
def test_a_start_request_is_judged(keys, in_message, lock, refusal):
    assert judge_start(keys, in_message, lock) is refusal
