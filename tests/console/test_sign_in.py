"""Who may see the console's data, and what one is told who may not."""

import pytest
from aiohttp import web
from playwright.async_api import expect

pytestmark = pytest.mark.asyncio(loop_scope="session")
WATCH, CONTROL = "t" * 24, "c" * 24


async def sign_in(page, token):
    await page.get_by_label("Token").fill(token)
    await page.get_by_role("button", name="Sign in").click()


async def test_a_token_opens_the_console_and_scripts_cannot_read_it(stage, visit):
    stage.call()
    page = await visit(stage.url)
    await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    await sign_in(page, WATCH)
    await expect(page.get_by_role("link", name="+41445550101")).to_be_visible()
    assert await page.evaluate("document.cookie") == ""
    assert await page.evaluate("JSON.stringify([localStorage, sessionStorage])") == "[{},{}]"
    await page.reload()
    await expect(page.get_by_role("link", name="+41445550101")).to_be_visible()


async def test_a_wrong_token_is_told_and_can_be_mended(stage, visit):
    page = await visit(stage.url)
    await sign_in(page, "wrong")
    await expect(page.get_by_role("alert")).to_have_text("No such token.")
    await expect(page.get_by_label("Token")).to_be_focused()
    await sign_in(page, WATCH)
    await expect(page.get_by_role("heading", name="Live calls", level=1)).to_be_visible()


async def test_a_service_without_tokens_says_how_to_set_one(stage, visit):
    body = {"title": "Switched off", "status": 403, "detail": "set VOICEBOT_API__TOKENS"}
    stage.sign_in = web.json_response(body, status=403, content_type="application/problem+json")
    page = await visit(stage.url)
    await sign_in(page, WATCH)
    await expect(page.get_by_role("alert")).to_have_text("Switched off: set VOICEBOT_API__TOKENS")


async def test_signing_out_takes_everything_off_the_page(stage, visit):
    stage.call()
    stage.turn(1, "a secret word")
    page = await visit(stage.url, token=WATCH, go="#/calls/CA1")
    await expect(page.get_by_text("a secret word").first).to_be_visible()
    await page.get_by_role("button", name="Sign out").click()
    await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    assert await page.get_by_text("a secret word").filter(visible=True).count() == 0
    assert not await page.context.cookies()


async def test_a_session_that_ends_leads_back_to_the_sign_in(stage, visit):
    stage.call()
    page = await visit(stage.url, token=WATCH)
    await expect(page.locator("#link")).to_have_text("connected")
    await page.context.clear_cookies()
    stage.cut()
    await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    await expect(page.get_by_role("alert")).to_have_text("You were signed out.")


async def test_a_token_that_may_only_watch_cannot_act(stage, visit):
    stage.call()
    page = await visit(stage.url, token=WATCH, go="#/calls/CA1")
    await expect(page.get_by_text("This token may watch only")).to_be_visible()
    for name in ("Say", "Transfer …", "End turn now", "Hang up …"):
        await expect(page.get_by_role("button", name=name, exact=True)).to_be_disabled()
