"""Laws of the turn machine, for any events in any order, against a small model of its own."""

import itertools
from copy import replace
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from voicebot.core.actions import BargeInPolicy, Expect, Listen
from voicebot.core.events import (
    AskFinalize,
    BargeIn,
    BotStarted,
    BotStopped,
    Digit,
    DigitsCompleted,
    Endpoint,
    Finalized,
    Finished,
    FloorGiven,
    Heard,
    HungUp,
    NoInput,
    NotATurn,
    ResumeSpeech,
    SpeechStarted,
    SpeechStopped,
    SttFailed,
    Tick,
    Token,
    Turn,
    TurnCompleted,
    TurnProvisional,
    TurnRequested,
    TurnRetracted,
)
from voicebot.core.policy import awaits_more
from voicebot.core.turns import TurnPolicy, TurnState, step, wake_at

BARGE_INS = st.builds(
    BargeInPolicy,
    enabled=st.sampled_from([True, True, True, False]),
    min_ms=st.sampled_from([0, 250, 600]),
    min_words=st.sampled_from([1, 3]),
    backchannels=st.sampled_from([None, None, (), ("w1", "mhm")]),
    resume=st.booleans(),
    resume_after_ms=st.sampled_from([0, 800, 8_000]),
)
EXPECTS = st.builds(
    Expect,
    kind=st.sampled_from(["free", "free", "yes_no", "digits", "spelling", "email"]),
    digits=st.sampled_from([None, 1, 3]),
    finish_key=st.sampled_from(["", "#"]),
    between_digits_ms=st.sampled_from([0, 500, 3_000]),
)
POLICIES = st.builds(
    TurnPolicy,
    finalize_after_ms=st.sampled_from([200, 300, 1_000]),
    commit_after_ms=st.sampled_from([200, 1_600]),
    endpoint_after_ms=st.sampled_from([0, 0, 0, 1_200]),
    max_turn_ms=st.sampled_from([1_000, 60_000]),
    no_input_ms=st.sampled_from([0, 1, 8_000]),
    provisional=st.booleans(),
    barge_in=BARGE_INS,
    expect=EXPECTS,
)
LISTENS = st.one_of(
    st.builds(Listen, provisional=st.booleans()),
    st.builds(Listen, barge_in=BARGE_INS),
    st.builds(Listen, expect=EXPECTS),
    st.builds(Listen, no_input_ms=st.sampled_from([0, 1, 8_000]), commit_after_ms=st.sampled_from([200, 1_600])),
)
LANGUAGES = st.sampled_from([(), ("en",), ("de", "en")])

# "w" stands for a word that nobody has said before, so that it can be taken for nothing else.
SAYS = "your appointment is on monday at ten"
ASIDE = {"mhm", "okay", "?", *SAYS.split()}
PHRASES = ["", "w", "w w", "w w", "mhm", "okay mhm", "one two", "three", "b as in bravo", "yes", "no", "on monday"]
PHRASES += ["your appointment is on monday", SAYS, "anna at example dot com", "anna at", "?"]
HEARD = st.tuples(st.sampled_from(PHRASES), st.integers(0, 5))
BOT = [BotStarted(), BotStarted(interruptible=False), BotStarted(text=SAYS), BotStarted(text=SAYS), BotStopped()]
EVENTS = st.one_of(
    HEARD,
    HEARD,
    st.sampled_from([Endpoint(), Finalized()]),
    st.sampled_from([SpeechStarted(), SpeechStopped(200), Tick()]),
    st.sampled_from([*BOT, FloorGiven(), TurnRequested()]),
    st.builds(Digit, st.sampled_from("123#")),
    st.sampled_from([HungUp(), Finished(), SttFailed(0, "gone", "gone"), Endpoint()]),
    LISTENS,
)
PAUSES_MS = st.sampled_from([0, 0, 1, 50, 100, 200, 300, 1_000, 1_600, 3_000, 8_000, 60_000])
# Chance alone seldom speaks, falls silent and is asked about it, so that some rules would never be put to the test.
SPOKEN = [(0, SpeechStarted()), (300, ("w", 1)), (300, SpeechStopped(200)), (300, Tick())]
SETTLED = [(0, SpeechStarted()), (300, SpeechStopped(200)), (300, Tick()), (20, ("w w", 2)), (0, Finalized())]
BARGED = [(2_000, BotStarted(text=SAYS)), (100, SpeechStarted()), (300, Tick())]
COUGHED = [*BARGED, (100, SpeechStopped(200)), (400, Finalized())]
NODDED = [*BARGED, (100, ("okay mhm", 0)), (100, SpeechStopped(200)), (300, ("okay mhm", 2)), (0, Endpoint())]
ECHOED = [(2_000, BotStarted(text=SAYS)), (300, (SAYS, 0)), (300, (SAYS, 5)), (0, Endpoint())]
WENT_ON = [*SETTLED, (100, ("w", 0)), (500, Heard()), (0, Finalized())]
LEFT = [(0, BotStopped()), (0, FloorGiven()), (8_000, Tick())]
SCRIPTS = st.lists(
    st.one_of(
        st.sampled_from([SPOKEN, SETTLED, WENT_ON, BARGED, COUGHED, NODDED, ECHOED, LEFT]),
        *[st.tuples(PAUSES_MS, EVENTS).map(lambda timed: [timed])] * 4,
    ),
    max_size=30,
).map(lambda parts: [timed for part in parts for timed in part])


def written(script):
    """Give every word its own time, and every "w" its own name, so that none can stand for another; in seconds."""
    names, times, now = itertools.count(1), itertools.count(1), 1_000.0
    for pause, event in script:
        now += pause / 1_000
        if isinstance(event, tuple):
            texts = [f"w{next(names)}" if word == "w" else word for word in event[0].split()]
            tokens = tuple(Token(f" {text}", start_ms=next(times)) for text in texts)
            yield now, Heard(tokens[: event[1]], tokens[event[1] :])
        else:
            yield now, event


def take(state, event, now):
    """Take an event, or another policy."""
    if isinstance(event, Listen):
        return step(replace(state, policy=state.policy.changed_by(event)), Tick(), now)
    return step(state, event, now)


def perform(script, policy, languages=(), *, woken=True):
    """Yield (event, now, state before, state after, effects) of every step, wake-ups included."""
    state, now = TurnState(policy=policy, languages=languages), 1_000.0
    for then, event in script:
        while woken and (wake := wake_at(state)) is not None and wake < then:
            now = wake
            before, (state, effects) = state, step(state, Tick(), now)
            yield Tick(), now, before, state, effects
        now = then
        before, (state, effects) = state, take(state, event, now)
        yield event, now, before, state, effects


def plain(text):
    """Return the words without what may be read into or out of them."""
    return "".join(sign if sign.isalnum() else " " for sign in text.lower()).split()


@dataclass
class Model:
    """What a caller, a keypad and a bot did, told without looking into the machine."""

    pending: list[Token] = field(default_factory=list)
    tail: list[Token] = field(default_factory=list)
    keys: str = ""
    turns: int = 0
    utterances: int = 0
    revision: int = 0
    told: Turn | None = None
    doubt: bool = False
    speaking: bool = False
    bot: bool = False
    said: str = ""
    interruptible: bool = False
    floor: bool = False
    quiet_at: float = 0.0
    hung_up: bool = False
    asks: list[int] = field(default_factory=list)
    new_sound: bool = False
    covered: bool = False
    cut: bool = False

    @property
    def busy(self):
        return bool(self.pending or self.tail or self.keys or self.speaking or self.bot) or not self.floor

    @property
    def means_it(self):
        """Are there words that no list knows and the bot has not said? A single one may yet become another."""
        words = [token.text.strip() for token in self.pending + self.tail]
        return bool(self.pending or len(words) > 1) and any(word not in ASIDE and word != "w1" for word in words)

    def take(self, event, now, policy):
        busy = self.busy
        match event:
            case Heard(settled, tentative):
                self.covered = self.covered and not (settled or tentative or self.tail)
                self.pending += settled
                self.tail = list(tentative)
                self.doubt = self.doubt and not self.means_it
            case Finished() | SttFailed():
                self.pending, self.tail, self.asks = self.pending + self.tail, [], []
            case Finalized() if self.asks:
                self.covered = self.asks.pop(0) == self.utterances and not (self.asks or self.new_sound)
            case TurnRequested() if self.pending and not self.hung_up:
                self.cut = True
            case Digit(digit):
                self.keys += "" if digit == policy.expect.finish_key else digit
                self.doubt = False
            case SpeechStarted() | SpeechStopped():
                if self.speaking or isinstance(event, SpeechStarted):
                    self.covered, self.new_sound = False, True
                self.speaking = isinstance(event, SpeechStarted)
            case BotStarted(interruptible, text):
                self.bot, self.interruptible, self.floor, self.doubt = True, interruptible, False, False
                self.said += " " + text
            case BotStopped():
                self.bot = False
            case FloorGiven():
                self.floor = True
            case HungUp():
                self.hung_up, self.bot, self.doubt = True, False, False
        if busy or self.busy:
            self.quiet_at = now

    def check(self, effect, event, now, policy):
        match effect:
            case TurnCompleted():
                self.check_turn(effect, event, policy)
            case TurnProvisional(turn, revision):
                assert policy.provisional and not self.hung_up
                assert self.told is None, "never two versions at once"
                assert self.covered and not self.tail, "only what is settled is told early"
                assert turn.number == self.turns + 1
                assert list(turn.tokens) == self.pending != []
                assert revision == self.revision + 1
                self.told, self.revision = turn, revision
            case TurnRetracted(number, revision, text):
                assert self.told is not None
                assert (number, revision) == (self.told.number, self.revision)
                assert text.split() == plain(self.told.text)
                self.told = None
            case NotATurn(kind, text, tokens):
                assert self.told is None, "taken back before it is set aside"
                assert list(tokens) == self.pending != []
                said, known = plain(text), {"mhm", "okay", "w1"} if kind == "backchannel" else {*self.said.split()}
                assert sum(word not in known for word in said) <= (len(said) // 5 if kind == "echo" else 0)
                assert kind == "echo" or policy.expect.kind != "yes_no"
                self.utterances += 1
                self.pending, self.covered, self.new_sound, self.cut = [], False, self.speaking, False
            case DigitsCompleted(digits):
                self.forget_punctuation()
                assert self.pending == []
                self.floor = self.doubt = False
                self.spend(digits)
            case BargeIn(cause):
                assert self.bot and self.interruptible and policy.barge_in.enabled and not self.hung_up
                self.bot, self.doubt = False, cause == "speech" and policy.barge_in.resume and not self.means_it
            case ResumeSpeech():
                assert self.doubt, "once, and only after a barge-in that no word has confirmed"
                assert policy.barge_in.resume and not (self.speaking or self.bot or self.hung_up)
                self.doubt = False
            case NoInput():
                assert not self.busy and not self.hung_up
                assert not (self.doubt and policy.barge_in.resume), "the bot may go on yet"
                assert now - self.quiet_at >= policy.no_input_ms / 1_000 - 1e-6
                self.floor = False
            case AskFinalize():
                assert not self.hung_up
                self.asks.append(self.utterances)
                self.new_sound = False

    def check_turn(self, completed, event, policy):
        turn = completed.turn
        if turn.reason == "finalize" and not isinstance(event, Finished | SttFailed):
            assert self.covered, "silence commits only what is settled"
        if turn.reason in {"command", "max_turn", "digits"} and isinstance(event, Finalized):
            assert not self.asks, "a cut waits for the answer to its own request"
        assert list(turn.tokens) == self.pending != []
        assert turn.text.split() == [token.text.strip() for token in self.pending]
        assert turn.number == self.turns + 1
        assert (turn.reason == "hangup") == self.hung_up
        assert (turn.entry.kind if turn.entry else "free") == policy.expect.kind
        if completed.confirms:
            assert self.told is not None
            assert (turn.digits, turn.entry) == (self.told.digits, self.told.entry)
            assert plain(turn.text) == plain(self.told.text)
            assert completed.revision == self.revision
        else:
            assert self.told is None, "what was told is confirmed or taken back"
            assert completed.revision == self.revision + 1
        self.turns, self.utterances = self.turns + 1, self.utterances + 1
        self.revision, self.told, self.doubt, self.floor = 0, None, False, False
        self.pending, self.covered, self.new_sound, self.cut = [], False, self.speaking, False
        self.spend(turn.digits)

    def forget_punctuation(self):
        """Signs without words are told to nobody."""
        if self.pending and all(token.text == " ?" for token in self.pending):
            self.utterances += 1
            self.pending, self.covered, self.new_sound, self.cut = [], False, self.speaking, False

    def spend(self, digits):
        assert self.keys.startswith(digits)
        self.keys = self.keys[len(digits) :]


@settings(max_examples=600, deadline=None)
@given(script=SCRIPTS, policy=POLICIES, languages=LANGUAGES, woken=st.booleans())
def test_the_machine_agrees_with_the_model(script, policy, languages, woken):
    """No word and no key is lost, doubled or moved; turns are numbered; nobody is interrupted or reminded wrongly.

    What was told early is confirmed as it was, or taken back before anything else is told; a bot that was stopped goes
    on once at most, and never over the caller.
    """
    model = Model()
    for event, now, previous, state, effects in perform(written(script), policy, languages, woken=woken):
        before = list(model.pending)
        model.take(event, now, previous.policy)
        for effect in effects:
            model.check(effect, event, now, state.policy)
        if not state.settled:
            model.forget_punctuation()
        assert list(state.settled) == model.pending
        assert state.digits == model.keys
        trusted = not state.policy.endpoint_after_ms or state.hung_up
        if isinstance(event, Endpoint) and before and (previous.cut or (trusted and not awaits_more(previous.entry()))):
            assert model.pending == [], "an endpoint behind words ends the turn"
        if isinstance(event, Finished | SttFailed):
            assert model.pending == [], "nothing is left behind a flush"
        if isinstance(event, Finalized) and model.cut:
            assert model.asks, "the last answer ends a turn that somebody asked to end"


@settings(max_examples=150, deadline=None)
@given(script=SCRIPTS, policy=POLICIES)
def test_a_wake_up_lies_ahead_and_brings_something(script, policy):
    for event, now, before, state, effects in perform(written(script), policy):
        if isinstance(event, Tick) and now == wake_at(before):
            assert effects or state != before, "a wake-up for nothing"
        wake = wake_at(state)
        assert wake is None or wake > now
        assert step(state, Tick(), now) == (state, ()), "a tick too many does nothing"


@settings(max_examples=150, deadline=None)
@given(script=SCRIPTS, policy=POLICIES)
def test_left_alone_the_machine_falls_asleep(script, policy):
    """Timers never fire twice: without events there is one end of everything that was pending."""
    *_, (_, now, _, state, _) = perform([(1_000.0, Tick()), *written(script)], policy)
    effects = []
    for _ in range(12):
        if (wake := wake_at(state)) is None:
            break
        assert wake > now
        now = wake
        state, more = step(state, Tick(), now)
        effects += more
    assert wake_at(state) is None
    assert sum(isinstance(effect, AskFinalize) for effect in effects) <= 3
    assert not any(isinstance(effect, TurnProvisional) for effect in effects), "only an answer settles words"
    for kind in (TurnCompleted | NotATurn, TurnRetracted, DigitsCompleted, NoInput, BargeIn, ResumeSpeech):
        assert sum(isinstance(effect, kind) for effect in effects) <= 1


@settings(max_examples=150, deadline=None)
@given(script=SCRIPTS, policy=POLICIES)
def test_finalizes_are_bounded(script, policy):
    """Each request is owed to something that happened; one that waits for its answer keeps others but a cut away."""
    happened = asked = answered = 0
    for event, _, before, _, effects in perform(written(script), policy):
        happened += not isinstance(event, Tick)
        answered += isinstance(event, Finalized)
        for _ in (effect for effect in effects if isinstance(effect, AskFinalize)):
            asked += 1
            assert not (isinstance(event, Tick) and before.asks and before.cut), "a cut is asked for once"
    assert asked <= 2 * happened + 1


def halves(script):
    """Deliver every message in two: the settled words first, or with the rest of them still tentative."""
    for now, event in script:
        if isinstance(event, Heard) and len(event.settled) > 1:
            first, rest = event.settled[:1], event.settled[1:]
            yield now, Heard(first, rest + event.tentative)
            yield now, Heard(rest, event.tentative)
        else:
            yield now, event


@settings(max_examples=150, deadline=None)
@given(script=SCRIPTS, policy=POLICIES)
def test_splitting_a_message_changes_nothing(script, policy):
    whole = list(perform(written(script), policy))
    split = list(perform(halves(written(script)), policy))
    assert [(now, e) for _, now, _, _, effects in whole for e in effects] == [
        (now, e) for _, now, _, _, effects in split for e in effects
    ]
    assert not whole or whole[-1][3] == split[-1][3]


@settings(max_examples=150, deadline=None)
@given(script=SCRIPTS, policy=POLICIES)
def test_a_tick_before_its_time_changes_nothing(script, policy):
    for _, now, _, state, _ in perform(written(script), policy):
        wake = wake_at(state)
        between = now + 3_600 if wake is None else (now + wake) / 2
        if wake is None or now < between < wake:
            assert step(state, Tick(), between) == (state, ())
