"""The sample application, spoken to as the service does: signed, over a socket."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from aiohttp.test_utils import TestClient, TestServer

from voicebot.core.actions import Expect, HangUp, Listen, Say
from voicebot.local import sample
from voicebot.wire.webhook import UNSET, Event, Reply, encode, new_secret, parse_reply, sign
from voicebot.wire.webhook_data import (
    CallInfo,
    CallStartedData,
    DigitsCompletedData,
    NoInputData,
    SpeechData,
    TransferFailedData,
    TurnCompletedData,
    TurnData,
)
from voicebot.wire.webhook_events import (
    CallStartedEvent,
    DigitsCompletedEvent,
    NoInputEvent,
    SpeechFinishedEvent,
    TransferFailedEvent,
    TurnCompletedEvent,
)

SECRET = new_secret(bytes(range(32)))
NOTES = ["Buy milk.", "Call Ann."]


class Caller:
    """Posts events and reads the replies as the service does."""

    def __init__(self, client: TestClient) -> None:
        self.client = client
        self.sequence = 0

    def head(self, state: object = None) -> dict[str, object]:
        self.sequence += 1
        now = datetime.now(UTC)
        call = CallInfo(id="CA1", from_="+15550101", to="+15550100", direction="inbound", started_at=now, state=state)
        return {"id": f"evt_{self.sequence}", "sequence": self.sequence, "created_at": now, "call": call}

    async def post(self, event: Event) -> Reply:
        body = encode(event)
        answer = await self.client.post("/", data=body, headers=sign([SECRET], event.id, datetime.now(UTC), body))
        return parse_reply(answer.status, answer.content_type, await answer.read(), max_bytes=65_536)

    async def say(self, text: str, *, notes: list[str] | None = None, digits: str = "") -> Reply:
        turn = TurnData(number=1, text=text, digits=digits, reason="digits" if digits else "endpoint")
        return await self.post(TurnCompletedEvent(**self.head(notes or []), data=TurnCompletedData(turn=turn)))


@pytest.fixture
async def caller() -> AsyncIterator[Caller]:
    async with TestClient(TestServer(sample.application(SECRET))) as client:
        yield Caller(client)


def texts(reply: Reply) -> list[str]:
    return [action.text for action in reply.actions if isinstance(action, Say)]


def hangs_up(reply: Reply) -> bool:
    return isinstance(reply.actions[-1], HangUp)


async def test_it_greets_and_waits_for_a_key(caller):
    reply = await caller.post(CallStartedEvent(**caller.head(), data=CallStartedData()))
    assert texts(reply) == [
        "Hello, this is the notebook. Say a sentence and I will read it back. Press pound when you are done."
    ]
    assert reply.actions[1:] == (Listen(expect=Expect(digits=1)),)
    assert reply.state == []


async def test_it_takes_notes_and_reads_them_back(caller):
    first = await caller.say("Buy milk.")
    assert (texts(first), first.state) == (["Note one: Buy milk."], ["Buy milk."])
    second = await caller.say("Call Ann.", notes=first.state)
    assert (texts(second), second.state) == (["Note two: Call Ann."], NOTES)


async def test_it_counts(caller):
    assert texts(await caller.say("How many are there?", notes=NOTES)) == ["You have two notes."]
    assert texts(await caller.say("how many", notes=["a"])) == ["You have one note."]
    reply = await caller.say("how many", notes=["a"] * 11)
    assert texts(reply) == ["You have 11 notes."]
    assert reply.state is UNSET


@pytest.mark.parametrize(
    ("text", "digits", "last"),
    [
        pytest.param("Goodbye.", "", "You have two notes. Goodbye.", id="word"),
        pytest.param("", "#", "You have two notes. Goodbye.", id="key"),
        pytest.param("And bread.", "5", "You have three notes. Goodbye.", id="note-and-key"),
    ],
)
async def test_it_sums_up_and_hangs_up(caller, text, digits, last):
    reply = await caller.say(text, notes=NOTES, digits=digits)
    assert texts(reply) == [last]
    assert hangs_up(reply)


@pytest.mark.parametrize(("digits", "reason"), [("", "finish_key"), ("5", "count"), ("", "timeout")])
async def test_keys_alone_end_the_call(caller, digits, reason):
    data = DigitsCompletedData(digits=digits, reason=reason)
    reply = await caller.post(DigitsCompletedEvent(**caller.head([]), data=data))
    assert texts(reply) == ["You have no notes. Goodbye."]
    assert hangs_up(reply)


async def test_it_asks_once_and_then_says_goodbye(caller):
    first = await caller.post(NoInputEvent(**caller.head(NOTES), data=NoInputData(count=1)))
    assert texts(first) == ["Are you still there? Say a sentence, or press pound when you are done."]
    assert not hangs_up(first)
    second = await caller.post(NoInputEvent(**caller.head(NOTES), data=NoInputData(count=2)))
    assert hangs_up(second)


async def test_it_has_nothing_to_say_to_the_rest(caller):
    speech = SpeechFinishedEvent(**caller.head(), data=SpeechData(text="a", heard="a", ms=1))
    assert await caller.post(speech) == Reply()
    failed = TransferFailedEvent(**caller.head(), data=TransferFailedData(to="+15550102", status="busy"))
    assert await caller.post(failed) == Reply()


async def test_an_event_that_comes_twice_has_one_answer(caller):
    event = NoInputEvent(**caller.head(NOTES), data=NoInputData(count=1))
    first = await caller.post(event)
    changed = event.model_copy(update={"data": NoInputData(count=2)})
    assert await caller.post(changed) == first


async def test_it_forgets_the_oldest_answers(caller, monkeypatch):
    monkeypatch.setattr(sample, "REMEMBERED", 2)
    event = NoInputEvent(**caller.head(), data=NoInputData(count=1))
    first = await caller.post(event)
    for _ in range(2):
        await caller.say("More.")
    assert await caller.post(event.model_copy(update={"data": NoInputData(count=2)})) != first


GOOD = b"{}"


def signed(body: bytes = GOOD, secret: str = SECRET, age: timedelta = timedelta()) -> dict[str, str]:
    return sign([secret], "evt_1", datetime.now(UTC) - age, body)


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        pytest.param(GOOD, {}, id="no-headers"),
        pytest.param(GOOD, signed(secret=new_secret(bytes(32))), id="another-secret"),
        pytest.param(b"[]", signed(), id="another-body"),
        pytest.param(GOOD, signed(age=timedelta(hours=1)), id="old"),
        pytest.param(GOOD, {**signed(), "webhook-timestamp": "soon"}, id="no-timestamp"),
        pytest.param(GOOD, {**signed(), "webhook-timestamp": "nan"}, id="nan-timestamp"),
        pytest.param(GOOD, {**signed(), "webhook-timestamp": "9" * 400}, id="absurd-timestamp"),
        pytest.param(GOOD, {**signed(), "webhook-signature": "v1"}, id="signature-without-comma"),
        pytest.param(GOOD, {**signed(), "webhook-signature": "v1,???"}, id="signature-not-base64"),
        pytest.param(GOOD, {**signed(), "webhook-signature": "v1,a,b"}, id="signature-in-three-parts"),
        pytest.param(GOOD, {**signed(), "webhook-signature": "v1,é"}, id="signature-not-ascii"),
        pytest.param(b"\xff\xfe", signed(), id="body-not-utf-8"),
        pytest.param(b"not json", signed(b"not json"), id="body-no-json"),
    ],
)
async def test_what_is_not_ours_is_refused(caller, body, headers):
    answer = await caller.client.post("/", data=body, headers=headers)
    assert answer.status == 400
    assert "not signed" in (await answer.json())["error"]
