"""Puts the planned turns together to calls, with labels that are true by construction."""

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from turns import sounds
from turns.plan import SEED, Aside, Parts, PlannedCall, Planner
from turns.sounds import Sound, Span
from turns.sources import PROMPTS, SHIPPED, Library, Piece

SET = Path(__file__).parent / "set"
FIRST_MS = 1_000
GAP_MS = (3_000, 3_300)
"""After every turn: the bot's turn to speak."""
BOT_AFTER_MS = 1_200
"""From the end of a turn to the bot's answer, where the caller says something into it."""
ASIDE_AFTER_MS = 1_500
"""From the start of the bot's answer to the caller's word of listening."""
BOT_MS_PER_CHARACTER = 65
LINE_NOISE_DB = -62.0
"""Pink noise under every call, against full scale: a line is never quite silent."""
LEVEL_DB = -24.0
"""Every piece of speech is brought to this RMS."""
TALKERS = 6


@dataclass(slots=True)
class Call:
    """One file while it grows."""

    parts: list[Sound] = field(default_factory=list)
    at_ms: int = 0
    words: list[dict[str, Any]] = field(default_factory=list)
    utterances: list[dict[str, Any]] = field(default_factory=list)
    silence_spans: list[dict[str, Any]] = field(default_factory=list)
    messages: list[dict[str, Any]] = field(default_factory=list)

    def add(self, sound: Sound) -> None:
        """Append sound."""
        self.parts.append(sound)
        self.at_ms += sounds.length_ms(sound)

    def say(self, parts: Parts, kind: str, text: str | None = None) -> None:
        """Append an utterance, and its labels; `text` where the pieces sound like other words."""
        spans: list[Span] = []
        said: list[str] = []
        for part in parts:
            if isinstance(part, int):
                self.add(sounds.silence(part))
                continue
            here = [(self.at_ms + start, self.at_ms + end) for start, end in sounds.voiced(part.sound)]
            self.words += _words(part, here)
            said.append(part.text)
            spans = _merged(spans + here)
            self.add(whole_ms(part.sound))
        self.silence_spans += [_span(end, start, "hold") for (_, end), (start, _) in pairwise(spans)]
        start, end = spans[0][0], spans[-1][1]
        text = text or " ".join(said)
        self.utterances.append({"start_ms": start, "end_ms": end, "text": text, "kind": kind})
        self.messages.append({"role": "user", "content": text, "start_ms": start, "end_ms": end})

    def answer(self, aside: Aside) -> None:
        """The bot speaks, which the caller's line does not carry, and the caller says something meanwhile."""
        start = self.utterances[-1]["end_ms"] + BOT_AFTER_MS
        end = start + len(aside.bot_text) * BOT_MS_PER_CHARACTER
        self.messages.append({"role": "assistant", "content": aside.bot_text, "start_ms": start, "end_ms": end})
        self.add(sounds.silence(start + ASIDE_AFTER_MS - self.at_ms))
        self.say(aside.parts, "backchannel", aside.text)
        self.add(sounds.silence(end - self.at_ms))

    def end_spans(self) -> None:
        """The silence after each turn, up to the caller's next sound."""
        starts = [utterance["start_ms"] for utterance in self.utterances[1:]] + [self.at_ms]
        for utterance, following in zip(self.utterances, starts, strict=True):
            if utterance["kind"] == "turn":
                self.silence_spans.append(_span(utterance["end_ms"], following, "eot"))
        self.silence_spans.sort(key=lambda span: span["start_ms"])


def make(call: PlannedCall, rng: np.random.Generator, voices: Sequence[Sound], folder: Path) -> int:
    """Write the WAV and the labels of one call; return its length in ms."""
    made = Call()
    made.add(sounds.silence(FIRST_MS))
    for turn in call.turns:
        made.say(tuple(part if isinstance(part, int) else _levelled(part) for part in turn.parts), "turn")
        if turn.aside is not None:
            pieces = tuple(part if isinstance(part, int) else _levelled(part) for part in turn.aside.parts)
            made.answer(Aside(turn.aside.bot_text, pieces, turn.aside.text))
        made.add(sounds.silence(int(rng.integers(*GAP_MS))))
    made.end_spans()
    sounds.write(folder / f"{call.id}.wav", np.concatenate(made.parts) + _noise(call, rng, voices, made.at_ms))
    labels = {
        "id": call.id,
        "language": "en",
        "audio": f"{call.id}.wav",
        "kind": call.kind,
        **{name: getattr(made, name) for name in ("silence_spans", "words", "utterances", "messages")},
    }
    lines = json.dumps(labels, indent=1)
    (folder / f"{call.id}.json").write_text(lines + "\n", encoding="utf-8")
    return made.at_ms


def _noise(call: PlannedCall, rng: np.random.Generator, voices: Sequence[Sound], length_ms: int) -> Sound:
    samples = length_ms * sounds.PER_MS
    noise = sounds.pink(rng, samples) * np.float32(10 ** (LINE_NOISE_DB / 20))
    match call.noise:
        case ("pink", int(distance_db)):
            noise = noise + sounds.pink(rng, samples) * np.float32(10 ** ((LEVEL_DB - distance_db) / 20))
        case (_, int(distance_db)):
            noise = noise + sounds.babble(rng, voices, samples) * np.float32(10 ** ((LEVEL_DB - distance_db) / 20))
        case _:
            pass
    return noise.astype(np.float32)


def _levelled(piece: Piece) -> Piece:
    gain = 10 ** (LEVEL_DB / 20) / sounds.rms(piece.sound)
    return Piece(piece.text, (piece.sound * gain).astype(np.float32))


def whole_ms(sound: Sound) -> Sound:
    """Cut to whole milliseconds, so that all labels are exact."""
    return sound[: len(sound) - len(sound) % sounds.PER_MS]


def _merged(spans: list[Span]) -> list[Span]:
    merged: list[Span] = []
    for start, end in spans:
        if merged and start - merged[-1][1] < sounds.SHORTEST_SILENCE_MS:
            merged[-1] = (merged[-1][0], end)
        else:
            merged.append((start, end))
    return merged


def _span(start_ms: int, end_ms: int, kind: str) -> dict[str, Any]:
    return {"start_ms": start_ms, "end_ms": end_ms, "kind": kind}


def _words(piece: Piece, spans: list[Span]) -> list[dict[str, Any]]:
    """Spread the words of a piece over its voice by their length; exact where the piece is one word."""
    words, start, end = piece.text.split(), spans[0][0], spans[-1][1]
    total = sum(len(word) + 1 for word in words)
    timed, seen = [], 0
    for word in words:
        begin, seen = seen, seen + len(word) + 1
        places = [start + (end - start) * at // total for at in (begin, seen)]
        timed.append({"text": word, "start_ms": places[0], "end_ms": places[1]})
    return timed


def main() -> None:
    """Write the whole set."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prompts", type=Path, default=PROMPTS, help="sounds of the package (default: %(default)s)")
    parser.add_argument("--target", type=Path, default=SET, help="folder for the set (default: %(default)s)")
    arguments = parser.parse_args()
    arguments.target.mkdir(parents=True, exist_ok=True)
    library, rng = Library(arguments.prompts), np.random.default_rng(SEED)
    voices = [sounds.read(path) for path in sorted(SHIPPED.glob("*.wav"), key=lambda p: -p.stat().st_size)[:TALKERS]]
    total = turns = 0
    for call in Planner(library).calls():
        total += make(call, rng, voices, arguments.target)
        turns += len(call.turns)
        print(f"{call.id}: {len(call.turns)} turns")
    print(f"{turns} turns, {total / 1000:.0f} s")


if __name__ == "__main__":
    main()
