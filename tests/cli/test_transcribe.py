"""`voicebot transcribe` against a real WebSocket server."""

import argparse
import asyncio
import io
import json
import wave

import pytest
import structlog
from rich.console import Console
from websockets.asyncio.server import serve

from voicebot.cli import transcribe
from voicebot.cli.rendering import Tags, Transcript, render
from voicebot.core.events import Endpoint, Heard, Token

END = {"text": "<end>", "is_final": True}
LINES = [
    [{"text": "Hel", "is_final": False}],
    [
        {"text": "Hello", "is_final": True, "speaker": "1", "language": "en", "translation_status": "original"},
        {"text": " Hola", "is_final": True, "speaker": "1", "language": "es", "translation_status": "translation"},
        END,
        {"text": "B", "is_final": False},
    ],
    [{"text": " Bye", "is_final": True, "speaker": "2", "language": "en"}],
]


class Server:
    """Says its lines once the audio has ended."""

    def __init__(self):
        self.config = {}
        self.audio = b""
        self.key = None
        self.frames = [json.dumps({"tokens": line}) for line in LINES] + ['{"tokens":[],"finished":true}']

    async def serve(self, socket):
        self.key = socket.request.headers["Authorization"]
        self.config = json.loads(await socket.recv())
        while (message := await socket.recv()) != "":
            self.audio += message
        for frame in self.frames:
            await socket.send(frame)
        await socket.close()


@pytest.fixture
async def server():
    server = Server()
    async with serve(server.serve, "127.0.0.1", 0) as listening:
        server.url = f"ws://127.0.0.1:{listening.sockets[0].getsockname()[1]}/transcribe-websocket"
        yield server


@pytest.fixture
def clean(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SONIOX_API_KEY", raising=False)
    yield tmp_path
    structlog.reset_defaults()


@pytest.fixture
def speech(clean):
    path = clean / "speech.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8_000)
        file.writeframes(bytes(8_000))
    return path


async def voicebot(*words):
    parser = argparse.ArgumentParser()
    transcribe.add_arguments(parser)
    arguments = parser.parse_args([str(word) for word in words])
    return await asyncio.wait_for(asyncio.to_thread(transcribe.run, arguments), 30)


async def test_transcript_on_a_pipe(server, speech, capsys):
    assert await voicebot(speech, "--url", server.url, "--fast") == 0
    assert capsys.readouterr().out == "Speaker 1:\n[en] Hello\n[Translation] [es] Hola\n\n\nSpeaker 2:\n[en] Bye\n"
    assert server.audio == speech.read_bytes()
    assert server.key == "Bearer local"
    assert server.config == {
        "model": "stt-rt-v5",
        "audio_format": "auto",
        "language_hints_strict": False,
        "enable_language_identification": True,
        "enable_speaker_diarization": True,
        "enable_endpoint_detection": True,
    }


async def test_real_time(server, speech):
    begin = asyncio.get_running_loop().time()
    assert await voicebot(speech, "--url", server.url) == 0
    assert asyncio.get_running_loop().time() - begin > 0.4, "half a second of audio takes its time"


async def test_options_of_the_example_program(server, speech, clean, monkeypatch):
    monkeypatch.setenv("SONIOX_API_KEY", "real")
    context = clean / "context.json"
    context.write_text('{"terms": ["Zyrtec"]}')
    words = ["--audio_format", "pcm_s16le", "--sample_rate", "8000", "--num-channels", "2", "--no-diarize", "--fast"]
    words += ["--translation", "two_way", "--language_a", "de", "--language-b", "fr", "--language_hints", "de,fr"]
    assert await voicebot(speech, *words, "--context", context, "--url", server.url) == 0
    assert server.key == "Bearer real"
    expected = {
        "audio_format": "pcm_s16le",
        "sample_rate": 8000,
        "num_channels": 2,
        "enable_speaker_diarization": False,
        "translation": {"type": "two_way", "language_a": "de", "language_b": "fr"},
        "language_hints": ["de", "fr"],
        "context": {"terms": ["Zyrtec"]},
    }
    assert expected.items() <= server.config.items()


@pytest.mark.parametrize(
    ("frame", "told"),
    [
        pytest.param(
            {"error_code": 402, "error_type": "organization_balance_exhausted", "error_message": "No balance."},
            ["402 organization_balance_exhausted: No balance.", "add funds"],
            id="error-frame",
        ),
        pytest.param(
            {"error_code": 503, "error_message": "Restart."},
            ["503 error_503: Restart.", "What to do: try again."],
            id="container-cut",
        ),
    ],
)
async def test_errors_say_what_to_do(server, speech, capsys, frame, told):
    server.frames = [json.dumps(frame)]
    assert await voicebot(speech, "--url", server.url, "--fast") == 1
    printed = capsys.readouterr().err
    assert [text for text in told if text not in printed] == []


async def test_advice_is_given(server, speech, capsys):
    server.frames = ['{"error_code":401,"error_message":"Incorrect API key provided."}']
    assert await voicebot(speech, "--url", server.url, "--fast") == 1
    assert "What to do: check the API key" in capsys.readouterr().err


async def test_a_server_that_never_gets_further_is_no_success(server, speech, capsys):
    server.frames = server.frames[:2]  # and then it closes
    assert await voicebot(speech, "--url", server.url, "--fast", "--audio_format", "pcm_s16le") == 1
    printed = capsys.readouterr()
    assert "connection_lost" in printed.err
    assert "Hello" in printed.out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        pytest.param(["nowhere.wav"], "nowhere.wav: No such file", id="no-file"),
        pytest.param(["."], "Is a directory", id="folder"),
        pytest.param(["empty.wav"], "the file is empty", id="empty"),
        pytest.param(["speech.wav", "--language_hints", "english"], "language_hints.0", id="hints"),
        pytest.param(
            ["speech.wav", "--translation", "two_way", "--language_a", "es"], "must differ", id="one-language-twice"
        ),
        pytest.param(["speech.wav", "--sample_rate", "-1"], "must be positive", id="rate"),
        pytest.param(["speech.wav", "--context", "nowhere.json"], "nowhere.json: ", id="no-context"),
        pytest.param(["speech.wav", "--context", "speech.wav"], "speech.wav: ", id="context-is-no-json"),
    ],
)
async def test_wrong_usage(speech, capsys, words, told):
    (speech.parent / "empty.wav").touch()
    assert await voicebot(*words, "--url", "ws://127.0.0.1:1") == 2
    assert told in capsys.readouterr().err


async def test_no_key(speech):
    with pytest.raises(transcribe.ConfigurationError, match="SONIOX_API_KEY is not set"):
        await voicebot(speech)


# --- rendering


def test_tags_appear_where_something_changes():
    tokens = [
        Token("Hi", speaker="1", language="en"),
        Token(" there", speaker="1", language="en"),
        Token(" hola", speaker="1", language="es", translation=True),
        Token(" yes", speaker="2", language="en"),
    ]
    text, tags = render(tokens, Tags())
    assert text.plain == "Speaker 1:\n[en] Hi there\n[Translation] [es] hola\n\nSpeaker 2:\n[en] yes"
    assert tags == Tags("2", "en")
    assert render([Token(" more", speaker="2", language="en")], tags)[0].plain == " more"


async def test_terminal_shows_tentative_words_and_keeps_settled_ones():
    terminal = Console(file=io.StringIO(), force_terminal=True, width=80)
    with Transcript(terminal) as transcript:
        await transcript.show(Heard((Token("One"),), (Token(" tentative"),)))
        await transcript.show(Heard((Token(" two."),)))
        await transcript.show(Endpoint())
        await transcript.show(Heard((Token(" Three"),)))
    written = terminal.file.getvalue()
    assert "tentative" in written
    assert "One two.\n" in written
    assert written.count("One two.") >= 1 and "\nThree\n" in written.replace("\x1b[2K", "").replace("\r", "\n")
