"""Transcribe an audio file in real time with Soniox or the local stand-in: speakers, languages, translation."""

import argparse
import asyncio
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import soundfile
import structlog
from pydantic import SecretStr, ValidationError
from rich.console import Console

from voicebot.cli.rendering import Transcript
from voicebot.config import SonioxSettings, load
from voicebot.errors import ConfigurationError
from voicebot.stt import Recognition
from voicebot.wire.soniox_errors import ADVICE
from voicebot.wire.soniox_stt import CONTAINER, SttOptions
from voicebot.wire.soniox_upstream import AudioFormat

OK, FAILED, WRONG_USAGE, INTERRUPTED = 0, 1, 2, 130
LOCAL_URL = "ws://127.0.0.1:8765/transcribe-websocket"
LOCAL_KEY = "local"
CHUNK_S = 0.12
"""Audio per message, as in the example program on Soniox's page."""
BUFFER_MS = 10_000
FINISH_TIMEOUT_S = 300
"""A recogniser that is given a whole file at once needs its time after the end of audio."""
DEFAULT_RATE = 16_000
DEFAULT_RATES = {"mulaw": 8_000, "alaw": 8_000}
WIDTHS = [
    f"{kind}{order}" for kind in ("s16", "s24", "s32", "u16", "u24", "u32", "f32", "f64") for order in ("le", "be")
]
FORMATS = [CONTAINER, "mulaw", "alaw", "pcm_s8", "pcm_u8", *(f"pcm_{width}" for width in WIDTHS)]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's options; the names are those of the example program on Soniox's page."""
    parser.add_argument("file", type=Path, help="the audio")
    add = parser.add_argument
    add(
        "--audio_format",
        "--audio-format",
        choices=FORMATS,
        default=CONTAINER,
        metavar="FORMAT",
        help=f"{CONTAINER} for files with a header (default), or a raw encoding such as pcm_s16le or mulaw",
    )
    add("--sample_rate", "--sample-rate", type=int, help="of raw audio (default: 16000; 8000 for mulaw and alaw)")
    add("--num_channels", "--num-channels", type=int, default=1, help="of raw audio (default: %(default)s)")
    add("--translation", choices=["none", "one_way", "two_way"], default="none")
    add("--target_language", "--target-language", default="es", help="of one_way (default: %(default)s)")
    add("--language_a", "--language-a", default="en", help="of two_way (default: %(default)s)")
    add("--language_b", "--language-b", default="es", help="of two_way (default: %(default)s)")
    add("--language_hints", "--language-hints", default="", metavar="en,es", help="languages to expect")
    add("--context", type=Path, metavar="FILE", help="JSON file with general, text, terms, translation_terms")
    add("--model", default=SttOptions().model, help="default: %(default)s")
    switch = argparse.BooleanOptionalAction
    add("--diarize", action=switch, default=True, help="name the speakers")
    add(
        "--language_identification", "--language-identification", action=switch, default=True, help="name the languages"
    )
    add("--endpoint_detection", "--endpoint-detection", action=switch, default=True, help="find the ends of utterances")
    server = parser.add_mutually_exclusive_group()
    server.add_argument("--url", help="another WebSocket URL than the one in the settings")
    server.add_argument(
        "--local", action="store_const", const=LOCAL_URL, dest="url", help=f"the local stand-in: {LOCAL_URL}"
    )
    pace = parser.add_mutually_exclusive_group()
    pace.add_argument("--realtime", action="store_true", default=True, help="send at the pace of speech (default)")
    pace.add_argument("--fast", action="store_false", dest="realtime", help="send as fast as it is taken")


def run(arguments: argparse.Namespace) -> int:
    """Transcribe; 0 when everything was recognised, 1 when Soniox failed, 2 when the arguments are wrong."""
    notes = Console(stderr=True, highlight=False, soft_wrap=True)
    try:
        options = _options(arguments)
        audio_format = _format(arguments)
        pause_s = _pause_s(arguments, audio_format)
    except WrongUsageError as wrong:
        notes.print(f"voicebot transcribe: {wrong}", markup=False)
        return WRONG_USAGE
    settings = _settings(arguments.url)
    # What happens inside is told by the messages below; log lines would tear the transcript.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        return asyncio.run(_transcribe(arguments.file, settings, options, audio_format, pause_s, notes))
    except KeyboardInterrupt:
        notes.print("Interrupted.")
        return INTERRUPTED


class WrongUsageError(ValueError):
    """Its text says what is wrong with the command line."""


def _settings(url: str | None) -> SonioxSettings:
    soniox = load().soniox
    key = soniox.api_key.get_secret_value()
    if not key and url is None:
        raise ConfigurationError(
            "SONIOX_API_KEY is not set: get a key at https://console.soniox.com, or use --local with `voicebot local soniox`"
        )
    changes = {
        "stt_url": url or soniox.stt_url,
        "api_key": SecretStr(key or LOCAL_KEY),
        "batch_ms": round(CHUNK_S * 1_000),
        "replay_ms": BUFFER_MS,
        "finish_timeout_s": FINISH_TIMEOUT_S,
    }
    return soniox.model_copy(update=changes)


def _options(arguments: argparse.Namespace) -> SttOptions:
    values: dict[str, Any] = {
        "model": arguments.model,
        "language_hints": [code for code in arguments.language_hints.split(",") if code],
        "enable_speaker_diarization": arguments.diarize,
        "enable_language_identification": arguments.language_identification,
        "enable_endpoint_detection": arguments.endpoint_detection,
        # Nobody waits for the ends of utterances in a file, so the model's own patience is best.
        "max_endpoint_delay_ms": None,
        "endpoint_sensitivity": None,
        "endpoint_latency_adjustment_level": None,
    }
    match arguments.translation:
        case "one_way":
            values["translation"] = {"type": "one_way", "target_language": arguments.target_language}
        case "two_way":
            pair = {"language_a": arguments.language_a, "language_b": arguments.language_b}
            values["translation"] = {"type": "two_way", **pair}
        case _:
            pass
    try:
        if arguments.context is not None:
            values["context"] = json.loads(arguments.context.read_text(encoding="utf-8"))
        return SttOptions.model_validate(values)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_input=False)
        told = [f"{'.'.join(map(str, fault['loc'])) or 'options'}: {fault['msg']}" for fault in faults]
        raise WrongUsageError("; ".join(told)) from None
    except (OSError, ValueError) as error:
        raise WrongUsageError(f"{arguments.context}: {error}") from None


def _format(arguments: argparse.Namespace) -> AudioFormat:
    encoding = arguments.audio_format
    rate = arguments.sample_rate or DEFAULT_RATES.get(encoding, DEFAULT_RATE)
    if rate < 1 or arguments.num_channels < 1:
        raise WrongUsageError("sample_rate and num_channels must be positive")
    return AudioFormat(encoding, rate, arguments.num_channels)


def _pause_s(arguments: argparse.Namespace, audio_format: AudioFormat) -> float:
    """Return how long one chunk of the file sounds, 0 for no pause; a file that is not there is wrong usage."""
    try:
        size = arguments.file.stat().st_size
        with arguments.file.open("rb"):
            pass
    except OSError as error:
        raise WrongUsageError(f"{arguments.file}: {error.strerror}") from None
    if not size:
        raise WrongUsageError(f"{arguments.file}: the file is empty")
    if not arguments.realtime:
        return 0
    bytes_per_second: float = audio_format.bytes_per_second
    if not audio_format.resumable:
        try:
            bytes_per_second = size / max(soundfile.info(arguments.file).duration, CHUNK_S)
        except soundfile.LibsndfileError:  # a container that only Soniox can read
            bytes_per_second = audio_format.bytes_per_second
    return _chunk_bytes(audio_format) / bytes_per_second


def _chunk_bytes(audio_format: AudioFormat) -> int:
    frames = round(CHUNK_S * audio_format.bytes_per_second / audio_format.frame_bytes)
    return frames * audio_format.frame_bytes


async def _transcribe(
    file: Path, settings: SonioxSettings, options: SttOptions, audio_format: AudioFormat, pause_s: float, notes: Console
) -> int:
    with Transcript(Console()) as transcript:
        recognition = Recognition(settings, options, transcript.show, audio_format)
        notes.print(f"Sending {file} to {settings.stt_url}", style="dim")
        async with asyncio.TaskGroup() as group:
            feeder = group.create_task(_feed(recognition, _chunks(file, _chunk_bytes(audio_format)), pause_s))
            await recognition.run()
            feeder.cancel()
    if failure := transcript.failure:
        what = f"{failure.code} {failure.kind}" if failure.code else failure.kind
        notes.print(f"Error: {what}: {failure.message}", style="red", markup=False)
        if advice := _advice(failure.code, settings):
            notes.print(f"What to do: {advice}.", markup=False)
        return FAILED
    if not recognition.complete:
        notes.print("The connection broke on the way: the transcript may have a gap.", style="red")
        return FAILED
    notes.print("Session finished.", style="dim")
    return OK


def _advice(code: int, settings: SonioxSettings) -> str:
    if not code and settings.stt_url == LOCAL_URL:
        return "start the stand-in with `voicebot local soniox`"
    return ADVICE.get(code, "")


async def _feed(recognition: Recognition, chunks: Iterator[bytes], pause_s: float) -> None:
    clock = asyncio.get_running_loop().time
    due = clock()
    for chunk in chunks:
        await recognition.room()
        recognition.feed(chunk)
        due += pause_s
        await asyncio.sleep(max(0, due - clock()))
    recognition.finish()


def _chunks(file: Path, size: int) -> Iterator[bytes]:
    with file.open("rb") as audio:
        while chunk := audio.read(size):
            yield chunk
