"""Calls that are over: found by word, number and day, page by page; read, heard and taken along."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from playwright.async_api import expect

pytestmark = pytest.mark.asyncio(loop_scope="session")
WATCH = "t" * 24
AT = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
ENDED = {"state": "ended", "started_at": AT, "ended_at": AT + timedelta(seconds=61), "duration_ms": 61_000}
TURN = {"track": "caller", "revision": 1, "translation": "", "digits": "", "languages": ["de"], "speakers": []}


def past(stage, count=1):
    for number in range(count):
        stage.call(f"CB{number}", f"+4144{number}", reason="bot_hangup", turns=2, **ENDED)


def asked(stage, path):
    return [query for method, where, query in stage.asked if (method, where) == ("GET", path)]


async def test_pages_follow_each_other(stage, visit):
    past(stage, 120)
    page = await visit(stage.url, token=WATCH, go="#/history")
    rows = page.locator(".results tbody tr")
    await expect(rows).to_have_count(50)
    await expect(page.locator(".history").get_by_role("status")).to_have_text("50 or more calls")
    more = page.get_by_role("button", name="More")
    await more.press("Enter")
    await expect(rows).to_have_count(100)
    await expect(rows.nth(50).get_by_role("link")).to_be_focused()
    await more.click()
    await expect(rows).to_have_count(120)
    await expect(more).to_be_hidden()
    links = await rows.get_by_role("link").all_inner_texts()
    assert len(set(links)) == 120


async def test_filters_are_asked_of_the_api(stage, visit):
    past(stage)
    page = await visit(stage.url, token=WATCH, go="#/history")
    await expect(page.locator(".results tbody tr")).to_have_count(1)
    await page.get_by_label("Said").fill('pizza "two of them"')
    await page.get_by_label("Number").fill("+41440")
    await page.get_by_label("From").fill("2026-11-20")
    await page.get_by_label("To").fill("2026-11-20")
    await page.get_by_label("State").select_option("ended")
    await page.get_by_label("Direction").select_option("inbound")
    await page.get_by_role("button", name="Search").click()
    await expect(page.locator(".history").get_by_role("status")).to_have_text("1 call")
    first, second = asked(stage, "/calls")
    assert first == {"limit": "50"}
    assert second == {
        "q": 'pizza "two of them"',
        "number": "+41440",
        "state": "ended",
        "direction": "inbound",
        "since": "2026-11-20T00:00:00.000Z",
        "until": "2026-11-21T00:00:00.000Z",
        "limit": "50",
    }


async def test_passages_show_what_matched(stage, visit):
    snippet = [{"text": "two ", "match": False}, {"text": "<b>pizzas</b>", "match": True}]
    hit = {"call": "CB0", "from": "+41440", "to": "+1", "kind": "turn", "track": "caller", "number": 3}
    stage.hits = [{**hit, "at": AT.isoformat(), "snippet": snippet}]
    page = await visit(stage.url, token=WATCH, go="#/history")
    await page.get_by_label("Show").select_option("passages")
    await expect(page.get_by_label("Number")).to_be_disabled()
    await page.get_by_label("Said").fill("pizzas")
    await page.get_by_role("button", name="Search").click()
    await expect(page.locator("mark")).to_have_text("<b>pizzas</b>")
    await expect(page.locator(".passages li")).to_contain_text("turn 3")
    assert asked(stage, "/search") == [{"q": "pizzas", "limit": "50"}]


async def test_nothing_found_is_told(stage, visit):
    page = await visit(stage.url, token=WATCH, go="#/history")
    await expect(page.locator(".history").get_by_role("status")).to_have_text("Nothing found.")


async def test_a_past_call_is_read_in_the_order_of_time(stage, visit):
    def when(seconds):
        return (AT + timedelta(seconds=seconds)).isoformat()

    past(stage)
    said = {"ms": 900, "interrupted": False, "unheard": ""}
    turn = {**TURN, "number": 1, "text": "second", "reason": "endpoint", "entry": None}
    stage.detail(
        "CB0",
        turns=[{**turn, "started_at": when(4), "ended_at": when(5), "latency": {"settled_ms": 200, "sent_ms": None}}],
        utterances=[
            {**said, "text": "first", "heard": "first", "started_at": when(1)},
            {**said, "text": "third", "heard": "third", "started_at": when(9)},
        ],
        asides=[{"kind": "backchannel", "text": "mhm", "at": when(7)}],
        state={"order": ["<img>"]},
    )
    page = await visit(stage.url, token=WATCH, go="#/history")
    await page.get_by_role("link", name="+41440").click()
    await expect(page.locator(".line .words")).to_have_text(["first", "second", re.compile("mhm"), "third"])
    await expect(page.locator(".waterfall summary")).to_contain_text("200 ms")
    await page.get_by_text("application's state").click()
    await expect(page.locator(".state")).to_contain_text("<img>")
    await expect(page.locator(".audio audio")).to_have_count(0)


async def test_exports_and_recording(stage, visit):
    past(stage)
    stage.detail("CB0", recording=True)
    page = await visit(stage.url, token=WATCH, go="#/calls/CB0")
    for name in ("txt", "json", "vtt", "srt"):
        link = page.get_by_role("link", name=name, exact=True)
        assert await link.evaluate("e => new URL(e.href).pathname + new URL(e.href).search") == (
            f"/calls/CB0/export?format={name}"
        )
    audio = page.locator("audio")
    await expect(audio).to_have_attribute("src", f"{stage.url}/calls/CB0/recording")
    await expect(audio).to_have_attribute("preload", "none")
    await expect(audio).to_have_attribute("aria-label", re.compile("caller left"))
