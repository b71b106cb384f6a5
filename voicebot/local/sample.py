"""The sample application: a dictation notebook that reads back what the caller says."""

from collections import OrderedDict
from typing import Any

from aiohttp import web
from standardwebhooks import Webhook, WebhookVerificationError

GREETING = "Hello, this is the notebook. Say a sentence and I will read it back. Press pound when you are done."
NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
REMEMBERED = 1_000  # replies kept for events that come twice


def application(secret: str) -> web.Application:
    """Return the application; `secret` is what the service signs with."""
    hook = Webhook(secret)
    replies: OrderedDict[str, dict[str, Any]] = OrderedDict()

    async def receive(request: web.Request) -> web.Response:
        try:
            event = hook.verify(await request.read(), dict(request.headers))
        except (WebhookVerificationError, ValueError):  # a bad signature; headers or a body that cannot be read at all
            return web.json_response({"error": "this is not signed with our secret"}, status=400)
        if event["id"] not in replies:
            replies[event["id"]] = answer(event)
            if len(replies) > REMEMBERED:
                replies.popitem(last=False)
        return web.json_response(replies[event["id"]])

    app = web.Application()
    app.router.add_post("/", receive)
    return app


def answer(event: dict[str, Any]) -> dict[str, Any]:
    """Return the reply to an event; the notes travel with the call as its `state`."""
    notes: list[str] = event["call"]["state"] or []
    match event:
        case {"type": "call.started"}:
            return {"actions": [say(GREETING), {"type": "listen", "expect": {"digits": 1}}], "state": []}
        case {"type": "call.resumed"}:
            return {"actions": [say(f"Sorry, the line was gone for a moment. You have {count(notes)}. Please go on.")]}
        case {"type": "turn.completed", "data": {"turn": {"text": text, "reason": reason}}}:
            if "goodbye" in text.lower() or not text:
                return goodbye(notes)
            if "how many" in text.lower():
                return {"actions": [say(f"You have {count(notes)}.")]}
            notes = [*notes, text]
            note = {"actions": [say(f"Note {number(len(notes))}: {text}")], "state": notes}
            return goodbye(notes) if reason == "digits" else note
        case {"type": "no_input", "data": {"count": 1}}:
            return {"actions": [say("Are you still there? Say a sentence, or press pound when you are done.")]}
        case {"type": "digits.completed" | "no_input"}:
            return goodbye(notes)
        case _:
            return {}  # keep listening; what is answered to events that want no reply does not matter


def goodbye(notes: list[str]) -> dict[str, Any]:
    """Sum up and hang up."""
    return {"actions": [say(f"You have {count(notes)}. Goodbye."), {"type": "hangup"}], "state": notes}


def say(text: str) -> dict[str, Any]:
    """Return the action that speaks `text`."""
    return {"type": "say", "text": text}


def count(notes: list[str]) -> str:
    """Return how many notes there are, in words."""
    return f"{number(len(notes))} note" + ("" if len(notes) == 1 else "s")


def number(value: int) -> str:
    """Return a small number in words, a greater one in figures."""
    return NUMBERS[value] if value < len(NUMBERS) else str(value)
