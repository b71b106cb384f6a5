"""A call whose stream is gone, until it goes on on another one."""

import asyncio
from collections.abc import Callable, Collection
from math import inf

from voicebot.call.dialogue import Dialogue
from voicebot.call.route import Route
from voicebot.call.turntaking import TurnTaking
from voicebot.core.events import Track


class Comeback:
    """Nobody meant the stream to end; `hang_up` closes what is left of it and does not wait for that."""

    def __init__(self, route: Route, dialogue: Dialogue, turns: TurnTaking, hang_up: Callable[[], None]) -> None:
        self._route, self._dialogue, self._turns, self._hang_up = route, dialogue, turns, hang_up
        self._attached_at = 0.0

    def attached(self) -> None:
        """A stream has begun."""
        self._attached_at = _now()

    async def carrier_asks(self) -> None:
        """The carrier may know before us that the stream is gone."""
        if self._route.asked and self._route.lose(_now()):
            await self.lost()
        self._route.go_on()

    async def lost(self) -> None:
        """Stop what nobody hears; the last words are told as soon as the recogniser has them, whatever becomes of the call."""
        speaker = self._dialogue.speaker
        self._dialogue.cut_off()
        await self._turns.told(await speaker.interrupt(_now()))
        speaker.forget()
        for track, stopped in self._route.leg.stalled(inf):
            await self._turns.step(track, stopped)
        self._turns.rest()
        self._hang_up()

    async def come_back(self, listening: Collection[tuple[int, Track]]) -> None:
        """Ask how the call goes on, once its next stream is there and all has been told of the last one.

        `listening` are the tracks whose recognisers have not finished, each with the number of its leg.
        """
        route, lost = self._route, self._route.lost
        if lost is None or route.leg.closed or not route.leg.attached.is_set():
            return
        if any(number != route.leg.number for number, _ in listening):
            return
        route.lost = None
        gap_ms = None if lost.since is None else round((self._attached_at - lost.since) * 1_000)
        self._dialogue.scribe.came_back(lost.why, gap_ms)
        await self._dialogue.ask(self._dialogue.reporter.call_resumed(lost.why, gap_ms))


def _now() -> float:
    return asyncio.get_running_loop().time()
