"""docs/turns.md names every knob, its default and every reason."""

import json
import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest

from voicebot.config.sections import TwilioSettings
from voicebot.core import backchannels, echo, echo_words, policy, turn_state
from voicebot.core.actions import BargeInPolicy, Expect, ExpectKind
from voicebot.core.audio import SpeechDetector
from voicebot.core.entries import Entry, read_entry
from voicebot.core.events import (
    AskFinalize,
    BargeIn,
    BotStarted,
    Digit,
    DigitsCompleted,
    Endpoint,
    Finalized,
    Finished,
    Heard,
    HungUp,
    NotATurn,
    ResumeSpeech,
    SpeechStarted,
    SpeechStopped,
    Tick,
    Token,
    TurnCompleted,
    TurnEffect,
    TurnInput,
    TurnProvisional,
    TurnReason,
    TurnRetracted,
)
from voicebot.core.turns import TurnPolicy, TurnState, step, wake_at
from voicebot.wire.soniox_stt import SttOptions
from voicebot.wire.webhook_data import LatencyData

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "turns.md").read_text(encoding="utf-8")
ENDPOINT = (
    "enable_endpoint_detection",
    "max_endpoint_delay_ms",
    "endpoint_sensitivity",
    "endpoint_latency_adjustment_level",
)


def table(marker: str) -> list[list[str]]:
    """Return the cells of the table behind a marker, without their backticks."""
    lines = PAGE.split(f"<!-- {marker} -->\n")[1].split("\n\n")[0].splitlines()[2:]
    return [[cell.strip().strip("`") for cell in line[1:-1].split("|")] for line in lines]


def rows(marker: str) -> dict[str, str]:
    return {cells[0]: cells[1] for cells in table(marker)}


def knobs(value: object, prefix: str = "") -> Iterator[tuple[str, str]]:
    for each in fields(value):
        if each.name.startswith("_") or each.name in {"speaking", "levels"}:  # what it finds
            continue
        below = getattr(value, each.name)
        if is_dataclass(below):
            yield from knobs(below, f"{prefix}{each.name}.")
        else:
            yield prefix + each.name, below if isinstance(below, str) else json.dumps(below)


@pytest.mark.parametrize("kind", [TurnPolicy, SpeechDetector])
def test_every_knob_is_there_with_its_default(kind):
    assert rows(f"knobs: {kind.__name__}") == dict(knobs(kind()))


def test_the_endpoint_knobs_are_those_of_the_recogniser():
    options = SttOptions()
    assert rows("knobs: SttOptions") == {name: json.dumps(getattr(options, name)) for name in ENDPOINT}


def test_every_reason_is_there():
    assert list(rows("reasons")) == list(TurnReason.__value__.__args__)


def test_the_pictures_show_the_defaults():
    policy = TurnPolicy()
    for ms in (policy.finalize_after_ms, policy.commit_after_ms):
        assert len(re.findall(rf"\b{ms:,} ms\b", PAGE)) >= 2


def test_the_table_of_patience_is_the_policy():
    def ms(entry: Entry | None) -> str:
        return str(TurnPolicy().commit_ms(entry))

    def expected() -> Iterator[list[str]]:
        yield ["free", ms(None), "", "", "yes"]
        yield ["yes_no", ms(Entry("yes_no", "", complete=False)), "", ms(Entry("yes_no", "no", complete=True)), "yes"]
        for kind in ("digits", "spelling", "email"):
            begun = Entry(kind, "1", complete=False)
            told = "no" if policy.awaits_more(begun) else "yes"
            yield [kind, ms(Entry(kind, "", complete=False)), ms(begun), ms(Entry(kind, "1", complete=True)), told]

    shown = [[*cells[:4], cells[4].partition(":")[0]] for cells in table("patience")]
    assert shown == list(expected())
    assert [cells[0] for cells in shown] == list(ExpectKind.__value__.__args__)
    for bound in (policy.PATIENT_MS, policy.ANSWERED_MS):
        assert f"{bound:,} ms" in PAGE


@pytest.mark.parametrize(
    ("kind", "said", "value"),
    [
        ("yes_no", "yes, no, wait, no", "no"),
        ("yes_no", "I know", ""),
        ("digits", "double five, twenty one", "5521"),
        ("spelling", "Smith, S M I double T", "smitt"),
        ("email", "it's john dot smith at example dot com", "john.smith@example.com"),
    ],
)
def test_the_examples_of_entries_are_read_so(kind, said, value):
    assert f'"{said}"' in PAGE
    entry = read_entry(Expect(kind=kind), said, (), "en")
    assert entry is not None
    assert entry.value == value


def test_the_numbers_about_speaking_over_the_bot():
    resume_ms = TurnPolicy().barge_in.resume_after_ms
    assert f"Note over T: {resume_ms} ms of silence" in PAGE
    assert f"up to {echo.LONGEST_LAG * echo.FRAME_MS} ms later and at least {echo.LEAST_LOSS_DB:g} dB softer" in PAGE
    assert (echo_words.SURE_WORDS, echo_words.WORDS_PER_ERROR) == (4, 5)
    assert turn_state.ECHO_TAIL_S == 1
    assert len(backchannels.LANGUAGES) == 15
    assert f"`twilio.mark_timeout_s` ({TwilioSettings().mark_timeout_s:g} s)" in PAGE


# --- the pictures ----------------------------------------------------------------------------------


def play(policy: TurnPolicy, *events: tuple[int, TurnInput]) -> list[str]:
    """Return what the machine does, in the words of the pictures; times are milliseconds."""
    state, coming, done = TurnState(policy=policy, languages=("en",)), list(events), []
    while True:
        due = wake_at(state)
        if coming and (due is None or coming[0][0] <= due * 1_000):
            ms, event = coming.pop(0)
        elif due is not None:
            ms, event = round(due * 1_000), Tick()
        else:
            return done
        state, effects = step(state, event, max(ms / 1_000, due or 0) if isinstance(event, Tick) else ms / 1_000)
        done += [f"{ms} {told}" for effect in effects if (told := name(effect))]


def name(effect: TurnEffect) -> str:
    match effect:
        case TurnProvisional(turn=turn, revision=revision):
            return f"provisional {turn.number}.{revision} {turn.text}"
        case TurnRetracted(number=number, revision=revision):
            return f"retracted {number}.{revision}"
        case TurnCompleted(turn=turn, revision=revision, confirms=confirms):
            return f"{'confirmed' if confirms else 'completed'} {turn.number}.{revision} {turn.text} ({turn.reason})"
        case BargeIn(cause=cause):
            return f"stop ({cause})"
        case ResumeSpeech():
            return "go on"
        case NotATurn(kind=kind, text=text):
            return f"{kind} {text}"
        case DigitsCompleted(digits=digits):
            return f"keys {digits}"
        case _:
            return "finalize" if isinstance(effect, AskFinalize) else str(effect)


def heard(*words: str, tentative: str = "") -> Heard:
    return Heard(tuple(Token(word) for word in words), (Token(tentative),) if tentative else ())


SALAD = (
    (0, SpeechStarted()),
    (1_000, SpeechStopped(200)),  # silent since 800
    (1_150, heard("And a salad.")),
    (1_150, Finalized()),
)
OFFERED = ["1100 finalize", "1150 provisional 1.1 And a salad."]


@pytest.mark.parametrize(
    ("then", "happens"),
    [
        pytest.param([(1_500, Endpoint())], ["1500 confirmed 1.1 And a salad. (endpoint)"], id="endpoint"),
        pytest.param([], ["2400 confirmed 1.1 And a salad. (finalize)"], id="silence"),
        pytest.param(
            [(1_500, heard(".")), (1_600, Endpoint())],
            ["1600 confirmed 1.1 And a salad.. (endpoint)"],
            id="a-late-full-stop",
        ),
        pytest.param(
            [(1_600, heard(tentative=" with")), (2_100, heard(" with feta.")), (2_100, Endpoint())],
            ["1600 retracted 1.1", "2100 completed 1.2 And a salad. with feta. (endpoint)"],
            id="the-caller-goes-on",
        ),
        pytest.param(
            [(1_500, SpeechStarted()), (1_900, SpeechStopped(200)), (2_100, Finalized())],
            ["2000 finalize", "3300 confirmed 1.1 And a salad. (finalize)"],
            id="sound-alone",
        ),
        pytest.param(
            [(1_500, HungUp()), (1_600, Finished())],
            ["1600 confirmed 1.1 And a salad. (hangup)"],
            id="hang-up",
        ),
        pytest.param(
            [(1_500, Digit("1"))],
            ["1500 retracted 1.1", "2400 completed 1.2 And a salad. (finalize)", "4500 keys 1"],
            id="a-key",
        ),
    ],
)
def test_the_pictures_of_provisional_turns(then, happens):
    assert play(TurnPolicy(provisional=True), *SALAD, *then) == [*OFFERED, *happens]


OVER_THE_BOT = (
    (0, BotStarted(text="Your order will arrive on Tuesday before noon.")),
    (1_000, SpeechStarted()),
    (1_450, SpeechStopped(200)),  # silent since 1,250
)
STOPPED = ["1250 stop (speech)", "1550 finalize"]


@pytest.mark.parametrize(
    ("then", "happens"),
    [
        pytest.param([(1_700, Finalized())], ["2050 go on"], id="a-cough"),
        pytest.param([(2_500, Finalized())], ["2500 go on"], id="a-cough-answered-late"),
        pytest.param(
            [(1_650, heard("Mhm.")), (1_700, Finalized())], ["2050 backchannel Mhm.", "2050 go on"], id="attention"
        ),
        pytest.param(
            [(1_650, heard("Mhm.")), (1_800, Endpoint())],
            ["1800 backchannel Mhm.", "1800 go on"],
            id="attention-and-an-endpoint",
        ),
        pytest.param(
            [(1_650, heard("will arrive on Tuesday")), (1_800, Endpoint())],
            ["1800 echo will arrive on Tuesday", "1800 go on"],
            id="echo",
        ),
        pytest.param(
            [(1_650, heard("Wait,")), (1_700, Finalized()), (1_800, heard(" Wednesday.")), (1_800, Endpoint())],
            ["1800 completed 1.1 Wait, Wednesday. (endpoint)"],
            id="speech",
        ),
    ],
)
def test_the_picture_of_speaking_over_the_bot(then, happens):
    assert play(TurnPolicy(), *OVER_THE_BOT, *then) == [*STOPPED, *happens]


def test_the_bot_stays_silent_where_it_must_not_go_on():
    policy = TurnPolicy(barge_in=BargeInPolicy(resume=False))
    assert play(policy, *OVER_THE_BOT, (1_700, Finalized())) == STOPPED


# --- what the page names ---------------------------------------------------------------------------


def test_the_steps_of_the_account_are_those_of_the_webhook():
    assert list(rows("steps")) == list(LatencyData.model_fields)


def test_links_inside_the_page_lead_somewhere():
    anchors = {
        re.sub(r"[^\w -]", "", each.lower()).replace(" ", "-") for each in re.findall(r"^#+ (.+)$", PAGE, re.MULTILINE)
    }
    assert set(re.findall(r"\]\(#([\w-]+)\)", PAGE)) <= anchors


def test_what_the_page_names_is_there():
    named = re.findall(r"`((?:tests|voicebot)/[\w/]+\.py)`", PAGE)
    assert len(named) >= 5
    for path in named:
        assert (ROOT / path).is_file(), path
