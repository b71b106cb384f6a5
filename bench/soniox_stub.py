"""Soniox's two sockets without a recogniser: words come at the pace of the audio, an endpoint when it falls silent."""

import asyncio
import base64
import functools
import json
from collections import deque
from collections.abc import Callable
from typing import Any

import frames
import stamps
from book import Book, first_word

MESSAGE_MS = 120
"""A message after so much audio: 8.3 a second, whatever batches it comes in."""
TENTATIVE = 6
"""Words at the end of an utterance that are not settled yet; they make a message of about 700 bytes."""
ENDPOINT_MS = 800
"""Silence after which an utterance with words is over."""
WORDS = ("the", "quick", "delivery", "of", "order", "number", "seventeen", "which", "never", "came")
TTS_CHUNK_MS, TTS_EVERY_S = 320, 0.04
"""Speech is made eight times as fast as it is spoken."""
CHARACTER_MS = 60

type Send = Callable[[bytes], None]


class Recogniser:
    """One session of speech-to-text; `send` takes whole frames."""

    def __init__(self, send: Send, book: Book) -> None:
        self._send, self._book = send, book
        self._configured = False
        self._call = -1
        self._heard_ms = self._told_ms = self._silent_ms = 0
        self._speaking = False
        self._utterance = self._word = 0
        self._tail: deque[bytes] = deque()

    def audio(self, payload: bytes, key: bytes) -> None:
        """Take one binary message and its masking key."""
        for _, speech, call, _, _ in self._book.audio(payload, key):
            self._call = call
            self._heard_ms += stamps.FRAME_MS
            if speech:
                self._silent_ms, self._speaking = 0, True
                continue
            self._silent_ms += stamps.FRAME_MS
            if self._silent_ms == ENDPOINT_MS and self._word:
                self._end()
        if self._heard_ms - self._told_ms >= MESSAGE_MS:
            self._told_ms = self._heard_ms - self._heard_ms % MESSAGE_MS
            self._go_on()

    def text(self, payload: bytes) -> None:
        """Take one text message: first the configuration, then commands, at last an empty one."""
        if not self._configured:
            json.loads(payload)
            self._configured = True
        elif not payload:
            self._say(self._settled())
            self._say([], finished=True)
            self._send(frames.frame(frames.CLOSE, b"\x03\xe8"))
        elif b'"finalize"' in payload:
            self._say([*self._settled(), _control("<fin>")])

    def closed(self) -> None:
        """The line is gone; nothing is left to do."""

    def _go_on(self) -> None:
        """One word more while there is speech, else the same words again; the oldest settles."""
        settled = []
        if self._speaking:
            self._tail.append(self._next_word())
            if len(self._tail) > TENTATIVE:
                settled.append(self._tail.popleft() + b"true}")
        self._speaking = False
        self._say([*settled, *(word + b"false}" for word in self._tail)])

    def _end(self) -> None:
        self._book.end(self._call, self._utterance)
        self._say([*self._settled(), _control("<end>")])
        self._utterance, self._word = self._utterance + 1, 0

    def _settled(self) -> list[bytes]:
        words = [word + b"true}" for word in self._tail]
        self._tail.clear()
        return words

    def _next_word(self) -> bytes:
        text = f" {WORDS[self._word % len(WORDS)]}" if self._word else first_word(self._call, self._utterance)
        self._word += 1
        start = self._heard_ms - MESSAGE_MS
        return b'{"text":"%b","start_ms":%d,"end_ms":%d,"confidence":0.97,"is_final":' % (
            text.encode(),
            start,
            start + MESSAGE_MS,
        )

    def _say(self, tokens: list[bytes], *, finished: bool = False) -> None:
        message = b'{"tokens":[%b],"final_audio_proc_ms":%d,"total_audio_proc_ms":%d%b}' % (
            b",".join(tokens),
            self._heard_ms,
            self._heard_ms,
            b',"finished":true' if finished else b"",
        )
        self._book.tokens(len(message))
        self._send(frames.frame(frames.TEXT, message))


class Speaker:
    """One socket of text-to-speech with its streams: noise, one message after the other until the text is spoken."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._texts: dict[str, str] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}

    def audio(self, payload: bytes, _key: bytes) -> None:
        """There are no binary messages here; raises ValueError."""
        raise ValueError(f"a binary message of {len(payload)} bytes on the speech socket")

    def text(self, payload: bytes) -> None:
        """Take one message: start, text, cancel or keep-alive."""
        message = json.loads(payload)
        stream = message.get("stream_id", "")
        if message.get("cancel"):
            if timer := self._timers.pop(stream, None):
                timer.cancel()
            self._tell({"stream_id": stream, "terminated": True})
        elif "text" in message:
            self._texts[stream] = self._texts.get(stream, "") + message["text"]
            if message.get("text_end"):
                self._speak(stream, self._texts.pop(stream), 0)

    def closed(self) -> None:
        """The line is gone: nobody listens to what is left."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    def _speak(self, stream: str, text: str, at: int) -> None:
        """Send the speech of the characters from `at`, and the rest later."""
        until = at + TTS_CHUNK_MS // CHARACTER_MS
        self._send(
            frames.frame(frames.TEXT, b'{"stream_id":%b,%b' % (json.dumps(stream).encode(), _piece(text, at, until)))
        )
        if until >= len(text):
            self._timers.pop(stream, None)
            self._tell({"stream_id": stream, "terminated": True})
        else:
            loop = asyncio.get_running_loop()
            self._timers[stream] = loop.call_later(TTS_EVERY_S, self._speak, stream, text, until)

    def _tell(self, message: dict[str, Any]) -> None:
        self._send(frames.frame(frames.TEXT, json.dumps(message).encode()))


@functools.cache
def _piece(text: str, at: int, until: int) -> bytes:
    """Return what follows the stream in the message that speaks `text[at:until]`; every call is told the same text."""
    piece = text[at:until]
    starts = [(at + index) * CHARACTER_MS / 1_000 for index in range(len(piece))]
    message = {
        "audio": base64.b64encode(_NOISE[: len(piece) * CHARACTER_MS * 8]).decode(),
        "audio_end": until >= len(text),
        "timestamps": {
            "characters": list(piece),
            "character_start_times_seconds": starts,
            "character_end_times_seconds": [start + CHARACTER_MS / 1_000 for start in starts],
        },
    }
    return json.dumps(message).encode().removeprefix(b"{")


_NOISE = b"".join(map(base64.b64decode, stamps.rests(speech=True))) * 2


def _control(name: str) -> bytes:
    return b'{"text":"%b","is_final":true}' % name.encode()
