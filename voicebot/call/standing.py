"""Keeps how a call stands, for a process that may have to go on with it."""

from operator import is_

from voicebot.call.past import Course
from voicebot.call.reporter import Reporter
from voicebot.call.route import Route
from voicebot.call.scribe import Scribe
from voicebot.call.turntaking import TurnTaking


class Standing:
    """What a call is made of is replaced when it changes, never changed in place, so looking is cheap."""

    def __init__(self, route: Route, turns: TurnTaking, reporter: Reporter, scribe: Scribe) -> None:
        self._route, self._turns, self._reporter, self._scribe = route, turns, reporter, scribe
        self._kept = self._now()

    def keep(self) -> None:
        """Have it kept if it has changed; the call does not wait for that."""
        now = self._now()
        if all(map(is_, now, self._kept)):
            return
        self._kept, route, reporter = now, self._route, self._reporter
        course = Course(
            options=route.options.model_copy(update={"turns": self._turns.policy}),
            parameters=reporter.parameters,
            leaving=route.leaving,
            dialing=route.dialing,
        )
        self._scribe.stands(reporter.state, course.kept())

    def _now(self) -> tuple[object, ...]:
        route, reporter = self._route, self._reporter
        return (reporter.state, reporter.parameters, route.options, self._turns.policy, route.leaving, route.dialing)
