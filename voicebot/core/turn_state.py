"""What the turn machine remembers between two events, and what can be read from it."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from msgspec import Struct, field

from voicebot.core.backchannels import is_backchannel
from voicebot.core.echo_words import SURE_WORDS, is_echo
from voicebot.core.entries import Entry, read_entry
from voicebot.core.events import DigitsReason, Token, Turn, TurnReason
from voicebot.core.policy import TurnPolicy
from voicebot.core.words import words

STILL_MS = 1_000
"""Words come in lumps: standing still for less says nothing about silence."""
ECHO_TAIL_S = 1.0
"""Words that begin so soon after the bot fell silent may still be its own."""
ECHO_CHARACTERS = 300
"""So much of what the bot said just before may be heard again."""
JOINED = frozenset({"digits", "spelling"})
"""Expected entries in which keys and words belong together."""
_BETWEEN_WORDS = re.compile(r"[\W_]+")


@dataclass(frozen=True, slots=True)
class Bot:
    """The bot is being heard."""

    since: float
    interruptible: bool
    words: int
    """Words of this utterance that were there before the bot began."""


class TurnState(Struct, frozen=True, kw_only=True):  # a struct, because it is replaced with every event: 1 us, not 20
    """Everything the machine remembers; times are seconds on the caller's clock of `step`."""

    policy: TurnPolicy = field(default_factory=TurnPolicy)
    languages: tuple[str, ...] = ()
    """What the caller is likely to speak, where the recogniser does not say it."""
    number: int = 0
    """Turns completed."""
    utterance: int = 0
    """Utterances with words that are over: turns, and those that were set aside."""
    settled: tuple[Token, ...] = ()
    tentative: tuple[Token, ...] = ()
    words_at: float | None = None
    """When the words of this utterance last changed."""
    settled_at: float | None = None
    """When the last of them was settled."""
    opened_at: float | None = None
    """When the first word of this utterance came; None as long as, or as soon as, it has none."""
    overlapping: bool = False
    """The first word came while the bot was heard, or where its echo may still be."""
    speaking_since: float | None = None
    quiet_since: float | None = None
    """Since when the caller is silent by local speech activity; None while there is sound, before any, and when words
    came that it has missed."""
    unfinalized: bool = False
    """There was sound that no `finalize` has covered yet."""
    finalized: bool = False
    """The settled words are all there is: `finalize` was answered and no sound came since."""
    asks: tuple[int, ...] = ()
    """For each `finalize` without its answer, the utterance in which it was sent."""
    asked_at: float = float("-inf")
    ended_at: float | None = None
    """The recogniser has taken the utterance for over, and no word or sound came since."""
    cut: TurnReason | None = None
    """The turn ends with the answer to the last `finalize`, for this reason."""
    revision: int = 0
    """Versions of the open turn that were told."""
    told: Turn | None = None
    """The version that was told provisionally and stands."""
    keys: tuple[tuple[int, str], ...] = ()
    """Keys that were pressed, each with the number of words before it."""
    digit_at: float | None = None
    digits_done: DigitsReason | None = None
    bot: Bot | None = None
    said: str = ""
    """What the bot says, or said last."""
    hushed_at: float = float("-inf")
    """When it was last heard no longer."""
    barged_at: float | None = None
    """The bot was stopped then, and no words have shown yet that it was right."""
    floor: bool = False
    """The caller is waited for."""
    idle_since: float | None = None
    no_inputs: int = 0
    hung_up: bool = False
    deaf: bool = False
    """The recogniser is gone, or was until words came: nobody answers `finalize`."""

    @property
    def digits(self) -> str:
        """The keys that were pressed."""
        return "".join(key for _, key in self.keys)

    @property
    def words(self) -> int:
        """How many words the utterance has so far, the tentative ones counted."""
        return len(spoken(self.settled + self.tentative).split())

    @property
    def sound_pending(self) -> bool:
        """There was sound whose words may still come."""
        return self.speaking_since is not None or self.unfinalized or self.utterance in self.asks

    @property
    def unsettled(self) -> bool:
        """There are words that a `finalize` may still change or add to."""
        return any_text(self.tentative) or (not self.finalized and any_text(self.settled))

    @property
    def anything(self) -> bool:
        """Something was said, or may have been."""
        return self.sound_pending or any_text(self.settled) or any_text(self.tentative)

    @property
    def may_interrupt(self) -> bool:
        """The caller's voice stops the bot now."""
        return self.bot is not None and self.bot.interruptible and self.policy.barge_in.enabled and not self.hung_up

    @property
    def joins(self) -> bool:
        """Keys and words belong together."""
        return self.policy.expect.kind in JOINED

    @property
    def only_aside(self) -> bool:
        """There are words, and so far they are no wish to speak."""
        text = spoken(self.settled + self.tentative).strip() if self.overlapping else ""
        return bool(text) and self.aside(text) is not None

    @property
    def speaks_over(self) -> bool:
        """The caller has said enough while the bot is heard."""
        if self.bot is None or not self.may_interrupt or self.words - self.bot.words < self.policy.barge_in.min_words:
            return False
        return self._counts(" ".join(spoken(self.settled + self.tentative).split()[self.bot.words :]))

    @property
    def speaks_up(self) -> bool:
        """Words are there that are no mere sign of listening; the first may still become one and does not count yet."""
        text = spoken(self.settled + self.tentative).strip()
        return (any_text(self.settled) or len(text.split()) > 1) and self._counts(text)

    @property
    def may_resume(self) -> bool:
        """Nothing is heard of the caller now that could turn out to be a wish to speak."""
        return self.policy.barge_in.resume and self.speaking_since is None and not any_text(self.tentative)

    @property
    def came_to_nothing(self) -> bool:
        """What stopped the bot has ended, and there are no words in it, or none that count."""
        if not self.may_resume or self.unsettled or (self.sound_pending and not self.deaf):
            return False
        text = spoken(self.settled).strip()
        return not bare(text) or self.aside(text) is not None

    @property
    def silent_since(self) -> float | None:
        """Since when the caller is silent, as far as can be told.

        Where local speech activity cannot tell (steady noise, a voice too soft), words that have stood still for
        `commit_after_ms` (a second at least) count as its beginning.
        """
        if self.speaking_since is None and self.quiet_since is not None:
            return self.quiet_since
        return None if self.words_at is None else self.words_at + max(self.policy.commit_after_ms, STILL_MS) / 1000

    def endpoint_at(self, ended: float) -> float:
        """Return when an endpoint that came at `ended` ends the turn."""
        quiet = self.quiet_since if self.speaking_since is None else None
        return (ended if quiet is None else quiet) + self.policy.endpoint_after_ms / 1000

    def keys_end_at(self, last: float) -> float:
        """Return when a pause behind the `last` key ends the keys; they wait for digits and letters spoken meanwhile."""
        if self.joins and self.words_at is not None:
            last = max(last, self.words_at)
        return last + self.policy.expect.between_digits_ms / 1000

    def commit_at(self, quiet: float) -> float:
        """Return when silence since `quiet` ends the turn; an entry that is not whole waits for the keys among its words."""
        entry = self.entry()
        at = quiet + self.policy.commit_ms(entry) / 1000
        if self.digit_at is None or not self.joins or (entry is not None and entry.complete):
            return at
        return max(at, self.keys_end_at(self.digit_at))

    def entry(self, *, tentative: bool = False) -> Entry | None:
        """Return what is expected, as far as the settled words (and the `tentative` ones) and the keys give it."""
        expect = self.policy.expect
        if expect.kind == "free":
            return None
        tokens = self.settled + self.tentative if tentative else self.settled
        keys = self.keys if expect.kind in JOINED else ()
        return read_entry(expect, spoken(tokens), keys, next(iter(self._languages(tokens)), None))

    def aside(self, text: str) -> Literal["backchannel", "echo"] | None:
        """Say why words of this utterance are no wish to speak, or None if they are."""
        if not self.overlapping:
            return None
        if is_echo(text, self.said):
            return "echo"
        policy = self.policy
        heard = self.bot is not None or (self.barged_at is not None and policy.barge_in.resume)
        if not heard or policy.expect.kind == "yes_no" or self.cut:
            return None
        languages = self._languages(self.settled + self.tentative)
        return "backchannel" if is_backchannel(text, languages, policy.barge_in.backchannels) else None

    def overlaps(self, now: float) -> bool:
        """Say whether words that begin now may be about the bot's speech, or be its echo."""
        return self.bot is not None or self.barged_at is not None or now - self.hushed_at <= ECHO_TAIL_S

    def saying(self, text: str, now: float) -> str:
        """Return what the bot's echo may be made of once it also says `text`: what came just before still counts."""
        if not self.overlaps(now) or text.startswith(self.said):
            return text
        return self.said if self.said.endswith(text) else f"{self.said[-ECHO_CHARACTERS:]} {text}"

    def turn(self, reason: TurnReason) -> Turn:
        """Return the turn that the settled words, and the keys that belong to them, are."""
        return Turn(
            number=self.number + 1,
            text=spoken(self.settled).strip(),
            reason="hangup" if self.hung_up else reason,
            tokens=self.settled,
            digits=self.digits if self.joins or self.digits_done else "",
            translation="".join(token.text for token in self.settled if token.translation).strip(),
            entry=self.entry(),
            settled_at=self.settled_at,
            started_ms=next((t.start_ms for t in self.settled if t.start_ms is not None), None),
            ended_ms=next((t.end_ms for t in reversed(self.settled) if t.end_ms is not None), None),
        )

    def _counts(self, text: str) -> bool:
        """Say whether words of this utterance are a wish to speak; so few that they may be the bot's own are not yet."""
        return bool(bare(text)) and self.aside(text) is None and not (self.overlapping and may_be_echo(text, self.said))

    def _languages(self, tokens: Iterable[Token]) -> tuple[str, ...]:
        named = dict.fromkeys(token.language for token in tokens if token.language)
        return tuple(named) or self.languages


def may_be_echo(heard: str, said: str) -> bool:
    """Say whether words too few to be sure of are a stretch of what the bot says; the last may be cut."""
    theirs = words(heard)
    if not 0 < len(theirs) < SURE_WORDS:
        return False
    return f" {' '.join(theirs)}" in f" {' '.join(words(said))}"


def any_text(tokens: Iterable[Token]) -> bool:
    """Say whether something was spoken; translations are not."""
    for token in tokens:  # noqa: SIM110 - it is asked often, and a generator takes as long as the answer
        if not token.translation and token.text.strip():
            return True
    return False


def spoken(tokens: Iterable[Token]) -> str:
    """Return the text of tokens without their translations."""
    return "".join([token.text for token in tokens if not token.translation])


def bare(text: str) -> str:
    """Return the words alone: without punctuation, in small letters."""
    return _BETWEEN_WORDS.sub(" ", text).strip().casefold()
