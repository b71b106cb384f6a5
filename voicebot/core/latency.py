"""The latency account of one turn: from the caller's last sound to the bot's first."""

from dataclasses import dataclass


@dataclass(slots=True)
class TurnClock:
    """When each step of a turn happened, in seconds on one clock; None where it did not."""

    speech_ended: float | None = None
    """The caller's last sound, by the local detector."""
    completed: float | None = None
    """The decision that the turn is over."""
    reply_began: float | None = None
    """First byte of the application's reply."""
    replied: float | None = None
    """Last byte of it."""
    first_audio: float | None = None
    """First audio of the bot's answer, as sent."""

    def parts(self) -> dict[str, int]:
        """Return the known parts in milliseconds, under the names of the webhook contract.

        A part whose end came before its beginning is left out: speech may begin before the reply has ended.
        """
        spans = {
            "endpoint_ms": (self.speech_ended, self.completed),
            "webhook_ms": (self.completed, self.reply_began),
            "reply_ms": (self.reply_began, self.replied),
            "first_audio_ms": (self.replied, self.first_audio),
            "total_ms": (self.speech_ended, self.first_audio),
        }
        return {
            name: round((end - start) * 1_000)
            for name, (start, end) in spans.items()
            if start is not None and end is not None and end >= start
        }
