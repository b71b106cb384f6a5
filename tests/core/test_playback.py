"""The ledger of the bot's speech: what was heard, and what was not."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voicebot.core.playback import MS_PER_CHARACTER, Playback, Spoken, heard_text

HELLO = tuple((letter, 100 * index, 100 * index + 100) for index, letter in enumerate("Hello you."))


def say(playback, text, ms, now, characters=(), *, interruptible=True):
    number = playback.begin(text, interruptible=interruptible)
    playback.sent(number, ms, characters, now)
    return number, playback.complete(number)


def test_an_echoed_mark_means_heard():
    playback = Playback()
    number, mark = say(playback, "Hello you.", 1_000, 10.0)
    assert playback.speaking
    assert playback.reached(mark) == (Spoken(number, "Hello you.", "Hello you.", "", 1_000, interrupted=False),)
    assert not playback.speaking
    assert playback.reached(mark) == ()


def test_a_mark_speaks_for_everything_before_it_in_order():
    playback = Playback()
    say(playback, "one", 300, 0.0)
    say(playback, "two", 300, 0.0)
    _, mark = say(playback, "three", 300, 0.0)
    say(playback, "four", 300, 0.0)
    assert [spoken.text for spoken in playback.reached(mark)] == ["one", "two", "three"]
    assert playback.speaking
    assert [spoken.text for spoken in playback.clear(0.0)] == ["four"]


@pytest.mark.parametrize(
    "mark", ["", "1", "1:", ":1", "1:x", "1:²", "1:" + "9" * 5_000, "2:1", "1:2", "ours:1", "1:1:1"]
)
def test_marks_that_say_nothing(mark):
    playback = Playback()
    say(playback, "one", 300, 0.0)
    assert playback.reached(mark) == ()
    assert playback.speaking


def test_the_echo_of_a_cleared_mark_says_nothing():
    playback = Playback()
    _, old = say(playback, "one", 300, 0.0)
    playback.clear(0.1)
    _, new = say(playback, "two", 300, 0.1)
    assert playback.reached(old) == ()
    assert [spoken.heard for spoken in playback.reached(new)] == ["two"]


def test_the_mark_of_an_utterance_that_is_still_being_sent_says_nothing():
    playback = Playback()
    number = playback.begin("one", interruptible=True)
    playback.sent(number, 300, (), 0.0)
    assert playback.reached(f"1:{number}") == ()


@pytest.mark.parametrize(
    ("now", "heard", "ms"),
    [
        pytest.param(9.0, "", 0, id="before it began"),
        pytest.param(10.0, "", 0, id="as it began"),
        pytest.param(10.001, "H", 1, id="its first sound"),
        pytest.param(10.45, "Hello", 450, id="in the midst of a letter"),
        pytest.param(10.5, "Hello", 500, id="between two letters"),
    ],
)
def test_a_barge_in_splits_the_text_at_what_was_heard(now, heard, ms):
    playback = Playback()
    number, _ = say(playback, "Hello you.", 1_000, 10.0, HELLO)
    unheard = "Hello you."[len(heard) :]
    assert playback.clear(now) == (Spoken(number, "Hello you.", heard, unheard, ms, interrupted=True),)
    assert not playback.speaking


def test_who_is_cleared_after_the_end_was_not_interrupted():
    """The mark is on its way, or the carrier echoes none."""
    playback = Playback()
    number, _ = say(playback, "Hello you.", 1_000, 10.0, HELLO[:-1])
    assert playback.clear(11.0) == (Spoken(number, "Hello you.", "Hello you.", "", 1_000, interrupted=False),)


def test_what_waits_behind_is_unheard():
    playback = Playback()
    say(playback, "one", 1_000, 10.0)
    say(playback, "two", 1_000, 10.0)
    playback.begin("three", interruptible=True)
    spoken = playback.clear(11.5)
    assert [(each.heard, each.unheard, each.ms, each.interrupted) for each in spoken] == [
        ("one", "", 1_000, False),
        ("tw", "o", 500, True),
        ("", "three", 0, True),
    ]


def test_a_hole_in_the_audio_is_not_heard():
    playback = Playback()
    number = playback.begin("Hello you.", interruptible=True)
    playback.sent(number, 200, (), 10.0)
    playback.sent(number, 800, HELLO, 15.0)
    playback.complete(number)
    assert playback.clear(15.3)[0].heard == "Hello"


def test_speech_that_is_still_being_made_is_not_all_heard():
    """A second of audio is not the whole of a long text, although it is all that was sent."""
    playback = Playback()
    number = playback.begin("x" * 100, interruptible=True)
    playback.sent(number, 1_000, (), 10.0)
    (spoken,) = playback.clear(20.0)
    assert (len(spoken.heard), spoken.interrupted) == (round(1_000 / MS_PER_CHARACTER), True)


def test_speech_that_failed_on_the_way_is_heard_up_to_there():
    playback = Playback()
    number = playback.begin("Hello you.", interruptible=True)
    playback.sent(number, 500, HELLO[:5], 10.0)
    mark = playback.fail(number)
    assert playback.reached(mark) == (Spoken(number, "Hello you.", "Hello", " you.", 500, interrupted=False),)


def test_speech_that_failed_at_once_is_forgotten():
    playback = Playback()
    number = playback.begin("Hello", interruptible=True)
    assert playback.fail(number) is None
    assert playback.fail(number) is None
    assert playback.clear(0.0) == ()


def test_an_utterance_without_audio_was_not_heard():
    playback = Playback()
    number = playback.begin("Hello", interruptible=True)
    mark = playback.complete(number)
    assert playback.reached(mark) == (Spoken(number, "Hello", "", "Hello", 0, interrupted=False),)


def test_clear_twice_is_clear_once():
    playback = Playback()
    number, mark = say(playback, "one", 300, 0.0)
    assert len(playback.clear(0.1)) == 1
    assert playback.clear(0.2) == ()
    playback.sent(number, 300, (), 0.3)
    assert playback.complete(number) is None
    assert playback.reached(mark) == ()
    assert not playback.speaking


def test_a_carrier_that_never_echoes():
    """Our own clock says when it has played everything."""
    playback = Playback()
    assert playback.remaining_s(5.0) == 0.0
    say(playback, "one", 1_000, 10.0)
    say(playback, "two", 500, 10.2)
    assert playback.remaining_s(10.5) == pytest.approx(1.0)
    assert playback.remaining_s(99.0) == 0.0
    assert playback.speaking
    assert [spoken.unheard for spoken in playback.clear(99.0)] == ["", ""]


def test_the_clock_starts_anew_after_a_clear():
    playback = Playback()
    say(playback, "long", 60_000, 10.0)
    playback.clear(11.0)
    say(playback, "Hello you.", 1_000, 11.0, HELLO)
    assert playback.remaining_s(11.0) == pytest.approx(1.0)
    assert playback.clear(11.45)[0].heard == "Hello"


def test_interruptible_is_what_is_heard_now():
    playback = Playback()
    assert playback.interruptible
    _, mark = say(playback, "one", 300, 0.0, interruptible=False)
    say(playback, "two", 300, 0.0)
    assert not playback.interruptible
    playback.reached(mark)
    assert playback.interruptible


@pytest.mark.parametrize(
    ("pieces", "heard_ms", "length_ms", "heard"),
    [
        pytest.param((), 500, 1_000, "ab", id="in proportion"),
        pytest.param((), 5_000, 1_000, "abcd", id="never more than the text"),
        pytest.param((), 500, 0, "", id="no audio at all"),
        pytest.param(((0, 2), (100, 2)), 100, 200, "ab", id="in pieces"),
        pytest.param(((0, 6),), 50, 100, "abcd", id="pieces longer than the text"),
    ],
)
def test_heard_text(pieces, heard_ms, length_ms, heard):
    assert heard_text("abcd", pieces, heard_ms, length_ms) == heard


# --- the beginning ---------------------------------------------------------------------------------


def test_the_mark_behind_the_first_audio_says_that_it_is_being_heard():
    playback = Playback()
    first = playback.begin("one", interruptible=True)
    assert not playback.has_sound(first)
    playback.sent(first, 20, (), 0.0)
    second = playback.begin("two", interruptible=True)
    assert playback.has_sound(first)
    assert not playback.has_sound(second)
    assert playback.begun(playback.beginning(first)) == first
    assert playback.begun(playback.beginning(second)) == second
    assert playback.begun(playback.beginning(first)) == first, "asking changes nothing"


def test_a_beginning_is_no_end_and_an_end_no_beginning():
    playback = Playback()
    number, mark = say(playback, "one", 300, 0.0)
    assert playback.reached(playback.beginning(number)) == ()
    assert playback.speaking
    assert playback.begun(mark) is None
    assert [spoken.utterance for spoken in playback.reached(mark)] == [number]


@pytest.mark.parametrize(
    "mark",
    [
        "",
        "begun",
        ":",
        "1:1",
        "1::begun",
        "1:2:begun",
        "2:1:begun",
        "1:1:begun:1",
        "1:1:Begun",
        " 1:1:begun",
        "1:¹:begun",
    ],
)
def test_marks_that_tell_no_beginning(mark):
    playback = Playback()
    say(playback, "one", 300, 0.0)
    assert playback.begun(mark) is None


def test_the_beginning_of_cleared_audio_says_nothing():
    """The carrier echoes the marks of what it was told to throw away, too."""
    playback = Playback()
    number, _ = say(playback, "one", 300, 0.0)
    old = playback.beginning(number)
    playback.clear(0.1)
    assert playback.begun(old) is None
    again, _ = say(playback, "one", 300, 0.1)
    assert playback.begun(old) is None
    assert playback.begun(playback.beginning(again)) == again


# --- a carrier that does not say when --------------------------------------------------------------


def test_speech_counts_as_heard_some_time_after_it_should_have_been():
    playback = Playback()
    assert playback.overdue_at(5.0) is None
    first, _ = say(playback, "one", 1_000, 10.0)
    second, _ = say(playback, "two", 500, 10.2)
    assert playback.overdue_at(5.0) == pytest.approx(16.5)
    assert playback.overdue(16.4, 5.0) == ()
    assert playback.speaking
    assert [(each.utterance, each.heard, each.interrupted) for each in playback.overdue(16.5, 5.0)] == [
        (first, "one", False),
        (second, "two", False),
    ]
    assert not playback.speaking
    assert playback.overdue_at(5.0) is None
    assert playback.overdue(99.0, 5.0) == ()


def test_nothing_is_overdue_while_something_is_still_being_sent():
    """Its end is not known: the pause may be the application's, or the synthesiser's."""
    playback = Playback()
    say(playback, "one", 300, 10.0)
    number = playback.begin("two", interruptible=True)
    assert playback.overdue_at(5.0) is None
    playback.sent(number, 100, (), 10.0)
    assert playback.overdue(99.0, 5.0) == ()
    playback.complete(number)
    assert playback.overdue_at(5.0) == pytest.approx(15.4)


def test_a_late_mark_of_what_was_overdue_says_nothing():
    playback = Playback()
    _, mark = say(playback, "one", 300, 0.0)
    assert len(playback.overdue(99.0, 5.0)) == 1
    assert playback.reached(mark) == ()


def test_one_mark_moves_nothing_of_the_time_of_the_others():
    playback = Playback()
    _, mark = say(playback, "one", 1_000, 10.0)
    say(playback, "two", 1_000, 10.0)
    playback.reached(mark)
    assert playback.overdue_at(5.0) == pytest.approx(17.0)


OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("begin"), st.text("ab c.", max_size=8)),
        st.tuples(st.just("sent"), st.integers(0, 6), st.sampled_from([0, 20, 100, 1_000])),
        st.tuples(st.just("complete"), st.integers(0, 6)),
        st.tuples(st.just("fail"), st.integers(0, 6)),
        st.tuples(st.just("echo"), st.integers(0, 20)),
        st.tuples(st.just("clear")),
        st.tuples(st.just("wait"), st.sampled_from([0.02, 0.5, 5.0])),
    ),
    max_size=40,
)


@settings(max_examples=150, deadline=None)
@given(operations=OPERATIONS)
def test_every_utterance_is_accounted_for_once_and_in_order(operations):
    playback, now = Playback(), 100.0
    texts, sent, failed = {}, {}, set()
    marks, reported = [], []

    def note(spoken, generations_marks_are_dead):
        assert [each.utterance for each in spoken] == sorted(each.utterance for each in spoken)
        for each in spoken:
            assert each.heard + each.unheard == each.text == texts[each.utterance]
            assert 0 <= each.ms <= sent[each.utterance]
            assert each.interrupted or each.unheard == "" or each.utterance in failed or not sent[each.utterance]
            reported.append(each.utterance)
        if generations_marks_are_dead:
            marks[:] = [(mark, False) for mark, _ in marks]

    for operation in operations:
        match operation:
            case ("begin", text):
                number = playback.begin(text, interruptible=True)
                texts[number], sent[number] = text, 0
            case ("sent", number, ms):
                before = {u.number for u in playback._queue}
                playback.sent(number, ms, (), now)
                sent[number] = sent.get(number, 0) + (ms if number in before else 0)
            case ("complete", number):
                mark = playback.complete(number)
                assert (mark is None) == (number not in {u.number for u in playback._queue})
                marks += [(mark, True)] if mark else []
            case ("fail", number):
                failed.add(number)
                mark = playback.fail(number)
                marks += [(mark, True)] if mark else []
            case ("echo", index) if marks:
                mark, alive = marks[index % len(marks)]
                spoken = playback.reached(mark)
                assert alive or spoken == ()
                note(spoken, generations_marks_are_dead=False)
            case ("clear",):
                note(playback.clear(now), generations_marks_are_dead=True)
                assert not playback.speaking
            case ("wait", seconds):
                now += seconds
    assert len(set(reported)) == len(reported)
    note(playback.clear(now), generations_marks_are_dead=True)
    assert len(set(reported)) == len(reported)
    assert set(texts) - set(reported) <= failed


@settings(max_examples=150, deadline=None)
@given(
    chunks=st.lists(
        st.tuples(st.sampled_from([20, 100, 333, 1_000]), st.sampled_from([0.0, 0.05, 2.0])), min_size=1, max_size=6
    ),
    moments=st.lists(st.floats(0, 15, allow_nan=False), min_size=2, max_size=6),
)
def test_more_is_heard_as_time_goes_by(chunks, moments):
    """And never more than has been sent, nor more than time allows."""

    def speech():
        playback, now = Playback(), 100.0
        number = playback.begin("x" * 50, interruptible=True)
        for ms, pause in chunks:
            playback.sent(number, ms, (), now)
            now += pause
        playback.complete(number)
        return playback

    heard = []
    for moment in sorted(moments):
        (spoken,) = speech().clear(100.0 + moment)
        assert spoken.ms <= min(sum(ms for ms, _ in chunks), round(moment * 1_000) + 1)
        heard.append((spoken.ms, len(spoken.heard)))
    assert heard == sorted(heard)
    (spoken,) = speech().clear(1_000.0)
    assert (spoken.ms, spoken.unheard) == (sum(ms for ms, _ in chunks), "")
