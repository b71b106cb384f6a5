"""Takes the pictures for a person to look at: every view, on a desk and on a phone, in the light and in the dark."""

import math
import struct
from datetime import UTC, datetime, timedelta
from itertools import starmap

import pytest
from playwright.async_api import expect

from voicebot.core.entries import Entry
from voicebot.wire import live_events as live

pytestmark = pytest.mark.asyncio(loop_scope="session")
CONTROL = "c" * 24
SIZES = {"desktop": {"width": 1280, "height": 800}, "phone": {"width": 390, "height": 844}}
STEPS = ("settled", "decided", "sent", "reply_began", "replied", "audio_sent", "audio_heard")
ACCOUNTS = {
    1: (330, 420, 424, 610, 633, 941, 1035),
    2: (210, 540, 238, 371, 402, 690, 781),  # told provisionally: sent before the decision
    3: (361, 452, 455, 1490, 1502, 1770, 1866),
}
DAY = timedelta(days=1)
looks = pytest.mark.parametrize(("size", "scheme"), [(size, scheme) for size in SIZES for scheme in ("light", "dark")])


def latency(number):
    return {f"{step}_ms": ms for step, ms in zip(STEPS, ACCOUNTS[number], strict=True)}


def delivery(number, kind, state="delivered", **values):
    return {
        "id": f"evt_{number}",
        "sequence": number,
        "type": kind,
        "state": state,
        "attempts": 1,
        "last_status": 200,
        "last_error": None,
        **values,
    }


def conversation(stage):
    """A call with everything in it that the page knows."""
    stage.call(ago=74)
    stage.bot(1, "Hello, this is the pizzeria.", " What may I bring you today?", interrupted=True)
    stage.turn(1, "I would like to order two pizzas, one with mushrooms.", language="en", speaker="1")
    stage.tell(live.Latency, 1, latency(1))
    stage.bot(2, "Two pizzas. What is your postcode?")
    stage.tell(live.TurnOffered, stage.said(2, "Eight zero", "finalize"), 1)
    stage.tell(live.TurnTakenBack, 2, 1)
    entry = Entry("digits", "8001", complete=True)
    translation = "Acht null null eins."
    stage.turn(2, "Eight zero zero one.", reason="digits", language="en", translation=translation, entry=entry)
    stage.tell(live.Latency, 2, latency(2))
    stage.tell(live.Trouble, "webhook: no answer within 5 s, trying again")
    stage.bot(3, "Thank you. Just a moment, please.")
    stage.tell(live.Overheard, "backchannel", "mhm")
    stage.turn(3, "שלום, is that with delivery?", language="he", speaker="2")
    stage.tell(live.Latency, 3, latency(3))
    stage.tell(live.DigitPressed)
    stage.tell(live.BotSays, 4, "With delivery that makes twenty-nine francs.")
    stage.partial("Great, then please ", "bring it to the")
    stage.deliveries["CA1"] = [
        delivery(4, "turn.completed"),
        delivery(3, "turn.completed", "pending", last_status=None, last_error="no answer within 5 s", attempts=2),
        delivery(2, "turn.completed"),
        delivery(1, "call.started"),
    ]
    stage.detail("CA1", state={"order": ["pizza funghi", "pizza margherita"], "postcode": "8001"})


def tone(seconds=3, rate=8_000):
    """A recording: one voice left, the other right."""
    samples = ((math.sin(n / 9), math.sin(n / 6)) for n in range(seconds * rate))
    sound = b"".join(starmap(lambda a, b: struct.pack("<hh", round(4_000 * a), round(4_000 * b)), samples))
    head = b"RIFF" + struct.pack("<I", 36 + len(sound)) + b"WAVEfmt "
    return (
        head
        + struct.pack("<IHHIIHH", 16, 1, 2, rate, 4 * rate, 4, 16)
        + b"data"
        + struct.pack("<I", len(sound))
        + sound
    )


def record():
    """What is kept of an ended call."""
    at = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)

    def when(seconds):
        return (at + timedelta(seconds=seconds)).isoformat()

    turn = {"track": "caller", "revision": 1, "translation": "", "digits": "", "speakers": ["1"], "entry": None}
    return at, {
        "turns": [
            {**turn, "number": 1, "text": "Is there a time free tomorrow?", "languages": ["en"], "reason": "endpoint"}
            | {"started_at": when(5), "ended_at": when(8), "latency": latency(1)},
            {**turn, "number": 2, "text": "At nine, please.", "languages": ["en"], "reason": "endpoint"}
            | {"started_at": when(14), "ended_at": when(16), "latency": latency(2)},
        ],
        "utterances": [
            {"text": "Good morning, this is the surgery.", "heard": "Good morning, this is the surgery.", "unheard": ""}
            | {"ms": 1500, "interrupted": False, "started_at": when(1)},
            {"text": "Yes, at eight or at nine.", "heard": "Yes, at eight", "unheard": " or at nine."}
            | {"ms": 900, "interrupted": True, "started_at": when(10)},
        ],
        "asides": [{"kind": "backchannel", "text": "yes", "at": when(11)}],
        "recording": True,
    }


def past(stage):
    """Calls that are over."""
    at, kept = record()
    values = {"state": "ended", "started_at": at, "ended_at": at + timedelta(seconds=61), "duration_ms": 61_000}
    stage.call("CA9", "+41791112233", turns=2, reason="caller_hangup", **values)
    stage.detail("CA9", **kept)
    stage.recording = tone()
    reasons = ("bot_hangup", "caller_hangup", "transferred", "no_input")
    for number in range(60):
        ended = values | {"started_at": at - number * DAY, "duration_ms": 7_000 * number + 9_000}
        stage.call(f"CB{number}", f"+4144555{number:04}", turns=number % 9, reason=reasons[number % 4], **ended)


async def shoot(page, folder, name):
    await page.screenshot(path=folder / f"{name}.png")
    whole = "document.documentElement.scrollHeight > innerHeight + 40"
    if await page.evaluate(whole):
        await page.screenshot(path=folder / f"{name}-whole.png", full_page=True)


@looks
async def test_call(stage, visit, screenshots, size, scheme):
    conversation(stage)
    page = await visit(stage.url, viewport=SIZES[size], color_scheme=scheme, token=CONTROL, go="#/calls/CA1")
    await expect(page.locator(".tentative")).to_have_text("bring it to the")
    await expect(page.locator(".event")).to_have_count(4)
    stage.call("CA2", "+493012345678", ago=305)
    stage.tell(live.BotSays, 1, "Your appointment is on Thursday at nine.", call="CA2")
    await page.locator(".waterfall details").first.locator("summary").click()
    await page.evaluate("scrollTo(0, 0)")
    await shoot(page, screenshots, f"call-{size}-{scheme}")
    await page.get_by_role("button", name="Hang up …").click()
    await expect(page.get_by_role("dialog")).to_be_visible()
    await page.screenshot(path=screenshots / f"hang-up-{size}-{scheme}.png")


@looks
async def test_live_list(stage, visit, screenshots, size, scheme):
    stage.call("CA2", "+493012345678", ago=305, turns=7)
    stage.call("CA3", "+33142685300", ago=12)
    stage.call("CA4", "+41791112233", ago=95, turns=2)
    page = await visit(stage.url, viewport=SIZES[size], color_scheme=scheme, token=CONTROL)
    await expect(page.locator(".calls li")).to_have_count(3)
    stage.tell(live.BotSays, 1, "Your appointment is on Thursday at nine.", call="CA2")
    stage.partial("Bonjour, ", "je voudrais", call="CA3")
    stage.tell(live.Trouble, "webhook: status 503", call="CA4")
    stage.end("CA4")
    await expect(page.locator(".calls")).to_contain_text("je voudrais")
    await shoot(page, screenshots, f"live-{size}-{scheme}")


@looks
async def test_sign_in(stage, visit, screenshots, size, scheme):
    page = await visit(stage.url, viewport=SIZES[size], color_scheme=scheme)
    await page.get_by_label("Token").fill("no such token")
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("alert")).to_have_text("No such token.")
    await shoot(page, screenshots, f"sign-in-{size}-{scheme}")


@looks
async def test_history(stage, visit, screenshots, size, scheme):
    past(stage)
    page = await visit(stage.url, viewport=SIZES[size], color_scheme=scheme, token=CONTROL, go="#/history")
    await expect(page.locator(".results tbody tr")).to_have_count(50)
    await page.screenshot(path=screenshots / f"history-{size}-{scheme}.png")


@looks
async def test_past_call(stage, visit, screenshots, size, scheme):
    past(stage)
    page = await visit(stage.url, viewport=SIZES[size], color_scheme=scheme, token=CONTROL, go="#/calls/CA9")
    await expect(page.locator(".line")).to_have_count(5)
    await expect(page.locator("audio")).to_be_visible()
    await shoot(page, screenshots, f"past-call-{size}-{scheme}")
