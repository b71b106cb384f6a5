"""Who calls whom."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from voicebot.config import NumberSettings
from voicebot.core.recording import Head


@dataclass(frozen=True, slots=True)
class Identity:
    """Who calls whom."""

    id: str
    carrier_id: str
    """Twilio's CallSid."""
    from_: str
    to: str
    direction: Literal["inbound", "outbound"]
    started_at: datetime
    carrier: Mapping[str, str] = field(default_factory=dict[str, str])
    """What else the carrier said when the call came."""
    parameters: Mapping[str, str] = field(default_factory=dict[str, str])
    """What the one who had the call dialled wants the application to know."""


def head_of(identity: Identity, options: NumberSettings) -> Head:
    """Return the first line of a recording."""
    return Head(
        call=identity.id,
        from_number=identity.from_,
        to_number=identity.to,
        mode=options.mode,
        started_at=identity.started_at.isoformat(),
        tracks=options.tracks,
        policy=options.turns,
        stt=options.stt.model_dump(mode="json"),
    )
