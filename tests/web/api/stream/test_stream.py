"""What a reader gets: from where it is, without a gap, without a double."""

import asyncio

import pytest

from voicebot import live
from voicebot.wire import sse
from voicebot.wire.sse import HEARTBEAT


def numbers(messages):
    return [int(data["what"]) for _, _, data in messages]


async def test_what_a_reader_of_all_calls_gets(site):
    s = await site()
    s.open("CA1", "CA2", "CA3")
    s.close("CA2")
    async with s.reading() as stream:
        assert stream.response.status == 200
        assert stream.response.headers["Content-Type"] == "text/event-stream"
        assert stream.response.headers["Cache-Control"] == "no-store"
        assert await stream.content.readline() == b"retry: 1000\n"
        event, id_, data = await stream.one()
        assert (event, id_, data["type"]) == ("snapshot", "boot-4", "snapshot")
        # The second one is still in the registry, but its end was told already and will not be told again.
        assert data["calls"] == [{"id": "CA1", "state": "live"}, {"id": "CA3", "state": "live"}]
        s.say("CA3")
        event, id_, data = await stream.one()
        assert (event, id_) == ("trouble", "boot-5")
        assert {"type": "trouble", "call": "CA3", "what": "1"}.items() <= data.items()


async def test_what_a_reader_of_one_call_gets(site):
    s = await site()
    s.open("CA1", "CA2")
    s.live.publish(live.Partial("CA1", "caller", "", "I"))
    s.live.publish(live.Partial("CA1", "caller", "I ", "wou"))
    s.say("CA1", 2)
    async with s.reading("/calls/CA1/events") as stream:
        event, id_, data = await stream.one()
        assert (event, id_) == ("snapshot", "boot-6")
        assert (data["call"], data["live"], data["whole"]) == ("CA1", True, True)
        assert [each["type"] for each in data["events"]] == ["call.opened", "trouble", "trouble", "partial"]
        assert data["events"][-1]["tentative"] == "wou"
        s.say("CA2", 5)
        s.say("CA1")
        s.close("CA2")
        s.close("CA1")
        rest = await stream.rest()
        assert [(event, id_) for event, id_, _ in rest] == [("trouble", "boot-12"), ("call.ended", "boot-14")]


async def test_coming_back_after_the_end(site):
    s = await site()
    s.open("CA1")
    s.say("CA1", 2)
    s.close("CA1")
    async with s.reading("/calls/CA1/events") as stream:
        (event, id_, data), *rest = await stream.rest()
        assert (event, rest, data["live"]) == ("snapshot", [], False)
        assert [each["type"] for each in data["events"]] == ["call.opened", "trouble", "trouble", "call.ended"]
    async with s.reading("/calls/CA1/events", last_id="boot-2") as stream:
        assert [id_ for _, id_, _ in await stream.rest()] == ["boot-3", "boot-4"]
    async with s.reading("/calls/CA1/events", last_id=id_) as stream:
        assert stream.response.status == 204
    s.live.publish(live.WebhookAttempt("CA1", 2, "call.ended", 1, 200, None, 3))
    async with s.reading("/calls/CA1/events", last_id=id_) as stream:
        assert [event for event, _, _ in await stream.rest()] == ["webhook.attempt"]


@pytest.mark.parametrize("where", ["header", "address"])
async def test_going_on(site, where):
    s = await site()
    s.open("CA1")
    s.say(count=5)
    place = {"last_id": "boot-3"} if where == "header" else {"params": {"last_event_id": "boot-3"}}
    async with s.reading(**place) as stream:
        assert numbers(await stream.many(3)) == [3, 4, 5]
        s.say()
        assert numbers(await stream.many(1)) == [6]


@pytest.mark.parametrize("path", ["/events", "/calls/CA1/events"])
@pytest.mark.parametrize(
    ("last_id", "reason"),
    [
        pytest.param("other-12", "restart", id="another-boot"),
        pytest.param("boot-99", "restart", id="yet-to-come"),
        pytest.param("12", "restart", id="no-id-of-ours"),
        pytest.param("boot-1", "history", id="too-old"),
    ],
)
async def test_what_cannot_be_gone_on_with_begins_anew(site, path, last_id, reason):
    s = await site(history=5)
    s.open("CA1")
    s.say(count=20)
    async with s.reading(path, last_id=last_id) as stream:
        (event, id_, data), (second, new_id, _) = await stream.many(2)
        assert (event, id_, data["reason"]) == ("reset", None, reason)
        assert (second, new_id) == ("snapshot", "boot-21")
        s.say()
        assert numbers(await stream.many(1)) == [21]


async def test_unknown_call(site):
    s = await site()
    async with s.reading("/calls/CA9/events") as stream:
        assert stream.response.status == 404
        assert stream.response.content_type == "application/problem+json"
        problem = await stream.response.json(content_type=None)
    assert (problem["status"], problem["instance"]) == (404, "/calls/CA9/events")
    assert "CA9 does not live: GET /calls/{id}" in problem["detail"]


async def test_no_more_readers_than_allowed(site):
    s = await site(readers=1)
    async with s.reading() as stream:
        await stream.one()
        async with s.reading() as other:
            assert other.response.status == 503
            assert "live.readers" in await other.response.text()
    while True:
        # The service hears of a hang-up when its loop gets to it.
        async with s.reading() as other:
            if other.response.status == 200:
                break


async def test_heartbeat(site):
    s = await site(heartbeat_s=0.01)
    async with s.reading() as stream:
        await stream.one()
        assert await stream.content.readexactly(2 * len(HEARTBEAT)) == 2 * HEARTBEAT
        s.say()
        assert numbers(await stream.many(1)) == [1]


async def test_each_event_is_encoded_once_and_only_when_wanted(site, monkeypatch):
    written = []
    make = sse.message
    monkeypatch.setattr(sse, "message", lambda event, *rest: written.append(event) or make(event, *rest))
    s = await site()
    s.open("CA1")
    s.say(count=10)
    assert s.encoded == []
    async with asyncio.TaskGroup() as group:
        readers = [group.create_task(s.read_all(path)) for path in 20 * ("/events", "/calls/CA1/events")]
        while s.live.watchers < len(readers):
            await asyncio.sleep(0)
        # The eleven of before are in the snapshot of the call.
        assert len(s.encoded) == 11
        s.say(count=10)
        s.close("CA1")
        await s.doors.close()
    assert len(s.encoded) == 22
    assert len({id(event) for event in s.encoded}) == 22
    assert {len(reader.result()) for reader in readers} == {12}
    # Once for those of all calls and once for those of the call, however many they are.
    assert len([name for name in written if name != "snapshot"]) == 22
