"""What a person does on the page is asked of the API; what ends or moves a call is asked twice."""

import pytest
import pytest_asyncio
from aiohttp import web
from playwright.async_api import expect

from voicebot.wire import live_events as live

pytestmark = pytest.mark.asyncio(loop_scope="session")
CONTROL = "c" * 24


@pytest_asyncio.fixture(loop_scope="session")
async def page(stage, visit):
    stage.call(ago=5)
    opened = await visit(stage.url, token=CONTROL, go="#/calls/CA1")
    await expect(opened.locator(".call .pill")).to_have_text("connected")
    return opened


def posts(stage):
    return [(path, body) for method, path, body in stage.asked if method == "POST"]


def result(page):
    return page.get_by_role("region", name="Act on the call").get_by_role("status")


async def test_say(stage, page):
    text = page.get_by_label("Say to the caller")
    await text.fill("One moment, please.")
    await text.press("Enter")
    await expect(result(page)).to_have_text("Said.")
    await expect(text).to_have_value("")
    say = {"type": "say", "text": "One moment, please."}
    assert posts(stage) == [("/calls/CA1/actions", {"actions": [say], "interrupt": False})]


async def test_say_over_the_bot_in_two_lines(stage, page):
    text = page.get_by_label("Say to the caller")
    await text.fill("One")
    await text.press("Shift+Enter")
    await text.press_sequentially("two")
    await page.get_by_label("interrupt the bot").check()
    await page.get_by_role("button", name="Say", exact=True).click()
    await expect(result(page)).to_have_text("Said.")
    say = {"type": "say", "text": "One\ntwo"}
    assert posts(stage) == [("/calls/CA1/actions", {"actions": [say], "interrupt": True})]


async def test_nothing_is_not_said(stage, page):
    await page.get_by_label("Say to the caller").fill("   ")
    await page.get_by_role("button", name="Say", exact=True).click()
    await page.get_by_role("button", name="End turn now").click()
    await expect(result(page)).to_have_text("The turn ends.")
    assert posts(stage) == [("/calls/CA1/finalize", None)]


@pytest.mark.parametrize("way", ["button", "key"])
async def test_hanging_up_is_asked_twice(stage, page, way):
    hang_up = page.get_by_role("button", name="Hang up …")
    await hang_up.click()
    dialog = page.get_by_role("dialog", name="Hang up?")
    await expect(dialog).to_contain_text("The call ends for the caller at once.")
    await expect(dialog.get_by_role("button", name="Cancel")).to_be_focused()
    if way == "key":
        await page.keyboard.press("Escape")
    else:
        await dialog.get_by_role("button", name="Cancel").click()
    await expect(dialog).to_be_hidden()
    await expect(hang_up).to_be_focused()
    assert posts(stage) == []
    await hang_up.press("Enter")
    await dialog.get_by_role("button", name="Hang up").click()
    await expect(result(page)).to_have_text("Hanging up.")
    assert posts(stage) == [("/calls/CA1/hangup", {"reason": "console"})]


async def test_transferring_is_asked_twice(stage, page):
    await page.get_by_label("Transfer to").fill(" +41445550199 ")
    await page.get_by_role("button", name="Transfer …").click()
    dialog = page.get_by_role("dialog", name="Transfer the call?")
    await expect(dialog).to_contain_text("+41445550199")
    await dialog.get_by_role("button", name="Transfer").click()
    await expect(result(page)).to_have_text("Transferring to +41445550199.")
    transfer = {"type": "transfer", "to": "+41445550199"}
    assert posts(stage) == [("/calls/CA1/actions", {"actions": [transfer], "interrupt": False})]


async def test_a_refusal_is_told_and_what_was_typed_is_kept(stage, page):
    faults = [{"pointer": "#/actions/0/text", "detail": "too long"}]
    body = {"title": "Not valid", "status": 422, "errors": faults}
    stage.refusal = web.json_response(body, status=422, content_type="application/problem+json")
    await page.get_by_label("Say to the caller").fill("Hello")
    await page.get_by_role("button", name="Say", exact=True).click()
    await expect(result(page)).to_have_text("Not valid: #/actions/0/text too long")
    await expect(page.get_by_label("Say to the caller")).to_have_value("Hello")


async def test_what_is_typed_stays_while_the_call_goes_on(stage, page):
    text = page.get_by_label("Say to the caller")
    await text.fill("half a sen")
    stage.partial("I", " am")
    stage.turn(1, "I am talking.")
    stage.tell(live.Latency, 1, {"settled_ms": 100})
    await expect(page.locator(".line.turn")).to_have_count(1)
    await text.press_sequentially("tence")
    await expect(text).to_have_value("half a sentence")
    await expect(text).to_be_focused()


async def test_a_transcribed_call_cannot_be_spoken_to(stage, visit):
    stage.call("CA5", mode="transcribe")
    page = await visit(stage.url, token=CONTROL, go="#/calls/CA5")
    await expect(page.get_by_role("button", name="Hang up …")).to_be_visible()
    await expect(page.get_by_label("Say to the caller")).to_be_hidden()
    await expect(page.get_by_label("Transfer to")).to_be_hidden()
