"""Run a Soniox stand-in on this machine: both real-time protocols, on real engines or from a script."""

import argparse
import asyncio
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from voicebot.cli import running
from voicebot.local.engines.base import Engines
from voicebot.local.engines.load import RECOGNISERS, VOICES
from voicebot.local.soniox.server import Faults, LocalSoniox, LocalSonioxOptions, load_engines, local_soniox

DEFAULT_PORT = 8765


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's options."""
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument(
        "--port", type=int, default=DEFAULT_PORT, help="port; 0 takes a free one (default: %(default)s)"
    )
    parser.add_argument("--key", help="the only API key accepted (default: any that is not empty)")
    parser.add_argument(
        "--stt", choices=sorted(RECOGNISERS), default="moonshine", help="recogniser (default: %(default)s)"
    )
    parser.add_argument("--tts", choices=sorted(VOICES), help="voice (default: pico, or tone with --script)")
    parser.add_argument(
        "--script", type=Path, metavar="FILE", help="answer speech-to-text from a timeline (JSON or YAML)"
    )
    parser.add_argument(
        "--strict-2027", action="store_true", help="refuse keys in the start request, as from 15 January 2027"
    )
    parser.add_argument("--no-ack", action="store_true", help="send no empty frame after a good start request")
    parser.add_argument("--threads", type=int, default=2, help="threads that engines run in (default: %(default)s)")
    _add_faults(parser.add_argument_group("faults (times in ms of audio received on a connection)"))


def _add_faults(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--drop-at", type=int, metavar="MS", help="cut the TCP connection")
    group.add_argument("--error-at", type=int, metavar="MS", help="send an error frame and close")
    group.add_argument("--error-code", type=int, default=503, metavar="CODE", help="which error (default: %(default)s)")
    group.add_argument("--garbage-at", type=int, metavar="MS", help="send a frame that is not JSON")
    group.add_argument("--half-close-at", type=int, metavar="MS", help="stop reading and writing, keep the connection")
    group.add_argument("--delay", type=int, default=0, metavar="MS", help="send every frame this much later")
    group.add_argument("--silent", action="store_true", help="never send a word")
    group.add_argument("--never-end", action="store_true", help="withhold <end>")
    group.add_argument("--never-finish", action="store_true", help="ignore the end of audio")
    group.add_argument("--end-timestamps", action="store_true", help="give <end> and <fin> timestamps")
    group.add_argument("--handshake-status", type=int, metavar="STATUS", help="answer handshakes with this HTTP status")
    group.add_argument("--tts-error", type=int, metavar="CODE", help="refuse every text-to-speech stream")
    group.add_argument("--tts-silent", action="store_true", help="take text, never answer with audio")


def run(arguments: argparse.Namespace) -> int:
    """Serve until interrupted, which is the normal end; raises ConfigurationError when the server cannot start."""
    console = Console()
    options = read_options(arguments)
    try:
        engines = _load(console, options)
        running.run(_serve(console, options, engines))
    except KeyboardInterrupt:
        console.print("stopped")
    return 0


def read_options(arguments: argparse.Namespace) -> LocalSonioxOptions:
    """What the command line asks for."""
    faults = Faults(
        drop_at_ms=arguments.drop_at,
        error_at_ms=arguments.error_at,
        error_code=arguments.error_code,
        garbage_at_ms=arguments.garbage_at,
        half_close_at_ms=arguments.half_close_at,
        delay_ms=arguments.delay,
        silent=arguments.silent,
        never_end=arguments.never_end,
        never_finish=arguments.never_finish,
        end_timestamps=arguments.end_timestamps,
        handshake_status=arguments.handshake_status,
        tts_error_code=arguments.tts_error,
        tts_silent=arguments.tts_silent,
    )
    return LocalSonioxOptions(
        host=arguments.host,
        port=arguments.port,
        key=arguments.key,
        stt=arguments.stt,
        tts=arguments.tts,
        script=arguments.script,
        ack=not arguments.no_ack,
        strict_2027=arguments.strict_2027,
        decode_threads=arguments.threads,
        faults=faults,
    )


def _load(console: Console, options: LocalSonioxOptions) -> Engines:
    with console.status("loading speech engines"):
        return load_engines(options)


async def _serve(console: Console, options: LocalSonioxOptions, engines: Engines) -> None:
    def tell(line: str) -> None:
        console.print(escape(line), highlight=False, soft_wrap=True)

    async with local_soniox(options, engines=engines, notify=tell) as server:
        _greet(console, server, options)
        await asyncio.Event().wait()


def _greet(console: Console, server: LocalSoniox, options: LocalSonioxOptions) -> None:
    lines = (
        f"speech to text  [bold]{server.stt_url}[/]",
        f"text to speech  [bold]{server.tts_url}[/]",
        "point the service here:",
        f"  VOICEBOT_SONIOX__STT_URL={server.stt_url}",
        f"  VOICEBOT_SONIOX__TTS_URL={server.tts_url}",
        f"  VOICEBOT_SONIOX__API_KEY={escape(options.key or 'any-key')}",
        "Ctrl-C stops it.",
    )
    for line in lines:
        console.print(line, highlight=False, soft_wrap=True)
