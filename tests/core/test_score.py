"""Judging replayed calls, with labels and by hindsight."""

import pytest

from voicebot.core.events import Token, Turn, TurnCompleted, TurnProvisional, TurnRetracted
from voicebot.core.replay import Decision, Replayed, Speech
from voicebot.core.score import Spread, percentile, score
from voicebot.core.score_labels import Labels, Silence, Utterance, utterances_between

ZERO = 100.0
# A turn with a pause of 800 ms and one of 150 ms, then a short one.
SILENCES = (
    Silence(1_000, 1_800, "hold"),
    Silence(2_200, 2_350, "hold"),
    Silence(3_000, 7_000, "eot"),
    Silence(7_500, 12_000, "eot"),
)
ORDER, YES = Utterance(0, 3_000, "I would like to order"), Utterance(7_000, 7_500, "yes")
LABELS = Labels("a", SILENCES, (ORDER, YES))


def turn(number, at, *spans, reason="endpoint", confirms=False):
    """A turn told at `at` ms of the file, with a word for each (start, end)."""
    tokens = tuple(Token(f" word{start}", start, end) for start, end in spans)
    return Decision(at + ZERO, TurnCompleted(Turn(number, "words", reason, tokens), confirms=confirms))


def maybe(number, at, revision=1):
    return Decision(at + ZERO, TurnProvisional(Turn(number, "words", "finalize"), revision))


def replayed(*decisions, speech=(), bot=()):
    return Replayed(
        tuple(decisions),
        tuple(Speech(start + ZERO, end + ZERO) for start, end in speech),
        tuple(at + ZERO for at in bot),
        ZERO,
    )


def judged(*decisions, labels=LABELS):
    return score([(replayed(*decisions), labels)])


FIRST, SECOND, SHORT = (100, 900), (1_900, 2_900), (7_050, 7_400)
GOOD = (turn(1, 3_400, FIRST, SECOND), turn(2, 8_100, SHORT))


def test_a_good_call():
    result = judged(*GOOD)
    assert (result.calls, result.turns, result.utterances, result.hold_spans) == (1, 2, 2, 1)
    assert (result.cut_turns, result.cut_spans, result.cut_span_rate, result.cut_turn_rate) == (0, 0, 0, 0)
    assert result.dead_air_ms == Spread(mean=500, p50=400, p95=600)
    assert result.merged_per_1000 == result.split_per_1000 == result.lost_per_1000 == 0
    assert result.duplicated_per_1000 == result.false_per_1000 == 0
    assert result.webhooks_per_turn == 1


FAULTS = [
    pytest.param(
        (turn(1, 1_500, FIRST), turn(2, 3_400, SECOND), turn(3, 8_000, SHORT)),
        {"cut_spans": 1, "cut_turns": 1, "cut_span_rate": 1, "cut_turn_rate": 0.5, "split_per_1000": 500},
        id="cut off in the pause",
    ),
    pytest.param(
        (turn(1, 1_850, FIRST), turn(2, 3_400, SECOND), turn(3, 8_000, SHORT)),
        {"cut_spans": 1, "cut_turns": 1, "split_per_1000": 500},
        id="told only when the caller has gone on",
    ),
    pytest.param(
        (turn(1, 2_300, FIRST, (1_900, 2_150)), turn(2, 3_400, (2_400, 2_900)), turn(3, 8_000, SHORT)),
        # The pause of 150 ms does not count; the decision lies behind the one that does.
        {"cut_spans": 1, "cut_turns": 1},
        id="cut off behind a pause too short to count",
    ),
    pytest.param(
        (turn(1, 600, (100, 500)), turn(2, 3_400, FIRST, SECOND), turn(3, 8_000, SHORT)),
        {"cut_spans": 0, "cut_turns": 1},
        id="cut off before any pause",
    ),
    pytest.param(
        (turn(1, 8_000, FIRST, SECOND, SHORT),),
        {"merged_per_1000": 500, "lost_per_1000": 0, "split_per_1000": 0, "cut_turns": 0},
        id="merged",
    ),
    pytest.param((GOOD[0],), {"lost_per_1000": 500, "turns": 1}, id="lost"),
    pytest.param((*GOOD, turn(3, 9_000, SHORT)), {"duplicated_per_1000": 1_000 / 3}, id="told twice"),
    pytest.param(
        (*GOOD, turn(3, 11_000, (10_000, 10_200))), {"false_per_1000": 500, "duplicated_per_1000": 0}, id="of noise"
    ),
    pytest.param(
        (turn(1, 3_400, FIRST, SECOND), turn(2, 7_300, SHORT, reason="hangup")),
        {"cut_turns": 0, "lost_per_1000": 0, "dead_air_ms": Spread(400, 400, 400)},
        id="ended by the end of the call",
    ),
    pytest.param(
        (turn(1, 7_200, FIRST, SECOND), turn(2, 8_000, SHORT)),
        {"cut_turns": 0, "merged_per_1000": 0, "dead_air_ms": Spread(2_250, 500, 4_000)},
        id="told so late that the caller spoke again: he waited until then",
    ),
]


@pytest.mark.parametrize(("decisions", "expected"), FAULTS)
def test_faults_are_told_apart(decisions, expected):
    result = judged(*decisions)
    assert {name: getattr(result, name) for name in expected} == expected


def test_each_pause_is_cut_off_once():
    silences = (Silence(1_000, 1_500, "hold"), Silence(2_000, 2_500, "hold"), Silence(3_000, 7_000, "eot"))
    parts = ((100, 900), (1_600, 1_900), (2_600, 2_900))
    decisions = [turn(n, at, part) for n, at, part in zip((1, 2, 3), (1_400, 2_400, 3_400), parts, strict=True)]
    again = turn(4, 1_450, (1_550, 1_560))
    result = judged(*decisions, again, labels=Labels("d", silences, (ORDER,)))
    assert (result.hold_spans, result.cut_spans, result.cut_turns) == (2, 2, 1)


def test_a_sign_of_listening_is_no_turn():
    labels = Labels("b", SILENCES, (ORDER, Utterance(7_000, 7_500, "mhm", "backchannel")))
    quiet, told = judged(GOOD[0], labels=labels), judged(*GOOD, labels=labels)
    assert (quiet.utterances, quiet.lost_per_1000, quiet.false_per_1000) == (1, 0, 0)
    assert (told.false_per_1000, told.merged_per_1000) == (1_000, 0)


def test_the_file_may_begin_later_than_the_stream():
    late = Labels("c", SILENCES, (ORDER, YES), offset_ms=2_000)
    result = judged(turn(1, 5_400, (2_100, 2_900), (3_900, 4_900)), turn(2, 10_000, (9_050, 9_400)), labels=late)
    assert result.dead_air_ms.mean == pytest.approx((400 + 500) / 2)
    assert result.cut_turns == result.lost_per_1000 == 0


def test_words_without_times_belong_to_the_utterance_that_had_begun():
    untimed = [Decision(each.t_ms, TurnCompleted(Turn(n, "words", "endpoint"))) for n, each in enumerate(GOOD, 1)]
    assert judged(*untimed).dead_air_ms == judged(*GOOD).dead_air_ms


def test_labels_without_utterances_have_those_between_the_ends():
    assert utterances_between(SILENCES) == (Utterance(0, 3_000), Utterance(7_000, 7_500))


def test_provisional_turns():
    result = judged(
        maybe(1, 1_400),
        Decision(1_900 + ZERO, TurnRetracted(1, 1, "words")),
        maybe(1, 3_150, 2),
        turn(1, 3_400, FIRST, SECOND, confirms=True),
        maybe(2, 7_700),
        turn(2, 8_000, SHORT, confirms=True),
    )
    ahead = result.provisional
    assert (ahead.told, ahead.confirmed, ahead.retracted) == (3, 2, 1)
    assert ahead.confirmed_share == pytest.approx(2 / 3)
    assert (ahead.head_start_p50_ms, ahead.delay_p50_ms) == (250, 150)
    assert result.webhooks_per_turn == 3
    assert result.cut_turns == 0


# --- by hindsight ---------------------------------------------------------------------------------

HINDSIGHT = [
    pytest.param([(0, 3_000)], [], 0, [400], id="silence after it"),
    pytest.param([(0, 3_000), (4_300, 5_000)], [], 1, [], id="the caller goes on"),
    pytest.param([(0, 3_000), (4_500, 5_000)], [], 0, [400], id="the caller speaks again much later"),
    pytest.param([(0, 3_000), (4_300, 5_000)], [4_000], 0, [400], id="the caller speaks after the bot was heard"),
    pytest.param([(0, 4_000)], [], 1, [], id="the caller is speaking"),
    pytest.param([], [], 0, [], id="nothing was heard"),
]


@pytest.mark.parametrize(("speech", "bot", "cut", "dead_air"), HINDSIGHT)
def test_by_hindsight(speech, bot, cut, dead_air):
    result = score([(replayed(turn(1, 3_400, FIRST), speech=speech, bot=bot), None)])
    assert (result.cut_turns, result.cut_turn_rate) == (cut, cut)
    assert result.dead_air_ms.mean == (dead_air[0] if dead_air else None)
    assert result.utterances is result.cut_span_rate is result.merged_per_1000 is None


def test_the_end_of_the_call_is_no_decision():
    result = score([(replayed(turn(1, 3_400, FIRST, reason="hangup"), speech=[(0, 4_000)]), None)])
    assert (result.turns, result.cut_turns) == (1, 0)


def test_nothing_is_divided_by_nothing():
    result = score([])
    assert (result.calls, result.cut_turn_rate, result.webhooks_per_turn) == (0, None, None)
    assert result.dead_air_ms == Spread(None, None, None)


@pytest.mark.parametrize(("percent", "expected"), [(50, 20), (95, 40), (100, 40), (1, 10)])
def test_percentiles_are_values_that_were_there(percent, expected):
    assert percentile([40, 10, 30, 20], percent) == expected
