"""The turn machine in a small world: a caller, a recogniser and a line, and the turns a listener would write down."""

import heapq
import itertools
from copy import replace
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from voicebot.core.events import (
    AskFinalize,
    Endpoint,
    Finalized,
    Finished,
    Heard,
    HungUp,
    SpeechStarted,
    SpeechStopped,
    Tick,
    Token,
    TurnCompleted,
    TurnProvisional,
    TurnRetracted,
)
from voicebot.core.turns import TurnPolicy, TurnState, step, wake_at

POLICY = TurnPolicy()
WORD_MS = 300
ONSET_MS, HANGOVER_MS = 60, 200
# Pauses keep clear of every threshold, so that nobody has to be right to the millisecond.
PAUSES_MS = [100, 500, 1_000, 1_350, 1_800, 2_500, 4_000]


@dataclass
class World:
    """Times in milliseconds; a word is heard `latency_ms` after it was spoken, a finalize answered after `answer_ms`."""

    segments: list[tuple[int, int]]
    ear: str
    endpoint_ms: int | None
    latency_ms: int
    answer_ms: int
    policy: TurnPolicy = POLICY
    agenda: list[tuple[float, int, object]] = field(default_factory=list)
    order: itertools.count = field(default_factory=itertools.count)
    words: list[tuple[float, str]] = field(default_factory=list)
    spans: list[tuple[float, float]] = field(default_factory=list)
    settled: float = 0
    turns: list[str] = field(default_factory=list)
    asked: list[float] = field(default_factory=list)
    told: list[TurnProvisional | TurnRetracted | TurnCompleted] = field(default_factory=list)

    def at(self, ms, event):
        heapq.heappush(self.agenda, (ms, next(self.order), event))

    def speak(self):
        now = 1_000.0
        for pause, count in self.segments:
            start = now = now + pause
            for _ in range(count):
                now += WORD_MS
                self.words.append((now, f" w{len(self.words)}"))
                self.at(now + self.latency_ms, "words")
            self.spans.append((start, now))
        for (start, end), (after, _) in itertools.pairwise([*self.spans, (float("inf"), 0.0)]):
            if self.ear == "good" and (not self.heard_before(start)):
                self.at(start + ONSET_MS, SpeechStarted())
            if self.ear == "good" and after - end > HANGOVER_MS:
                self.at(end + HANGOVER_MS, SpeechStopped(HANGOVER_MS))
            if self.endpoint_ms is not None and after - end > self.endpoint_ms:
                self.at(end + self.endpoint_ms, "endpoint")
        if self.ear == "noise":
            self.at(0, SpeechStarted())
        return now

    def heard_before(self, start):
        return any(0 < start - end <= HANGOVER_MS for _, end in self.spans)

    def tokens(self, start, end):
        return tuple(Token(text) for at, text in self.words if start < at <= end)

    def message(self, now, settle_until, control=None):
        """Write what Soniox would: newly settled words, the control, and the whole tentative tail behind it."""
        settled, self.settled = self.tokens(self.settled, settle_until), max(self.settled, settle_until)
        tail = self.tokens(self.settled, now - self.latency_ms)
        if control is None:
            return (Heard(settled, tail),)
        return (Heard(settled), control, *([Heard(tentative=tail)] if tail else []))

    def events(self, now, item):
        match item:
            case "words":
                return self.message(now, 0)
            case "endpoint":
                return self.message(now, now, Endpoint())
            case ("answer", asked):
                return self.message(now, asked, Finalized())
            case _:
                return (item,)

    def run(self, hang_up_ms=None):
        end = self.speak()
        if hang_up_ms is None:
            end += 20_000
        else:
            end = min(end, hang_up_ms)
        state = TurnState(policy=self.policy)
        while self.agenda or wake_at(state) is not None:
            wake = wake_at(state)
            due = self.agenda[0][0] if self.agenda else float("inf")
            if min(due, (wake or float("inf")) * 1_000) > end:
                break
            if wake is not None and wake * 1_000 < due:
                state = self.step(state, Tick(), wake * 1_000, wake)
                continue
            now, _, item = heapq.heappop(self.agenda)
            for event in self.events(now, item):
                state = self.step(state, event, now)
        if hang_up_ms is not None:
            for event in (HungUp(), *self.message(end, end), Finished()):
                state = self.step(state, event, end)
        return self

    def step(self, state, event, now, seconds=None):
        state, effects = step(state, event, now / 1_000 if seconds is None else seconds)
        for effect in effects:
            match effect:
                case AskFinalize():
                    self.asked.append(now)
                    self.at(now + self.answer_ms, ("answer", now))
                case TurnCompleted(turn):
                    self.turns.append(turn.text)
                    self.told.append(effect)
                case TurnProvisional() | TurnRetracted():
                    self.told.append(effect)
        return state


def listener(world):
    """Write down the turns: a pause longer than the patience that applies begins a new one."""
    patience = POLICY.commit_after_ms if world.ear == "good" else 2 * POLICY.commit_after_ms
    if world.endpoint_ms is not None:
        patience = min(patience, world.endpoint_ms)
    turns, names = [], (text.strip() for _, text in world.words)
    for index, (pause, count) in enumerate(world.segments):
        words = list(itertools.islice(names, count))
        if index and pause <= patience:
            turns[-1] += words
        else:
            turns.append(words)
    return [" ".join(turn) for turn in turns]


LISTS = ("agenda", "words", "spans", "turns", "asked", "told")
WORLDS = st.builds(
    World,
    segments=st.lists(st.tuples(st.sampled_from(PAUSES_MS), st.integers(1, 4)), min_size=1, max_size=8),
    ear=st.sampled_from(["good", "good", "deaf", "noise"]),
    endpoint_ms=st.sampled_from([None, None, 700, 1_200]),
    latency_ms=st.sampled_from([20, 100, 280]),
    answer_ms=st.sampled_from([10, 80, 400]),
)


@settings(max_examples=100, deadline=None)
@given(world=WORLDS)
def test_the_turns_are_those_of_a_listener(world):
    world.run()
    assert world.turns == listener(world)


@settings(max_examples=100, deadline=None)
@given(world=WORLDS)
def test_nobody_is_finalized_while_speaking_or_sooner_than_the_policy_says(world):
    """With a good ear; and once per stretch of speech is enough."""
    world.run()
    if world.ear == "good":
        for asked in world.asked:
            assert not any(
                start + ONSET_MS <= asked < end + POLICY.finalize_after_ms - 1e-6 for start, end in world.spans
            )
    assert len(world.asked) <= len(world.spans)


@settings(max_examples=100, deadline=None)
@given(world=WORLDS, hang_up_ms=st.integers(1_000, 15_000))
def test_a_hang_up_keeps_every_word_that_was_said(world, hang_up_ms):
    world.run(hang_up_ms)
    end = min(hang_up_ms, world.spans[-1][1])
    said = [text.strip() for at, text in world.words if at <= end]
    assert " ".join(world.turns).split() == said


def versions(told):
    """Yield (turn, revision, its words, what became of it) of everything that the application was told."""
    for effect, following in itertools.zip_longest(told, told[1:]):
        match effect:
            case TurnProvisional(turn, revision):
                if isinstance(following, TurnRetracted):
                    assert (following.number, following.revision, following.text) == (turn.number, revision, turn.text)
                    yield turn.number, revision, turn.text, "retracted"
                else:
                    assert isinstance(following, TurnCompleted)
                    assert following.confirms
                    assert (following.turn.number, following.revision) == (turn.number, revision)
                    assert following.turn.text == turn.text
            case TurnCompleted(turn, revision):
                yield turn.number, revision, turn.text, "stands"
            case _:
                pass


@settings(max_examples=150, deadline=None)
@given(world=WORLDS, hang_up_ms=st.one_of(st.none(), st.integers(1_000, 15_000)))
def test_a_head_start_changes_no_turn(world, hang_up_ms):
    """The same turns at the same place; each version that was told early stands, or is taken back before the next."""
    early = replace(world, policy=replace(POLICY, provisional=True), **{name: [] for name in LISTS})
    early.order, early.settled = itertools.count(), 0
    world.run(hang_up_ms)
    early.run(hang_up_ms)
    assert early.turns == world.turns
    assert early.asked == world.asked, "it costs the recogniser nothing"
    told = list(versions(early.told))
    assert [text for *_, text, fate in told if fate == "stands"] == world.turns
    assert sum(isinstance(each, TurnProvisional) for each in early.told) <= len(world.spans), "once per pause"
    for _, of_turn in itertools.groupby(told, key=lambda version: version[0]):
        _, revisions, texts, fates = zip(*of_turn, strict=True)
        assert revisions == tuple(range(1, len(revisions) + 1))
        assert [fate for fate in fates if fate != "retracted"] == (["stands"] if fates[-1] == "stands" else [])
        for shorter, longer in itertools.pairwise(texts):
            assert longer.startswith(shorter), "who goes on says more"


@settings(max_examples=100, deadline=None)
@given(world=WORLDS)
def test_the_head_start_is_the_answer_to_finalize(world):
    """Wherever the words are settled before the endpoint, or before patience ends, the application knows them then."""
    early = replace(world, policy=replace(POLICY, provisional=True))
    early.run()
    if early.ear == "good" and early.endpoint_ms is None:
        # An answer that comes when the caller speaks again settles nothing that could be told.
        assert len(early.turns) <= sum(isinstance(each, TurnProvisional) for each in early.told) <= len(early.asked)
        assert all(each.confirms for each in early.told if isinstance(each, TurnCompleted))
