"""Measures how well the bot's echo is told from a caller, on recorded speech, and what a question costs."""

import argparse
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import override

import numpy as np
import scenes
from scenes import FRAME, RATE, Samples

from voicebot.core.audio import SpeechDetector
from voicebot.core.echo import EchoGuard

BOT_S = 6
ECHO_DB, DELAY_MS, NOISE_DB = (-10, -20, -30), (40, 90, 150, 300), (50, 40)
CALLER_DB, UNDER_DB = (0, -10), (None, -30, -20, -10)
START_S, SOON_MS = 2, 400
UNDER_DELAY_MS = 150


@dataclass(slots=True)
class Tally:
    """Answers of one kind."""

    right: int = 0
    asked: int = 0
    seconds: list[float] = field(default_factory=list[float])

    @override
    def __str__(self) -> str:
        return f"{self.right} of {self.asked} ({self.right / max(self.asked, 1):.1%})"


def answers(bot: Samples, inbound: Samples) -> list[tuple[float, bool, float]]:
    """Ask after every frame in which there seems to be speech; return (second, is it an echo, cost in seconds)."""
    guard, detector = EchoGuard(), SpeechDetector()
    guard.sent(scenes.ulaw(bot), 0.0)
    audio = scenes.ulaw(inbound)
    found = []
    for at in range(0, len(audio) - FRAME + 1, FRAME):
        detector.feed(audio[at : at + FRAME])
        now = (at + FRAME) / RATE
        guard.heard(detector.levels, now)
        if detector.speaking:
            before = time.process_time()
            echo = guard.is_echo(now)
            found.append((now, echo, time.process_time() - before))
    return found


def speech(spoken: list[Samples], first: int) -> Samples:
    """Return seconds of speech with short pauses, beginning with one recording."""
    parts = [part for index in range(len(spoken)) for part in (spoken[(first + index) % len(spoken)], np.zeros(2_000))]
    return np.resize(np.concatenate(parts), BOT_S * RATE)


def returned(bot: Samples, gain_db: float, delay_ms: int) -> Samples:
    """Return what comes back of the bot's voice."""
    return np.concatenate([np.zeros(delay_ms * 8), bot])[: len(bot)] * 10 ** (gain_db / 20)


def echoes(spoken: list[Samples]) -> dict[int, Tally]:
    """Ask about nothing but echo; return the tally for each level of it."""
    tallies = {}
    for gain_db in ECHO_DB:
        tally = tallies[gain_db] = Tally()
        for index, (delay_ms, noise_db) in enumerate((d, n) for d in DELAY_MS for n in NOISE_DB):
            bot = speech(spoken, index)
            line = returned(bot, gain_db, delay_ms) + scenes.coloured("white", noise_db, index)(len(bot))
            for _, echo, cost in answers(bot, line):
                tally.asked, tally.right = tally.asked + 1, tally.right + echo
                tally.seconds.append(cost)
    return tallies


def callers(bots: list[Samples], spoken: list[Samples], caller_db: float, under_db: float | None) -> Tally:
    """Let callers talk over the bot, with echo under it or without; those are right who are recognised in time."""
    tally = Tally()
    for index, clip in enumerate(spoken):
        bot = speech(bots, index)
        line = scenes.coloured("white", 45, index)(len(bot))
        if under_db is not None:
            line += returned(bot, under_db, UNDER_DELAY_MS)
        start = START_S * RATE + index * 37 % 50 * FRAME // 2
        voice = clip[scenes.sounds(clip)[0][0] * 8 :][: len(line) - start] * 10 ** (caller_db / 20)
        line[start : start + len(voice)] += voice
        began = start / RATE
        free = [now for now, echo, _ in answers(bot, line) if not echo and now > began + 0.04]
        tally.asked += 1
        tally.right += bool(free) and free[0] - began <= SOON_MS / 1_000
    return tally


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bot", type=Path, default=scenes.SHIPPED, help="a folder of what the bot says, 8 kHz wav")
    parser.add_argument("--pattern", default="austen*.wav", help="which of its files")
    parser.add_argument("--caller", type=Path, default=scenes.SHIPPED, help="a folder of what callers say")
    arguments = parser.parse_args()
    bots = scenes.clips(arguments.bot, arguments.pattern)
    people = scenes.clips(arguments.caller, "[!a]*.wav")
    cost: list[float] = []
    for gain_db, tally in echoes(bots).items():
        print(f"echo {gain_db} dB: recognised at {tally} of the frames")
        cost += tally.seconds
    for under_db in UNDER_DB:
        for caller_db in CALLER_DB:
            under = "no echo" if under_db is None else f"echo {under_db} dB"
            tally = callers(bots, people, caller_db, under_db)
            print(f"caller {caller_db:+} dB over {under}: recognised within {SOON_MS} ms: {tally}")
    print(f"a question: {np.median(cost) * 1e6:.0f} us (95th percentile {np.percentile(cost, 95) * 1e6:.0f})")


if __name__ == "__main__":
    main()
