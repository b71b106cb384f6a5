"""Everything that can be set on the local Soniox server: address, key, engines, script, time-outs and faults."""

from dataclasses import dataclass, field
from pathlib import Path

from voicebot.local.soniox.script import Script


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """How long the server waits for a client, in seconds; the defaults are those of the real service where known."""

    start_s: float = 40.0
    """Connection open, no start request yet."""
    idle_s: float = 20.0
    """Speech-to-text: neither audio nor keepalive nor any other message."""
    decode_s: float = 10.0
    """Audio is coming in with `audio_format` `auto`, but no container is recognised in it."""
    tts_idle_s: float = 40.0
    """Text-to-speech: no message at all on the connection."""
    tts_text_s: float = 12.0
    """Text-to-speech: an open stream gets no text (observed on the real service: 8 to 18 s)."""
    close_s: float = 2.0
    """How long to wait for the client's half of a closing handshake."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """Misbehaviour on order; times are milliseconds of audio received (speech-to-text) on each connection."""

    drop_at_ms: int | None = None
    """Cut the TCP connection without a closing handshake (the client sees 1006)."""
    error_at_ms: int | None = None
    """Send the error frame `error_code` and close."""
    error_code: int = 503
    garbage_at_ms: int | None = None
    """Send one frame that is not JSON, then go on."""
    half_close_at_ms: int | None = None
    """Stop reading and writing but keep the connection open; pings stay unanswered."""
    delay_ms: int = 0
    """Every frame (both directions of the protocol's answers, also text-to-speech) leaves this much later."""
    silent: bool = False
    """Never send a token; finalize and end of audio are still answered."""
    never_end: bool = False
    """Withhold `<end>`, whatever the client asked for."""
    never_finish: bool = False
    """Ignore the end of audio: no `finished` frame, no close."""
    handshake_status: int | None = None
    """Answer every WebSocket handshake, on both paths, with this HTTP status instead of 101."""
    tts_error_code: int | None = None
    """Text-to-speech: refuse every stream with this error."""
    tts_silent: bool = False
    """Text-to-speech: take text, never answer with audio."""
    end_timestamps: bool = False
    """Give `<end>` and `<fin>` `start_ms` and `end_ms`, as some recordings of the real service show."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalSonioxOptions:
    """
    What one local server is like.

    `key` None accepts any key that is not empty. `script` answers speech-to-text from a timeline instead of an
    engine. `tts` None means `pico`, or `tone` when there is a script, so that a scripted server loads no engine.
    """

    host: str = "127.0.0.1"
    port: int = 0
    key: str | None = None
    stt: str = "moonshine"
    tts: str | None = None
    script: Script | Path | None = None
    ack: bool = True
    strict_2027: bool = False
    decode_threads: int = 2
    timeouts: Timeouts = field(default_factory=Timeouts)
    faults: Faults = field(default_factory=Faults)
