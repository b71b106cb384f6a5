"""Which Soniox account is used: the first, or the fallback while the first refuses or fails; known to all calls."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from pydantic import SecretStr

from voicebot.config import SonioxSettings
from voicebot.core.incidents import Incident, Switched


@dataclass(frozen=True, slots=True)
class Account:
    """A key and where it is used."""

    key: SecretStr
    stt_url: str
    tts_url: str
    fallback: bool = False


def accounts_of(settings: SonioxSettings) -> tuple[Account, ...]:
    """Return the accounts of the settings, the preferred one first."""
    first = Account(settings.api_key, settings.stt_url, settings.tts_url)
    other = settings.fallback
    key = other.api_key if other.api_key.get_secret_value() else first.key
    second = Account(key, other.stt_url or first.stt_url, other.tts_url or first.tts_url, fallback=True)
    same = (second.key, second.stt_url, second.tts_url) == (first.key, first.stt_url, first.tts_url)
    return (first,) if same else (first, second)


def _ignore(_incident: Incident) -> None:
    """Nobody counts."""


class Accounts:
    """What all calls have learnt of the accounts; `observe` is told every incident on the way to Soniox.

    An account that has failed is left alone for `fallback_retry_s`; then one who asks tries it, the others wait for the
    outcome.
    """

    def __init__(
        self,
        settings: SonioxSettings,
        observe: Callable[[Incident], None] = _ignore,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.all = accounts_of(settings)
        self.observe = observe
        self._retry_s = settings.fallback_retry_s
        self._clock = clock
        self._failed_at: dict[Account, float] = {}

    def present(self, without: frozenset[Account] = frozenset()) -> Account | None:
        """Return the account to be used now, None when all of them are ruled out."""
        usable = [account for account in self.all if account not in without]
        good = [account for account in usable if account not in self._failed_at]
        return next(iter(good or sorted(usable, key=lambda account: self._failed_at[account])), None)

    def choose(self, without: frozenset[Account] = frozenset()) -> Account | None:
        """Return the account to be used now; this asker may be the one that tries a failed one again."""
        now = self._clock()
        for account in self.all:
            if account not in without and now - self._failed_at.get(account, now) >= self._retry_s:
                self._failed_at[account] = now
                return account
        return self.present(without)

    def failed(self, account: Account) -> None:
        """Note that the account refuses, or cannot be reached."""
        new = account not in self._failed_at
        self._failed_at[account] = self._clock()
        if new and not account.fallback and len(self.all) > 1:
            self.observe(Switched(fallback=True))

    def worked(self, account: Account) -> None:
        """Note that a session on this account has answered."""
        if self._failed_at.pop(account, None) is not None and not account.fallback and len(self.all) > 1:
            self.observe(Switched(fallback=False))
