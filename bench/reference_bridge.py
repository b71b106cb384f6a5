"""The obvious bridge, to compare with: aiohttp in, `websockets` out, a message per frame, a POST per endpoint, no more.

It has no turns, no signatures, no store, no speech, no error handling and no limits.
"""

import argparse
import asyncio
import base64
import json
from typing import Any
from xml.sax.saxutils import quoteattr

import aiohttp
from aiohttp import web
from websockets.asyncio.client import ClientConnection, connect

CONFIG = {
    "model": "stt-rt-v5",
    "audio_format": "mulaw",
    "sample_rate": 8000,
    "num_channels": 1,
    "enable_endpoint_detection": True,
}


class Bridge:
    """All calls of the process."""

    def __init__(self, origin: str, soniox_url: str, webhook_url: str) -> None:
        self._origin, self._soniox_url, self._webhook_url = origin, soniox_url, webhook_url
        self._session: aiohttp.ClientSession | None = None

    def application(self) -> web.Application:
        """Return the doors."""
        application = web.Application()
        application.add_routes(
            [
                web.get("/readyz", self._ready),
                web.post("/twilio/voice", self._voice),
                web.get("/twilio/media", self._media),
            ]
        )
        application.on_startup.append(self._start)
        application.on_cleanup.append(self._stop)
        return application

    async def _start(self, _application: web.Application) -> None:
        self._session = aiohttp.ClientSession()

    async def _stop(self, _application: web.Application) -> None:
        if self._session:
            await self._session.close()

    async def _ready(self, _request: web.Request) -> web.Response:
        return web.Response(text="ready\n")

    async def _voice(self, request: web.Request) -> web.Response:
        await request.post()
        url = quoteattr(self._origin.replace("http", "ws", 1) + "/twilio/media")
        document = f"<Response><Connect><Stream url={url}/></Connect></Response>"
        return web.Response(text=document, content_type="text/xml")

    async def _media(self, request: web.Request) -> web.WebSocketResponse:
        twilio = web.WebSocketResponse()
        await twilio.prepare(request)
        async with connect(self._soniox_url) as soniox, asyncio.TaskGroup() as group:
            await soniox.send(json.dumps(CONFIG))
            async for message in twilio:
                event = json.loads(message.data)
                match event["event"]:
                    case "start":
                        call = event["start"]["callSid"]
                        group.create_task(self._listen(soniox, call, group))
                    case "media":
                        await soniox.send(base64.b64decode(event["media"]["payload"]))
                    case "stop":
                        await soniox.send("")
                        break
                    case _:
                        pass
        return twilio

    async def _listen(self, soniox: ClientConnection, call: str, group: asyncio.TaskGroup) -> None:
        settled, number = "", 0
        async for message in soniox:
            response = json.loads(message)
            for token in response["tokens"]:
                if token["text"] == "<end>":
                    number += 1
                    turn = {"number": number, "text": settled, "reason": "endpoint"}
                    group.create_task(self._post(call, "turn.completed", {"turn": turn}))
                    settled = ""
                elif token["is_final"]:
                    settled += token["text"]
            if response.get("finished"):
                break
        await self._post(call, "call.ended", {})

    async def _post(self, call: str, kind: str, data: dict[str, Any]) -> None:
        if self._session:
            event = {"type": kind, "call": {"id": call}, "data": data}
            async with self._session.post(self._webhook_url, json=event) as response:
                await response.read()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--soniox-url", required=True)
    parser.add_argument("--webhook-url", required=True)
    chosen = parser.parse_args()
    bridge = Bridge(f"http://127.0.0.1:{chosen.port}", chosen.soniox_url, chosen.webhook_url)
    web.run_app(bridge.application(), host="127.0.0.1", port=chosen.port, access_log=None, print=None)
