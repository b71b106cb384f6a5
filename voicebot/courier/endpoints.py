"""Which endpoints want no events any more."""

from collections.abc import Iterable


class Endpoints:
    """What this process knows of the stopped endpoints; the store has the truth, and is read again and again."""

    def __init__(self) -> None:
        self._stopped: frozenset[str] = frozenset()

    def is_stopped(self, url: str) -> bool:
        """The endpoint has answered 410 and was not resumed since."""
        return url in self._stopped

    def stop(self, url: str) -> None:
        """The endpoint has answered 410."""
        self._stopped |= {url}

    def refresh(self, stopped: Iterable[str]) -> None:
        """Take over what the store says."""
        self._stopped = frozenset(stopped)
