"""How much the kernel collects before it wakes us for a stream: several media messages when many calls share a core."""

import asyncio
import socket
import sys
from contextlib import suppress

RESIZE = 24
"""Bytes by which a message must differ from those before it to be counted with again: their numbers grow slowly."""
FRAME_HEAD = 8
"""Bytes of a WebSocket frame's head for 126 to 65,535 bytes from a client (RFC 6455, section 5.2)."""


class LowWater:
    """The low-water mark of one socket (Linux, socket(7), `SO_RCVLOWAT`).

    Up to it the kernel keeps what comes to itself; then one wake-up and one read bring it all. Whatever is shorter and
    alone waits for what comes behind it, so the mark is lowered as soon as the flow may stop. Does nothing where the
    system cannot, and on a connection whose TLS ends here, for its bytes are not those of the messages.
    """

    def __init__(self, transport: asyncio.BaseTransport | None) -> None:
        self._socket = None
        if transport is not None and sys.platform == "linux" and transport.get_extra_info("sslcontext") is None:
            self._socket = transport.get_extra_info("socket")
        self._counted = 0
        self._frames = 1

    @property
    def raised(self) -> bool:
        """More than a message is waited for."""
        return self._socket is not None and self._frames > 1

    def wait_for(self, frames: int, message_bytes: int) -> None:
        """Be woken by so many messages of this length from now on."""
        if frames == self._frames and (frames == 1 or abs(message_bytes - self._counted) < RESIZE):
            return
        self._frames, self._counted = frames, message_bytes
        # Half a message less, so that a number with a digit fewer does not make it wait for one more message.
        self._set(frames * (message_bytes + FRAME_HEAD) - message_bytes // 2 if frames > 1 else 1)

    def lower(self) -> None:
        """Be woken by anything, at once by what lies there already."""
        self.wait_for(1, 0)

    def _set(self, size: int) -> None:
        if self._socket is not None:
            with suppress(OSError, ValueError):  # closed meanwhile; the latter is uvloop's word for it
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, size)
