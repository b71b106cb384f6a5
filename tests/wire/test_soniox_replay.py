"""Sessions that come and go: a recogniser whose words lie at known times is heard as if it had never broken."""

from hypothesis import example, given, settings
from hypothesis import strategies as st

from voicebot.core.events import Endpoint, Finalized, Heard, Token
from voicebot.wire.soniox_ledger import Ledger
from voicebot.wire.soniox_stt import Message
from voicebot.wire.soniox_upstream import Audio, Upstream

BYTES_PER_MS = 8
BATCH_MS = 100
PLENTY = 10**9


class Soniox:
    """One session: hears audio, knows the words in it, settles them on order; its clock starts with its first byte."""

    def __init__(self, words):
        self.words = words
        self.begin = self.heard = None
        self.settled = set()
        self.asked = 0
        self.open = False

    def hear(self, audio):
        if self.begin is None:
            self.begin = audio.position / BYTES_PER_MS
        self.heard = (audio.position + len(audio.data)) / BYTES_PER_MS

    def shown(self):
        """Words that have ended, or what is left of the one in which the session began."""
        if self.begin is None:
            return []
        return [
            n for n, (start, end) in enumerate(self.words) if self.begin < end <= self.heard and n not in self.settled
        ]

    def token(self, number):
        start, end = self.words[number]
        return Token(f" w{number}", round(max(start, self.begin)), round(end))

    def say(self, final=0, *, control=None):
        """A message with the first `final` words settled, the others tentative."""
        shown = self.shown()
        now, later = shown[:final], shown[final:]
        self.settled |= set(now)
        self.open = self.open or bool(now)
        settled, tentative = tuple(map(self.token, now)), tuple(map(self.token, later))
        heard = round(self.heard or 0)
        final_ms = max((token.end_ms for token in settled), default=0)
        if control is None:
            return Message((Heard(settled, tentative),), final_ms, heard, finished=False)
        self.open = False
        return Message((Heard(settled), control, Heard((), tentative)), heard, heard, finished=False)


class Stream:
    """Our side, with everything that it was told."""

    def __init__(self, words, keep_ms):
        self.words = words
        self.upstream = Upstream(BATCH_MS * BYTES_PER_MS, keep_ms * BYTES_PER_MS)
        self.ledger = Ledger(BYTES_PER_MS * 1_000)
        self.events, self.asks, self.fed_ms = [], 0, 0
        self.keep_bytes = max(keep_ms, BATCH_MS) * BYTES_PER_MS
        self.connect()

    def connect(self):
        self.soniox = Soniox(self.words)
        self.events += self.ledger.begin(self.upstream.begins_at)

    def lose(self):
        self.upstream.rewind()
        self.ledger.lost()
        self.connect()

    def feed(self, ms):
        self.fed_ms += ms
        self.upstream.feed(bytes(ms * BYTES_PER_MS))

    def send(self, count):
        for _ in range(count):
            match self.upstream.take():
                case Audio() as audio:
                    self.ledger.send_audio(audio.position, len(audio.data))
                    self.soniox.hear(audio)
                case "finalize":
                    self.ledger.ask(PLENTY)
                    self.soniox.asked += 1
                case _:
                    return

    def take(self, message):
        events = self.ledger.take(message)
        self.upstream.settled(self.ledger.settled_to_ms * BYTES_PER_MS)
        for event in events:
            if isinstance(event, Finalized):
                self.upstream.answered()
        self.events += events

    def step(self, what, number):
        match what:
            case "feed":
                self.feed(number * 37)
            case "send":
                self.send(number)
            case "finalize":
                self.asks += self.upstream.finalize()
            case "say":
                self.take(self.soniox.say(number))
            case "end" if self.soniox.shown() or self.soniox.open:
                self.take(self.soniox.say(number, control=Endpoint()))
            case "fin" if self.soniox.asked:
                self.soniox.asked -= 1
                self.take(self.soniox.say(PLENTY, control=Finalized()))
            case "lose":
                self.lose()
        assert self.upstream.kept_bytes <= self.keep_bytes + BATCH_MS * BYTES_PER_MS

    def finish(self):
        self.feed(2_000)  # so that every word was spoken to its end
        self.upstream.finish()
        self.send(PLENTY)
        while self.soniox.asked:
            self.step("fin", 0)
        self.take(self.soniox.say(PLENTY))
        self.events += self.ledger.settle()

    @property
    def settled(self):
        return [token for event in self.events if isinstance(event, Heard) for token in event.settled]


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["feed", "feed", "send", "send", "finalize", "say", "end", "fin", "lose"]), st.integers(0, 9)
    ),
    max_size=60,
)
SOUNDS = st.lists(st.tuples(st.integers(60, 800), st.integers(40, 450)), max_size=12)


def laid_out(sounds):
    """Words of (silence before, length) as (start, end), ms."""
    words, at = [], 0
    for gap, length in sounds:
        words.append((at + gap, at + gap + length))
        at += gap + length
    return words


def run(sounds, steps, keep_ms):
    words = laid_out(sounds)
    stream = Stream(words, keep_ms)
    for step in steps:
        stream.step(*step)
    stream.feed(max(0, (words[-1][1] if words else 0) - stream.fed_ms))
    stream.finish()
    spoken = [f" w{number}" for number, _ in enumerate(words)]
    return stream, spoken


@settings(max_examples=200, deadline=None)
@given(SOUNDS, STEPS)
@example([(60, 40)], [("feed", 9), ("send", 9), ("say", 1), ("lose", 0)])
@example([(60, 300), (60, 300), (900, 60)], [("feed", 9)] * 6 + [("send", 50), ("end", 1), ("lose", 0)])
@example(
    [(60, 300), (60, 300)], [("feed", 9), ("feed", 9), ("send", 9), ("say", 0), ("lose", 0), ("send", 3), ("lose", 0)]
)
def test_every_word_once_in_order_whatever_breaks(sounds, steps):
    stream, spoken = run(sounds, steps, keep_ms=600_000)
    assert [token.text for token in stream.settled] == spoken
    assert [(t.start_ms, t.end_ms) for t in stream.settled] == sorted((t.start_ms, t.end_ms) for t in stream.settled)
    assert all(token.end_ms == round(stream.words[n][1]) for n, token in enumerate(stream.settled)), "one clock"
    assert sum(isinstance(event, Finalized) for event in stream.events) == stream.asks, "one answer for each request"
    assert stream.upstream.dropped_bytes == 0


@settings(max_examples=200, deadline=None)
@given(SOUNDS, STEPS, st.integers(100, 1_500))
def test_within_a_bound_words_are_missing_only_where_audio_was_dropped(sounds, steps, keep_ms):
    stream, spoken = run(sounds, steps, keep_ms)
    heard = [token.text for token in stream.settled]
    assert heard == [word for word in spoken if word in heard], "none twice, none out of place"
    assert sum(isinstance(event, Finalized) for event in stream.events) == stream.asks
    if not stream.upstream.dropped_bytes:
        assert heard == spoken


@settings(max_examples=200, deadline=None)
@given(SOUNDS, STEPS)
def test_an_endpoint_ends_something(sounds, steps):
    stream, _ = run(sounds, steps, keep_ms=600_000)
    words = 0
    for event in stream.events:
        match event:
            case Heard():
                words += len(event.settled)
            case Endpoint():
                assert words
                words = 0
            case _:
                pass


def test_tentative_words_stay_until_the_new_session_has_its_own_or_has_passed_them():
    ledger = Ledger(8_000)
    ledger.begin(0)
    ledger.send_audio(0, 8_000)
    ledger.take(Message((Heard((), (Token(" one", 200, 400),)),), 0, 1_000, finished=False))
    ledger.lost()
    assert ledger.begin(0) == []
    assert ledger.take(Message((Heard(),), 0, 0, finished=False)) == [], "the new session only says that it is there"
    assert ledger.take(Message((Heard(),), 0, 500, finished=False)) == [Heard()], "it was noise"


def test_a_translation_goes_with_its_words():
    ledger = Ledger(8_000)
    ledger.begin(0)
    ledger.take(Message((Heard((Token(" hello", 100, 400),)),), 400, 500, finished=False))
    ledger.lost()
    ledger.begin(0)
    again = (
        Token(" hello", 110, 390),
        Token(" hola", translation=True),
        Token(" you", 420, 600),
        Token(" tú", translation=True),
    )
    assert ledger.take(Message((Heard(again),), 600, 700, finished=False)) == [Heard(again[2:])]


def test_words_whose_audio_is_gone_are_settled_as_they_are():
    ledger = Ledger(8_000)
    ledger.begin(0)
    tail = (Token(" one", 100, 400), Token(" two", 500, 900))
    ledger.take(Message((Heard((), tail),), 0, 1_000, finished=False))
    ledger.lost()
    assert ledger.begin(3_600) == [Heard(tail[:1], tail[1:])]
