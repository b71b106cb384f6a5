"""What can go wrong on the phone's side, on purpose: one value to choose it and one object that spoils messages."""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Final

#: Size of the frame that is too large for any service, in bytes of payload.
OVERSIZED_BYTES: Final = 2 * 1024 * 1024
#: What a service finds where it expects JSON.
MALFORMED: Final = '{"event":"media","media":{"payload":'


@dataclass(frozen=True, slots=True)
class PhoneFaults:
    """Faults of one call; every field's default is a healthy phone. Frames are numbered from 0 per stream."""

    #: Abort the TCP connection at the end instead of sending `stop` and closing.
    no_stop: bool = False
    #: Abort the TCP connection after so many frames, in mid-call.
    die_after_frames: int | None = None
    #: So many streams of the call do, one after another.
    die_streams: int = 1
    #: Send nothing any more after so many frames, with the connection open.
    freeze_after_frames: int | None = None
    #: Never read what the service sends.
    stop_reading: bool = False
    #: Never send a mark back, whether its audio has played or was cleared.
    no_marks: bool = False
    #: Open a second socket for the same call with the same `start` message.
    duplicate_socket: bool = False
    #: Connect, say `connected` and never `start`.
    never_start: bool = False
    #: Send `start` twice.
    start_twice: bool = False
    #: Send a `start` for another call than the one announced.
    start_call_sid: str | None = None
    #: Overwrite (or add) custom parameters of the stream, for example its token.
    parameters: Mapping[str, str] = field(default_factory=dict)
    #: Sign the webhooks with another token.
    bad_webhook_signature: bool = False
    #: Sign the WebSocket handshake with another token.
    bad_socket_signature: bool = False
    #: Leave `X-Twilio-Signature` out of the webhooks and the handshake.
    no_signature: bool = False
    #: Ask the voice webhook twice, as a retry does.
    webhook_twice: bool = False
    #: Exchange every n-th frame with the one after it.
    swap_every: int = 0
    #: Send every n-th frame twice.
    duplicate_every: int = 0
    #: Leave every n-th frame out.
    drop_every: int = 0
    #: Send an event nobody knows before every n-th frame.
    unknown_event_every: int = 0
    #: Add fields nobody knows to every message.
    unknown_fields: bool = False
    #: Send numbers where Twilio sends strings.
    numbers_as_numbers: bool = False
    #: Make this frame larger than any service should accept.
    oversized_frame: int | None = None
    #: Send cut-off JSON before this frame.
    malformed_before_frame: int | None = None
    #: Send a binary message before this frame.
    binary_before_frame: int | None = None


def parse_faults(words: Sequence[str]) -> PhoneFaults:
    """Read `no_stop`, `drop_every=3` or `parameters.token=x`; raises `ValueError` saying what is known."""
    known = {field.name: field.default for field in fields(PhoneFaults)}
    found: dict[str, Any] = {}
    parameters: dict[str, str] = {}
    for word in words:
        name, _, value = word.partition("=")
        name = name.replace("-", "_")
        if name.startswith("parameters."):
            parameters[name.removeprefix("parameters.")] = value
        elif name == "start_call_sid" and value:
            found[name] = value
        elif known.get(name) is False and not value:
            found[name] = True
        elif name in known and known[name] is not False and value.isdigit():
            found[name] = int(value)
        else:
            names = ", ".join(
                name if default is False else f"{name}=..." for name, default in known.items() if name != "parameters"
            )
            raise ValueError(f"{word!r}: one of {names}, parameters.NAME=...")
    return PhoneFaults(parameters=parameters, **found)


class Spoiler:
    """Turns the healthy messages of one stream into what actually goes out."""

    def __init__(self, faults: PhoneFaults) -> None:
        self._faults = faults
        self._held: str | None = None

    def frame(self, number: int, text: str) -> list[str | bytes]:
        """The messages that go out for frame `number`, in order; possibly none."""
        faults = self._faults
        if faults.freeze_after_frames is not None and number >= faults.freeze_after_frames:
            return []
        before: list[str | bytes] = []
        if number == faults.malformed_before_frame:
            before.append(MALFORMED)
        if number == faults.binary_before_frame:
            before.append(b"\x00\x01binary")
        if _nth(number, faults.unknown_event_every):
            before.append('{"event":"weather","weather":{"sky":"clear"}}')
        if number == faults.oversized_frame:
            text = _oversized(text)
        return before + list(self._order(number, self.message(text)))

    def message(self, text: str) -> str:
        """A message with the faults that concern its fields."""
        faults = self._faults
        if not faults.unknown_fields and not faults.numbers_as_numbers:
            return text
        message = json.loads(text)
        if faults.unknown_fields:
            message["futureField"] = {"nested": [1, None, "x"]}
        if faults.numbers_as_numbers and "sequenceNumber" in message:
            message["sequenceNumber"] = int(message["sequenceNumber"])
            media = message.get("media", {})
            media.update({name: int(media[name]) for name in ("chunk", "timestamp") if name in media})
        return json.dumps(message)

    def _order(self, number: int, text: str) -> list[str]:
        faults = self._faults
        if _nth(number, faults.drop_every):
            return []
        if _nth(number, faults.swap_every) and self._held is None:
            self._held = text
            return []
        out = [text, text] if _nth(number, faults.duplicate_every) else [text]
        if self._held is not None:
            out.append(self._held)
            self._held = None
        return out


def _nth(number: int, every: int) -> bool:
    return every > 0 and number % every == every - 1


def _oversized(text: str) -> str:
    message = json.loads(text)
    message["media"]["payload"] = base64.b64encode(b"\xff" * OVERSIZED_BYTES).decode()
    return json.dumps(message)
