#!/usr/bin/env python3
"""A receiver for the webhooks of voicebot: aiohttp, and the library of Standard Webhooks."""

import argparse
from collections import OrderedDict
from typing import Any

from aiohttp import web
from standardwebhooks import Webhook, WebhookVerificationError

REMEMBERED = 10_000  # answers kept for events that come again


def answer(event: dict[str, Any]) -> dict[str, Any]:
    """Say what the caller hears. Here your application begins; types that you do not know are answered with {}."""
    match event:
        case {"type": "call.started"}:
            return {"actions": [say("Hello! Say something, or goodbye.")]}
        case {"type": "turn.completed" | "turn.provisional", "data": {"turn": {"text": str(text)}}} if text:
            if "goodbye" in text.lower():
                return {"actions": [say("Goodbye!"), {"type": "hangup"}]}
            return {"actions": [say(f"You said: {text[:1_000]}")]}
        case {"type": "no_input", "data": {"count": 1}}:
            return {"actions": [say("Are you still there?")]}
        case {"type": "no_input"}:
            return {"actions": [{"type": "hangup"}]}
    return {}


def say(text: str) -> dict[str, Any]:
    """Return the action that speaks `text`."""
    return {"type": "say", "text": text}


def application(secret: str) -> web.Application:
    """Return the application that takes what is signed with `secret`."""
    hook = Webhook(secret)
    answers: OrderedDict[str, dict[str, Any]] = OrderedDict()

    async def receive(request: web.Request) -> web.Response:
        body = await request.read()  # the raw bytes: they are what was signed
        try:
            event = hook.verify(body, dict(request.headers))
        except (WebhookVerificationError, ValueError):  # ValueError: what cannot be read at all
            return web.Response(status=401)
        if event["id"] not in answers:  # an event may come again: it has the same answer, and nothing is done twice
            answers[event["id"]] = answer(event)
            if len(answers) > REMEMBERED:
                answers.popitem(last=False)
        return web.json_response(answers[event["id"]])

    app = web.Application(client_max_size=2**20)
    app.router.add_post("/calls", receive)
    return app


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=9000)
    parser.add_argument("--secret", required=True, help="whsec_…, as in webhook.secrets")
    arguments = parser.parse_args()
    web.run_app(application(arguments.secret), host="127.0.0.1", port=arguments.port)
