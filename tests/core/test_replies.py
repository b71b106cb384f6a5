"""Which replies are still wanted."""

import pytest

from voicebot.core.replies import unwanted


@pytest.mark.parametrize(
    ("sequence", "asked", "ended", "why"),
    [
        pytest.param(3, 3, False, None, id="the newest question"),
        pytest.param(2, 3, False, "superseded", id="the caller has said more since"),
        pytest.param(3, 3, True, "call_ended", id="nobody is there to hear it"),
        pytest.param(2, 3, True, "call_ended", id="the end of the call says more"),
        pytest.param(4, 3, False, None, id="events that want no reply do not count"),
    ],
)
def test_unwanted(sequence, asked, ended, why):
    assert unwanted(sequence, asked, ended=ended) == why
