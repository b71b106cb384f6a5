"""How long one recogniser goes on trying: waits, attempts in a row, another account, and when to give up."""

import math
from dataclasses import dataclass

from voicebot.config import SonioxSettings
from voicebot.core.incidents import ReconnectReason
from voicebot.soniox_accounts import Account, Accounts
from voicebot.stt.session import ROLLOVER, Lost
from voicebot.wire.soniox_errors import Retry

BAD_REQUEST = 400
STEADY_S = 10.0
"""A session that has lived so long was no failed attempt, even if the caller said nothing in it."""


@dataclass(frozen=True, slots=True)
class Again:
    """Open another session after a wait."""

    wait_s: float
    why: ReconnectReason


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Say that recognition is gone; `recovering`: what is wrong may pass, so it is tried again in the background."""

    recovering: bool


_NONE: frozenset[Account] = frozenset()


class Patience:
    """Counts what one recogniser has been through; `without` are the accounts that have refused it.

    `chance` gives numbers from 0 to 1: waits that differ keep many calls from coming back all at once.
    """

    def __init__(self, settings: SonioxSettings, accounts: Accounts, *, recovers: bool) -> None:
        self._settings, self._accounts, self._recovers = settings, accounts, recovers
        self.failures = 0
        self.without = _NONE
        self._exhausted = _NONE
        """Accounts on which every attempt has failed since something worked."""

    def worked(self) -> None:
        """A session has brought recognition on: what went wrong before it counts no more."""
        self.failures, self._exhausted = 0, _NONE

    def judge(self, loss: Lost, account: Account, lived_s: float | None, chance: float) -> Again | GiveUp:
        """Say what follows a loss; `lived_s` is how long its session lived, None if it never worked."""
        if lived_s is not None and lived_s >= STEADY_S:
            self.worked()
        self.failures += 1
        if loss.kind == ROLLOVER:
            return Again(0, "rollover")
        if loss.retry is Retry.NEVER:
            return self._refused(loss, account)
        # A session that worked was itself no failed attempt, but not one of any number of them.
        if self.failures >= self._settings.connect_attempts + (lived_s is not None):
            return self._failed(account)
        why: ReconnectReason = "error" if loss.code else "lost"
        return Again(self._wait_s(loss, lived_s, chance), why)

    def _refused(self, loss: Lost, account: Account) -> Again | GiveUp:
        """A wrong request is wrong for every account; another key may have what this one lacks."""
        if loss.code == BAD_REQUEST:
            return GiveUp(recovering=False)
        self._accounts.failed(account)
        self.without |= {account}
        if self._accounts.present(self.without) is None:
            return GiveUp(recovering=False)
        self.failures = 0
        return Again(0, "fallback")

    def _failed(self, account: Account) -> Again | GiveUp:
        self._accounts.failed(account)
        self._exhausted |= {account}
        if self._accounts.present(self.without | self._exhausted) is None:
            return GiveUp(recovering=self._recovers)
        self.failures = 0
        return Again(0, "fallback")

    def _wait_s(self, loss: Lost, lived_s: float | None, chance: float) -> float:
        """Where Soniox expects a new request at once it gets one, but not again and again."""
        first_s, longest_s = self._settings.retry_wait_s, self._settings.retry_wait_max_s
        at_once = loss.retry in {Retry.NOW, Retry.NEW_SESSION} and self.failures == 1
        if at_once and (lived_s is None or lived_s > first_s):
            return 0
        if loss.retry_after_s is not None:
            return min(loss.retry_after_s, longest_s)
        return min(math.ldexp(first_s, self.failures - 1), longest_s) * (1 + chance) / 2
