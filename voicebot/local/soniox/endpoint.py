"""How long a silence ends an utterance, computed from the client's three endpoint settings."""

from dataclasses import dataclass

BASE_MS = 800
"""Silence for an endpoint with all settings at their defaults; on the real service 0.6 to 0.9 s were observed."""
SENSITIVITY_WEIGHT = 0.4
LEVEL_FACTOR = 0.8
DEFAULT_MAX_DELAY_MS = 2000
MIN_DELAY_MS, MAX_DELAY_MS = 500, 3000
MAX_LEVEL = 3


@dataclass(frozen=True, slots=True)
class EndpointSettings:
    """The endpoint fields of a start request, with the service's defaults (Soniox, "Endpoint detection")."""

    max_delay_ms: int = DEFAULT_MAX_DELAY_MS
    sensitivity: float = 0.0
    latency_level: int = 0


def endpoint_silence_ms(settings: EndpointSettings) -> int:
    """
    Silence in ms after which `<end>` is sent: `800 * (1 - 0.4 * sensitivity) * 0.8 ** level`, at most `max_delay_ms`.

    The real service decides from the words as well; here only silence counts. Extremes: 1120 ms (sensitivity -1)
    and 246 ms (sensitivity 1, level 3). A larger `max_endpoint_delay_ms` never makes it wait longer: it is a cap.
    """
    patience = BASE_MS * (1 - SENSITIVITY_WEIGHT * settings.sensitivity) * LEVEL_FACTOR**settings.latency_level
    return min(round(patience), settings.max_delay_ms)
