"""Plays the caller: follows the steps, speaks, presses keys, waits, and judges what is expected on the way."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Final, assert_never

from voicebot.local.phone import scenario
from voicebot.local.phone.events import CallerQuiet, CallerSpeaks, Checked
from voicebot.local.phone.expectations import Evidence, judge
from voicebot.local.phone.journal import Journal
from voicebot.local.phone.line import Line
from voicebot.local.phone.options import CallOptions
from voicebot.local.phone.report import Failure, gaps_ms
from voicebot.local.phone.scenario import Expectation, Step
from voicebot.local.phone.sound import read_sound

#: From one key to the next, and what `w` waits, in milliseconds.
KEY_MS: Final = 200.0
KEY_WAIT_MS: Final = 500.0
_MS: Final = 1000.0


class StepImpossible(Exception):  # noqa: N818 - an outcome of the call, reported as a failed expectation
    """A step that cannot be done; the caller gives up."""

    def __init__(self, expected: str, found: str) -> None:
        super().__init__(f"expected {expected}, found {found}")
        self.expected = expected
        self.found = found


class Script:
    """The caller's part of one call; `press` sends a key, and says whether anybody listens."""

    def __init__(
        self,
        options: CallOptions,
        line: Line,
        journal: Journal,
        press: Callable[[str], bool],
        hang_up: Callable[[], None],
    ) -> None:
        self._options = options
        self._line = line
        self._journal = journal
        self._press = press
        self._hang_up = hang_up
        self._spoke_ms: float | None = None
        #: What `wait_for` asks about must have happened after this moment.
        self._since_ms = 0.0
        #: What the caller said, and when he began.
        self.turns: list[tuple[str, float]] = []

    async def run(self) -> None:
        """Follow the steps; returns when they are done or one of them cannot be done."""
        self._since_ms = self._journal.answered_ms or 0.0
        for number, step in enumerate(self._options.steps, 1):
            if self._line.over and not isinstance(step, scenario.Expect):
                if self._may_be_missed(step):
                    continue
                self._fail(number, step, StepImpossible("the call to go on", "the call had ended"))
                return
            try:
                await self._do(step, number)
            except StepImpossible as impossible:
                self._fail(number, step, impossible)
                return

    def evidence(self) -> Evidence:
        """What is known now."""
        journal = self._journal
        return Evidence(
            now_ms=journal.clock.now(),
            answered_ms=journal.answered_ms or 0.0,
            spoke_ms=self._spoke_ms,
            bot=self._line.bot,
            caller=self._line.caller,
            clears=tuple(float(at) for stream in journal.streams for at in stream.clears),
            streams=sum(one.kind == "connect" and one.opened_ms is not None for one in journal.streams),
            gaps_ms=tuple(gaps_ms(journal.streams)),
            marks_echoed=len(journal.echoed_marks()),
            verbs=tuple(verb.verb for verb in journal.verbs),
            said=tuple(journal.said),
            dialled=tuple(number for dial in journal.dialled for number in dial.numbers),
            dial_status=journal.dialled[-1].status if journal.dialled else None,
            ended_by=_ended_by(journal.ended),
            codes=tuple(note.code for note in journal.notes),
        )

    def check(self, wanted: Expectation, step: int | None) -> tuple[Failure, ...]:
        """Judge an expectation now and keep the outcome."""
        failures = judge(wanted, self.evidence(), step)
        if wanted.error is not None:
            self._journal.accept(wanted.error)
        self._journal.failures.extend(failures)
        label = scenario.label(scenario.Expect(expect=wanted))
        self._journal.add(Checked(self._journal.clock.now(), label, passed=not failures))
        return failures

    async def _do(self, step: Step, number: int) -> None:
        match step:
            case scenario.Say() | scenario.Play():
                await self._speak(step)
            case scenario.Wait(wait=seconds):
                await self._line.until(lambda: self._line.over, seconds)
            case scenario.WaitFor():
                await self._wait_for(step)
            case scenario.Dtmf(dtmf=digits):
                await self._dial_keys(digits)
            case scenario.Expect(expect=wanted, within=seconds):
                await self._line.until(lambda: self._line.over or not judge(wanted, self.evidence(), number), seconds)
                self.check(wanted, number)
            case scenario.HangUp():
                self._hang_up()
            case _:
                assert_never(step)

    async def _speak(self, step: scenario.Say | scenario.Play) -> None:
        audio = await self._audio(step)
        patience = self._options.limits.patience_s
        line = self._line
        if step.barge_in:
            if not await line.until(lambda: line.bot_speaking() or line.over, patience):
                raise StepImpossible("the bot to speak, to barge in", f"{patience:g} s without a sound")
        elif not await line.until(lambda: not line.bot_speaking() or line.over, patience):
            raise StepImpossible("a quiet moment to speak in", f"the bot spoke on for {patience:g} s")
        if step.after_ms:
            await line.until(lambda: line.over, step.after_ms / _MS)
        if line.over:
            if step.optional:
                return
            raise StepImpossible("the call to go on", "the call had ended")
        label = scenario.label(step)
        began = line.now_ms
        self._spoke_ms = self._since_ms = began
        self.turns.append((label, began))
        self._journal.add(CallerSpeaks(began, label))
        number = line.microphone.say(audio)
        await line.until(lambda: number in line.finished or line.over, len(audio) / _MS)
        self._journal.add(CallerQuiet(self._journal.clock.now(), label))
        self._since_ms = line.now_ms  # what the bot said meanwhile is not its answer

    async def _audio(self, step: scenario.Say | scenario.Play) -> bytes:
        match step:
            case scenario.Say(say=text):
                if self._options.voice is None:
                    raise StepImpossible("a voice for `say`", "none; give one, or use `play`")
                return await self._options.voice(text)
            case scenario.Play(play=bytes() as source):
                return read_sound(source)
            case scenario.Play(play=source):
                return await asyncio.to_thread(read_sound, Path(str(source)))

    async def _wait_for(self, step: scenario.WaitFor) -> None:
        condition = self._condition(step)
        over_is_fine = step.wait_for in {"hangup", "quiet", "silence"} or step.optional
        happened = await self._line.until(lambda: condition() or self._line.over, step.timeout)
        if self._line.over and not condition() and not over_is_fine:
            raise StepImpossible(step.wait_for, "the call had ended")
        if not happened and not step.optional:
            raise StepImpossible(f"{step.wait_for} within {step.timeout:g} s", "it did not happen")
        if step.wait_for == "quiet":
            self._since_ms = self._line.now_ms

    def _condition(self, step: scenario.WaitFor) -> Callable[[], bool]:
        line = self._line
        match step.wait_for:
            case "speech":
                return lambda: line.bot_speaking() or line.bot.first_after(self._since_ms) is not None
            case "quiet":
                return lambda: not line.bot_speaking()
            case "silence":
                return lambda: self._silent_for(step.for_s * _MS)
            case "hangup":
                return lambda: line.over
            case "mark":
                return lambda: self._mark_echoed(step.name)

    def _mark_echoed(self, name: str | None) -> bool:
        echoed = self._journal.echoed_marks()
        return any(
            mark.echoed_ms is not None and mark.echoed_ms >= self._since_ms and name in {None, mark.name}
            for mark in echoed
        )

    def _silent_for(self, length_ms: float) -> bool:
        now = self._journal.clock.now()
        since = max(self._since_ms, self._line.bot.last_end() or 0.0, self._line.caller.last_end() or 0.0)
        return now - since >= length_ms

    async def _dial_keys(self, digits: str) -> None:
        for digit in digits:
            if digit != "w" and not self._press(digit):
                raise StepImpossible("an open bidirectional stream to take keys", "none")
            await self._line.until(lambda: self._line.over, (KEY_WAIT_MS if digit == "w" else KEY_MS) / _MS)

    def _may_be_missed(self, step: Step) -> bool:
        match step:
            case scenario.HangUp() | scenario.Wait():
                return True
            case scenario.WaitFor(wait_for=what, optional=optional):
                return optional or what in {"hangup", "quiet", "silence"}
            case scenario.Say(optional=optional) | scenario.Play(optional=optional) | scenario.Dtmf(optional=optional):
                return optional
            case _:
                return False

    def _fail(self, number: int, step: Step, why: StepImpossible) -> None:
        label = scenario.label(step)
        self._journal.failures.append(Failure(step=number, what=label, expected=why.expected, found=why.found))
        self._journal.add(Checked(self._journal.clock.now(), f"{label}: {why}", passed=False))


def _ended_by(reason: str | None) -> str:
    match reason:
        case None:
            return "nobody"
        case "rejected" | "rest":
            return "service"
        case _:
            return reason
