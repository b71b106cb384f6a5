import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voicebot.local.phone.playout import Playout, Taken


def test_plays_in_order_and_reaches_marks():
    playout = Playout()
    playout.feed(b"aaa")
    assert not playout.mark("one")
    playout.feed(b"bb")
    assert not playout.mark("two")
    assert playout.take(2) == Taken(b"aa", ())
    assert playout.take(2) == Taken(b"ab", ("one",))
    assert playout.take(1) == Taken(b"b", ("two",))
    assert playout.take(5) == Taken(b"", ())


def test_mark_behind_nothing_is_due_at_once():
    playout = Playout()
    assert playout.mark("now")
    playout.feed(b"a")
    playout.take(1)
    assert playout.mark("again")


def test_marks_behind_a_waiting_mark_keep_their_order():
    playout = Playout()
    playout.feed(b"a")
    assert not playout.mark("one")
    assert not playout.mark("two")
    assert playout.take(1).marks == ("one", "two")


def test_clear_gives_every_mark_back_and_no_audio():
    playout = Playout()
    playout.feed(b"abc")
    playout.mark("one")
    playout.feed(b"def")
    playout.mark("two")
    playout.take(1)
    assert playout.clear() == ("one", "two")
    assert playout.buffered == 0
    assert playout.take(9) == Taken(b"", ())
    assert playout.clear() == ()


def test_ten_minutes_is_the_limit():
    playout = Playout()
    assert playout.feed(bytes(10 * 60 * 8000))
    assert not playout.feed(b"x")
    playout.take(1)
    assert playout.feed(b"x")


@pytest.mark.parametrize("size", [0, 1, 160])
def test_nothing_to_play(size):
    assert Playout().take(size) == Taken(b"", ())


OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("feed"), st.binary(max_size=12)),
        st.tuples(st.just("mark"), st.none()),
        st.tuples(st.just("take"), st.integers(0, 9)),
        st.tuples(st.just("clear"), st.none()),
    ),
    max_size=60,
)


@settings(deadline=None)
@given(OPERATIONS)
def test_no_mark_is_lost_doubled_or_early(operations):
    playout = Playout()
    sent: list[str] = []
    back: list[str] = []
    audio_before: dict[str, int] = {}
    fed = played = 0
    for name, value in operations:
        if name == "feed":
            assert playout.feed(value)
            fed += len(value)
        elif name == "mark":
            mark = f"m{len(sent)}"
            sent.append(mark)
            audio_before[mark] = fed
            if playout.mark(mark):
                back.append(mark)
        elif name == "take":
            taken = playout.take(value)
            played += len(taken.audio)
            for mark in taken.marks:
                assert audio_before[mark] <= played
            back.extend(taken.marks)
        else:
            back.extend(playout.clear())
            played = fed
        assert playout.buffered == fed - played
    back.extend(playout.take(1_000_000).marks)
    assert back == sent


@settings(deadline=None)
@given(st.lists(st.binary(max_size=20)), st.lists(st.integers(1, 30), min_size=1))
def test_audio_comes_out_as_it_went_in(pieces, steps):
    playout = Playout()
    for piece in pieces:
        playout.feed(piece)
    out = b"".join(playout.take(step).audio for step in steps * (1 + sum(map(len, pieces))))
    assert out == b"".join(pieces)
