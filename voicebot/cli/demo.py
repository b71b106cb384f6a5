"""Make a real call end to end on this machine, with no account and no network, and show it happening."""

import argparse
import asyncio
import json
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from aiohttp import web
from rich.console import Console
from rich.text import Text

from voicebot import live, logs
from voicebot.app import Service, running
from voicebot.cli.clips import Clip, clips
from voicebot.cli.console import CallView
from voicebot.config import LogSettings, Settings
from voicebot.core.events import Turn
from voicebot.local.phone.caller import call
from voicebot.local.phone.options import DEFAULT_AUTH_TOKEN, CallOptions
from voicebot.local.phone.report import CallReport
from voicebot.local.phone.scenario import Dtmf, Play, Step, WaitFor
from voicebot.local.sample import application
from voicebot.local.soniox.options import LocalSonioxOptions
from voicebot.local.soniox.server import LocalSoniox, local_soniox
from voicebot.wire.webhook import new_secret

PUBLIC_URL = "https://voice.example.com"
"""What the phone is told and what it signs; nothing is sent there."""
CLIPS = ("go_forward", "austen_amiable", "austen_selfish")
"""Recorded human speech with known words, in this order."""
MOST_WRONG = 0.34
"""Above this word error rate a turn did not come through."""
KEY = "local"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Where the recording and the report go."""
    parser.add_argument(
        "--out", type=Path, default=Path("demo"), help="folder for call.wav and call.json (default: demo)"
    )
    parser.add_argument("--log", action="store_true", help="also print the service's own log")


def run(arguments: argparse.Namespace) -> int:
    """Make the call; the exit code is 0 only if every turn came through."""
    console = Console(highlight=False)
    logs.set_up(LogSettings(level="info" if arguments.log else "error", transcripts=arguments.log))
    arguments.out.mkdir(parents=True, exist_ok=True)
    return asyncio.run(_demo(console, arguments.out))


async def _demo(console: Console, out: Path) -> int:
    spoken = clips(CLIPS)
    console.print(
        Text("voicebot demo: a phone, a recogniser, an application and the service, all on this machine\n", "bold"),
        soft_wrap=True,
    )
    turns: list[Turn] = []
    latencies: list[live.Latency] = []
    with CallView(console) as view:
        view.say("  loading the local recogniser and voice …")
        async with _house() as service, asyncio.TaskGroup() as group:
            with service.live.watch() as watcher:
                group.create_task(_show(watcher, view, turns, latencies))
                report = await call(_options(service, spoken, out))
                await service.calls.wait_empty()
    wrong = _summary(console, spoken, turns, latencies, report)
    _write(out / "call.json", spoken, turns, latencies, report)
    where = f"  recording: {out / 'call.wav'} (left the caller, right the bot)   report: {out / 'call.json'}\n"
    console.print(where, soft_wrap=True)
    for fault in wrong:
        console.print(Text(f"  failed: {fault}", "bold red"))
    return int(bool(wrong))


@asynccontextmanager
async def _house() -> AsyncIterator[Service]:
    """Everything but the phone, each on its own socket."""
    secret = new_secret(bytes(range(32)))
    async with AsyncExitStack() as stack:
        soniox = await stack.enter_async_context(local_soniox(LocalSonioxOptions(key=KEY)))
        runner = web.AppRunner(application(secret), access_log=None)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        settings = _settings(soniox, f"http://127.0.0.1:{site.port}/", secret, folder)
        yield await stack.enter_async_context(running(settings))


def _settings(soniox: LocalSoniox, application_url: str, secret: str, folder: Path) -> Settings:
    return Settings.model_validate(
        {
            "host": "127.0.0.1",
            "port": 0,
            "public_url": PUBLIC_URL,
            "twilio": {"auth_token": DEFAULT_AUTH_TOKEN},
            "soniox": {"api_key": KEY, "stt_url": soniox.stt_url, "tts_url": soniox.tts_url},
            "webhook": {"url": application_url, "secrets": [secret]},
            "store": {"url": f"sqlite:///{folder / 'demo.db'}"},
        }
    )


def _options(service: Service, spoken: Sequence[Clip], out: Path) -> CallOptions:
    steps: list[Step] = [WaitFor(wait_for="speech", timeout=30)]
    for clip in spoken:
        steps += [Play(play=clip.path, label=clip.text), WaitFor(wait_for="speech", timeout=30)]
    steps += [WaitFor(wait_for="quiet", timeout=30), Dtmf(dtmf="#"), WaitFor(wait_for="hangup", timeout=30)]
    return CallOptions(
        voice_url=f"{PUBLIC_URL}/twilio/voice",
        connect_to={PUBLIC_URL: f"http://127.0.0.1:{service.port}"},
        steps=tuple(steps),
        record=out / "call.wav",
    )


async def _show(watcher: live.Watcher, view: CallView, turns: list[Turn], latencies: list[live.Latency]) -> None:
    async for event in watcher:
        view.show(event)
        match event:
            case live.TurnEnded(turn=turn):
                turns.append(turn)
            case live.Latency():
                latencies.append(event)
            case _:
                pass


def _summary(
    console: Console,
    spoken: Sequence[Clip],
    turns: Sequence[Turn],
    latencies: Sequence[live.Latency],
    report: CallReport,
) -> list[str]:
    """Print what was said and what was understood; return what went wrong."""
    from voicebot.local.words import error_rate  # noqa: PLC0415 - needs the extra `local`, and help does not

    said, heard = " ".join(clip.text for clip in spoken), " ".join(turn.text for turn in turns)
    rate = error_rate(said, heard)
    heard_ms = sorted(waited for latency in latencies if (waited := answer_ms(latency.parts)) is not None)
    console.print(Text("\nsummary", "bold"))
    console.print(f"  turns            {len(turns)} of {len(spoken)}")
    console.print(f"  word error rate  {rate:.1%} (studio speech over µ-law, not a recorded phone call)")
    if heard_ms:
        console.print(f"  answer heard     {heard_ms[len(heard_ms) // 2]} ms after the caller's last sound (median)")
    wrong = [failure.message for failure in report.failures]
    if len(turns) != len(spoken):
        wrong.append(f"{len(spoken)} sentences were said, {len(turns)} turns came through")
    if rate > MOST_WRONG:
        wrong.append(f"too many words are wrong: {rate:.0%}")
    if report.ended != "service":
        wrong.append(f"the bot should have ended the call, but it was ended by: {report.ended}")
    return wrong


def answer_ms(parts: Mapping[str, int]) -> int | None:
    """Return how long the caller waited: to the echo of the answer's first mark, else to its first audio sent."""
    return parts.get("audio_heard_ms", parts.get("audio_sent_ms"))


def _write(
    path: Path, spoken: Sequence[Clip], turns: Sequence[Turn], latencies: Sequence[live.Latency], report: CallReport
) -> None:
    document = {
        "said": [clip.text for clip in spoken],
        "turns": [
            {
                "number": turn.number,
                "text": turn.text,
                "reason": turn.reason,
                "started_ms": turn.started_ms,
                "ended_ms": turn.ended_ms,
            }
            for turn in turns
        ],
        "latency": [{"turn": latency.turn, **latency.parts} for latency in latencies],
        "phone": json.loads(report.model_dump_json()),
    }
    path.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
