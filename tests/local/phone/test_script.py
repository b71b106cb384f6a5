"""Scenarios against a real bot: what passes, what fails, and that the failure says what and where."""

import pytest

from voicebot.local.phone import scenario
from voicebot.local.phone.caller import CallOptions, ExitCode, call
from voicebot.local.phone.events import Checked
from voicebot.local.phone.scenario import Dtmf, Expect, Expectation, HangUp, Play, Say, Wait, WaitFor


@pytest.fixture
def greeter(service):
    """A bot that greets for 0.6 s, answers every long enough utterance for 0.8 s, and stops when interrupted."""
    service.pages["/voice"] = service.connect(after="<Hangup/>")

    async def behaviour(socket) -> None:
        await socket.event("media", 5)
        await socket.play(service.tone(600))
        await socket.mark("greeting")
        loud = await utterance(socket, 0)
        await socket.clear()
        while True:
            await socket.play(service.tone(800))
            await socket.mark("answer")
            loud = await utterance(socket, loud)
            await socket.clear()

    service.behaviour = behaviour
    return service


async def utterance(socket, since: int) -> int:
    """Wait for ten more frames of sound."""

    def loud() -> int:
        return sum(
            "/38" not in m["media"]["payload"] and "39/" not in m["media"]["payload"] for m in socket.events("media")
        )

    await socket.until(lambda: loud() >= since + 10)
    return loud()


def play(service, length_ms: int = 300, **changes) -> Play:
    return Play(play=service.wav(service.tone(length_ms, hertz=600)), **changes)


async def test_a_conversation_passes(greeter):
    seen = []
    steps = (
        WaitFor(wait_for="speech"),
        WaitFor(wait_for="mark", name="greeting"),
        WaitFor(wait_for="quiet"),
        Expect(expect=Expectation(first_audio_within_ms=3000, heard_ms=550)),
        play(greeter),
        WaitFor(wait_for="speech"),
        WaitFor(wait_for="quiet"),
        Expect(expect=Expectation(heard_ms=700, first_audio_within_ms=3000, marks_echoed=2, clears=1)),
        HangUp(),
    )
    report = await call(greeter.options(steps=steps, expect=Expectation(ended_by="caller")), observe=seen.append)
    assert report.failures == []
    assert report.outcome == "pass"
    assert [check.passed for check in seen if isinstance(check, Checked)] == [True, True, True]
    assert [(turn.label, turn.reply_ms is None) for turn in report.turns] == [("play audio", False)]
    assert [entry["event"] for entry in report.timeline][:2] == ["Dialled", "Requested"]


async def test_barging_in_stops_the_bot(greeter):
    steps = (
        play(greeter, barge_in=True, after_ms=100),
        WaitFor(wait_for="quiet"),
        Expect(expect=Expectation(stopped_within_ms=2000, clears=1)),
    )
    report = await call(greeter.options(steps=steps))
    assert report.failures == []
    assert any(mark.cleared for mark in report.marks) or report.clears


async def test_a_polite_caller_waits_until_the_bot_is_quiet(greeter):
    seen = []
    await call(greeter.options(steps=(WaitFor(wait_for="speech"), play(greeter))), observe=seen.append)
    names = [type(event).__name__ for event in seen]
    assert names.index("BotSpeaks") < names.index("BotQuiet") < names.index("CallerSpeaks")


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        pytest.param(
            (WaitFor(wait_for="quiet"), Expect(expect=Expectation(heard_ms=60_000), within=0.1)),
            "step 2: heard_ms: expected at least 60000 ms of sound",
            id="expect",
        ),
        pytest.param(
            (WaitFor(wait_for="mark", name="never", timeout=0.3),),
            "step 1: wait_for mark: expected mark within 0.3 s, found it did not happen",
            id="wait-for",
        ),
        pytest.param(
            (WaitFor(wait_for="hangup", timeout=0.3),),
            "step 1: wait_for hangup: expected hangup within 0.3 s",
            id="hangup",
        ),
        pytest.param((Say(say="hi"),), "step 1: say 'hi': expected a voice for `say`, found none", id="no-voice"),
    ],
)
async def test_a_failure_says_what_and_where(greeter, steps, message):
    report = await call(greeter.options(steps=steps))
    assert report.exit_code is ExitCode.EXPECTATION_FAILED
    assert report.failures[0].message.startswith(message)
    assert len(report.failures) == 1


async def test_a_failed_expectation_lets_the_scenario_go_on(greeter):
    steps = (Expect(expect=Expectation(verb="Dial", dialed="+1")), Wait(wait=0.1), Dtmf(dtmf="7"), Wait(wait=0.1))
    report = await call(greeter.options(steps=steps))
    assert [failure.what for failure in report.failures] == ["verb", "dialed"]
    assert report.streams[0].digits == "7"


@pytest.mark.parametrize(
    ("step", "failures"),
    [
        pytest.param(Play(play=b"RIFF", optional=True), 0, id="optional-utterance"),
        pytest.param(Dtmf(dtmf="1"), 1, id="keys"),
        pytest.param(WaitFor(wait_for="speech"), 1, id="speech"),
        pytest.param(WaitFor(wait_for="hangup"), 0, id="hangup"),
        pytest.param(HangUp(), 0, id="hang-up"),
        pytest.param(Expect(expect=Expectation(ended_by="service", said="bye")), 0, id="expect"),
        pytest.param(Expect(expect=Expectation(ended_by="caller"), within=30), 1, id="expect-without-waiting"),
    ],
)
async def test_after_the_end_of_the_call(service, step, failures):
    service.pages["/voice"] = "<Response><Say>bye</Say></Response>"
    report = await call(service.options(steps=(WaitFor(wait_for="hangup"), step)))
    assert len(report.failures) == failures
    assert report.ended == "service"


async def test_a_final_expectation_fails_the_call(service):
    service.pages["/voice"] = "<Response><Say>hello</Say></Response>"
    report = await call(service.options(expect=Expectation(said="goodbye")))
    assert report.failures[0].message == "after the call: said: expected 'goodbye', found 'hello'"
    assert report.exit_code == 1


async def test_an_expected_error_is_no_violation(service):
    service.pages["/voice"] = "<Response><Say>"
    assert (await call(service.options(expect=Expectation(error=12100, ended_by="error")))).exit_code == 0
    assert (await call(service.options(expect=Expectation(error=11200)))).exit_code == 3


async def test_silence_needs_both_to_be_silent(greeter):
    steps = (
        WaitFor(wait_for="speech"),
        WaitFor(wait_for="silence", for_s=1.0),
        Expect(expect=Expectation(heard_ms=550)),
    )
    report = await call(greeter.options(steps=steps))
    assert report.failures == []
    last_sound = report.answered_ms + report.first_audio_ms + report.heard_ms
    assert report.duration_ms - last_sound > 900


async def test_a_voice_speaks_the_callers_words(greeter):
    said = []

    async def voice(text: str) -> bytes:
        said.append(text)
        return greeter.tone(300)

    steps = (
        WaitFor(wait_for="speech"),
        Say(say="good morning"),
        WaitFor(wait_for="speech"),
        Expect(expect=Expectation(clears=1)),
    )
    report = await call(greeter.options(steps=steps, voice=voice))
    assert said == ["good morning"]
    assert report.failures == []


async def test_a_yaml_scenario_runs(greeter, tmp_path):
    (tmp_path / "hello.wav").write_bytes(greeter.wav(greeter.tone(300)))
    path = tmp_path / "visit.yaml"
    path.write_text(
        "steps:\n- wait_for: speech\n- play: hello.wav\n- wait_for: speech\n- expect: {heard_ms: 99999}\n- hangup\n",
        encoding="utf-8",
    )
    loaded = scenario.load(path)
    report = await call(greeter.options(steps=loaded.steps))
    assert [failure.step for failure in report.failures] == [4]


def test_options_are_a_value(service):
    options = service.options()
    assert isinstance(options, CallOptions)
    with pytest.raises(AttributeError):
        options.to = "+1"
