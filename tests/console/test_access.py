"""Everybody can use it: by keyboard, by ear, on a small screen, in the dark; and nothing jumps while words arrive."""

import re

import pytest
import pytest_asyncio
from playwright.async_api import expect

from voicebot.wire import live_events as live

pytestmark = pytest.mark.asyncio(loop_scope="session")
CONTROL = "c" * 24
PHONE = {"width": 360, "height": 740}
MOST_SHIFT = 0.01
MOST_PAINT_MS = 1_000
ENOUGH, ENOUGH_LARGE = 4.5, 3.0
"""Contrast of text, and of what is not text (WCAG 2.2, 1.4.3 and 1.4.11)."""
LONG = "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft" * 3
# Every visible text with its own colour and the first ground behind it that is not transparent.
COLOURS = """() => {
  const found = [];
  const solid = (e) => {
    for (; e; e = e.parentElement) {
      const ground = getComputedStyle(e).backgroundColor;
      if (!/, 0\\)|transparent/.test(ground)) return ground;
    }
    return getComputedStyle(document.documentElement).backgroundColor;
  };
  for (const e of document.querySelectorAll("body *")) {
    const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
    if (!own || !e.checkVisibility({ opacityProperty: true }) || e.closest(":disabled")) continue;
    found.push([e.className + " " + e.textContent.slice(0, 30), getComputedStyle(e).color, solid(e)]);
  }
  return found;
}"""
PIECES = """() => [...document.querySelectorAll(".swatch")].map((e) => [
  e.className, getComputedStyle(e).backgroundColor, getComputedStyle(e.closest(".card")).backgroundColor])"""
SHIFTS = """() => {
  window.shifts = [];
  new PerformanceObserver((list) => window.shifts.push(...list.getEntries().map((e) => e.value)))
    .observe({ type: "layout-shift", buffered: false });
}"""
FOCUSED = """() => {
  const e = document.activeElement;
  const style = getComputedStyle(e);
  const name = e.getAttribute("aria-label") || e.labels?.[0]?.textContent || e.textContent.trim();
  return [e.tagName, name, style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2];
}"""


def luminance(colour):
    if match := re.match(r"color\(srgb ([\d.]+) ([\d.]+) ([\d.]+)", colour):
        parts = [float(value) for value in match.groups()]
    else:
        parts = [int(value) / 255 for value in re.findall(r"\d+", colour)[:3]]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in parts]
    return sum(weight * value for weight, value in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one, other):
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def busy(stage):
    """A call with everything that has a colour."""
    stage.call(ago=5)
    stage.bot(1, "Hello.", " How are you?", interrupted=True)
    stage.turn(1, "Fine.", language="en", speaker="1", translation="Gut.")
    stage.tell(live.Overheard, "backchannel", "mhm")
    stage.tell(live.BotSays, 2, "Good.")
    stage.tell(live.Trouble, "something went wrong")
    stage.tell(live.Latency, 1, {"settled_ms": 100, "audio_sent_ms": 900})
    stage.tell(live.TurnOffered, stage.said(2, "And", "finalize"), 1)
    stage.partial("And ", "you")
    event = {"type": "turn.completed", "attempts": 2, "last_status": 503, "last_error": "status 503"}
    states = ("delivered", "pending", "dead", "withdrawn")
    stage.deliveries["CA1"] = [
        {**event, "id": f"evt_{state}", "sequence": number, "state": state} for number, state in enumerate(states, 1)
    ]


@pytest_asyncio.fixture(loop_scope="session")
async def opened(stage, visit):
    async def open_call(**options):
        busy(stage)
        page = await visit(stage.url, token=CONTROL, go="#/calls/CA1", **options)
        await expect(page.locator(".tentative")).to_have_text("you")
        await expect(page.locator(".event")).to_have_count(4)
        return page

    return open_call


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_contrast(opened, scheme):
    page = await opened(color_scheme=scheme, reduced_motion="reduce")
    await page.get_by_role("button", name="Hang up …").click()
    colours = await page.evaluate(COLOURS)
    assert len(colours) > 40
    weak = [(text, round(contrast(ink, ground), 2)) for text, ink, ground in colours if contrast(ink, ground) < ENOUGH]
    assert weak == []
    pieces = await page.evaluate(PIECES)
    assert len(pieces) == 7
    assert [name for name, ink, ground in pieces if contrast(ink, ground) < ENOUGH_LARGE] == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("go", ["", "#/history"])
async def test_contrast_of_the_other_views(stage, visit, scheme, go):
    busy(stage)
    page = await visit(stage.url, token=CONTROL, go=go, color_scheme=scheme, reduced_motion="reduce")
    await expect(page.get_by_role("heading", level=1)).to_be_visible()
    await expect(page.locator("#link")).to_have_text("connected")
    colours = await page.evaluate(COLOURS)
    assert [text for text, ink, ground in colours if contrast(ink, ground) < ENOUGH] == []


async def test_the_keyboard_reaches_everything_in_the_order_of_the_page(opened):
    page = await opened()
    await page.get_by_role("link", name="Skip to content").focus()
    names = []
    for _ in range(40):
        kind, name, outlined = await page.evaluate(FOCUSED)
        if kind == "BODY":
            break
        assert outlined, f"{kind} {name}: no visible focus"
        names.append(name.strip())
        await page.keyboard.press("Tab")
    wanted = [
        "Skip to content",
        "Live",
        "History",
        "Sign out",
        "Transcript",
        "interrupt the bot",
        "Say to the caller",
        "Say",
    ]
    wanted += ["Transfer to", "Transfer …", "End turn now", "Hang up …", "txt", "json", "vtt", "srt"]
    places = [names.index(name) for name in wanted]
    assert places == sorted(places)
    assert any("+41445550101" in name for name in names)


async def test_skip_link(opened):
    page = await opened()
    await page.get_by_role("link", name="Skip to content").press("Enter")
    await expect(page.get_by_role("main")).to_be_focused()
    await expect(page.locator(".tentative")).to_be_visible()


async def test_names_and_landmarks(opened):
    page = await opened()
    for role, name in {
        "navigation": "Main",
        "region": "Live calls",
        "log": "Transcript",
        "group": "Being said now",
        "heading": "+41445550101 → +41445550100",
        "textbox": "Say to the caller",
        "checkbox": "interrupt the bot",
    }.items():
        await expect(page.get_by_role(role, name=name, exact=True)).to_have_count(1)
    for name in ("Latency by turn", "Webhook events", "Errors", "Act on the call", "Conversation", "About the call"):
        await expect(page.get_by_role("region", name=name)).to_have_count(1)
    for role in ("main", "banner"):
        await expect(page.get_by_role(role)).to_have_count(1)
    await expect(page.get_by_role("heading", level=1)).to_have_count(1)
    nameless = "e => e.filter(one => !(one.labels?.length || one.ariaLabel || one.textContent.trim())).length"
    assert await page.locator("button, a, input, select, textarea").evaluate_all(nameless) == 0


async def test_only_settled_lines_are_read_out(opened, stage):
    page = await opened()
    log = page.get_by_role("log")
    await expect(log).to_have_attribute("aria-live", "polite")
    await expect(log).to_have_attribute("aria-relevant", "additions")
    await expect(page.get_by_role("group", name="Being said now")).to_have_attribute("aria-live", "off")
    await log.evaluate("""e => { window.added = 0;
      new MutationObserver((all) => all.forEach((one) => { window.added += one.addedNodes.length; }))
        .observe(e, { childList: true, subtree: true, characterData: true }); }""")
    for number in range(20):
        stage.partial("word " * number, "tail")
    await expect(page.locator(".moment .settled").last).to_have_text("word " * 19)
    assert await page.evaluate("window.added") == 0
    stage.turn(2, "word " * 20)
    await expect(page.locator(".line.turn")).to_have_count(2)
    assert await page.evaluate("window.added") == 1
    # The clock ticks for the eye only.
    assert (
        await page.locator(".time").evaluate_all("e => e.some(one => one.closest('[aria-live], [role=status]'))")
        is False
    )


@pytest.mark.parametrize("viewport", [PHONE, {"width": 1280, "height": 800}], ids=["phone", "desktop"])
async def test_nothing_jumps_while_words_arrive(opened, stage, viewport):
    page = await opened(viewport=viewport)
    await page.evaluate(SHIFTS)
    for turn in range(2, 8):
        for words in range(1, 40, 6):
            stage.partial("word " * words, "tentative tail")
        await expect(page.locator(".moment .settled").last).to_have_text("word " * 37)
        stage.turn(turn, "word " * 40)
        await expect(page.locator(".line.turn")).to_have_count(turn)
    assert sum(await page.evaluate("window.shifts")) < MOST_SHIFT
    log = page.get_by_role("log")
    assert await log.evaluate(
        "e => e.scrollHeight > e.clientHeight && e.scrollHeight - e.scrollTop - e.clientHeight < 5"
    )


async def test_who_reads_further_up_is_left_there(opened, stage):
    page = await opened()
    log = page.get_by_role("log")
    for turn in range(2, 30):
        stage.turn(turn, f"turn {turn}")
    await expect(page.locator(".line.turn")).to_have_count(29)
    await log.evaluate("e => { e.scrollTop = 20; }")
    stage.turn(30, "one more")
    await expect(page.locator(".line.turn")).to_have_count(30)
    assert await log.evaluate("e => e.scrollTop") == 20


@pytest.mark.parametrize("go", ["", "#/calls/CA1", "#/history"])
async def test_a_small_phone_shows_all_without_scrolling_sideways(stage, visit, go):
    busy(stage)
    stage.call("CA2", LONG, LONG)
    stage.turn(2, LONG, language=LONG, translation=LONG)
    stage.turn(3, "שלום עולם " + LONG)
    stage.tell(live.Trouble, LONG)
    stage.deliveries["CA1"].append({"id": LONG, "sequence": 9, "type": LONG, "state": "dead", "last_error": LONG})
    page = await visit(stage.url, token=CONTROL, go=go, viewport=PHONE)
    await expect(page.locator("#link")).to_have_attribute("data-state", "connected")
    if "calls" in go:
        await expect(page.locator(".line.turn")).to_have_count(3)
        await expect(page.locator(".event")).to_have_count(5)
    assert await page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    wide = await page.locator("main *, .side *").evaluate_all(
        "(all, width) => all.filter(e => e.checkVisibility() && !e.matches('.for-readers, .for-readers *') && "
        "e.getBoundingClientRect().right > width + 1 && !e.closest('.last, b, audio')).map(e => e.outerHTML.slice(0, 80))",
        PHONE["width"],
    )
    assert wide == []


async def test_text_runs_in_its_own_direction(opened, stage):
    page = await opened()
    stage.turn(2, "שלום, two")
    words = page.locator(".line.turn .words").last
    await expect(words).to_have_text("שלום, two")
    assert await words.evaluate("e => getComputedStyle(e).direction") == "rtl"


async def test_targets_are_large_enough_for_a_thumb(opened):
    page = await opened(viewport=PHONE)
    for button in await page.locator("button:visible").all():
        box = await button.bounding_box()
        assert min(box["width"], box["height"]) >= 24, await button.inner_text()


async def test_the_first_paint_is_soon(stage, visit):
    paints = []
    for _ in range(3):
        page = await visit(stage.url)
        await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
        paints.append(await page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime"))
    assert min(paints) < MOST_PAINT_MS
