"""Acting on calls over HTTP: what a live call does when somebody outside the application asks."""

import asyncio

import pytest

from voicebot import live
from voicebot.local.phone.options import DialOutcome

DEADLINE_S = 50
HELLO = [{"at_ms": 300, "say": "hello there", "until_ms": 600, "end_ms": 800}]
TALKING = [{"at_ms": 300, "partial": " unfinished words"}]
PATIENT = {"turns": {"commit_after_ms": 30_000, "finalize_after_ms": 10_000, "no_input_ms": 0}}


def say(text):
    return {"type": "say", "text": text}


async def test_a_live_call_is_listed_shown_and_spoken_to(house, api):
    h = await house(HELLO, api=api.settings)
    async with api(h) as client:
        h.app.on("call.started", {"state": {"order": 7}})
        phone = h.dial()
        await h.app.until("turn.completed")
        assert (await client.get(f"/calls/{phone.sid}", token="watch")).json["state"] == {"order": 7}
        [call] = (await client.get("/calls?state=live", token="watch")).json["items"]
        assert (call["id"], call["state"], call["ended_at"], call["turns"]) == (phone.sid, "live", None, 1)
        path = f"/calls/{phone.sid}"
        done = await client.post(f"{path}/actions", {"actions": [say("A word from outside.")]}, token="control")
        assert (done.status, done.json) == (202, {"id": phone.sid, "accepted": True})
        finished = await h.app.until("speech.finished")
        assert finished["data"]["heard"] == "A word from outside."
        assert (await client.post(f"{path}/hangup", {"reason": "enough"}, token="control")).status == 202
        report = await phone.report()
        assert report.ended == "service"
        await h.empty()
        assert h.app.events[-1]["data"]["reason"] == "bot_hangup"
        shown = (await client.get(f"{path}?words=true")).json
        assert (shown["call"]["state"], shown["call"]["reason"]) == ("ended", "bot_hangup")
        assert [turn["text"] for turn in shown["turns"]] == ["hello there"]
        assert [word["text"] for word in shown["turns"][0]["words"]] == ["hello", "there"]
        assert [said["heard"] for said in shown["utterances"]] == ["A word from outside."]
        assert shown["counts"] == {"turns": 1, "utterances": 1, "interruptions": 0, "asides": 0}
        again = await client.post(f"{path}/actions", {"actions": [say("Too late.")]})
        assert (again.status, again.kind) == (409, "call-is-over")


async def test_an_action_may_stop_what_is_being_said(house, api):
    # The caller says nothing: words over the bot would race with the command for who stops it.
    h = await house([], api=api.settings, default=PATIENT)
    h.app.on("call.started", {"actions": [say("A long sentence that somebody will cut off before its end. " * 5)]})
    async with api(h) as client:
        phone = h.dial()
        await phone.heard("BotSpeaks")
        body = {"actions": [say("Instead."), {"type": "hangup", "reason": "told"}], "interrupt": True}
        assert (await client.post(f"/calls/{phone.sid}/actions", body)).status == 202
        await phone.report()
    await h.empty()
    spoken = [h.app.of(f"speech.{kind}")[0]["data"]["heard"] for kind in ("interrupted", "finished")]
    assert len(spoken[0]) < len("A long sentence that somebody will cut off before its end. " * 5) - 1
    assert spoken[1] == "Instead."


async def test_finalize_ends_the_turn_now(house, api):
    h = await house(TALKING, api=api.settings, default=PATIENT)
    h.app.on("turn.completed", {"actions": [{"type": "hangup"}]})
    async with api(h) as client:
        phone = h.dial()
        await h.live(live.Partial)
        assert (await client.post(f"/calls/{phone.sid}/finalize", token="control")).status == 202
        await phone.report()
    await h.empty()
    [turn] = h.app.of("turn.completed")
    assert (turn["data"]["turn"]["text"], turn["data"]["turn"]["reason"]) == ("unfinished words", "command")


@pytest.mark.parametrize(
    ("body", "status", "pointer"),
    [
        pytest.param({"actions": [{"type": "say", "text": ""}]}, 422, "#/actions/0/text", id="empty-text"),
        pytest.param({"actions": [{"type": "say", "words": "x"}]}, 422, "#/actions/0/words", id="unknown-key"),
        pytest.param({"actions": [{"type": "shout"}]}, 422, "#/actions/0", id="unknown-type"),
        pytest.param({"actions": []}, 422, "#/actions", id="no-action"),
        pytest.param({"actions": [{"type": "hangup"}, say("x")]}, 422, "#/actions/1", id="after-the-end"),
        pytest.param({"actions": [say("x") | {"more": True}]}, 422, "#/actions/0/more", id="only-in-streams"),
        pytest.param({"actions": [say("x")], "now": True}, 422, "#/now", id="unknown-field"),
        pytest.param({"actions": [say("x")], "interrupt": "yes"}, 422, "#/interrupt", id="not-strict"),
        pytest.param([], 422, "#", id="a-list"),
    ],
)
async def test_what_is_wrong_with_a_body_is_told_with_its_place(house, api, body, status, pointer):
    h = await house(HELLO, api=api.settings, default=PATIENT)
    async with api(h) as client:
        phone = h.dial()
        await h.live(live.StreamOpened)
        answer = await client.post(f"/calls/{phone.sid}/actions", body)
        assert (answer.status, answer.kind) == (status, "invalid")
        pointers = [error["pointer"] for error in answer.json["errors"]]
        assert pointer in pointers
        assert ("#/actions" in pointers) == (pointer == "#/actions")  # the list is not blamed for its items
        await phone.hang_up()


@pytest.mark.parametrize(
    ("data", "headers", "status", "kind"),
    [
        pytest.param(b"{", {"Content-Type": "application/json"}, 400, "malformed", id="no-json"),
        pytest.param(b"\xff", {"Content-Type": "application/json"}, 400, "malformed", id="no-text"),
        pytest.param(b'{"to": NaN}', {"Content-Type": "application/json"}, 400, "malformed", id="nan"),
        pytest.param(b"to=1", {"Content-Type": "text/plain"}, 415, "no-json", id="another-type"),
        pytest.param(b" " * 200_000, {"Content-Type": "application/json"}, 413, "too-large", id="too-large"),
    ],
)
async def test_bodies_that_cannot_be_read(house, api, data, headers, status, kind):
    h = await house(api=api.settings)
    async with api(h) as client:
        answer = await client.post("/calls", data=data, headers=headers)
        assert (answer.status, answer.kind) == (status, kind)


async def test_a_body_that_never_ends(house, api):
    h = await house(api=api.settings | {"body_timeout_s": 0.1})
    reader, writer = await asyncio.open_connection("127.0.0.1", h.service.port)
    head = (
        "POST /calls HTTP/1.1",
        "Host: x",
        f"Authorization: Bearer {api.tokens['admin']}",
        "Content-Length: 9",
        "",
        "{",
    )
    writer.write("\r\n".join(head).encode())
    async with asyncio.timeout(DEADLINE_S):
        assert b"408" in await reader.readline()
        writer.write(b"}" * 8)  # what is sent all the same is read and thrown away
        assert b"too-slow" in await reader.read()
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize("what", ["actions", "finalize", "hangup"])
async def test_nobody_knows_the_call(house, api, what):
    h = await house(api=api.settings)
    async with api(h) as client:
        body = {"actions": [say("x")]} if what == "actions" else None
        answer = await client.post(f"/calls/CAnobody/{what}", body)
        assert (answer.status, answer.kind) == (404, "not-found")


async def test_a_call_that_is_transferred_can_but_be_hung_up(house, api):
    h = await house(HELLO, api=api.settings)
    h.app.on("turn.completed", {"actions": [{"type": "transfer", "to": "+15550100"}]})
    async with api(h) as client:
        phone = h.dial(dial=DialOutcome("busy", ring_s=600))
        await phone.events.until(lambda event: getattr(event, "verb", "") == "Dial")
        answer = await client.post(f"/calls/{phone.sid}/actions", {"actions": [say("x")]})
        assert (answer.status, answer.kind) == (409, "call-is-leaving")
        assert (await client.post(f"/calls/{phone.sid}/hangup")).kind == "no-carrier"
        await phone.hang_up()


async def test_a_call_that_is_only_transcribed_can_but_be_hung_up(house, api):
    h = await house(HELLO, api=api.settings, default={"mode": "transcribe", "then": "<Pause length='600'/>"})
    async with api(h) as client:
        phone = h.dial()
        await h.app.until("transcript.final")
        answer = await client.post(f"/calls/{phone.sid}/actions", {"actions": [say("x")]})
        assert (answer.status, answer.kind) == (409, "only-listens")
        answer = await client.post(f"/calls/{phone.sid}/hangup")
        assert (answer.status, answer.kind) == (409, "no-carrier")
        assert "TWILIO_ACCOUNT_SID" in answer.json["detail"]
        await phone.hang_up()


async def test_a_deleted_call_is_forgotten_by_the_live_view_too(house, api):
    h = await house(HELLO, api=api.settings)
    h.app.on("turn.completed", {"actions": [{"type": "hangup"}]})
    async with api(h) as client:
        kept, gone = h.dial(), h.dial()
        for phone in (kept, gone):
            await phone.report()
        await h.empty()
        path = f"/calls/{gone.sid}/events"
        assert (await client.get(path)).status == 200
        assert (await client.delete(f"/calls/{gone.sid}")).status == 204
        assert (await client.get(path)).kind == "not-live"
        assert (await client.get(f"/calls/{kept.sid}/events")).status == 200
        assert h.service.live.so_far(gone.sid) is None
