"""What a leg sends to the carrier."""

import base64
import json

from voicebot.call.leg import MESSAGE_BYTES, Leg
from voicebot.config import Settings
from voicebot.core.batching import Batching
from voicebot.core.events import StreamStarted
from voicebot.soniox_accounts import Accounts


class Ear:
    """The carrier's side of a stream."""

    def __init__(self):
        self.told = []

    async def send(self, message):
        self.told.append(json.loads(message))


async def _nobody(_event):
    """Nobody is there."""


async def test_long_audio_goes_out_in_several_messages():
    settings = Settings()
    accounts, batching = Accounts(settings.soniox), Batching(settings.soniox.batch_ms)
    leg, ear = Leg(1, "token", settings, accounts, batching, settings.default, _nobody), Ear()
    started = StreamStarted(
        stream_id="MZ1",
        call_id="CA1",
        account_id="AC1",
        tracks=("caller",),
        encoding="audio/x-mulaw",
        sample_rate=8_000,
        channels=1,
        parameters={},
    )
    leg.attach(started, ear)
    audio = bytes(range(256)) * (MESSAGE_BYTES // 100)
    await leg.speak(audio, 100.0)
    await leg.speak(b"", 200.0)
    payloads = [base64.b64decode(message["media"]["payload"]) for message in ear.told]
    assert b"".join(payloads) == audio
    assert [len(payload) for payload in payloads] == [MESSAGE_BYTES, MESSAGE_BYTES, len(audio) - 2 * MESSAGE_BYTES]
    assert {(message["event"], message["streamSid"]) for message in ear.told} == {("media", "MZ1")}
