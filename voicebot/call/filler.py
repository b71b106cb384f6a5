"""Bridges the time until the application answers: speech that begins after a while, and is dropped for the answer."""

from voicebot.call.script import Script
from voicebot.call.speaker import Speaker
from voicebot.config import FillerSettings


class Filler:
    """At most one for each event that is asked; it is no answer, neither to the latency account nor to the application."""

    def __init__(self, settings: FillerSettings, speaker: Speaker, *, speaks: bool) -> None:
        self._settings, self._speaker = settings, speaker
        self._speaks = speaks and bool(settings.actions)
        self._due_at: float | None = None
        self._script: Script | None = None

    @property
    def due_at(self) -> float | None:
        """When `tick` must be called, or None."""
        return self._due_at

    def wait(self, now: float) -> None:
        """Somebody on the phone waits for a reply from now on."""
        self.stop()
        if self._speaks:
            self._due_at = now + self._settings.after_ms / 1_000

    def stop(self) -> None:
        """Nobody waits any more: what was not heard yet never will be."""
        self._due_at = None
        if self._script is not None:
            self._speaker.cut_short(self._script)
            self._script = None

    def tick(self, now: float) -> None:
        """Begin when it is time; while the bot still speaks nobody waits in silence."""
        if self._due_at is None or now < self._due_at:
            return
        if not self._speaker.idle:
            self._due_at = now + self._settings.after_ms / 1_000
            return
        self._due_at = None
        script = Script(0, self._settings.actions)
        if self._speaker.perform(script):
            self._script = script
