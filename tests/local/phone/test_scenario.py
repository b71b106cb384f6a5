from pathlib import Path

import pytest
import soundfile

from voicebot.local.phone import scenario
from voicebot.local.phone.scenario import ScenarioError


def write(folder: Path, text: str) -> Path:
    path = folder / "visit.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_reads_every_kind_of_step(tmp_path):
    soundfile.write(tmp_path / "hello.wav", [0.0] * 80, 8000)
    path = write(
        tmp_path,
        """
name: a visit
steps:
  - wait_for: speech
    timeout: 5
  - say: good morning
    barge_in: true
    after_ms: 300
  - play: hello.wav
  - wait: 1.5
  - wait_for: silence
    for_s: 3
    optional: true
  - dtmf: 12#
  - expect: {heard_ms: 500, verb: Dial}
    within: 2
  - hangup
expect: {ended_by: caller}
""",
    )
    loaded = scenario.load(path)
    assert loaded.name == "a visit"
    assert loaded.expect == scenario.Expectation(ended_by="caller")
    assert loaded.steps == (
        scenario.WaitFor(wait_for="speech", timeout=5),
        scenario.Say(say="good morning", barge_in=True, after_ms=300),
        scenario.Play(play=tmp_path / "hello.wav"),
        scenario.Wait(wait=1.5),
        scenario.WaitFor(wait_for="silence", for_s=3, optional=True),
        scenario.Dtmf(dtmf="12#"),
        scenario.Expect(expect=scenario.Expectation(heard_ms=500, verb="Dial"), within=2),
        scenario.HangUp(),
    )
    assert [scenario.label(step) for step in loaded.steps] == [
        "wait_for speech",
        "say 'good morning'",
        "play hello.wav",
        "wait 1.5 s",
        "wait_for silence",
        "dtmf 12#",
        "expect heard_ms, verb",
        "hangup",
    ]


def test_a_bare_list_is_a_scenario(tmp_path):
    assert scenario.load(write(tmp_path, "- wait: 1\n- hangup:\n")).steps == (
        scenario.Wait(wait=1),
        scenario.HangUp(hangup=None),
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("- sya: hello", r"visit\.yaml: step 1: found `sya`; a step has exactly one of `say`", id="verb"),
        pytest.param(
            "- wait: 1\n- say: a\n  loud: 1", r"step 2 \(say\): unknown key `loud`; known keys: .*`say`", id="key"
        ),
        pytest.param("- say: a\n  wait: 1", "exactly one of", id="two-verbs"),
        pytest.param("- wait: long", "step 1: `wait`: Input should be a valid number", id="type"),
        pytest.param("- wait: -1", "step 1: `wait`", id="negative"),
        pytest.param("- wait_for: godot", "step 1: `wait_for`: Input should be", id="what"),
        pytest.param("- dtmf: x", "step 1: `dtmf`", id="keys"),
        pytest.param("- expect: {heared_ms: 1}", "`expect.heared_ms`: .*known keys: `heard_ms`", id="expectation"),
        pytest.param("- play: missing.wav", "step 1: `play`: there is no file .*missing.wav", id="no-file"),
        pytest.param("steps: 5", "`steps` must be a list", id="steps"),
        pytest.param("stesp: []", "top level: unknown key `stesp`", id="top"),
        pytest.param("- 5", "step 1: expected a mapping", id="scalar"),
        pytest.param("a: [", "not YAML", id="yaml"),
        pytest.param("", "found nothing", id="empty"),
        pytest.param("expect: {verb: 5}\nsteps: []", r"visit\.yaml: expect: `verb`", id="final"),
    ],
)
def test_unclear(tmp_path, text, words):
    with pytest.raises(ScenarioError, match=words):
        scenario.load(write(tmp_path, text))


def test_missing_file(tmp_path):
    with pytest.raises(ScenarioError, match="there is no such file"):
        scenario.load(tmp_path / "none.yaml")


def test_a_file_too_large_is_not_read(tmp_path):
    with pytest.raises(ScenarioError, match="larger than"):
        scenario.load(write(tmp_path, "#" * (scenario.MAX_SCENARIO_BYTES + 1)))
