"""The line of audio and commands, and the books of a session."""

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicebot.core.events import Endpoint, Finalized, Heard, Token
from voicebot.wire.soniox_ledger import Ledger
from voicebot.wire.soniox_stt import Message, SttOptions
from voicebot.wire.soniox_upstream import MAX_FINALIZES, Audio, AudioFormat, Reconfigure, Rewound, Upstream

SPANISH, FRENCH = SttOptions(language_hints=("es",)), SttOptions(language_hints=("fr",))


def drain(upstream):
    items = []
    while (item := upstream.take()) is not None:
        items.append(item)
    return items


@pytest.mark.parametrize(
    ("audio_format", "frame_bytes", "bytes_per_second"),
    [
        (AudioFormat(), 1, 8_000),
        (AudioFormat("alaw", 8_000, 2), 2, 16_000),
        (AudioFormat("pcm_s16le", 16_000, 1), 2, 32_000),
        (AudioFormat("pcm_s24be", 48_000, 2), 6, 288_000),
        (AudioFormat("pcm_f64le", 8_000, 1), 8, 64_000),
        (AudioFormat("pcm_u8", 8_000, 1), 1, 8_000),
        (AudioFormat("auto"), 1, 32_000),
    ],
)
def test_audio_formats(audio_format, frame_bytes, bytes_per_second):
    assert (audio_format.frame_bytes, audio_format.bytes_per_second) == (frame_bytes, bytes_per_second)


def test_commands_flush_and_keep_their_place():
    upstream = Upstream(4, 100)
    assert not upstream.feed(b"ab") and upstream.partial
    assert upstream.feed(b"cdef"), "a batch is ready"
    upstream.feed(b"g")
    upstream.finalize()
    upstream.feed(b"h")
    upstream.reconfigure(SPANISH)
    upstream.reconfigure(FRENCH)
    upstream.finish()
    upstream.feed(b"lost")
    upstream.finish()
    assert not upstream.finalize()
    assert drain(upstream) == [
        Audio(b"abcd", 0),
        Audio(b"ef", 4),
        Audio(b"g", 6),
        "finalize",
        Audio(b"h", 7),
        Reconfigure(FRENCH),
        "finish",
    ]
    assert upstream.drained


def test_oldest_audio_gives_way_commands_stay():
    upstream = Upstream(2, 4)
    upstream.feed(b"ab")
    upstream.finalize()
    upstream.feed(b"cdefgh")
    assert upstream.dropped_bytes == 4
    assert drain(upstream) == ["finalize", Audio(b"ef", 4), Audio(b"gh", 6)]


def test_what_was_taken_and_not_settled_is_taken_again():
    upstream = Upstream(4_000, 100_000)
    upstream.feed(b"a" * 4_000)
    upstream.finalize()
    upstream.feed(b"b" * 4_000)
    upstream.finalize()
    upstream.feed(b"c" * 4_000)
    taken = drain(upstream)
    upstream.settled(7_000)
    upstream.answered()
    upstream.feed(b"d" * 4_000)
    assert upstream.rewind() == Rewound(9_000, 0), "half a second of what is settled comes with it"
    assert drain(upstream) == [
        Audio(b"a" * 1_000, 3_000),
        Audio(b"b" * 4_000, 4_000),
        "finalize",
        Audio(b"c" * 4_000, 8_000),
        Audio(b"d" * 4_000, 12_000),
    ]
    upstream.settled(16_000)
    assert upstream.rewind() == Rewound(0, 0)
    assert drain(upstream) == ["finalize"], "it was not answered"
    assert taken[1] == "finalize"


def test_what_was_sent_and_fell_out_of_the_bound_is_lost_with_its_session():
    upstream = Upstream(4_000, 8_000)
    for letter in b"abc":
        upstream.feed(bytes([letter]) * 4_000)
        upstream.take()
    assert upstream.dropped_bytes == 0, "the session that heard it lives"
    assert upstream.kept_bytes == 8_000
    assert upstream.rewind() == Rewound(8_000, 4_000)
    assert upstream.dropped_bytes == 4_000
    assert upstream.begins_at == 4_000


def test_what_fell_out_of_the_bound_tears_no_sample():
    upstream = Upstream(8, 11, AudioFormat("pcm_s16le", 1, 2))
    for start in range(0, 40, 8):
        upstream.feed(bytes(range(start, start + 8)))
        upstream.take()
    upstream.finalize()
    upstream.take()
    assert upstream.kept_bytes == 8
    assert upstream.rewind() == Rewound(8, 32)
    assert drain(upstream) == [Audio(bytes(range(32, 40)), 32), "finalize"]


def test_what_is_taken_again_is_cut_anew_and_comes_in_whole_batches():
    """However short the messages were that it went up in before."""
    upstream = Upstream(4, 1_000)
    for letter in b"abcdefghij":
        upstream.feed(bytes([letter]), 1)
        upstream.take()
        if letter == ord("f"):
            upstream.finalize()
            upstream.take()
    assert upstream.rewind() == Rewound(10, 0)
    assert drain(upstream) == [Audio(b"abcd", 0), Audio(b"ef", 4), "finalize", Audio(b"gh", 6), Audio(b"ij", 8)]


def test_what_may_be_needed_again_costs_no_more_than_its_sound():
    upstream = Upstream(800, 100_000)
    tracemalloc.start()
    try:
        for _ in range(300):
            upstream.feed(bytes(160), 160)
            upstream.take()
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert upstream.kept_bytes == 48_000
    assert held < 1.25 * upstream.kept_bytes


def test_a_container_is_never_heard_again():
    upstream = Upstream(4, 100, AudioFormat("auto"))
    upstream.feed(b"abcd")
    upstream.take()
    assert upstream.rewind() == Rewound(0, 0)


def test_a_session_that_ended_well_leaves_nothing():
    upstream = Upstream(4, 100)
    upstream.feed(b"abcd")
    upstream.reconfigure(SPANISH)
    drain(upstream)
    upstream.done()
    assert upstream.rewind() == Rewound(0, 0)
    assert drain(upstream) == []


def test_options_before_any_audio():
    upstream = Upstream(2, 4)
    assert upstream.take_options() is None
    upstream.reconfigure(SPANISH)
    upstream.feed(b"ab")
    upstream.reconfigure(FRENCH)
    assert upstream.take_options() == SPANISH
    assert upstream.take_options() is None


def test_finalizes_are_bounded():
    upstream = Upstream(2, 4)
    assert [upstream.finalize() for _ in range(MAX_FINALIZES + 1)] == [True] * MAX_FINALIZES + [False]
    assert upstream.finalizes == MAX_FINALIZES


@given(
    st.lists(st.one_of(st.binary(max_size=30), st.sampled_from(["finalize", "take"])), max_size=40),
    st.integers(1, 10),
    st.integers(1, 40),
)
def test_nothing_is_lost_uncounted_or_out_of_place(steps, batch, buffer):
    upstream, fed, taken = Upstream(batch, buffer), b"", []
    for step in steps:
        match step:
            case bytes():
                upstream.feed(step)
                fed += step
            case "finalize":
                upstream.finalize()
            case "take" if (item := upstream.take()) is not None:
                taken.append(item)
    upstream.finish()
    waiting = drain(upstream)
    audio = [item for item in taken + waiting if isinstance(item, Audio)]
    assert sum(len(item.data) for item in audio) + upstream.dropped_bytes == len(fed)
    assert all(fed[item.position : item.position + len(item.data)] == item.data for item in audio)
    assert [item.position for item in audio] == sorted({item.position for item in audio})
    assert sum(len(item.data) for item in waiting if isinstance(item, Audio)) <= max(batch, buffer)


# --- the ledger


def said(*events, total=None):
    return Message(events, None, total, finished=False)


def test_times_begin_where_the_audio_does():
    ledger = Ledger(8_000)
    assert not ledger.audio_sent
    ledger.send_audio(8_000, 800)
    assert ledger.base_ms == 1_000
    ledger.send_audio(8_800, 800)
    assert ledger.base_ms == 1_000
    ledger.send_audio(17_600, 800)
    assert ledger.base_ms == 2_000, "a second was dropped on the way"
    assert ledger.audio_sent


def test_answers_are_counted_not_matched_by_time():
    ledger = Ledger(8_000)
    ledger.ask(1)
    ledger.ask(2)
    assert ledger.answer_due() == 1
    assert ledger.give_up(1.5) == [Finalized()]
    assert ledger.take(said(Heard(), Finalized())) == [], "the answer to the first, too late"
    assert ledger.take(said(Heard(), Finalized())) == [Finalized()]
    assert ledger.take(said(Heard(), Finalized())) == [], "nobody asked"
    assert ledger.answer_due() is None


def test_settle():
    ledger = Ledger(8_000)
    ledger.take(said(Heard((), (Token("x"),))))
    ledger.ask(1)
    assert ledger.settle() == [Heard((Token("x"),)), Finalized()]
    assert ledger.settle() == []


@pytest.mark.parametrize(
    ("message", "worked"),
    [
        (said(Heard(), total=0), False),
        (said(Heard(), total=500), False),
        (said(Heard(), total=501), True),
        (said(Heard((), (Token("x"),))), True),
        (said(Heard(), Endpoint()), True),
    ],
)
def test_a_session_works_once_it_has_done_something(message, worked):
    ledger = Ledger(8_000)
    ledger.send_audio(4_000, 10)
    ledger.take(message)
    assert ledger.worked is worked


def test_empty_news_is_no_news():
    ledger = Ledger(8_000)
    assert ledger.take(said(Heard())) == []
    assert ledger.take(said(Heard((), (Token("x"),)))) == [Heard((), (Token("x"),))]
    assert ledger.take(said(Heard())) == [Heard()], "the tail is gone"
    assert ledger.take(said(Heard())) == []


def test_only_audio_is_taken_as_audio():
    upstream = Upstream(4, 100)
    assert upstream.empty and upstream.take_audio() is None
    upstream.feed(b"abcd")
    upstream.finalize()
    assert upstream.take_audio() == Audio(b"abcd", 0)
    assert upstream.take_audio() is None and not upstream.empty
    assert upstream.take() == "finalize" and upstream.empty


def test_what_is_enough_closes_a_batch():
    upstream = Upstream(4, 100)
    assert not upstream.feed(b"a", 2)
    assert upstream.feed(b"bc", 2)
    assert upstream.feed(b"de", 2)
    assert upstream.feed(b"fghijk", 2), "but no message is longer than the longest"
    assert drain(upstream) == [Audio(b"abc", 0), Audio(b"de", 3), Audio(b"fghi", 5), Audio(b"jk", 9)]
