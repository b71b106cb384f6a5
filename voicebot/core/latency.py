"""The latency account of one turn: from the caller's last sound to the bot's first."""

from dataclasses import dataclass, fields


@dataclass(slots=True)
class TurnClock:
    """When each step of a turn happened, in seconds on one clock; None where it did not."""

    speech_ended: float | None = None
    """The caller's last sound, on the audio clock: neither the recogniser's delay nor the hangover is in it."""
    settled: float | None = None
    """The last word was settled."""
    decided: float | None = None
    """The decision that the turn is over."""
    sent: float | None = None
    """The request with the turn left, the last attempt if there were several; before `decided` for a provisional turn."""
    reply_began: float | None = None
    """First byte of the application's reply."""
    replied: float | None = None
    """Last byte of it; a streamed one may go on while it is spoken."""
    audio_sent: float | None = None
    """First audio of the bot's answer, as sent."""
    audio_heard: float | None = None
    """The carrier played it (its mark came back)."""

    def parts(self) -> dict[str, int]:
        """Return the known steps as milliseconds since the end of speech, under the names of the webhook contract."""
        start = self.speech_ended
        if start is None:
            return {}
        steps = ((name, getattr(self, step)) for step, name in _NAMES.items())
        return {name: max(0, round((at - start) * 1_000)) for name, at in steps if at is not None}


_NAMES = {step.name: f"{step.name}_ms" for step in fields(TurnClock) if step.name != "speech_ended"}
"""Made once: every account of a call that is still known holds them."""
