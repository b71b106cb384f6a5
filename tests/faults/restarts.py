"""A service that is a process, killed and started again on the same port and the same store, under phones that stay."""

import signal

from lives import free_port, lives

from voicebot.local.phone.options import DEFAULT_ACCOUNT_SID, DEFAULT_AUTH_TOKEN

DEADLINE_S = 90
SECRET = "whsec_QUJDREVGR0hJSktMTU5PUFFSU1RVVldY"


class Restarts:
    """`start`, then `kill` or `stop`, then `start` again; `h` is a house without a service, which the phones call."""

    def __init__(self, h, folder, **changes):
        settings = h.settings
        environment = {
            "VOICEBOT_PUBLIC_URL": settings.public_url,
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
        h.port = free_port()
        self._loading = lives(environment, h.port, folder)

    async def __aenter__(self):
        self._lives = await self._loading.__aenter__()
        await self.start()
        return self

    async def __aexit__(self, *error):
        await self._loading.__aexit__(*error)

    async def start(self):
        """Return once it listens."""
        await self._lives.begin()

    async def restart(self, *, gently=False):
        """End it and start the next one."""
        await (self.stop() if gently else self.kill())
        await self.start()

    async def kill(self):
        assert await self._lives.kill() == -signal.SIGKILL

    async def stop(self):
        """Let it end in order."""
        self._lives.send(signal.SIGTERM)
        assert await self._lives.ended() == 0

    @property
    def log(self):
        return self._lives.log

    def troubles(self):
        """What it complains of, but that the carrier tells that its streams broke."""
        bad = (entry for entry in self.log if entry["level"] in {"error", "critical"})
        return [entry for entry in bad if entry["event"] != "door.stream_error"]
