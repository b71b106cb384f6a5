"""The turn policy: what a `listen` changes, and how long silence must last."""

from dataclasses import FrozenInstanceError, fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicebot.core.actions import BargeInPolicy, EndpointPolicy, Expect, Listen
from voicebot.core.entries import Entry
from voicebot.core.policy import ANSWERED_MS, PATIENT_MS, TurnPolicy, awaits_more

OTHER = TurnPolicy(
    finalize_after_ms=450,
    commit_after_ms=900,
    endpoint_after_ms=700,
    max_turn_ms=20_000,
    no_input_ms=0,
    provisional=True,
    barge_in=BargeInPolicy(enabled=False, min_ms=0, min_words=3, backchannels=(), resume=False, resume_after_ms=0),
    expect=Expect(kind="digits", digits=4, finish_key="", between_digits_ms=0),
)
KNOBS = [each.name for each in fields(TurnPolicy)]


# --- listen ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("knob", KNOBS)
def test_listen_has_every_knob_and_changes_that_one(knob):
    value = getattr(OTHER, knob)
    assert value != getattr(TurnPolicy(), knob), "the example must differ from the default"
    assert TurnPolicy().changed_by(Listen(**{knob: value})) == replace(TurnPolicy(), **{knob: value})


@pytest.mark.parametrize("knob", KNOBS)
def test_what_is_not_named_stays(knob):
    """Zero, false and empty are values; only None is not."""
    default = getattr(TurnPolicy(), knob)
    assert OTHER.changed_by(Listen(**{knob: default})) == replace(OTHER, **{knob: default})


def test_an_empty_listen_changes_nothing():
    assert OTHER.changed_by(Listen()) == OTHER


def test_the_endpoint_is_not_ours():
    """It is the recogniser's: the policy of the machine is the same."""
    assert OTHER.changed_by(Listen(endpoint=EndpointPolicy(max_endpoint_delay_ms=2_000))) == OTHER


def test_barge_in_and_expect_are_taken_whole():
    changed = OTHER.changed_by(Listen(barge_in=BargeInPolicy(min_words=2), expect=Expect(kind="yes_no")))
    assert changed.barge_in == BargeInPolicy(enabled=True, min_words=2)
    assert changed.expect == Expect(kind="yes_no", digits=None)


def test_a_policy_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        TurnPolicy().provisional = True


# --- patience --------------------------------------------------------------------------------------

DEFAULT = TurnPolicy()
HASTY = TurnPolicy(finalize_after_ms=200, commit_after_ms=250)
PATIENT = TurnPolicy(finalize_after_ms=2_000, commit_after_ms=5_000)


def entry(kind, value, *, complete=False):
    return Entry(kind, value, complete=complete)


@pytest.mark.parametrize(
    ("policy", "read", "ms"),
    [
        pytest.param(DEFAULT, None, 1_600, id="nothing is expected"),
        pytest.param(DEFAULT, entry("yes_no", ""), 1_600, id="neither yes nor no"),
        pytest.param(DEFAULT, entry("yes_no", "yes", complete=True), ANSWERED_MS, id="a clear yes"),
        pytest.param(HASTY, entry("yes_no", "no", complete=True), 250, id="a yes never takes longer than the rest"),
        pytest.param(PATIENT, entry("yes_no", "no", complete=True), ANSWERED_MS, id="a clear no, patient"),
        pytest.param(DEFAULT, entry("digits", ""), 1_600, id="no digit yet"),
        pytest.param(DEFAULT, entry("digits", "41"), PATIENT_MS, id="between two groups of digits"),
        pytest.param(PATIENT, entry("digits", "41"), 5_000, id="a longer patience holds"),
        pytest.param(HASTY, entry("digits", "41"), PATIENT_MS, id="a shorter one does not"),
        pytest.param(DEFAULT, entry("digits", "4152", complete=True), 300, id="all digits: as soon as settled"),
        pytest.param(PATIENT, entry("digits", "4152", complete=True), 2_000, id="all digits, patient"),
        pytest.param(
            TurnPolicy(finalize_after_ms=1_000, commit_after_ms=400),
            entry("digits", "4152", complete=True),
            400,
            id="all digits, silence shorter than finalize",
        ),
        pytest.param(DEFAULT, entry("spelling", "sm"), PATIENT_MS, id="between two letters"),
        pytest.param(DEFAULT, entry("spelling", "smith", complete=True), 300, id="all letters"),
        pytest.param(DEFAULT, entry("email", ""), 1_600, id="no address yet"),
        pytest.param(DEFAULT, entry("email", "john@"), PATIENT_MS, id="in the middle of an address"),
        pytest.param(DEFAULT, entry("email", "john@example.co", complete=True), 1_600, id="more may follow"),
        pytest.param(HASTY, entry("email", "john@example.co", complete=True), 250, id="an address, hasty"),
    ],
)
def test_how_long_silence_must_last(policy, read, ms):
    assert policy.commit_ms(read) == ms


@pytest.mark.parametrize(
    ("read", "more"),
    [
        pytest.param(None, False, id="nothing is expected"),
        pytest.param(entry("digits", ""), False, id="something else was said"),
        pytest.param(entry("digits", "41"), True, id="begun"),
        pytest.param(entry("digits", "4152", complete=True), False, id="whole"),
        pytest.param(entry("email", "john@"), True, id="part of an address"),
    ],
)
def test_what_awaits_more(read, more):
    assert awaits_more(read) is more


@given(
    policy=st.builds(TurnPolicy, finalize_after_ms=st.integers(200, 10_000), commit_after_ms=st.integers(200, 30_000)),
    kind=st.sampled_from(["yes_no", "digits", "spelling", "email"]),
    value=st.sampled_from(["", "1"]),
    complete=st.booleans(),
)
def test_more_of_an_entry_never_takes_longer(policy, kind, value, complete):
    """A whole entry is never waited for longer than usual, a begun one never shorter, another answer as usual."""
    ms = policy.commit_ms(entry(kind, value, complete=complete))
    if not value:
        assert ms == policy.commit_after_ms
    elif complete:
        assert min(policy.finalize_after_ms, ANSWERED_MS, policy.commit_after_ms) <= ms <= policy.commit_after_ms
    else:
        assert ms == max(policy.commit_after_ms, PATIENT_MS)
