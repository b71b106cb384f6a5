"""Builds the server's speech-to-text frames and keeps their laws: finals once, snapshots whole, counters never back."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from voicebot.local.soniox.refusals import Refusal, error_fields

END = "<end>"
FIN = "<fin>"

type Frame = dict[str, Any]
type Token = dict[str, Any]


@dataclass(frozen=True, slots=True)
class FrameStyle:
    """Which optional habits the frames have: non-final tokens at all, timestamps on control tokens."""

    non_final: bool = True
    control_timestamps: bool = False


class Frames:
    """One connection's frames in order; `final_ms` and `total_ms` are the two counters, in ms of audio."""

    def __init__(self, style: FrameStyle) -> None:
        self._style = style
        self._shown = False
        self.final_ms = 0
        self.total_ms = 0

    def ack(self) -> Frame:
        """The empty frame after a good start request: undocumented, seen in recordings, used as a ready signal."""
        return self._frame([])

    def sketch(self, tokens: Iterable[Token], total_ms: int) -> Frame | None:
        """A full snapshot of the words not yet settled; None when there is nothing to say or the client wants none."""
        pending = [{**token, "is_final": False} for token in tokens]
        if not self._style.non_final or not (pending or self._shown):
            return None
        self._shown = bool(pending)
        return self._frame(pending, total_ms=total_ms)

    def settle(
        self, tokens: Iterable[Token], upto_ms: int, *, control: str | None = None, tail: Iterable[Token] = ()
    ) -> Frame | None:
        """
        Final tokens, then a control token, then the snapshot of the next utterance (`tail`).

        None when it would say nothing: no tokens, no control, and no snapshot on the client's side to take back.
        """
        settled = [{**token, "is_final": True} for token in tokens]
        pending = [{**token, "is_final": False} for token in tail] if self._style.non_final else []
        if control is not None:
            settled.append(self._control(control, upto_ms))
        if not (settled or pending or self._shown):
            return None
        self._shown = bool(pending)
        final_ms = max((token.get("end_ms", 0) for token in settled), default=0) if pending else upto_ms
        return self._frame(settled + pending, final_ms=final_ms, total_ms=upto_ms)

    def finished(self, total_ms: int) -> Frame:
        """The last frame of a session: no tokens, both counters equal."""
        frame = self._frame([], final_ms=max(total_ms, self.total_ms), total_ms=total_ms)
        return {**frame, "finished": True}

    def error(self, refusal: Refusal, request_id: str) -> Frame:
        """The frame that ends a session early; the close that follows it carries no information."""
        return {**self._frame([]), **error_fields(refusal, request_id)}

    def _control(self, text: str, at_ms: int) -> Token:
        times = {"start_ms": at_ms, "end_ms": at_ms} if self._style.control_timestamps else {}
        return {"text": text, **times, "is_final": True}

    def _frame(self, tokens: list[Token], *, final_ms: int = 0, total_ms: int = 0) -> Frame:
        self.final_ms = max(self.final_ms, final_ms)
        self.total_ms = max(self.total_ms, total_ms, self.final_ms)
        return {"tokens": tokens, "final_audio_proc_ms": self.final_ms, "total_audio_proc_ms": self.total_ms}
