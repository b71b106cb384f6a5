"""The official verifier accepts what we sign and nothing else; the receiver on the page is a real one."""

import base64
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from hypothesis import given, settings
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from voicebot.core.actions import Say
from voicebot.wire.webhook import encode, new_secret, parse_reply, sign
from voicebot.wire.webhook_data import CallInfo, CallStartedData, SpeechData, TurnCompletedData, TurnData
from voicebot.wire.webhook_events import CallStartedEvent, SpeechFinishedEvent, TurnCompletedEvent

ROOT = Path(__file__).parents[2]
OLD, NEW, FOREIGN = (new_secret(bytes([fill]) * 32) for fill in (1, 2, 3))
BODY = '{"text":"Grüezi 👋"}'.encode()
HEADERS = ("webhook-id", "webhook-timestamp", "webhook-signature")


def now() -> datetime:
    return datetime.now(UTC)


def head() -> dict[str, object]:
    call = CallInfo(id="CA1", from_="+15550101", to="+15550100", direction="inbound", started_at=now())
    return {"id": "evt_1", "sequence": 1, "created_at": now(), "call": call}


def verifies(secret: str, body: bytes, headers: dict[str, str]) -> bool:
    try:
        Webhook(secret).verify(body, headers, json_parse=False)
    except (WebhookVerificationError, ValueError):
        return False
    return True


@pytest.mark.parametrize("size", [24, 25, 26, 32, 64])
def test_secrets_of_every_size_verify(size):
    secret = new_secret(bytes(range(size)))
    assert verifies(secret, BODY, sign([secret], "evt_1", now(), BODY))
    assert verifies(secret.rstrip("="), BODY, sign([secret], "evt_1", now(), BODY))


def test_a_secret_can_be_replaced_without_a_break():
    both = sign([NEW, OLD], "evt_1", now(), BODY)
    assert verifies(NEW, BODY, both)
    assert verifies(OLD, BODY, both)
    assert not verifies(FOREIGN, BODY, both)
    assert not verifies(OLD, BODY, sign([NEW], "evt_1", now(), BODY))


@pytest.mark.parametrize("header", HEADERS)
def test_no_header_may_be_changed(header):
    headers = sign([NEW], "evt_1", now(), BODY)
    other = sign([NEW], "evt_2", now() - timedelta(seconds=7), b"{}")
    assert headers[header] != other[header]
    assert not verifies(NEW, BODY, {**headers, header: other[header]})
    assert not verifies(NEW, BODY, {name: value for name, value in headers.items() if name != header})


def test_the_body_may_not_be_changed():
    headers = sign([NEW], "evt_1", now(), BODY)
    for place in range(len(BODY)):
        assert not verifies(NEW, BODY[:place] + bytes([BODY[place] ^ 1]) + BODY[place + 1 :], headers)


def test_an_old_request_may_not_be_replayed():
    assert not verifies(NEW, BODY, sign([NEW], "evt_1", now() - timedelta(minutes=6), BODY))


@settings(deadline=None)
@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])), st.binary(min_size=24, max_size=64))
def test_whatever_is_said_verifies(text, random_bytes):
    secret = "whsec_" + base64.b64encode(random_bytes).decode()
    event = SpeechFinishedEvent(**head(), data=SpeechData(text=text, heard=text, ms=1))
    body = encode(event)
    assert Webhook(secret).verify(body, sign([secret], "evt_1", now(), body))["data"]["text"] == text


def receiver() -> web.Application:
    """Return the application of the page, with a secret and without its last line, which serves."""
    page = (ROOT / "docs" / "webhook.md").read_text(encoding="utf-8")
    source = re.search(r"^## A receiver.*?^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL).group(1)
    source = source.replace("whsec_…", NEW).replace("web.run_app(app, port=9000)\n", "")
    names: dict[str, object] = {}
    exec(compile(source, "docs/webhook.md", "exec"), names)
    return names["app"]


@pytest.mark.parametrize(
    ("event", "said"),
    [
        pytest.param(lambda: CallStartedEvent(**head(), data=CallStartedData()), "Hello!", id="call.started"),
        pytest.param(
            lambda: TurnCompletedEvent(
                **head(), data=TurnCompletedData(turn=TurnData(number=1, text="Grüezi", reason="endpoint"))
            ),
            "You said: Grüezi",
            id="turn.completed",
        ),
        pytest.param(
            lambda: SpeechFinishedEvent(**head(), data=SpeechData(text="a", heard="a", ms=1)), None, id="information"
        ),
    ],
)
async def test_the_receiver_on_the_page(event, said):
    body = encode(event())
    async with TestClient(TestServer(receiver())) as client:
        answer = await client.post("/calls", data=body, headers=sign([NEW], "evt_1", now(), body))
        reply = parse_reply(answer.status, answer.headers.get("Content-Type"), await answer.read(), max_bytes=1_000)
    assert [action.text.startswith(said) for action in reply.actions if isinstance(action, Say)] == (
        [True] if said else []
    )


async def test_the_receiver_on_the_page_refuses_what_is_not_signed(caplog):
    async with TestClient(TestServer(receiver())) as client:
        answer = await client.post("/calls", data=BODY, headers=sign([FOREIGN], "evt_1", now(), BODY))
    assert answer.status == 500
    assert "WebhookVerificationError" in caplog.text
