"""The console on the real service: a call comes in, is watched, acted on, ended, and found again."""

from contextlib import asynccontextmanager

import pytest
from playwright.async_api import async_playwright, expect

TOKEN = "console-token-0123456789"
API = {"tokens": [{"name": "console", "token": TOKEN, "scopes": ["control"]}]}
HELLO = [{"at_ms": 4_000, "say": "hello there", "until_ms": 4_500, "end_ms": 4_700}]
PATIENT = {"turns": {"no_input_ms": 0}}
PLAY = """audio => new Promise((resolve, reject) => {
  audio.onloadedmetadata = () => (audio.duration > 0.1 ? resolve() : reject(new Error("empty")));
  audio.onerror = () => reject(new Error(audio.error.message));
  audio.load();
})"""
GREETING = {"actions": [{"type": "say", "text": "Good morning."}]}


@pytest.fixture
def open_console(launch):
    """Open and sign in, in a browser of its own: the house has its own event loop."""

    @asynccontextmanager
    async def console(house):
        async with async_playwright() as playwright:
            browser = await launch(playwright)
            page = await browser.new_page(locale="en-GB", timezone_id="UTC")
            faults = []
            page.on("pageerror", lambda error: faults.append(str(error)))
            page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
            await page.goto(f"{house.address}/console")
            await page.get_by_label("Token").fill(TOKEN)
            await page.get_by_role("button", name="Sign in").click()
            await expect(page.locator("#link")).to_have_text("connected")
            yield page
            await browser.close()
        # Before the sign-in there is nobody: the one answer that the browser logs as an error.
        assert [fault for fault in faults if "401 (Unauthorized)" not in fault] == []

    return console


async def test_a_call_from_its_beginning_to_its_place_in_the_history(house, open_console, screenshots, tmp_path):
    h = await house(HELLO, api=API, default=PATIENT, record={"directory": str(tmp_path / "recordings")})
    h.app.on("call.started", GREETING)
    h.app.on("turn.completed", {"actions": [{"type": "say", "text": "You said hello."}]})
    async with open_console(h) as page:
        phone = h.dial(from_="+15550123", to="+15550199", pace=1.0)
        await page.get_by_role("link", name="+15550123").click()
        log = page.get_by_role("log")
        await expect(log.locator(".line.turn .words")).to_have_text("hello there")
        await expect(log.locator(".line.bot", has_text="Good morning.")).to_have_count(1)
        await expect(page.locator(".waterfall summary")).to_contain_text("Turn 1")
        await expect(page.locator(".event").last).to_contain_text("call.started")
        await page.get_by_label("Say to the caller").fill("A person says this.")
        await page.get_by_role("button", name="Say", exact=True).click()
        said = log.locator(".line.bot", has_text="A person says this.")
        await expect(said).to_have_count(1)
        await expect(said).not_to_contain_text("speaking")
        await expect(page.locator(".event")).not_to_have_count(0)
        await page.screenshot(path=screenshots / "service-live.png")
        await page.get_by_role("button", name="Hang up …").click()
        await page.get_by_role("dialog").get_by_role("button", name="Hang up").click()
        await phone.report()
        await expect(page.locator(".facts")).to_contain_text("ended")
        await h.empty()
        await page.get_by_role("link", name="History").click()
        await page.get_by_label("Said").fill("hello")
        await page.get_by_role("button", name="Search").click()
        await expect(page.locator(".results tbody tr")).to_have_count(1)
        await page.locator(".results").get_by_role("link").click()
        await expect(log.locator(".line.turn .words")).to_have_text("hello there")
        await expect(log.locator(".line.bot", has_text="A person says this.")).to_have_count(1)
        await page.locator("audio").evaluate(PLAY)
        await page.screenshot(path=screenshots / "service-past.png")
        for name, part in {"txt": "hello there", "json": '"hello there"', "vtt": "WEBVTT", "srt": "-->"}.items():
            async with page.expect_download() as download:
                await page.get_by_role("link", name=name, exact=True).click()
            saved = tmp_path / name
            await (await download.value).save_as(saved)
            assert part in saved.read_text(encoding="utf-8")
        await page.get_by_role("button", name="Sign out").click()
        await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
