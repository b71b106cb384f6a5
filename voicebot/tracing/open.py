"""Opens the tracing that the settings ask for."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module

from voicebot.config import TracingSettings
from voicebot.errors import ConfigurationError
from voicebot.tracing.spans import Tracing

MISSING = "VOICEBOT_TRACING__ENABLED: wants the extra `otel` (pip install 'voicebot[otel]')"


@asynccontextmanager
async def open_tracing(settings: TracingSettings) -> AsyncIterator[Tracing]:
    """Open the SDK where it is switched on, and hand it what is left at the end; else use the one that is there.

    Another's SDK is there where the service is started by `opentelemetry-instrument`. Raises ConfigurationError without
    the extra `otel`.
    """
    if not settings.enabled:
        yield Tracing()
        return
    try:
        sdk = import_module("voicebot.tracing.sdk")
    except ModuleNotFoundError as error:
        raise ConfigurationError(MISSING) from error
    provider, ids = sdk.open_provider()
    try:
        yield Tracing(provider, ids)
    finally:
        await asyncio.to_thread(provider.shutdown)  # waits for its last batch
