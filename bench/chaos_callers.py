"""Callers, watchers and meddlers of the chaos run, and a database that is busy now and then."""

import asyncio
import sqlite3
from collections import Counter
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from time import sleep
from typing import Any

import aiohttp
from chaos_words import speech

from voicebot.local.phone.caller import CallOptions, PhoneCall
from voicebot.local.phone.codes import CALLBACK_REFUSED
from voicebot.local.phone.faults import PhoneFaults
from voicebot.local.phone.options import DialOutcome, Limits
from voicebot.local.phone.scenario import Dtmf, HangUp, Step, Wait

ORIGIN = "https://voice.example.com"
TOKEN = "chaos-chaos-chaos-chaos"  # noqa: S105 - of a service that lives for a minute
NUMBERS = ("+15550100", "+15550101", "+15550199", "+15550102")
"""The third one's endpoint is gone; the last one's calls are only transcribed."""
CALL_S = (2.0, 14.0)
BUSY_S = 0.6
FRAMES = (10, 400)
RETRY_WAIT_S = 2.5
"""Twilio's tries may be so far apart (five more within 15 s)."""
UNREACHED = frozenset({CALLBACK_REFUSED})
"""Twilio could not tell us of the call's end."""
STAYS = frozenset(
    {
        "",
        "die_after_frames",
        "no_marks",
        "duplicate_socket",
        "webhook_twice",
        "swap_every",
        "duplicate_every",
        "drop_every",
        "unknown_event_every",
        "unknown_fields",
        "malformed_before_frame",
        "binary_before_frame",
    }
)
"""With these faults of the phone, or none, nobody but the caller and the bot ends the call."""


@dataclass(frozen=True, slots=True)
class Caller:
    """One who has called."""

    carrier_id: str
    fault: str
    comes_back: bool
    """The carrier asks how the call goes on, and was answered in the end; of a call that is only transcribed it asks nothing."""


@dataclass(slots=True)
class World:
    """Everybody who is not Soniox and not the application."""

    chance: Random
    address: str
    database: Path
    trouble: float = 0.3
    injected: Counter[str] = field(default_factory=Counter[str])
    dialled: int = 0
    callers: dict[int, Caller] = field(default_factory=dict[int, Caller])
    """By the number that is in their words; those whose call is over."""

    async def call(self) -> None:
        """Make one call from beginning to end; whatever the phone finds wrong is its own affair here."""
        self.dialled += 1
        number, seconds = self.dialled, self.chance.uniform(*CALL_S)
        fault, faults = self._faults()
        options = CallOptions(
            voice_url=f"{ORIGIN}/twilio/voice#rc=5&rp=all",
            status_callback=f"{ORIGIN}/twilio/status#rc=5&rp=all",
            connect_to={ORIGIN: self.address},
            to=self.chance.choice(NUMBERS),
            steps=self._steps(seconds),
            faults=faults,
            dial=DialOutcome(self.chance.choice(("busy", "no-answer", "completed")), talk_s=1, ring_s=0.2),
            limits=Limits(retry_wait_s=RETRY_WAIT_S),
            seed=number,
        )
        phone = PhoneCall(options)
        phone.say(speech(number, self.chance, seconds))
        report = await phone.run()
        unreached = {note.code for note in report.notes} & UNREACHED
        comes_back = options.to != NUMBERS[3] and report.ended != "error" and not unreached
        self.callers[number] = Caller(phone.call_sid, fault, comes_back)

    def _steps(self, seconds: float) -> tuple[Step, ...]:
        steps: list[Step] = [Wait(wait=seconds / 2)]
        if self.chance.random() < 0.3:
            steps.append(Dtmf(dtmf="12#", optional=True))
        steps.append(Wait(wait=seconds / 2))
        return (*steps, HangUp())

    def _faults(self) -> tuple[str, PhoneFaults]:
        if self.chance.random() >= self.trouble:
            return "", PhoneFaults()
        at = self.chance.randint(*FRAMES)
        choices: dict[str, Any] = {
            "no_stop": True,
            "die_after_frames": at,
            "no_marks": True,
            "duplicate_socket": True,
            "start_twice": True,
            "webhook_twice": True,
            "bad_webhook_signature": True,
            "bad_socket_signature": True,
            "swap_every": 7,
            "duplicate_every": 5,
            "drop_every": 9,
            "unknown_event_every": 11,
            "unknown_fields": True,
            "malformed_before_frame": at,
            "binary_before_frame": at,
            "oversized_frame": at,
            "never_start": True,
            "stop_reading": True,
            "freeze_after_frames": at,
        }
        name = self.chance.choice(sorted(choices))
        self.injected[f"phone_{name}"] += 1
        return name, PhoneFaults(**{name: choices[name]})

    async def meddle(self) -> None:
        """Act over the API on a call that lives, or on none; the service may be gone."""
        with suppress(aiohttp.ClientError):
            await self._meddle()

    async def _meddle(self) -> None:
        kind = self.chance.choice(("actions", "interrupt", "finalize", "hangup", "wrong", "get", "search"))
        self.injected[f"api_{kind}"] += 1
        say = {"actions": [{"type": "say", "text": "Somebody else speaks."}], "interrupt": kind == "interrupt"}
        async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {TOKEN}"}) as session:
            async with session.get(f"{self.address}/calls?state=live") as answer:
                living = [call["id"] for call in (await answer.json())["items"]] or ["CAnone"]
            call = self.chance.choice(living)
            match kind:
                case "get" | "search":
                    path = f"/calls/{call}" if kind == "get" else "/search?q=s1w1"
                    async with session.get(self.address + path) as answer:
                        await answer.read()
                case "wrong":
                    async with session.post(f"{self.address}/calls/{call}/actions", data=b"{") as answer:
                        await answer.read()
                case "hangup" | "finalize":
                    async with session.post(f"{self.address}/calls/{call}/{kind}") as answer:
                        await answer.read()
                case _:
                    async with session.post(f"{self.address}/calls/{call}/actions", json=say) as answer:
                        await answer.read()

    async def watch(self) -> None:
        """Watch for a while and go away without a word."""
        self.injected["watcher"] += 1
        with suppress(TimeoutError, aiohttp.ClientError):
            async with (
                aiohttp.ClientSession(headers={"Authorization": f"Bearer {TOKEN}"}) as session,
                asyncio.timeout(self.chance.uniform(0.1, 5)),
                session.get(f"{self.address}/events") as answer,
            ):
                async for _chunk in answer.content.iter_any():
                    pass

    async def occupy_the_store(self) -> None:
        """Hold the database's only lock for a moment."""
        self.injected["store_busy"] += 1
        await asyncio.to_thread(_occupy, self.database, self.chance.random() * BUSY_S)


def _occupy(database: Path, seconds: float) -> None:
    with closing(sqlite3.connect(database, timeout=10)) as connection:
        connection.execute("begin immediate")
        sleep(seconds)
        connection.rollback()
