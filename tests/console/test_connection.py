"""A connection that breaks, a reader that is dropped, a service that starts anew: nothing twice, nothing left out."""

import asyncio
import json
import re
from datetime import UTC, datetime, timedelta

import pytest
from aiohttp import web
from playwright.async_api import expect

from voicebot.live import Live
from voicebot.wire import live_events as live
from voicebot.wire import sse
from voicebot.wire.live_json import encode

pytestmark = pytest.mark.asyncio(loop_scope="session")
WATCH = "t" * 24
SHOW = """(seen) => {
  Object.defineProperty(document, "hidden", { get: () => !seen, configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
}"""
IS_NEW = """async (ids) => {
  const { Stream } = await import("/console/static/stream.js");
  const stream = { boot: null, last: -1 };
  return ids.map((id) => Stream.prototype.isNew.call(stream, id));
}"""


async def open_call(stage, visit):
    stage.call(ago=5)
    page = await visit(stage.url, token=WATCH, go="#/calls/CA1")
    await expect(page.locator(".call .pill")).to_have_text("connected")
    return page


def said(page):
    return page.locator(".line.turn .words")


async def test_what_was_said_before_is_there(stage, visit):
    stage.call(ago=5)
    stage.turn(1, "one")
    stage.bot(1, "two")
    stage.turn(2, "three")
    stage.partial("four ", "five")
    page = await visit(stage.url, token=WATCH, go="#/calls/CA1")
    await expect(page.locator(".line .words")).to_have_text(["one", "two", "three"])
    await expect(page.locator(".tentative")).to_have_text("five")
    await expect(page.locator(".facts")).to_contain_text("2 turns")


async def test_a_broken_connection_is_told_and_nothing_is_lost_or_doubled(stage, visit):
    page = await open_call(stage, visit)
    stage.turn(1, "one")
    await expect(said(page)).to_have_text(["one"])
    stage.held = asyncio.Event()
    stage.cut()
    await expect(page.locator(".call .pill")).to_have_text("reconnecting …")
    await expect(page.locator("#link")).to_have_text("reconnecting …")
    stage.turn(2, "two")
    stage.turn(3, "three")
    stage.held.set()
    await expect(page.locator(".call .pill")).to_have_text("connected")
    stage.turn(4, "four")
    await expect(said(page)).to_have_text(["one", "two", "three", "four"])
    await expect(page.locator(".facts")).to_contain_text("4 turns")


async def test_many_breaks(stage, visit):
    page = await open_call(stage, visit)
    for number in range(1, 6):
        stage.turn(number, f"said {number}")
        await expect(said(page)).to_have_count(number)
        stage.cut()
    await expect(said(page)).to_have_text([f"said {number}" for number in range(1, 6)])


async def test_a_service_that_started_anew_is_believed(stage, visit):
    """Another boot: the page is told to begin anew, and does not put the old beside the new."""
    page = await open_call(stage, visit)
    stage.turn(1, "one")
    stage.turn(2, "two")
    await expect(said(page)).to_have_text(["one", "two"])
    anew = Live(1_000, boot="again")
    anew.publish(live.CallOpened("CA1", "+41445550101", "+41445550100", "inbound", "bot"))
    anew.publish(live.TurnEnded("CA1", "caller", stage.said(1, "one anew")))

    over = asyncio.Event()

    async def reset_and_snapshot(request):
        response = web.StreamResponse(headers={"Content-Type": sse.CONTENT_TYPE})
        await response.prepare(request)
        events = [json.loads(anew.json(entry)) for entry in anew.so_far("CA1").entries]
        snapshot = {"type": "snapshot", "call": "CA1", "at": events[0]["at"], "live": True, "whole": True}
        await response.write(sse.message("reset", b'{"type":"reset","reason":"restart"}'))
        data = json.dumps(snapshot | {"events": events}).encode()
        await response.write(sse.message("snapshot", data, anew.id(anew.last)))
        await over.wait()

    stage.next_streams.append(reset_and_snapshot)
    stage.cut()
    await expect(said(page)).to_have_text(["one anew"])
    await expect(page.locator(".facts")).to_contain_text("1 turn")
    over.set()


async def test_what_the_service_no_longer_has_at_hand_comes_from_the_record(stage, visit):
    began = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
    stage.call(started_at=began)
    stored = {"track": "caller", "revision": 1, "languages": [], "speakers": [], "reason": "endpoint"}
    turns = [{**stored, "number": n, "text": f"stored {n}", "started_at": began.isoformat()} for n in (1, 2)]
    stage.detail("CA1", turns=turns)
    event = json.loads(encode(live.TurnEnded("CA1", "caller", stage.said(2, "told 2")), datetime.now(UTC)))

    over = asyncio.Event()

    async def part(request):
        response = web.StreamResponse(headers={"Content-Type": sse.CONTENT_TYPE})
        await response.prepare(request)
        snapshot = {
            "type": "snapshot",
            "call": "CA1",
            "at": event["at"],
            "live": True,
            "whole": False,
            "events": [event],
        }
        await response.write(sse.message("snapshot", json.dumps(snapshot).encode(), stage.live.id(stage.live.last)))
        await over.wait()

    stage.next_streams.append(part)
    page = await visit(stage.url, token=WATCH, go="#/calls/CA1")
    await expect(said(page)).to_have_text(["stored 1", "told 2"])
    over.set()


async def test_a_clock_that_is_wrong_does_not_change_how_long_a_call_lasts(stage, visit):
    stage.call(ago=65)
    page = await visit(stage.url, token=WATCH, go="#/calls/CA1", clock=datetime.now(UTC) + timedelta(hours=1))
    await expect(page.locator(".call .pill")).to_have_text("connected")
    for place in (page.locator(".call header .time"), page.locator(".side .time")):
        await expect(place).to_have_text(re.compile(r"^1:\d\d$"))


async def test_an_address_that_makes_no_sense(stage, visit):
    page = await visit(stage.url, token=WATCH, go="#/calls/%")
    await expect(page.get_by_role("alert").filter(has_text="No such call")).to_be_visible()


async def test_a_dropped_reader_sees_why_and_comes_back(stage, visit):
    goodbye = b'{"type":"dropped","reason":"slow","detail":"nothing was read for too long"}'

    async def drop(request):
        response = web.StreamResponse(headers={"Content-Type": sse.CONTENT_TYPE})
        await response.prepare(request)
        await response.write(sse.retry(100) + sse.message("dropped", goodbye))
        stage.held = asyncio.Event()
        return response

    stage.call(ago=5)
    stage.next_streams.append(drop)
    page = await visit(stage.url, token=WATCH, go="#/calls/CA1")
    pill = page.locator(".call .pill")
    await expect(pill).to_have_text("dropped, reconnecting …")
    await expect(pill).to_have_attribute("title", "nothing was read for too long")
    stage.turn(1, "in between")
    stage.held.set()
    await expect(pill).to_have_text("connected")
    await expect(said(page)).to_have_text(["in between"])


async def test_a_service_that_refuses_for_a_while(stage, visit):
    async def busy(_request):
        return web.Response(status=503)

    stage.call(ago=5)
    stage.next_streams += [busy, busy]
    page = await visit(stage.url, token=WATCH, go="#/calls/CA1")
    await expect(page.locator(".call .pill")).to_have_text("reconnecting …")
    await expect(page.locator(".call .pill")).to_have_text("connected")
    stage.turn(1, "here again")
    await expect(said(page)).to_have_text(["here again"])


async def test_a_call_that_ended_while_nobody_listened(stage, visit):
    page = await open_call(stage, visit)
    stage.held = asyncio.Event()
    stage.cut()
    await expect(page.locator(".call .pill")).to_have_text("reconnecting …")
    stage.end()
    stage.held.set()
    await expect(page.locator(".facts")).to_contain_text("caller_hangup")
    await expect(page.locator(".call .pill")).to_be_hidden()


async def test_events_that_come_again_are_known(stage, visit):
    page = await visit(stage.url)
    ids = ["a-1", "a-2", "a-2", "a-1", "a-4", "a-3", "b-1", "b-1", "b-2", ""]
    new = await page.evaluate(IS_NEW, ids)
    assert new == [True, True, False, False, True, False, True, False, True, True]


async def test_a_tab_that_nobody_sees_lets_go_of_its_connections(stage, visit):
    page = await open_call(stage, visit)
    stage.turn(1, "one")
    await expect(said(page)).to_have_text(["one"])
    await page.clock.install()
    await page.evaluate(SHOW, False)
    await page.clock.fast_forward(29_000)
    await expect(page.locator(".call .pill")).to_have_text("connected")
    await page.clock.fast_forward(2_000)
    await expect(page.locator(".call .pill")).to_have_text("paused while unseen")
    await expect(page.locator("#link")).to_have_text("paused while unseen")
    stage.turn(2, "two")
    await page.evaluate(SHOW, True)
    await expect(page.locator(".call .pill")).to_have_text("connected")
    await expect(said(page)).to_have_text(["one", "two"])
    assert {query.get("last_event_id") for _, path, query in stage.asked if path.endswith("events")} == {None, "b00t-2"}


async def test_an_unknown_call_is_told(stage, visit):
    page = await visit(stage.url, token=WATCH, go="#/calls/none")
    await expect(page.get_by_role("alert").filter(has_text="No such call")).to_be_visible()


async def test_the_list_follows_the_calls(stage, visit):
    page = await visit(stage.url, token=WATCH)
    await expect(page.get_by_text("No call is under way.")).to_be_visible()
    await expect(page.locator("#link")).to_have_text("connected")
    stage.call("CA7", "+331", ago=65)
    row = page.locator(".side li")
    await expect(row).to_contain_text("+331")
    await expect(page.get_by_role("region", name="Live calls").get_by_role("status")).to_have_text("1")
    stage.partial("Bon", "jour", call="CA7")
    await expect(row.locator(".last")).to_have_text("Bonjour")
    stage.turn(1, "Bonjour.", call="CA7")
    await expect(row).to_contain_text("1 turn")
    stage.tell(live.Trouble, "something", call="CA7")
    await expect(row).to_contain_text("trouble")
    stage.end("CA7")
    await expect(row).to_contain_text("ended: caller_hangup")
    await expect(page.get_by_role("region", name="Live calls").get_by_role("status")).to_have_text("0")


async def test_a_call_that_is_dialled_while_the_page_is_open_is_listed_by_whom_it_calls(stage, visit):
    page = await visit(stage.url, token=WATCH)
    await expect(page.locator("#link")).to_have_text("connected")
    stage.call("CA8", from_="+41445550100", to="+331", direction="outbound")
    await expect(page.locator(".side li b")).to_have_text("+331")
    await expect(page.locator(".side li")).to_contain_text("→ +41445550100")
