"""As much of RFC 6455 and HTTP/1.1 as the load tools need, so that they cost little beside what they measure."""

import base64
import hashlib
import struct
from collections.abc import Iterator

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
_FIN, _MASKED = 0x80, 0x80
_SHORT, _LONG = 126, 127
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
# A client must mask. The key 0 leaves the bytes as they are, and the receiver unmasks them all the same.
_NO_KEY = b"\0\0\0\0"
HEAD_END = b"\r\n\r\n"


def frame(opcode: int, payload: bytes, *, client: bool = False) -> bytes:
    """Return one whole message as a frame; `client` marks it as masked."""
    size, masked = len(payload), _MASKED if client else 0
    if size < _SHORT:
        head = bytes((_FIN | opcode, masked | size))
    elif size < 1 << 16:
        head = struct.pack(">BBH", _FIN | opcode, masked | _SHORT, size)
    else:
        head = struct.pack(">BBQ", _FIN | opcode, masked | _LONG, size)
    return head + (_NO_KEY if client else b"") + payload


class Frames:
    """Cuts a byte stream into frames."""

    def __init__(self) -> None:
        self._buffer = b""

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """Yield (opcode, payload) of every frame that is complete; raises ValueError for a fragmented message."""
        buffer = self._buffer + data if self._buffer else data
        at = 0
        while cut := _cut(buffer, at):
            opcode, payload, at = cut
            if opcode == CONTINUATION:
                raise ValueError("fragmented WebSocket messages are not read here")
            yield opcode, payload
        self._buffer = buffer[at:]


def _cut(buffer: bytes, at: int) -> tuple[int, bytes, int] | None:
    """Return (opcode, payload, where the next frame begins), None while the frame is incomplete."""
    if len(buffer) < at + 2:
        return None
    opcode, second = buffer[at] & 0x0F, buffer[at + 1]
    size, start = second & 0x7F, at + 2
    if size >= _SHORT:
        width = 2 if size == _SHORT else 8
        if len(buffer) < start + width:
            return None
        size, start = int.from_bytes(buffer[start : start + width]), start + width
    key = b""
    if second & _MASKED:
        key, start = buffer[start : start + 4], start + 4
    end = start + size
    if len(buffer) < end:
        return None
    payload = buffer[start:end]
    return opcode, _unmasked(payload, key) if key else payload, end


def _unmasked(payload: bytes, key: bytes) -> bytes:
    size = len(payload)
    pad = (key * (size // 4 + 1))[:size]
    return (int.from_bytes(payload) ^ int.from_bytes(pad)).to_bytes(size)


def headers(head: bytes) -> dict[str, str]:
    """Return the headers of an HTTP message by their lower-case names."""
    lines = head.decode("latin-1").split("\r\n")[1:]
    return {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines) if value}


def accept(key: str) -> bytes:
    """Return the server's answer to a handshake with this `Sec-WebSocket-Key`."""
    digest = hashlib.sha1(key.encode() + _GUID, usedforsecurity=False).digest()
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + base64.b64encode(digest) + HEAD_END
    )
