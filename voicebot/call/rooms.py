"""What a call needs of the rest of the service."""

from dataclasses import dataclass

from voicebot.clips import Clips
from voicebot.config import Settings
from voicebot.core.batching import Batching
from voicebot.courier import Courier
from voicebot.live import Live
from voicebot.metrics import Metrics
from voicebot.pressure import Pressure
from voicebot.recorder import Recorder
from voicebot.soniox_accounts import Accounts
from voicebot.store import Store
from voicebot.tracing import Tracing
from voicebot.tts import Voices
from voicebot.wire.twiml import Doors


@dataclass(frozen=True, slots=True)
class Rooms:
    """The rooms that all calls share; built once by the composition root."""

    settings: Settings
    doors: Doors
    accounts: Accounts
    voices: Voices
    clips: Clips
    courier: Courier
    store: Store
    live: Live
    metrics: Metrics
    pressure: Pressure
    batching: Batching
    recorder: Recorder
    tracing: Tracing
