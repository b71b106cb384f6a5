"""As much of RFC 6455 and HTTP/1.1 as the load tools need, so that they cost little beside what they measure."""

import base64
import functools
import hashlib
import struct

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
_FIN, _MASKED = 0x80, 0x80
_SHORT, _LONG = 126, 127
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
# A client must mask. The key 0 leaves the bytes as they are, and the receiver unmasks them all the same.
_NO_KEY = b"\0\0\0\0"
HEAD_END = b"\r\n\r\n"


@functools.cache
def frame_head(opcode: int, size: int, *, client: bool = False) -> bytes:
    """Return what stands before a payload of `size` bytes; `client` marks it as masked."""
    masked = _MASKED if client else 0
    if size < _SHORT:
        begin = bytes((_FIN | opcode, masked | size))
    elif size < 1 << 16:
        begin = struct.pack(">BBH", _FIN | opcode, masked | _SHORT, size)
    else:
        begin = struct.pack(">BBQ", _FIN | opcode, masked | _LONG, size)
    return begin + _NO_KEY if client else begin


def frame(opcode: int, payload: bytes, *, client: bool = False) -> bytes:
    """Return one whole message as a frame; `client` marks it as masked."""
    return frame_head(opcode, len(payload), client=client) + payload


class Frames:
    """Cuts a byte stream into frames."""

    def __init__(self) -> None:
        self._buffer = b""

    def feed(self, data: bytes) -> list[tuple[int, bytes, bytes]]:
        """Return (opcode, payload as it came, its masking key or nothing) of every frame that is complete.

        What needs the payload unmasks it (`unmasked`); that of audio is never needed whole. Raises ValueError for a
        fragmented message.
        """
        buffer = self._buffer + data if self._buffer else data
        found, at, have = [], 0, len(buffer)
        while have >= at + 2:
            opcode, second, start, key = buffer[at] & 0x0F, buffer[at + 1], at + 2, b""
            size = second & ~_MASKED
            if size >= _SHORT:
                start += 2 if size == _SHORT else 8
                size = int.from_bytes(buffer[at + 2 : start])
            if second & _MASKED:
                key, start = buffer[start : start + 4], start + 4
            if have < start + size:
                break
            if opcode == CONTINUATION:
                raise ValueError("fragmented WebSocket messages are not read here")
            at = start + size
            found.append((opcode, buffer[start:at], key))
        self._buffer = buffer[at:]
        return found


def unmasked(payload: bytes, key: bytes) -> bytes:
    """Return a payload, or the beginning of one, without its mask; `key` is empty where there is none."""
    if not key:
        return payload
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
