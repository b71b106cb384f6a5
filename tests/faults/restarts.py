"""A service that is a process, killed and started again on the same port and the same store, under phones that stay."""

import asyncio
import json
import os
import socket
import sys

from voicebot.local.phone.options import DEFAULT_ACCOUNT_SID, DEFAULT_AUTH_TOKEN

DEADLINE_S = 90
# The next service has loaded its modules before the one before it dies: on a busy machine that alone takes longer than a
# carrier waits. It does nothing else before it is told to.
NEXT = """
import sys
from voicebot.__main__ import main
from voicebot import app
from voicebot.cli import serve
from voicebot.store import migrations
import alembic.command, uvloop
print("ready", flush=True)
if sys.stdin.readline():
    sys.exit(main())
"""
SECRET = "whsec_QUJDREVGR0hJSktMTU5PUFFSU1RVVldY"


class Restarts:
    """`start`, then `kill` or `stop`, then `start` again; `h` is a house without a service, which the phones call."""

    def __init__(self, h, folder, **changes):
        self.h, self.folder = h, folder
        settings = h.settings
        clean = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("VOICEBOT_", "SONIOX_", "TWILIO_"))
        }
        self.environment = clean | {
            "VOICEBOT_PUBLIC_URL": settings.public_url,
            "VOICEBOT_LOG__FORMAT": "json",
            "TWILIO_AUTH_TOKEN": DEFAULT_AUTH_TOKEN,
            "TWILIO_ACCOUNT_SID": DEFAULT_ACCOUNT_SID,
            "SONIOX_API_KEY": settings.soniox.api_key.get_secret_value(),
            "VOICEBOT_SONIOX__STT_URL": settings.soniox.stt_url,
            "VOICEBOT_SONIOX__TTS_URL": settings.soniox.tts_url,
            "VOICEBOT_WEBHOOK__URL": settings.webhook.url,
            "VOICEBOT_WEBHOOK__SECRETS": SECRET,
            "VOICEBOT_WEBHOOK__SCHEDULE_S": "[0.2, 1, 1, 1, 1, 5, 5]",
            "VOICEBOT_STORE__URL": f"sqlite:///{folder}/served.db",
            **changes,
        }
        with socket.create_server(("127.0.0.1", 0)) as free:
            h.port = free.getsockname()[1]
        self.process, self.log, self._reading, self._next = None, [], None, None

    async def __aenter__(self):
        self._next = await self._load()
        await self.start()
        return self

    async def __aexit__(self, *_):
        if self._next is not self.process:
            self._next.stdin.close()
            await self._next.wait()
        if self.process.returncode is None:
            await self.kill()

    async def _load(self):
        loading = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", NEXT, "serve", "--host", "127.0.0.1", "--port", str(self.h.port)),
            env=self.environment,
            cwd=self.folder,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(DEADLINE_S):
            assert await loading.stdout.readline() == b"ready\n", await loading.stderr.read()
        return loading

    async def start(self):
        """Return once it listens, with the next one ready to follow."""
        self.process, listening = self._next, asyncio.Event()
        self.process.stdin.write(b"go\n")
        self._reading = asyncio.create_task(self._read(self.process, listening))
        async with asyncio.timeout(DEADLINE_S):
            await listening.wait()

    async def ready(self):
        """Load the service that is to follow this one."""
        self._next = await self._load()

    async def _read(self, process, listening):
        async for line in process.stderr:
            self.log.append(json.loads(line))
            if self.log[-1]["event"] == "service.listening":
                listening.set()

    async def restart(self, *, gently=False):
        """End it and start the next one."""
        await self.ready()
        await (self.stop() if gently else self.kill())
        await self.start()

    async def kill(self):
        self.process.kill()
        await self._gone()

    async def stop(self):
        self.process.terminate()
        await self._gone()

    async def _gone(self):
        async with asyncio.timeout(DEADLINE_S):
            await self.process.wait()
            await self._reading

    def troubles(self):
        """What it complains of, but that the carrier tells that its streams broke."""
        bad = (entry for entry in self.log if entry["level"] in {"error", "critical"})
        return [entry for entry in bad if entry["event"] != "door.stream_error"]
