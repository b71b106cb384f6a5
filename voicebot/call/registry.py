"""The calls that live now: admission, lookup by the carrier's id, and their tasks."""

import asyncio
from collections import OrderedDict
from collections.abc import Mapping
from datetime import UTC, datetime

import structlog

from voicebot.call.admission import Admission, Busy
from voicebot.call.call import Call
from voicebot.call.dialled import Dialled
from voicebot.call.identity import Identity
from voicebot.call.inputs import ShutDown
from voicebot.call.leftovers import Leftovers, Mine
from voicebot.call.past import Past
from voicebot.call.rooms import Rooms
from voicebot.config import NumberSettings
from voicebot.errors import VoicebotError

REMEMBERED = 10_000
"""Carrier call ids kept after their call, so that a call which comes back gets an id of its own."""
# What every voice webhook says and the identity already holds, or what only matters to the carrier.
IDENTITY_FIELDS = frozenset({"CallSid", "From", "To", "Direction", "Caller", "Called", "AccountSid", "ApiVersion"})


class Calls:
    """Every call of this process, those that ring at somebody's included; those that are ending count until they are gone."""

    def __init__(self, rooms: Rooms, dialled: Dialled, mine: Mine = lambda _carrier_id: True) -> None:
        """`mine` says of a carrier's call id whether the call belongs to this process, where several share a database."""
        self._rooms, self._dialled = rooms, dialled
        self._admission = Admission(rooms.settings.limits, rooms.pressure, rooms.store, asyncio.get_running_loop().time)
        self._end_within_s: float | None = None
        self._cut_off = False
        self.leftovers = Leftovers(rooms, mine)
        self._coming_back: dict[str, asyncio.Lock] = {}
        self._live: dict[str, Call] = {}
        """By carrier id; a call that is ending makes room for its next visit."""
        self._count = 0
        self._visits: OrderedDict[str, int] = OrderedDict()
        self._group: asyncio.TaskGroup | None = None
        self._empty = asyncio.Event()
        self._empty.set()

    def __len__(self) -> int:
        return self._count

    @property
    def refusal(self) -> Busy | None:
        """Why a further call would not be taken, or None when it would."""
        if self._group is None:
            return Busy("draining", "not running")
        return self._admission.state(self._count + len(self._dialled))

    @property
    def draining(self) -> bool:
        """No further call is taken, ever."""
        return self._admission.draining

    async def run(self) -> None:
        """Own the tasks of the calls until cancelled."""
        async with asyncio.TaskGroup() as self._group:
            await self._wait_for_leftovers(self._group)
            await asyncio.get_running_loop().create_future()

    async def wait_empty(self) -> None:
        """Wait until no call lives."""
        await self._empty.wait()

    async def drain(self) -> None:
        """Take no new calls; wait for those that run or ring, and end them at the deadline."""
        self._admission.draining = True
        try:
            async with asyncio.timeout(self._rooms.settings.limits.drain_timeout_s):
                while self._count or len(self._dialled):
                    await self._dialled.wait_none()
                    await self.wait_empty()
        except TimeoutError:
            log = structlog.get_logger()
            log.warning("service.calls_at_deadline", calls=self._count, ringing=len(self._dialled))
            await self.end_all()

    def hurry(self) -> None:
        """Give the calls that still run no more time than `limits.force_timeout_s` for their end."""
        self._end_within_s = self._rooms.settings.limits.force_timeout_s

    async def end_all(self) -> None:
        """End every call now, each with its last words told; bounded by the time that a flush may take."""
        self._admission.draining = True
        if self._cut_off:
            return  # they had their time
        settings = self._rooms.settings
        flush_s = settings.soniox.finish_timeout_s + settings.webhook.reply_deadline_s
        try:
            async with asyncio.timeout(flush_s if self._end_within_s is None else self._end_within_s):
                for call in tuple(self._live.values()):
                    await call.put(ShutDown())
                await self.wait_empty()
        except TimeoutError:
            self._cut_off = True
            structlog.get_logger().warning("service.calls_cut_off", calls=self._count)

    def live(self) -> tuple[Call, ...]:
        """Return the living calls, the oldest first."""
        return tuple(self._live.values())

    def by_id(self, call_id: str) -> Call | None:
        """Return the living call of this id, which the application and the API know it by."""
        return next((call for call in self._live.values() if call.identity.id == call_id), None)

    def find(self, carrier_id: str) -> Call | None:
        """Return the living call of this carrier id."""
        return self._live.get(carrier_id)

    def admit(self) -> None:
        """Take one more call, which the caller of this opens or dials at once; raises Busy when it may not come."""
        if self._group is None:
            raise Busy("draining", "not running")
        self._admission.admit(self._count + len(self._dialled))

    def open(self, form: Mapping[str, str], parameters: Mapping[str, str] | None = None, *, held: bool = False) -> Call:
        """Return the call of this voice webhook, a new one only if there is none: the carrier may ask twice.

        `parameters` are what a call that we dialled was given along; with `held` its place was kept while it rang, and it
        is taken even now. Raises Busy when no further call is taken.
        """
        carrier_id = form["CallSid"]
        call = self._live.get(carrier_id)
        if call and not call.route.closed:
            return call
        if not held:
            self.admit()
        if self._group is None:
            raise Busy("draining", "not running")
        visit = self._visits.pop(carrier_id, 0) + 1
        self._visits[carrier_id] = visit
        if len(self._visits) > REMEMBERED:
            self._visits.popitem(last=False)
        identity = Identity(
            id=carrier_id if visit == 1 else f"{carrier_id}.{visit}",
            carrier_id=carrier_id,
            from_=form.get("From", ""),
            to=form.get("To", ""),
            direction="outbound" if _dialled(form) else "inbound",
            started_at=datetime.now(UTC),
            carrier={name: value for name, value in form.items() if name not in IDENTITY_FIELDS},
            parameters=parameters or {},
        )
        call = Call(identity, self._options(form), self._rooms)
        self._take(call, self._group)
        return call

    async def recall(self, carrier_id: str) -> Call | None:
        """Return the living call of this carrier id, or the one that an earlier process has left and that goes on now.

        Its limit was checked when it came, so it is taken whatever `limits.max_calls` says.
        """
        if not self.leftovers.known(carrier_id) and carrier_id not in self._coming_back:
            return self.find(carrier_id)
        async with self._coming_back.setdefault(carrier_id, asyncio.Lock()):
            try:
                past = await self.leftovers.take(carrier_id)
            except VoicebotError as error:
                structlog.get_logger().warning("call.not_resumed", call=carrier_id, why=str(error))
                past = None
            if past is not None and self._group is not None:
                self._go_on(past, self._group)
        self._coming_back.pop(carrier_id, None)
        call = self.find(carrier_id)
        if call is not None:
            await call.route.begun.wait()  # what it is asked next may open a leg
        return call

    async def ended(self, carrier_id: str, reason: str) -> None:
        """The carrier says that a call is over which an earlier process has left."""
        try:
            await self.leftovers.end(carrier_id, reason)
        except VoicebotError as error:
            structlog.get_logger().warning("call.not_ended", call=carrier_id, why=str(error))

    def _go_on(self, past: Past, group: asyncio.TaskGroup) -> None:
        carrier_id = past.identity.carrier_id
        visit = past.identity.id.removeprefix(carrier_id).removeprefix(".")
        self._visits[carrier_id] = int(visit) if visit.isdigit() else 1
        self._take(Call(past.identity, past.course.options, self._rooms, past), group)

    async def _wait_for_leftovers(self, group: asyncio.TaskGroup) -> None:
        """They have some time to come back; of the others those go on whose caller talks to somebody else."""
        await asyncio.sleep(self._rooms.settings.twilio.resume_timeout_s if len(self.leftovers) else 0)
        for carrier_id in self.leftovers.all():
            try:
                past = await self.leftovers.take_dialing(carrier_id)
                if past is not None:
                    self._go_on(past, group)
                else:
                    await self.leftovers.end(carrier_id, "lost")
            except VoicebotError as error:
                structlog.get_logger().warning("call.not_ended", call=carrier_id, why=str(error))

    def _take(self, call: Call, group: asyncio.TaskGroup) -> None:
        self._live[call.identity.carrier_id] = call
        self._counted(+1, call)
        self._rooms.metrics.calls_started.labels(call.mode, call.identity.direction).inc()
        group.create_task(self._live_through(call)).add_done_callback(lambda _: self._forget(call))

    def only_transcribed(self, form: Mapping[str, str]) -> bool:
        """Say whether a call between these numbers would only be transcribed."""
        return self._options(form).mode == "transcribe"

    def _options(self, form: Mapping[str, str]) -> NumberSettings:
        """Return the settings of our side's number."""
        return self._rooms.settings.number(form.get("From" if _dialled(form) else "To", ""))

    async def _live_through(self, call: Call) -> None:
        structlog.contextvars.bind_contextvars(call=call.identity.id)  # in this task, and in those that it begins
        try:
            await call.run()
        except Exception:  # noqa: BLE001 - whatever broke one call's end must not end the others
            structlog.get_logger().exception("call.broken", call=call.identity.id)
        finally:
            await call.abandon()

    def _forget(self, call: Call) -> None:
        """The call's task is done, perhaps cancelled before its first step."""
        if self._live.get(call.identity.carrier_id) is call:
            del self._live[call.identity.carrier_id]
        self._counted(-1, call)
        call.let_go()

    def _counted(self, change: int, call: Call) -> None:
        self._count += change
        self._rooms.metrics.calls.labels(call.mode, call.identity.direction).inc(change)
        if self._count:
            self._empty.clear()
        else:
            self._empty.set()


def _dialled(form: Mapping[str, str]) -> bool:
    """Say whether we called: Twilio says `outbound-api` and the like (voice webhook, Direction)."""
    return form.get("Direction", "").startswith("outbound")
