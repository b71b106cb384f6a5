"""What a caller says goes to each reader as the number's redaction allows."""

import json

from voicebot import live
from voicebot.store import Store

CARD = "my card is 4111 1111 1111 1111"
SCRIPT = [{"at_ms": 300, "say": CARD, "until_ms": 900, "end_ms": 1_000}]
HIDDEN = "my card is [card number]"


async def called(house, *places, **settings):
    h = await house(SCRIPT, default={"redaction": {"kinds": ["card_number"], "apply_to": list(places)}}, **settings)
    h.app.on("turn.completed", {"actions": [{"type": "say", "text": "You said 4111 1111 1111 1111."}]})
    phone = h.dial()
    await h.app.until("speech.finished")
    await phone.hang_up()
    await h.empty()
    async with Store.open(h.settings.store) as store:
        return h, await store.history.call(phone.sid)


async def test_the_store_and_the_page_do_not_see_what_the_application_needs(house):
    h, kept = await called(house, "store", "live")
    assert h.app.of("turn.completed")[0]["data"]["turn"]["text"] == CARD
    [ended] = [event for event in h.seen if isinstance(event, live.TurnEnded)]
    assert ended.turn.text == HIDDEN
    assert not any("4111" in repr(event) for event in h.seen)
    assert [turn.text for turn in kept.turns] == [HIDDEN]
    assert [spoken.heard for spoken in kept.utterances] == ["You said [card number]."]
    assert "4111" not in repr(kept)


async def test_an_event_that_was_delivered_does_not_keep_it_either(house):
    h, kept = await called(house, "store")
    async with Store.open(h.settings.store) as store:
        bodies = [row["body"] for row in await store.events(kept.summary.id)]
    assert len(bodies) == len(h.app.events)
    assert not any(b"4111" in body for body in bodies)


async def test_the_application_may_be_spared_it_too(house):
    h, kept = await called(house, "webhook")
    assert h.app.of("turn.completed")[0]["data"]["turn"]["text"] == HIDDEN
    assert "4111" not in json.dumps(h.app.events)
    assert [turn.text for turn in kept.turns] == [CARD]


async def test_the_log_hides_it(house, logs):
    await called(house, "log", log={"transcripts": True})
    texts = [entry["text"] for entry in logs if entry["event"] == "turn"]
    assert texts == [HIDDEN]
