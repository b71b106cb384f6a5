"""What an answer means where an event should be taken, and where it should be refused."""

import pytest

from voicebot.local.probe.target import Answer
from voicebot.local.probe.verdicts import meaning, refused, taken
from voicebot.wire.webhook import Reply


def answer(status, body=b"", content_type="application/json"):
    return Answer(status=status, headers={"Content-Type": content_type}, pieces=((1, body),))


BROKEN = Answer(error="ServerDisconnectedError: Server disconnected")


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_taken(status):
    assert taken([("a", answer(status))]).verdict == "pass"


@pytest.mark.parametrize("status", [199, 301, 400, 404, 410, 429, 500, None])
def test_not_taken(status):
    finding = taken([("a", answer(200)), ("b", BROKEN if status is None else answer(status))])
    assert finding.verdict == "fail"
    assert finding.found.endswith("to b")


def test_equal_faults_are_told_together():
    answers = [(name, answer(500)) for name in "abcde"] + [("f", answer(404)), ("g", answer(200))]
    assert taken(answers).found == "status 500 to a, b, c and 2 more; status 404 to f"


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        *((status, "pass") for status in (400, 401, 403)),
        *((status, "warn") for status in (404, 405, 413, 422)),
        *((status, "fail") for status in (200, 204, 302, 408, 409, 410, 425, 429, 500, 503, None)),
    ],
)
def test_refused(status, verdict):
    finding = refused([("a", answer(401)), ("b", BROKEN if status is None else answer(status))])
    assert finding.verdict == verdict
    assert bool(finding.advice) == (verdict != "pass")


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        pytest.param(answer(200, b"{}"), answer(204), True, id="nothing-is-nothing"),
        pytest.param(answer(200, b'{"actions": []}'), answer(200, b'{"actions":[]}'), True, id="spaces"),
        pytest.param(
            answer(200, b'{"actions":[{"type":"say","text":"Yes"}]}'),
            answer(200, b"Yes", "text/plain"),
            True,
            id="the-same-in-another-format",
        ),
        pytest.param(answer(200, b'{"state": null}'), answer(200, b"{}"), False, id="state-set-and-left-out"),
        pytest.param(answer(200, b"Yes", "text/plain"), answer(200, b"No", "text/plain"), False, id="another-word"),
        pytest.param(answer(200, b"Yes", "text/html"), answer(200, b"Yes", "text/html"), True, id="refused-but-equal"),
        pytest.param(answer(200, b"Yes", "text/html"), answer(200, b"No", "text/html"), False, id="refused-and-other"),
    ],
)
def test_the_same_answer(first, second, same):
    assert (meaning(first) == meaning(second)) is same


def test_nothing_is_an_empty_reply():
    assert meaning(answer(204)) == Reply()
