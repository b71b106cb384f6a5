"""What a speech-to-text session is to its connection, whether an engine or a script answers."""

from dataclasses import dataclass
from typing import Protocol

from voicebot.local.soniox.frames import Frames
from voicebot.local.soniox.misbehaviour import Fault, FaultClock
from voicebot.local.soniox.options import Faults
from voicebot.local.soniox.outlet import Outlet
from voicebot.local.soniox.refusals import Refused, by_code

GARBAGE = '{"tokens":[{"text":"br'
"""A frame cut in the middle."""


class HalfClosed(Exception):  # noqa: N818 - an order to the connection, not an error
    """From here on neither read nor write, but keep the connection."""


class Session(Protocol):
    """Takes a client's audio and commands in order; `run` works through them until the end of audio."""

    async def run(self) -> None:
        """Work until everything is answered; raises Refused to end the connection with an error frame."""
        ...

    async def audio(self, data: bytes) -> None:
        """Take in audio; waits when too much is already waiting."""
        ...

    async def finalize(self) -> None:
        """Settle what was heard so far and answer `<fin>`."""
        ...

    async def finish(self) -> None:
        """No more audio will come: settle, say finished, close."""
        ...


@dataclass(frozen=True, slots=True)
class Port:
    """A session's side of its connection: where frames go and faults happen."""

    outlet: Outlet
    frames: Frames
    faults: Faults
    clock: FaultClock

    async def reached(self, position_ms: int) -> None:
        """`position_ms` of audio have come: carry out the faults that are due."""
        for fault in self.clock.due(position_ms):
            match fault:
                case Fault.GARBAGE:
                    await self.outlet.send_text(GARBAGE)
                case Fault.ERROR:
                    raise Refused(by_code(self.faults.error_code))
                case Fault.DROP:
                    self.outlet.abort()
                case Fault.HALF_CLOSE:
                    raise HalfClosed

    async def finish(self, total_ms: int) -> None:
        """The last frame and the close that follows it."""
        if not self.faults.never_finish:
            await self.outlet.send(self.frames.finished(total_ms))
            await self.outlet.close()
