"""Text-to-speech in one HTTP request: `POST /tts` with the fields of a stream and the whole text (Soniox, "TTS REST API")."""

import asyncio
import uuid
from typing import Any

from aiohttp import web

from voicebot.local.soniox.auth import check_handshake, handshake_keys
from voicebot.local.soniox.fields import Fields, parse_object
from voicebot.local.soniox.parts import Parts
from voicebot.local.soniox.refusals import TTS_TOO_LONG, Refusal, Refused, error_fields, invalid
from voicebot.local.soniox.sentences import SentenceSplitter
from voicebot.local.soniox.speech import preamble, speak
from voicebot.local.soniox.tts_messages import MALFORMED, MAX_TEXT, SpeechConfig, read_speech_config
from voicebot.local.soniox.tts_stream import MAX_SECONDS

CONTENT_TYPES = {"wav": "audio/wav", "pcm_mulaw": "audio/basic"}


async def serve_tts_rest(request: web.Request, parts: Parts) -> web.Response:
    """The audio of one text, or a JSON error with the HTTP status of its code."""
    try:
        check_handshake(handshake_keys(request.headers), parts.lock, required=True)
        raw = parse_object(await request.text(), MALFORMED)
        config = read_speech_config(raw, parts.engines.voice.languages)
        audio = await _speak_all(_text(raw), config, parts)
    except Refused as refused:
        return _refusal(refused.refusal)
    content_type = CONTENT_TYPES.get(config.audio_format, "application/octet-stream")
    return web.Response(body=audio, content_type=content_type)


def _text(raw: dict[str, Any]) -> str:
    text = Fields(raw).text("text", longest=MAX_TEXT)
    if not text:
        raise Refused(invalid("Missing text."))
    return text


async def _speak_all(text: str, config: SpeechConfig, parts: Parts) -> bytes:
    loop = asyncio.get_running_loop()
    splitter = SentenceSplitter()
    audio, seconds = preamble(config), 0.0
    for sentence in [*splitter.feed(text), splitter.finish()]:
        spoken = await loop.run_in_executor(parts.pool, speak, parts.engines.voice, sentence, config, seconds)
        audio += spoken.audio
        seconds += spoken.seconds
        if seconds > MAX_SECONDS:
            raise Refused(TTS_TOO_LONG)
    return audio


def _refusal(refusal: Refusal) -> web.Response:
    fields = error_fields(refusal, str(uuid.uuid4()))
    body = {
        "status_code": refusal.code,
        "error_type": refusal.kind,
        "message": refusal.text,
        "validation_errors": [],
        "request_id": fields["request_id"],
        "more_info": fields["more_info"],
    }
    return web.json_response(body, status=refusal.code)
