"""Every action of a reply that changes how a call goes on: what the carrier is told, what the recogniser, what comes next."""

import pytest
from aiohttp import web

from voicebot import live
from voicebot.local.phone.options import DialOutcome

HELLO = [{"at_ms": 300, "say": "hello there", "until_ms": 600, "end_ms": 800}]
HANG_UP = {"type": "hangup"}


def say(text):
    return {"type": "say", "text": text}


def transfer(**changes):
    return {"type": "transfer", "to": "+15550100"} | changes


def verbs(report):
    """What followed what; the way back behind each stream is left out."""
    return [verb.verb for verb in report.verbs if verb.verb != "Redirect"]


# --- listen and configure -------------------------------------------------------------------------


async def test_listen_changes_the_policy_from_now_on(house):
    script = [{"at_ms": 300, "partial": " one"}, {"at_ms": 6_000, "partial": " two"}]
    h = await house(script, default={"turns": {"commit_after_ms": 30_000}})
    h.app.on("call.started", {"actions": [{"type": "listen", "finalize_after_ms": 200, "commit_after_ms": 200}]})
    h.app.on("turn.completed", {"actions": [HANG_UP]})
    await h.call(pace=3.0)
    assert h.app.of("turn.completed")[0]["data"]["turn"]["reason"] == "finalize"


async def test_configure_recognises_in_another_way_from_here_on(house):
    first = [{"at_ms": 300, "say": "english words", "until_ms": 500, "end_ms": 600}]
    second = [{"at_ms": 300, "say": "deutsche Wörter", "until_ms": 500, "end_ms": 600}]
    h = await house([first, second])
    change = {
        "type": "configure",
        "language_hints": ["de"],
        "language_hints_strict": True,
        "context": {"terms": ["Söldner"]},
        "voice": "Maya",
        "language": "de",
    }
    h.app.on("turn.completed", {"actions": [change, say("Gut.")]}, {"actions": [HANG_UP]})
    await h.call()
    before, after = (session.config for session in h.tap.stt)
    assert "language_hints" not in before
    assert (after["language_hints"], after["language_hints_strict"]) == (["de"], True)
    assert after["context"] == {"terms": ["Söldner"]}
    assert after["audio_format"] == "mulaw"
    assert [event["data"]["turn"]["text"] for event in h.app.of("turn.completed")] == [
        "english words",
        "deutsche Wörter",
    ]
    assert (h.tap.spoken()[-1]["voice"], h.tap.spoken()[-1]["language"]) == ("Maya", "de")
    times = [event["data"]["turn"]["words"][0]["start_ms"] for event in h.app.of("turn.completed")]
    assert times[0] == 300
    assert times[1] > 600  # counted from the start of the stream, not of the second session


async def test_configure_with_what_is_already_so_opens_no_new_session(house):
    h = await house(HELLO)
    h.app.on("call.started", {"actions": [{"type": "configure", "voice": "Maya", "language_hints": []}, say("Hi.")]})
    h.app.on("turn.completed", {"actions": [HANG_UP]})
    await h.call()
    assert len(h.tap.stt) == 1
    assert h.tap.spoken()[0]["voice"] == "Maya"


async def test_what_configure_may_not_hold_is_refused_before_it_does_harm(house):
    h = await house(HELLO)
    h.app.on("call.started", {"actions": [{"type": "configure", "language_hints": ["nb"]}, say("Hi.")]})
    h.app.on("turn.completed", {"actions": [HANG_UP]})
    report = await h.call()
    assert report.ended == "service"
    assert h.app.of("turn.completed")[0]["data"]["turn"]["text"] == "hello there"
    await h.live(live.Trouble | live.ReplyMissing, lambda event: "language_hints" in str(event))
    assert len(h.tap.stt) == 1


# --- send_digits ----------------------------------------------------------------------------------


async def test_send_digits_and_the_conversation_goes_on(house):
    h = await house(HELLO)
    h.app.on(
        "turn.completed",
        {"actions": [say("One moment."), {"type": "send_digits", "digits": "12w#"}], "state": 7},
        {"actions": [HANG_UP]},
    )
    report = await h.call()
    assert report.exit_code == 0, report.notes
    assert verbs(report) == ["Connect", "Play", "Connect", "Hangup"]
    assert report.played == ["digits 12w#"]
    first, second = report.streams
    assert first.parameters["token"] != second.parameters["token"]
    assert first.stream_sid != second.stream_sid
    turns = h.app.of("turn.completed")
    assert [turn["data"]["turn"]["number"] for turn in turns] == [1, 2]
    assert turns[1]["call"]["state"] == 7
    assert [part["text"] for part in turns[1]["data"]["spoken"]] == ["One moment."]
    assert len(h.app.of("call.started")) == len(h.app.of("call.ended")) == 1
    assert [event["sequence"] for event in h.app.events] == list(range(1, len(h.app.events) + 1))


# --- transfer -------------------------------------------------------------------------------------


async def test_a_transfer_that_is_answered_ends_the_call_here(house):
    h = await house(HELLO)
    h.app.on("turn.completed", {"actions": [say("I put you through."), transfer(caller_id="+15550199", timeout=20)]})
    report = await h.call(dial=DialOutcome("completed", talk_s=1.0))
    assert verbs(report) == ["Connect", "Dial", "Hangup"]
    assert (report.dialled[0].numbers, report.dialled[0].status) == (["+15550100"], "completed")
    assert h.app.of("speech.finished")[0]["data"]["heard"] == "I put you through."
    assert h.app.events[-1]["data"]["reason"] == "transferred"


@pytest.mark.parametrize("status", ["busy", "no-answer", "failed"])
async def test_after_a_transfer_that_failed_the_caller_is_back_with_the_bot(house, status):
    h = await house(HELLO)
    h.app.on("turn.completed", {"actions": [say("I try."), transfer()]}, {"actions": [HANG_UP]})
    h.app.on("transfer.failed", {"actions": [say("Nobody is there.")]})
    report = await h.call(dial=DialOutcome(status))
    assert verbs(report) == ["Connect", "Dial", "Connect", "Hangup"]
    [failed] = h.app.of("transfer.failed")
    assert failed["data"] == {"to": "+15550100", "status": status, "spoken": failed["data"]["spoken"]}
    assert [part["text"] for part in failed["data"]["spoken"]] == ["I try."]
    assert [turn["data"]["turn"]["number"] for turn in h.app.of("turn.completed")] == [1, 2]
    assert report.streams[1].media_received_ms > 0
    assert h.app.events[-1]["data"]["reason"] == "bot_hangup"


async def test_after_a_transfer_that_failed_the_call_may_end(house):
    h = await house(HELLO)
    h.app.on("turn.completed", {"actions": [transfer(on_failure="hangup")]})
    report = await h.call(dial=DialOutcome("busy"))
    assert verbs(report) == ["Connect", "Dial", "Hangup"]
    assert h.app.of("transfer.failed") == []
    assert h.app.events[-1]["data"]["reason"] == "transfer_failed"


@pytest.mark.parametrize(
    ("to", "dialled"),
    [
        pytest.param("sip:desk@example.com", "sip:desk@example.com", id="SIP"),
        pytest.param("client:alice", "alice", id="client"),
    ],
)
async def test_other_destinations(house, to, dialled):
    h = await house(HELLO)
    h.app.on("turn.completed", {"actions": [transfer(to=to)]})
    report = await h.call(dial=DialOutcome("completed", talk_s=0.1))
    assert report.dialled[0].numbers == [dialled]
    assert report.exit_code in {0, 2}, report.notes


async def test_a_caller_who_hangs_up_while_it_rings_elsewhere_is_gone(house):
    """The dial's action comes with a call that is over: nobody is back with the bot."""
    h = await house(HELLO)
    h.app.on("turn.completed", {"actions": [transfer()]})
    phone = h.dial(dial=DialOutcome("busy", ring_s=600), status_callback=None)
    await phone.events.until(lambda event: getattr(event, "verb", "") == "Dial")
    await phone.hang_up()
    await h.empty()
    assert h.app.of("transfer.failed") == []
    assert h.app.events[-1]["data"]["reason"] == "caller_hangup"


# --- redirect -------------------------------------------------------------------------------------


async def test_redirect_hands_the_call_to_a_document(house):
    h = await house(HELLO)
    document = "<Response><Say>Somebody else speaks.</Say><Hangup/></Response>"
    h.app.on("turn.completed", {"actions": [{"type": "redirect", "twiml": document}]})
    report = await h.call()
    assert verbs(report) == ["Connect", "Say", "Hangup"]
    assert report.said == ["Somebody else speaks."]
    assert h.app.events[-1]["data"]["reason"] == "redirected"


async def test_redirect_hands_the_call_to_a_url(house, site):
    h = await house(HELLO, webhook={"handover": {"insecure": True}})
    site.pages["/twiml"] = lambda: web.Response(
        text="<Response><Say>Elsewhere.</Say></Response>", content_type="text/xml"
    )
    h.app.on("turn.completed", {"actions": [{"type": "redirect", "url": site.url("/twiml")}]})
    report = await h.call()
    assert report.said == ["Elsewhere."]
    assert site.requests == [("POST", "/twiml")]
    assert h.app.events[-1]["data"]["reason"] == "redirected"


# --- hangup ---------------------------------------------------------------------------------------


async def test_hangup_without_a_word(house):
    h = await house()
    h.app.on("call.started", {"actions": [HANG_UP]})
    report = await h.call()
    assert report.ended == "service"
    assert h.app.events[-1]["data"]["reason"] == "bot_hangup"
