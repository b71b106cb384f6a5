"""What each reader of a call may see: its words under the number's redaction, once for the store, log, live view and webhook."""

from copy import replace

from voicebot.core.events import NotATurn, Turn
from voicebot.core.playback import Spoken
from voicebot.core.redaction import RedactionPlace, RedactionPolicy, Redactor


class View:
    """What one reader sees; without a redactor everything."""

    def __init__(self, redactor: Redactor | None) -> None:
        self._redactor = redactor

    def text(self, text: str) -> str:
        """Return what is shown of words."""
        return self._redactor.text(text) if self._redactor else text

    def digits(self, digits: str) -> str:
        """Return what is shown of keys."""
        return self._redactor.digits(digits) if self._redactor else digits

    def partial(self, settled: str, tentative: str) -> tuple[str, str]:
        """Return what is shown of words that are still being said."""
        return self._redactor.partial(settled, tentative) if self._redactor else (settled, tentative)

    def turn(self, turn: Turn) -> Turn:
        """Return what is shown of a turn."""
        return self._redactor.turn(turn) if self._redactor else turn

    def aside(self, aside: NotATurn) -> NotATurn:
        """Return what is shown of words that are no turn."""
        return replace(aside, text=self.text(aside.text)) if self._redactor else aside

    def spoken(self, spoken: Spoken) -> Spoken:
        """Return what is shown of the bot's speech, which may repeat what it was told."""
        if self._redactor is None:
            return spoken
        heard, unheard = self._redactor.cut(spoken.heard, spoken.unheard)
        return replace(spoken, text=self.text(spoken.text), heard=heard, unheard=unheard)


_EVERYTHING = View(None)


class Eyes:
    """One call's readers."""

    def __init__(self, policy: RedactionPolicy) -> None:
        redactor = Redactor(policy)

        def view(place: RedactionPlace) -> View:
            return View(redactor) if redactor.applies_to(place) else _EVERYTHING

        self.store, self.log, self.live, self.webhook = view("store"), view("log"), view("live"), view("webhook")
        self.forgets = redactor.applies_to("store") and not redactor.applies_to("webhook")
        """The application sees what the store may not keep: an event's body goes once it is delivered."""
