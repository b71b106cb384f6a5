"""Where a call may be handed to: whom it may be connected with, and which TwiML may take it over."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class HandoverPolicy:
    """Bounds on what an application, or a holder of a token, can do with calls: numbers cost money, URLs give control away."""

    numbers: tuple[str, ...] = ()
    """Beginnings of what may be dialled by `transfer`, `<Dial>` and `POST /calls`: `+49`, `sip:`, `client:`; empty is anybody."""
    hosts: tuple[str, ...] = ()
    """Hosts that calls may be redirected to (`voice.example.com`); empty is any public one."""
    insecure: bool = False
    """Redirect to `http://` and into private networks as well, where only a phone on this machine can follow."""

    def may_dial(self, target: str) -> bool:
        """Say whether a number, a `sip:` or a `client:` address may be connected with."""
        return not self.numbers or target.startswith(self.numbers)


PUBLIC = HandoverPolicy()
"""Any number, any public address."""
ANYWHERE = HandoverPolicy(insecure=True)
"""For what the operator has written into the settings."""
