"""Calls of the past over HTTP: lists, pages, search, exports, deletion, deliveries."""

import asyncio
import shutil
from datetime import UTC, datetime, timedelta

import pytest

from voicebot.config import StoreSettings
from voicebot.store import AsideRow, AttemptRow, CallEnd, CallRow, EventRow, LatencyRow, Store, TurnRow, UtteranceRow

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def word(text, start_ms, **more):
    return {"text": text, "start_ms": start_ms, "end_ms": start_ms + 300, "language": "en", "speaker": "1"} | more


async def fill(store, number, **changes):
    """Keep a call with a turn, speech, an aside and two events."""
    call_id, at = f"CA{number:032}", NOON + timedelta(minutes=number)
    await store.write(
        CallRow(
            **{
                "id": call_id,
                "from_number": f"+1555{number:04}",
                "to_number": "+15559999",
                "direction": "inbound",
                "mode": "bot",
                "started_at": at,
                "parameters": {"CallerName": "Ann"},
            }
            | changes
        )
    )
    turn = TurnRow(
        call_id=call_id,
        track="caller",
        number=1,
        text=f"please order number {number} <now> & then",
        translation="",
        digits="",
        reason="endpoint",
        started_at=at + timedelta(seconds=3),
        ended_at=at + timedelta(seconds=5),
        words=[word("please", 500, confidence=0.5), word("order", 900, confidence=1.0)],
        entry={"kind": "digits", "value": "42", "complete": True},
    )
    await store.write(turn)
    await store.write(LatencyRow(call_id=call_id, number=1, latency={"settled_ms": 90, "audio_heard_ms": 700}))
    said = {"text": "Certainly, sir. Goodbye.", "heard": "Certainly,", "unheard": "sir. Goodbye."}
    await store.write(
        UtteranceRow(call_id=call_id, **said, ms=900, interrupted=True, started_at=at + timedelta(seconds=6))
    )
    await store.write(AsideRow(call_id=call_id, kind="backchannel", text="mhm", at=at + timedelta(seconds=7)))
    for sequence, state in ((1, "delivered"), (2, "dead")):
        event_id = f"evt_{number}_{sequence}"
        row = EventRow(
            id=event_id,
            call_id=call_id,
            sequence=sequence,
            type="turn.completed",
            wants_reply=True,
            url="http://127.0.0.1:1/calls",
            body=b'{"type":"turn.completed"}',
            created_at=at + timedelta(seconds=sequence),
        )
        await store.write(row)
        attempt = AttemptRow(event_id=event_id, attempt=1, started_at=at, ms=5, status=500, error="broken", state=state)
        await store.write(attempt)
    ended_at = at + timedelta(seconds=65)
    await store.write(
        CallEnd(id=call_id, ended_at=ended_at, reason="bot_hangup", duration_ms=65_000, state={"n": number})
    )
    return call_id


@pytest.fixture(scope="session")
def filled_store(tmp_path_factory, blank_store):
    """A database with calls 0 to 4, made once."""
    path = tmp_path_factory.mktemp("filled") / "filled.db"
    shutil.copy(blank_store, path)

    async def make():
        async with Store.open(StoreSettings(url=f"sqlite:///{path}")) as store, asyncio.TaskGroup() as group:
            group.create_task(store.run())
            for number in range(5):
                await fill(store, number)
            await store.close()

    asyncio.run(make())
    return path


@pytest.fixture
async def kept(house, api, tmp_path, filled_store):
    """A house with these calls in its store, which delivers nothing by itself."""
    shutil.copy(filled_store, tmp_path / "kept.db")
    store = {"url": f"sqlite:///{tmp_path / 'kept.db'}"}
    return await house(api=api.settings, store=store, webhook={"background": False})


def call_id(number):
    return f"CA{number:032}"


async def pages(client, path):
    """Every item, page by page, each page's cursor followed."""
    found, cursor = [], ""
    while cursor is not None:
        answer = await client.get(path + cursor, token="watch")
        assert answer.status == 200, answer.body
        found += answer.json["items"]
        cursor = answer.json["next"] and f"&cursor={answer.json['next']}"
    return found


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        pytest.param("", [4, 3, 2, 1, 0], id="all"),
        pytest.param("&state=ended", [4, 3, 2, 1, 0], id="ended"),
        pytest.param("&state=live", [], id="live"),
        pytest.param("&from=%2B15550002", [2], id="from"),
        pytest.param("&number=%2B15550003", [3], id="number"),
        pytest.param("&to=%2B15550003", [], id="to"),
        pytest.param("&direction=outbound", [], id="direction"),
        pytest.param("&mode=bot&reason=bot_hangup", [4, 3, 2, 1, 0], id="reason"),
        pytest.param("&since=2026-11-22T12:01:00Z&until=2026-11-22T12:03:00Z", [2, 1], id="time"),
        pytest.param("&since=2026-11-22T13:03:00+01:00", [4, 3], id="plus-as-a-space"),
        pytest.param("&q=%22order number 3%22", [3], id="said"),
        pytest.param("&q=CERTAINLY", [4, 3, 2, 1, 0], id="said-by-the-bot"),
        pytest.param("&q=nonsense", [], id="not-said"),
    ],
)
async def test_lists_and_their_filters_page_by_page(kept, api, query, numbers):
    async with api(kept) as client:
        found = await pages(client, f"/calls?limit=2{query}")
    assert [call["id"] for call in found] == [call_id(number) for number in numbers]
    assert {call["state"] for call in found} <= {"ended"}


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("limit=many", "limit"),
        ("limit=1&limit=2", "limit"),
        ("state=dead", "state"),
        ("since=yesterday", "since"),
        ("since=2026-11-22T12:00:00", "since"),
        ("since=1795348816", "since"),
        ("cursor=abc", "cursor"),
        ("cursor=%00", "cursor"),
        ("q=", "q"),
        ("colour=red", "colour"),
    ],
)
async def test_a_wrong_query_is_told_by_its_parameter(kept, api, query, parameter):
    async with api(kept) as client:
        answer = await client.get(f"/calls?{query}")
    assert (answer.status, answer.kind) == (422, "invalid")
    assert [error["parameter"] for error in answer.json["errors"]] == [parameter]


async def test_a_call_whole(kept, api):
    async with api(kept) as client:
        plain = (await client.get(f"/calls/{call_id(1)}")).json
        full = (await client.get(f"/calls/{call_id(1)}?words=true")).json
        assert (await client.get("/calls/CAnobody")).kind == "not-found"
    assert plain["call"]["duration_ms"] == 65_000
    [turn] = plain["turns"]
    assert (turn["languages"], turn["speakers"], turn["confidence"], turn["words"]) == (["en"], ["1"], 0.75, None)
    assert turn["entry"] == {"kind": "digits", "value": "42", "complete": True}
    assert turn["latency"]["audio_heard_ms"] == 700
    assert [each["text"] for each in full["turns"][0]["words"]] == ["please", "order"]
    assert plain["utterances"][0]["unheard"] == "sir. Goodbye."
    assert plain["asides"][0]["kind"] == "backchannel"
    assert plain["counts"] == {"turns": 1, "utterances": 1, "interruptions": 1, "asides": 1}
    assert plain["latency"] == {"turns": 1, "p50_ms": 700, "p95_ms": 700, "max_ms": 700}
    assert (plain["parameters"], plain["state"], plain["recording"]) == ({"CallerName": "Ann"}, {"n": 1}, False)


async def test_search_marks_what_it_found(kept, api):
    async with api(kept) as client:
        found = await pages(client, "/search?limit=2&q=order")
        said = await pages(client, "/search?limit=50&q=cert*")
    assert [hit["call"] for hit in found] == [call_id(number) for number in (4, 3, 2, 1, 0)]
    assert {part["text"] for hit in found for part in hit["snippet"] if part["match"]} == {"order"}
    assert found[0]["number"] == 1
    assert {(hit["kind"], hit["track"], hit["number"]) for hit in said} == {("utterance", None, None)}


@pytest.mark.parametrize(
    ("form", "media", "text"),
    [
        ("txt", "text/plain", "Caller: please order number 2 <now> & then"),
        ("json", "application/json", '"please order number 2 <now> & then"'),
        ("vtt", "text/vtt", "00:00:03.000 --> "),
        ("srt", "application/x-subrip", "00:00:06,000 --> 00:00:06,900\nBot: Certainly,"),
    ],
)
async def test_exports(kept, api, form, media, text):
    async with api(kept) as client:
        answer = await client.get(f"/calls/{call_id(2)}/export?format={form}", token="watch")
    assert (answer.status, answer.type) == (200, media)
    assert text in answer.body.decode()
    assert answer.headers["Content-Disposition"] == f'attachment; filename="{call_id(2)}.{form}"'


async def test_a_deleted_call_is_gone_everywhere(kept, api):
    async with api(kept) as client:
        assert (await client.delete(f"/calls/{call_id(2)}", token="control")).status == 403
        assert (await client.delete(f"/calls/{call_id(2)}")).status == 204
        for path in ("", "/export", "/deliveries", "/recording"):
            assert (await client.get(f"/calls/{call_id(2)}{path}")).kind == "not-found"
        assert len((await client.get("/search?q=order")).json["items"]) == 4
        assert (await client.get("/deliveries/evt_2_1")).status == 404
        assert (await client.delete(f"/calls/{call_id(2)}")).status == 404


# --- deliveries -----------------------------------------------------------------------------------


async def test_what_applications_were_told(kept, api):
    async with api(kept) as client:
        dead = await pages(client, "/deliveries?limit=2&state=dead")
        assert [event["id"] for event in dead] == [f"evt_{number}_2" for number in (4, 3, 2, 1, 0)]
        assert (dead[0]["last_status"], dead[0]["attempts"]) == (500, 1)
        of_call = (await client.get(f"/calls/{call_id(3)}/deliveries")).json["items"]
        assert [event["sequence"] for event in of_call] == [2, 1]
        assert (await client.get("/calls/CAnobody/deliveries")).kind == "not-found"
        shown = (await client.get("/deliveries/evt_3_1")).json
        assert (shown["body"], shown["attempts"][0]["error"]) == ({"type": "turn.completed"}, "broken")
        assert (await client.get("/deliveries/evt_nobody")).kind == "not-found"


async def test_a_person_drops_an_event(kept, api):
    async with api(kept) as client:
        assert (await client.delete("/deliveries/evt_1_2", token="control")).kind == "scope"
        assert (await client.delete("/deliveries/evt_1_2")).status == 204
        dropped = (await client.get("/deliveries/evt_1_2")).json
        assert dropped["delivery"]["state"] == "dropped"
        assert (dropped["delivery"]["attempts"], dropped["delivery"]["last_status"]) == (1, 500)
        for event in ("evt_1_2", "evt_1_1"):
            assert (await client.delete(f"/deliveries/{event}")).kind == "not-droppable"


async def test_a_person_has_an_event_delivered_once_more(kept, api):
    async with api(kept) as client:
        assert (await client.post("/deliveries/evt_1_2/replay", token="control")).kind == "scope"
        assert (await client.post("/deliveries/evt_1_2/replay")).json == {"id": "evt_1_2", "accepted": True}
        shown = (await client.get("/deliveries/evt_1_2")).json["delivery"]
        assert (shown["state"], shown["attempts"], shown["next_attempt_at"] is None) == ("pending", 1, False)
        assert (await client.post("/deliveries/evt_nobody/replay")).kind == "not-found"
