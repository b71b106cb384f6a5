import itertools

import pytest

from voicebot.local.soniox.endpoint import EndpointSettings, endpoint_silence_ms

SENSITIVITIES = [-1.0, -0.5, 0.0, 0.3, 1.0]
LEVELS = [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("settings", "ms"),
    [
        pytest.param(EndpointSettings(), 800, id="defaults"),
        pytest.param(EndpointSettings(1500, 0.3, 2), 451, id="responsive voice"),
        pytest.param(EndpointSettings(2000, -1.0, 0), 1120, id="most patient"),
        pytest.param(EndpointSettings(2000, 1.0, 3), 246, id="least patient"),
        pytest.param(EndpointSettings(500, -1.0, 0), 500, id="capped"),
        pytest.param(EndpointSettings(3000, 0.0, 0), 800, id="a cap never lengthens"),
    ],
)
def test_silence_for_an_endpoint(settings, ms):
    assert endpoint_silence_ms(settings) == ms


def test_higher_settings_are_always_quicker():
    for level in LEVELS:
        waits = [endpoint_silence_ms(EndpointSettings(3000, value, level)) for value in SENSITIVITIES]
        assert all(later < earlier for earlier, later in itertools.pairwise(waits))
    for value in SENSITIVITIES:
        waits = [endpoint_silence_ms(EndpointSettings(3000, value, level)) for level in LEVELS]
        assert all(later < earlier for earlier, later in itertools.pairwise(waits))
