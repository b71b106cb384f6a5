"""What a worker is told by its supervisor: which one it is, and where the others are."""

import json
import socket
from dataclasses import asdict, dataclass
from typing import Self

from voicebot.config import Settings
from voicebot.core.shares import Share

DRAIN, FORCE = b"d", b"f"
"""What the supervisor says over the control socket; that it is gone means DRAIN."""
READY = b"r"
"""What the worker says, once."""


@dataclass(frozen=True, slots=True)
class Place:
    """A worker's place among the workers; the numbers are those of sockets that it inherits."""

    index: int
    of: int
    directory: str
    """Only this user may enter it: whoever reaches the sockets in it is a worker."""
    listening: int
    control: int

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what `to_json` wrote."""
        return cls(**json.loads(text))

    def to_json(self) -> str:
        """Write it for the command line of the worker."""
        return json.dumps(asdict(self))

    @property
    def share(self) -> Share:
        """The calls that are this worker's."""
        return Share(self.index, self.of)

    @property
    def others(self) -> tuple[int, ...]:
        """All workers but this one."""
        return tuple(index for index in range(self.of) if index != self.index)

    def door(self, index: int) -> str:
        """Return the path of the socket at which a worker takes the requests of the others."""
        return f"{self.directory}/{index}.http"

    def mailbox(self, index: int) -> str:
        """Return the path of the socket at which a worker takes over connections."""
        return f"{self.directory}/{index}.streams"


def take_port(settings: Settings) -> socket.socket:
    """Return a listening socket; raises OSError when the port is taken."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    return socket.create_server((settings.host, settings.port), family=family)
