"""The process that is killed: lanes of many calls at once, the store, and the delivery of what earlier lives left behind."""

import asyncio
import logging
import os
import signal
import sys
from datetime import UTC, datetime
from random import Random

import structlog
from pydantic import SecretStr

from voicebot.config import StoreSettings, WebhookSettings
from voicebot.courier import Courier, Lane, Outcome, flight, lane, ledger, open_session, ways
from voicebot.store import CallRow, Store
from voicebot.wire.webhook_data import CallInfo, NoInputData, SpeechData
from voicebot.wire.webhook_events import Event, NoInputEvent, SpeechFinishedEvent

CALLS_AT_ONCE = 8
EVENTS = (3, 20)
"""Fewest and most events of a call."""
LIVE_SHARE = 0.4
PAUSE_S = 0.01
"""Longest pause between two events of a call."""
PATIENT_S = 60.0
"""On a machine that is busy with other things nobody may lose patience: that would change the order on purpose."""


async def live(store_url: str, url: str, secret: str, seed: int, *, loaded: bool) -> None:
    """Live until killed; with `loaded` false there are no new calls."""
    settings = WebhookSettings(
        url=url,
        secrets=(SecretStr(secret),),
        retry_waits_s=(0.02,),
        schedule_s=(0.1,) * 100,
        reply_deadline_s=PATIENT_S,
        attempt_timeout_s=PATIENT_S,
        inform_timeout_s=PATIENT_S,
    )
    async with (
        Store.open(StoreSettings(url=store_url)) as store,
        open_session(settings) as session,
        asyncio.TaskGroup() as group,
    ):
        courier = Courier(settings, store, session)
        group.create_task(store.run())
        group.create_task(courier.run())
        for number in range(CALLS_AT_ONCE if loaded else 0):
            group.create_task(_calls(f"CA{seed}x{number}", store, courier, settings, Random(f"{seed} {number}")))


async def _calls(name: str, store: Store, courier: Courier, settings: WebhookSettings, chance: Random) -> None:
    number = 0
    while True:
        number += 1
        call_id = f"{name}x{number}"
        now = datetime.now(UTC)
        await store.write(
            CallRow(id=call_id, from_number="+1", to_number="+2", direction="inbound", mode="bot", started_at=now)
        )
        way_out = courier.lane(call_id, settings.url, settings.secrets, _ignore)
        async with asyncio.TaskGroup() as group:
            group.create_task(way_out.run())
            await _one_call(call_id, way_out, chance)
            way_out.close()


async def _one_call(call_id: str, way_out: Lane, chance: Random) -> None:
    for sequence in range(1, chance.randint(*EVENTS) + 1):
        event = _event(call_id, sequence, is_live=chance.random() < LIVE_SHARE)
        await way_out.post(event)
        # A write to a pipe outlives the writer: from here on the event may not be lost.
        os.write(1, f"{event.id}\n".encode())
        await asyncio.sleep(chance.random() * PAUSE_S)


def _event(call_id: str, sequence: int, *, is_live: bool) -> Event:
    now = datetime.now(UTC)
    call = CallInfo.model_validate(
        {"id": call_id, "from": "+15550101", "to": "+15550100", "direction": "inbound", "started_at": now}
    )
    if is_live:
        head = {"id": f"evt_{call_id}_{sequence}_live", "sequence": sequence, "created_at": now, "call": call}
        return NoInputEvent.model_validate({**head, "data": NoInputData(count=1)})
    head = {"id": f"evt_{call_id}_{sequence}_info", "sequence": sequence, "created_at": now, "call": call}
    return SpeechFinishedEvent.model_validate({**head, "data": SpeechData(text="Hi.", heard="Hi.", ms=300)})


async def _ignore(_: Outcome) -> None:
    pass


def main() -> None:
    """Begin a life for each line on standard input (a seed, or `drain`); answer with its process id."""
    store_url, url, secret = sys.argv[1:]
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    ledger.STORE_WAIT_S = PATIENT_S
    for module in (flight, lane, ways):
        module.PATIENCE_S = PATIENT_S  # type: ignore[attr-defined]
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        word = line.strip()
        # A fork saves the imports; what it runs is begun from nothing.
        child = os.fork()
        if child == 0:
            seed = 0 if word == "drain" else int(word)
            asyncio.run(live(store_url, url, secret, seed, loaded=word != "drain"))
            os._exit(0)
        print("life", child, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
