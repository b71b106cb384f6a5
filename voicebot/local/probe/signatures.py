"""Cases about who may speak to the webhook: only the service, only now, only in its own words."""

import base64
import secrets
from collections.abc import Awaitable, Callable
from datetime import timedelta

from voicebot.local.probe.target import Letter, Target
from voicebot.local.probe.verdicts import Case, Finding, Told, refused, taken
from voicebot.wire.webhook import encode, new_secret, sign

STALE = timedelta(minutes=10)
"""Standard Webhooks libraries refuse what is more than five minutes off."""
DIGEST_BYTES = 32
SECRET_BYTES = 32
VERIFY = "Verify signature and timestamp with a Standard Webhooks library, on the raw bytes, before anything else."


def _letter(target: Target, secret: str | None = None, shift: timedelta = timedelta()) -> Letter:
    """Return a turn, signed by another secret or at another time if wanted."""
    event = target.call().turn()
    body = encode(event)
    keys = (secret,) if secret else target.keys
    return Letter(body, sign(keys, event.id, target.now() + shift, body))


def _other() -> str:
    return new_secret(secrets.token_bytes(SECRET_BYTES))


async def _refused(target: Target, *letters: tuple[str, Letter]) -> Finding:
    return refused([(what, await target.post(letter)) for what, letter in letters])


async def _none(target: Target) -> Finding:
    letter = _letter(target)
    return await _refused(
        target,
        ("without webhook-signature", letter.with_headers(signature="")),
        ("without any of the three headers", Letter(letter.body, {})),
    )


async def _bad(target: Target) -> Finding:
    digest = base64.b64encode(secrets.token_bytes(DIGEST_BYTES)).decode()
    values = (f"v1,{digest}", "v1,", "v1", "v1,???", "v1,a,b", "nonsense")
    letters = [(f"{value[:8]!r}", _letter(target).with_headers(signature=value)) for value in values]
    return await _refused(target, *letters)


async def _other_secret(target: Target) -> Finding:
    return await _refused(target, ("signed with another secret", _letter(target, _other())))


async def _changed(target: Target) -> Finding:
    letter = _letter(target)
    longer = Letter(letter.body + b" ", letter.headers)
    other = Letter(letter.body.replace(b"pizzas", b"boats!"), letter.headers)
    return await _refused(target, ("one space more", longer), ("another word", other))


async def _changed_id(target: Target) -> Finding:
    return await _refused(target, ("another webhook-id", _letter(target).with_headers(id="evt_probe_other")))


async def _stale(target: Target) -> Finding:
    return await _refused(target, ("ten minutes old", _letter(target, shift=-STALE)))


async def _future(target: Target) -> Finding:
    return await _refused(target, ("ten minutes ahead", _letter(target, shift=STALE)))


async def _no_time(target: Target) -> Finding:
    letter = _letter(target)
    return await _refused(
        target,
        *(
            (f"webhook-timestamp {value!r}", letter.with_headers(timestamp=value))
            for value in ("", "soon", "nan", "1e9")
        ),
    )


async def _garbage(target: Target) -> Finding:
    bodies = (b"", b"not json", b"[]", b"\xff\xfe\x00")
    headers = _letter(target, _other()).headers
    return await _refused(target, *((f"the body {body!r}", Letter(body, headers)) for body in bodies))


async def _rotation(target: Target) -> Finding:
    answers: list[Told] = []
    for what, order in (("the right one first", 1), ("the right one last", -1)):
        call = target.call()
        event = call.started()
        body = encode(event)
        keys = (*target.keys[:1], _other())[::order]
        answers.append((what, await target.post(Letter(body, sign(keys, event.id, target.now(), body)))))
    return taken(answers)


def _forgery(name: str, expected: str, run: Callable[[Target], Awaitable[Finding]]) -> Case:
    return Case(name=name, group="signature", expected=expected, advice=VERIFY, run=run, signed=True)


CASES = (
    _forgery("no-signature", "a refusal (401, 403 or 400) of what is not signed", _none),
    _forgery("bad-signature", "a refusal of signatures that are wrong or no signatures at all", _bad),
    _forgery("other-secret", "a refusal of what is signed with another secret", _other_secret),
    _forgery("changed-body", "a refusal of a body that was changed after signing", _changed),
    _forgery("changed-id", "a refusal of a signature that belongs to another event", _changed_id),
    _forgery("old-timestamp", "a refusal of what was signed ten minutes ago", _stale),
    _forgery("future-timestamp", "a refusal of what will be signed in ten minutes", _future),
    _forgery("no-timestamp", "a refusal without a usable timestamp", _no_time),
    _forgery("garbage", "a refusal, and no crash, of bodies that are no events", _garbage),
    Case(
        name="rotation",
        group="signature",
        expected="2xx when one of two signatures is right",
        advice="webhook-signature may hold several, separated by spaces: one that is right is enough.",
        run=_rotation,
        signed=True,
    ),
)
