"""The systems that are measured: how each is started, and where its doors are."""

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

HERE = Path(__file__).resolve().parent
AUTH_TOKEN = "0123456789abcdef0123456789abcdef"  # noqa: S105 - of nobody's account
WATCH_TOKEN = "bench-watcher-0123456789"  # noqa: S105 - of nobody
WEBHOOK_SECRET = "whsec_" + "QUFB" * 10
SPARE_CALLS = 10
AUTHORITY, CERTIFICATE = "authority.pem", "soniox.pem"
"""Files in the folder of a run with TLS."""

type Name = Literal["voicebot", "base", "reference"]
"""`base` is the service of another commit."""
NAMES: tuple[Name, ...] = ("voicebot", "base", "reference")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a system runs and what it talks to."""

    port: int
    counterparts: int
    """The port of Soniox's stub and of the webhook endpoint."""
    secure: int | None = None
    """The port on which Soniox's stub speaks TLS, if it does; `folder` then holds the certificate of its authority."""
    calls: int
    folder: Path
    """For its database."""
    settings: Mapping[str, str] = field(default_factory=dict[str, str])
    """Further settings of the service, by their environment variables."""

    @property
    def origin(self) -> str:
        """The system's public URL."""
        return f"http://127.0.0.1:{self.port}"

    def stub(self, scheme: str, path: str) -> str:
        """Return a URL of the counterparts."""
        return f"{scheme}://127.0.0.1:{self.counterparts}/{path}"

    def soniox(self, path: str) -> str:
        """Return a URL of Soniox's stub."""
        return self.stub("ws", path) if self.secure is None else f"wss://127.0.0.1:{self.secure}/{path}"


@dataclass(frozen=True, slots=True)
class Command:
    """A command line and its environment."""

    words: tuple[str, ...]
    environment: Mapping[str, str]


def command(name: Name, place: Place, base: Path | None = None) -> Command:
    """Return how to start a system; `base` is the Python in whose environment the other commit is installed."""
    inherited = {key: os.environ[key] for key in ("PATH", "HOME", "LANG", "PYTHONPATH") if key in os.environ}
    if place.secure is not None:
        inherited["SSL_CERT_FILE"] = str(place.folder / AUTHORITY)
    if name == "reference":
        words = (
            *(sys.executable, str(HERE / "reference_bridge.py")),
            *("--port", str(place.port)),
            *("--soniox-url", place.soniox("transcribe-websocket")),
            *("--webhook-url", place.stub("http", "hook")),
        )
        return Command(words, inherited)
    settings = {
        "VOICEBOT_HOST": "127.0.0.1",
        "VOICEBOT_PORT": str(place.port),
        "VOICEBOT_PUBLIC_URL": place.origin,
        "TWILIO_AUTH_TOKEN": AUTH_TOKEN,
        "SONIOX_API_KEY": "bench",
        "VOICEBOT_SONIOX__STT_URL": place.soniox("transcribe-websocket"),
        "VOICEBOT_SONIOX__TTS_URL": place.soniox("tts-websocket"),
        "VOICEBOT_WEBHOOK__URL": place.stub("http", "hook"),
        "VOICEBOT_WEBHOOK__SECRETS": f'["{WEBHOOK_SECRET}"]',
        "VOICEBOT_STORE__URL": f"sqlite:///{place.folder / 'bench.db'}",
        "VOICEBOT_API__TOKENS": json.dumps([{"name": "bench", "token": WATCH_TOKEN}]),
        "VOICEBOT_LIMITS__MAX_CALLS": str(place.calls + SPARE_CALLS),
        # What is asked for is measured, and not refused.
        "VOICEBOT_LIMITS__CALLS_PER_SECOND": "0",
        "VOICEBOT_LIMITS__MAX_LAG_MS": "0",
        "VOICEBOT_LOG__FORMAT": "json",
        **place.settings,
    }
    python = sys.executable
    if name == "base" and base:
        python = str(base)
        known = (base.parents[2] / "docs" / "settings.md").read_text(encoding="utf-8")
        settings = {
            each: value for each, value in settings.items() if not each.startswith("VOICEBOT_") or each in known
        }
    return Command((python, "-m", "voicebot", "serve"), {**inherited, **settings})
