"""A call that cannot hear: who is told, what is done by itself, and when it hears again."""

from voicebot.call.dialogue import Dialogue
from voicebot.config import NumberSettings
from voicebot.core.events import SttFailed


class Degradation:
    """The call goes on without recognition: with keys, and with what the application decides."""

    def __init__(self, dialogue: Dialogue, options: NumberSettings) -> None:
        self._dialogue = dialogue
        self._actions = options.degraded.actions if options.mode == "bot" else ()
        self._since: float | None = None

    async def began(self, failure: SttFailed, now: float) -> None:
        """Recognition is given up; told once, however many recognisers fail."""
        if self._since is not None:
            return
        self._since = now
        self._dialogue.scribe.degraded()
        await self._dialogue.ask(self._dialogue.reporter.degraded(failure))
        if self._actions:
            self._dialogue.perform(self._actions)

    async def over(self, now: float) -> None:
        """Something was recognised."""
        if (ms := self._end(now)) is not None:
            self._dialogue.scribe.recovered(ms)
            await self._dialogue.post(self._dialogue.reporter.recovered(ms))

    def close(self, now: float) -> None:
        """The call is over."""
        self._end(now)

    def _end(self, now: float) -> int | None:
        """Return for how many milliseconds the call could not hear, None for one that hears."""
        if self._since is None:
            return None
        ms, self._since = round((now - self._since) * 1_000), None
        self._dialogue.scribe.no_longer_degraded(ms)
        return ms
