"""The far sides of the service in one process: Soniox's sockets and the application's webhook endpoint."""

import argparse
import asyncio
import json
import ssl
import time
from collections.abc import Mapping
from typing import Any, cast, override

import control
import frames
import uvloop
from book import Book
from soniox_stub import Recogniser, Speaker

REPLY = b"HTTP/1.1 204 No Content\r\n\r\n"
SAY = "Thank you. I have found your order, it is on its way."
"""3.2 seconds of speech."""


def _reply(text: str) -> bytes:
    body = json.dumps({"actions": [{"type": "say", "text": text}]}).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


class Door(asyncio.Protocol):
    """One connection: webhooks, one after the other, or after an upgrade one of Soniox's sockets."""

    def __init__(self, book: Book, *, speak: bool) -> None:
        self._book = book
        self._answer = _reply(SAY) if speak else REPLY
        self._buffer = b""
        self._frames = frames.Frames()
        self._session: Recogniser | Speaker | None = None
        self._transport: asyncio.Transport | None = None

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        if self._session:
            self._session.closed()

    @override
    def data_received(self, data: bytes) -> None:
        if self._session is None:
            self._buffer += data
            while self._request():
                pass
            return
        for opcode, payload, key in self._frames.feed(data):
            if opcode == frames.BINARY:
                self._session.audio(payload, key)
            else:
                self._take(opcode, frames.unmasked(payload, key), self._session)

    def _take(self, opcode: int, payload: bytes, session: Recogniser | Speaker) -> None:
        if opcode == frames.TEXT:
            session.text(payload)
        elif opcode == frames.PING:
            self._write(frames.frame(frames.PONG, payload))
        elif opcode == frames.CLOSE and self._transport:
            self._write(frames.frame(frames.CLOSE, payload[:2]))
            self._transport.close()

    def _request(self) -> bool:
        """Answer the first request of the buffer; return whether it was complete."""
        head, end, rest = self._buffer.partition(frames.HEAD_END)
        if not end:
            return False
        fields = frames.headers(head)
        if key := fields.get("sec-websocket-key"):
            self._session = Speaker(self._write) if b"tts" in head.split()[1] else Recogniser(self._write, self._book)
            self._write(frames.accept(key))
            self._buffer = b""
            return False
        size = int(fields.get("content-length", "0"))
        if len(rest) < size:
            return False
        event = json.loads(rest[:size])
        self._book.webhook(event)
        self._write(self._answer if event["type"] == "turn.completed" else REPLY)
        self._buffer = rest[size:]
        return True

    def _write(self, data: bytes) -> None:
        if self._transport and not self._transport.is_closing():
            self._transport.write(data)


async def main(*, speak: bool, certificate: str | None) -> None:
    """Serve until standard input ends; the first line told are the ports."""
    book, done = Book(), asyncio.Event()
    began_s = 0.0

    def record() -> Mapping[str, Any]:
        nonlocal began_s
        began_s, book.recording = time.process_time(), True
        return {}

    def rest() -> Mapping[str, Any]:
        book.recording = False
        return {"cpu_s": time.process_time() - began_s}

    loop = asyncio.get_running_loop()
    servers = [await loop.create_server(lambda: Door(book, speak=speak), "127.0.0.1", 0)]
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        servers.append(await loop.create_server(lambda: Door(book, speak=speak), "127.0.0.1", 0, ssl=context))
    ports = [server.sockets[0].getsockname()[1] for server in servers]
    commands: control.Commands = {
        "record": record,
        "rest": rest,
        "ended": lambda: {"calls_ended": book.calls_ended},
        "report": book.report,
    }
    control.listen(commands, done)
    control.no_collector()
    control.tell({"port": ports[0], "secure": ports[1] if certificate else None})
    await done.wait()
    for server in servers:
        server.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--speak", action="store_true", help="answer each turn with something to say")
    parser.add_argument("--certificate", help="serve with TLS besides, on a port of its own")
    chosen = parser.parse_args()
    uvloop.run(main(speak=chosen.speak, certificate=chosen.certificate))
