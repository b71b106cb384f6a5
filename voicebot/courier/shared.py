"""What the lanes of all calls and the background share."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from voicebot.config import WebhookSettings
from voicebot.courier.endpoints import Endpoints
from voicebot.courier.poster import Clock
from voicebot.courier.ways import Ways
from voicebot.metrics import Metrics
from voicebot.store import Store
from voicebot.tracing import Tracing


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """Built once by the courier; `kept` is called whenever an event has been committed."""

    settings: WebhookSettings
    store: Store
    ways: Ways
    endpoints: Endpoints
    now: Clock
    chance: Random
    kept: Callable[[], None]
    metrics: Metrics
    tracing: Tracing
