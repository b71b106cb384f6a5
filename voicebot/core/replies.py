"""Is this reply still wanted?"""

from typing import Literal

type Unwanted = Literal["superseded", "call_ended"]


def unwanted(sequence: int, asked: int, *, ended: bool) -> Unwanted | None:
    """Say why the reply to event `sequence` must not be performed, or None if it must.

    `asked` is the sequence of the newest event that wants a reply: once the caller has said more, the application is
    asked again with everything it needs, and an older answer would be spoken into the new turn.
    """
    if ended:
        return "call_ended"
    return "superseded" if sequence < asked else None
