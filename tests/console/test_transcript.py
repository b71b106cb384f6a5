"""What is said is shown as it is said: tentative, settled, taken back, heard, unheard; and only ever as text."""

import re

import pytest
import pytest_asyncio
from playwright.async_api import expect

from voicebot.core.entries import Entry
from voicebot.wire import live_events as live

pytestmark = pytest.mark.asyncio(loop_scope="session")
WATCH = "t" * 24
EVIL = "<img src=x onerror=\"document.title='broken'\"><script>document.title='broken'</script>"


@pytest_asyncio.fixture(loop_scope="session")
async def page(stage, visit):
    stage.call(ago=5)
    opened = await visit(stage.url, token=WATCH, go="#/calls/CA1")
    await expect(opened.locator(".call .pill")).to_have_text("connected")
    return opened


async def test_tentative_words_look_tentative(stage, page):
    stage.partial("I would like ", "to order")
    moment = page.get_by_role("group", name="Being said now")
    await expect(moment.locator(".settled")).to_have_text("I would like ")
    tentative = moment.locator(".tentative")
    await expect(tentative).to_have_text("to order")
    assert await tentative.evaluate("e => getComputedStyle(e).fontStyle") == "italic"
    colours = await moment.evaluate("e => [...e.querySelectorAll('span, i')].map(one => getComputedStyle(one).color)")
    assert len(set(colours)) == 2
    stage.partial("I would like to order ", "two")
    await expect(tentative).to_have_text("two")


async def test_a_turn_is_settled_with_its_tags(stage, page):
    stage.partial("Zwei", " Pizzen")
    stage.turn(1, "Zwei Pizzen.", reason="finalize", language="de", speaker="2", translation="Two pizzas.", digits="12")
    line = page.get_by_role("log").locator(".line.turn")
    await expect(line.locator(".words")).to_have_text("Zwei Pizzen.")
    tags = await line.locator(".about .tag").all_text_contents()
    assert tags == ["de", "speaker 2", "keys 12", "finalize"]
    await expect(line.locator(".translation")).to_contain_text("Two pizzas.")
    await expect(page.get_by_text("Nobody is speaking.")).to_be_visible()
    await expect(page.locator(".tentative")).to_have_count(0)


async def test_what_was_expected_is_shown_as_read(stage, page):
    stage.turn(1, "double two", entry=Entry("digits", "22", complete=False))
    await expect(page.locator(".line .tag.warn")).to_have_text("digits: 22")


async def test_a_provisional_turn_is_no_settled_line(stage, page):
    stage.tell(live.TurnOffered, stage.said(1, "Eight zero", "finalize"), 1)
    offered = page.locator(".offered")
    await expect(offered).to_contain_text("provisional")
    await expect(page.get_by_role("log").locator(".line.turn")).to_have_count(0)
    stage.tell(live.TurnTakenBack, 1, 1)
    await expect(offered).to_have_count(0)
    await expect(page.locator(".moment del")).to_have_text("Eight zero")
    stage.turn(1, "Eight zero zero one.")
    line = page.get_by_role("log").locator(".line.turn")
    await expect(line.locator(".words")).to_have_text("Eight zero zero one.")
    await expect(line.locator("del")).to_have_text("Eight zero")
    await expect(page.locator(".moment del")).to_have_count(0)


async def test_a_provisional_turn_that_stands_is_told_once(stage, page):
    stage.tell(live.TurnOffered, stage.said(1, "Yes.", "finalize"), 1)
    await expect(page.locator(".offered")).to_have_count(1)
    stage.turn(1, "Yes.")
    await expect(page.locator(".line.turn")).to_have_count(1)
    await expect(page.locator(".offered")).to_have_count(0)


async def test_unheard_speech_is_struck_and_said_to_readers(stage, page):
    stage.tell(live.BotSays, 1, "Hello. How are you?")
    line = page.locator(".line.bot")
    await expect(line).to_contain_text("speaking")
    stage.bot(1, "Hello.", " How are you?", interrupted=True)
    await expect(line.locator(".heard")).to_have_text("Hello.")
    await expect(line.locator("del.unheard")).to_have_text(" How are you?")
    await expect(line).to_contain_text("interrupted")
    await expect(line).not_to_contain_text("speaking")
    await expect(line.locator(".for-readers")).to_have_text(" Not heard: ")
    await expect(line).to_have_count(1)


async def test_lines_stay_in_order_where_the_record_had_some_of_them(stage, visit):
    stage.call()
    stage.bot(1, "Hello.")
    stage.turn(1, "Tea, please.")
    stage.bot(2, "One tea.")
    kept = {"track": "caller", "number": 1, "revision": 1, "text": "Tea, please.", "reason": "endpoint"}
    at = "2026-11-22T12:00:00Z"
    said = {"text": "Hello.", "heard": "Hello.", "unheard": "", "ms": 900, "interrupted": False, "started_at": at}
    stage.detail("CA1", turns=[kept | {"started_at": at, "ended_at": at}], utterances=[said])
    opened = await visit(stage.url, token=WATCH, go="#/calls/CA1")
    lines = opened.get_by_role("log").locator(".line .words")
    await expect(lines).to_have_text(["Hello.", "Tea, please.", "One tea."])


async def test_asides_are_dim_and_no_turn(stage, page):
    stage.tell(live.Overheard, "backchannel", "mhm")
    stage.tell(live.Overheard, "echo", "hello")
    asides = page.locator(".line.aside")
    await expect(asides).to_have_count(2)
    await expect(asides.nth(0)).to_contain_text("listening sign")
    await expect(asides.nth(1)).to_contain_text("own voice")
    dim, normal = await page.evaluate(
        "[document.querySelector('.aside .words'), document.body].map(e => getComputedStyle(e).color)"
    )
    assert dim != normal


async def test_both_sides_of_a_transcribed_call(stage, page):
    stage.partial("Good morning", track="agent")
    stage.partial("Hello", track="caller")
    await expect(page.locator(".moment .words")).to_have_count(2)
    stage.turn(1, "Good morning.", track="agent")
    await expect(page.locator(".line.turn.agent b")).to_have_text("Agent")
    await expect(page.locator(".moment .words")).to_have_count(1)


async def test_text_of_callers_and_applications_is_never_markup(stage, page):
    stage.deliveries["CA1"] = [{"id": EVIL, "type": EVIL, "sequence": 1, "state": EVIL, "last_error": EVIL}]
    stage.partial(EVIL, EVIL)
    await expect(page.locator(".tentative")).to_have_text(EVIL)
    stage.turn(1, EVIL, translation=EVIL, language=EVIL, speaker=EVIL, digits=EVIL)
    stage.bot(1, EVIL, EVIL)
    stage.tell(live.Overheard, "echo", EVIL)
    stage.tell(live.Trouble, EVIL)
    stage.attempt(EVIL, error=EVIL)
    await expect(page.locator(".troubles")).to_contain_text(EVIL)
    await expect(page.locator(".event")).to_contain_text(EVIL)
    assert await page.locator(".call img, .call script, .side img, .side script").count() == 0
    assert "broken" not in await page.title()


async def test_latency_is_a_waterfall_with_numbers(stage, page):
    parts = {"settled_ms": 300, "sent_ms": 320, "decided_ms": 500, "replied_ms": 700, "audio_sent_ms": 1_000}
    stage.tell(live.Latency, 4, parts)
    account = page.locator(".waterfall details")
    await expect(account.locator("summary")).to_contain_text("Turn 4")
    await expect(account.locator("summary")).to_contain_text("1000 ms")
    await account.locator("summary").press("Enter")
    rows = await account.locator("tbody tr").all_inner_texts()
    assert [row.split() for row in rows] == [
        ["Words", "settled", "+300", "300"],
        ["Request", "sent", "+20", "320"],
        ["Turn", "decided", "+180", "500"],
        ["Reply", "complete", "+200", "700"],
        ["Audio", "sent", "+300", "1000"],
    ]
    bar = account.locator("summary .bar")
    whole = (await bar.bounding_box())["width"]
    pieces = [await piece.bounding_box() for piece in await bar.locator(".piece").all()]
    assert [round(piece["width"] / whole, 1) for piece in pieces] == [0.3, 0.0, 0.2, 0.2, 0.3]
    stage.tell(live.Latency, 5, parts)
    await expect(page.locator(".waterfall details")).to_have_count(2)
    await expect(page.locator(".waterfall details[open]")).to_have_count(1)


async def test_webhook_attempts_and_errors(stage, page):
    known = {"id": "evt_1", "sequence": 1, "type": "call.started", "state": "pending", "attempts": 2}
    stage.deliveries["CA1"] = [{**known, "last_status": 503, "last_error": "status 503"}]
    stage.attempt("call.started", 2, 503, "status 503")
    event = page.locator(".event")
    await expect(event).to_contain_text("call.started")
    await expect(event).to_contain_text("pending")  # looked up after the attempt
    await expect(event).to_contain_text(re.compile("status 503 · 12 ms · 2 attempts"))
    stage.tell(live.ReplyMissing, 1, "deadline", "nothing within 10 s")
    await expect(page.get_by_role("region", name="Errors")).to_contain_text("No reply to event 1: deadline")
    await expect(page.locator(".line.note.error")).to_contain_text("gave no reply: deadline")


async def test_attempts_are_shown_before_they_are_looked_up(visit, stage):
    page = await visit(stage.url)
    rows = await page.evaluate("""async () => {
      const { emptyCall, apply } = await import("/console/static/model.js");
      const { Webhooks } = await import("/console/static/webhooks.js");
      const [call, view] = [emptyCall("CA1"), new Webhooks("CA1")];
      for (const attempt of [1, 2]) {
        apply(call, { type: "webhook.attempt", sequence: 7, event: "no_input", attempt, status: 503, error: "status 503", ms: 12 });
      }
      apply(call, { type: "webhook.attempt", sequence: 8, event: "call.ended", attempt: 1, status: 200, error: null, ms: 9 });
      view.draw(call);
      view.close();
      return [...view.list.children].map((row) => row.textContent);
    }""")
    assert rows == ["8call.endedstatus 200 · 9 ms", "7no_inputstatus 503 · 12 ms · 2 attemptsstatus 503"]


async def test_the_end_of_a_call(stage, page):
    stage.tell(live.BotSays, 1, "Good")
    stage.partial("Bye", "")
    await expect(page.locator(".moment .words")).to_have_count(1)
    stage.end()
    await expect(page.locator(".facts")).to_contain_text("caller_hangup")
    await expect(page.locator(".call header .time")).to_have_text("1:01")
    await expect(page.get_by_role("region", name="Act on the call")).to_be_hidden()
    await expect(page.locator(".moment")).to_be_hidden()
    await expect(page.locator(".line.bot .tag")).to_have_text("unfinished")
    await expect(page.locator(".side li")).to_contain_text("ended: caller_hangup")
