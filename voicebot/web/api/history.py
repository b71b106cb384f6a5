"""Calls, live and past: list, show, search, export, delete."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from aiohttp import web

from voicebot.call.dialled import Dialled
from voicebot.call.registry import Calls
from voicebot.live import Live
from voicebot.store import Store
from voicebot.store.cursors import from_cursor, to_cursor
from voicebot.store.records import CallFilter, CallRecord, CallSummary, Page
from voicebot.web.api import views
from voicebot.web.api.handler import Handler, document
from voicebot.web.api.problems import conflict, not_found
from voicebot.web.api.reading import query
from voicebot.web.api.recordings import Recordings
from voicebot.wire import api, exports
from voicebot.wire.api_requests import MAX_LIMIT, CallQuery, CallsQuery, ExportQuery, SearchQuery

MAX_PAGES = 10
"""Pages of the store that one answer looks through; then the list goes on at `next`."""


type LivingCalls = Mapping[str, CallSummary]
type Elsewhere = Callable[[], Awaitable[Sequence[CallSummary]]]


async def _nowhere() -> Sequence[CallSummary]:
    return ()


class HistoryDoors:
    """Reads the store; the registry says which calls live."""

    def __init__(
        self,
        store: Store,
        calls: Calls,
        dialled: Dialled,
        recordings: Recordings,
        live: Live,
        *,
        elsewhere: Elsewhere = _nowhere,
    ) -> None:
        """`elsewhere` returns the calls that live on other workers."""
        self._store, self._calls, self._dialled, self._recordings = store, calls, dialled, recordings
        self._live_view, self._elsewhere = live, elsewhere

    def handlers(self) -> Mapping[str, Handler]:
        """Return the handlers by their operation."""
        return {
            "list_calls": self.list_calls,
            "show_call": self.show_call,
            "delete_call": self.delete_call,
            "export_call": self.export_call,
            "search": self.search,
            **self._recordings.handlers(),
        }

    async def list_calls(self, request: web.Request) -> web.Response:
        """`GET /calls`."""
        wanted = query(CallsQuery, request)
        living = {call.id: call for call in (*self.living(), *await self._elsewhere())}
        page = await self._page(wanted, living)
        items = tuple(views.summary(call, live=call.id in living) for call in page.items)
        return document(api.CallPage(items=items, next=page.next))

    async def show_call(self, request: web.Request) -> web.Response:
        """`GET /calls/{id}`."""
        return document(await self._detail(request, words=query(CallQuery, request).words))

    async def delete_call(self, request: web.Request) -> web.Response:
        """`DELETE /calls/{id}`."""
        call_id = request.match_info["id"]
        if call_id in self._living():
            raise conflict("call-is-live", "a live call cannot be deleted: hang up first")
        if await self._store.history.call(call_id) is None:
            raise not_found("call", call_id)
        await self._recordings.delete(call_id)
        await self._store.delete_call(call_id)
        self._live_view.forget(call_id)
        return web.Response(status=204)

    async def export_call(self, request: web.Request) -> web.Response:
        """`GET /calls/{id}/export`."""
        form = query(ExportQuery, request).format
        detail = await self._detail(request, words=form != "txt")
        name = "".join(letter if letter.isalnum() else "_" for letter in detail.call.id if letter.isascii())
        return web.Response(
            text=await asyncio.to_thread(exports.export, detail, form),
            content_type=exports.MEDIA[form],
            charset="utf-8",
            headers={"Content-Disposition": f'attachment; filename="{name or "call"}.{form}"'},
        )

    async def search(self, request: web.Request) -> web.Response:
        """`GET /search`."""
        wanted = query(SearchQuery, request)
        page = await self._store.history.search(wanted.q, wanted.limit, wanted.cursor)
        return document(api.HitPage(items=tuple(map(views.hit, page.items)), next=page.next))

    def summaries(self) -> tuple[api.CallSummary, ...]:
        """Return the living calls as lines of a list, the newest first, without asking the store."""
        return tuple(views.summary(call, live=True) for call in reversed(self.living()))

    def living(self) -> tuple[CallSummary, ...]:
        """Return the calls that live here, those that ring last, as the store would."""
        found = map(self.of_live, self._living())
        return tuple(call for call in found if call)

    def of_live(self, call_id: str) -> CallSummary | None:
        """Return a living call as the store would, which may not have it yet; None when it does not live."""
        call = self._calls.by_id(call_id)
        if call is None:
            rings = self._dialled.by_id(call_id)
            return views.ringing(rings) if rings else None
        identity = call.identity
        return CallSummary(
            id=identity.id,
            from_number=identity.from_,
            to_number=identity.to,
            direction=identity.direction,
            mode=call.mode,
            started_at=identity.started_at,
            ended_at=None,
            reason=None,
            duration_ms=None,
            turns=call.turns,
        )

    async def _detail(self, request: web.Request, *, words: bool) -> api.CallDetail:
        call_id = request.match_info["id"]
        live = self.of_live(call_id)
        record = await self._store.history.call(call_id)
        if record is None and live:
            record = CallRecord(summary=live, parameters={}, state=None, turns=(), utterances=(), asides=())
        if record is None:
            raise not_found("call", call_id)
        if call := self._calls.by_id(call_id):
            record = replace(record, state=call.state)  # the store learns it at the end
        recording = await self._recordings.find(call_id) is not None
        # A long call has many thousand words: other calls need not wait for them.
        return await asyncio.to_thread(views.detail, record, live=live is not None, words=words, recording=recording)

    def _living(self) -> dict[str, None]:
        """Return the names of the calls that live, those that ring among them."""
        names = [call.identity.id for call in self._calls.live()]
        return dict.fromkeys([*names, *(dialling.carrier_id for dialling in self._dialled.ringing())])

    async def _page(self, wanted: CallsQuery, living: LivingCalls) -> Page[CallSummary]:
        """Return the next calls of the wanted state: whether a call lives, the store does not know."""
        match wanted.state:
            case None:
                return await self._store.history.calls(_filter(wanted), wanted.limit, wanted.cursor)
            case "live":
                return _cut(wanted, [call async for call in self._live(wanted, living)])
            case "ended":
                return await self._ended(wanted, living)

    async def _ended(self, wanted: CallsQuery, living: LivingCalls) -> Page[CallSummary]:
        page = Page[CallSummary]((), wanted.cursor)
        for _ in range(MAX_PAGES):
            page = await self._store.history.calls(_filter(wanted), wanted.limit, page.next)
            found = tuple(call for call in page.items if call.id not in living)
            if found or page.next is None:
                return Page(found, page.next)
        return Page((), page.next)

    async def _live(self, wanted: CallsQuery, living: LivingCalls) -> AsyncIterator[CallSummary]:
        """Yield the living calls that fit; only what was said needs the store."""
        said = None if wanted.q is None else await self._said(wanted, living)
        for call in living.values():
            if _fits(call, wanted) and (said is None or call.id in said):
                yield call

    async def _said(self, wanted: CallsQuery, living: LivingCalls) -> set[str]:
        """Return calls without an end in which something was said; the oldest living call bounds the search."""
        since = min((call.started_at for call in living.values()), default=None)
        if since is None:
            return set()
        unended = CallFilter(ended=False, since=since, text=wanted.q)
        found: set[str] = set()
        after: str | None = None
        for _ in range(MAX_PAGES):
            page = await self._store.history.calls(unended, MAX_LIMIT, after)
            found |= {call.id for call in page.items}
            after = page.next
            if after is None:
                break
        return found


def _fits(call: CallSummary, wanted: CallsQuery) -> bool:
    return (
        wanted.from_ in {None, call.from_number}
        and wanted.to in {None, call.to_number}
        and wanted.number in {None, call.from_number, call.to_number}
        and wanted.direction in {None, call.direction}
        and wanted.mode in {None, call.mode}
        and wanted.reason is None
        and (wanted.since is None or call.started_at >= wanted.since)
        and (wanted.until is None or call.started_at < wanted.until)
    )


def _cut(wanted: CallsQuery, found: list[CallSummary]) -> Page[CallSummary]:
    """Return the part of the list behind the cursor, which is like the store's own."""
    found.sort(key=_place, reverse=True)
    if wanted.cursor is not None:
        after = from_cursor(wanted.cursor, datetime, str)
        found = [call for call in found if _place(call) < after]
    shown = tuple(found[: wanted.limit])
    return Page(shown, to_cursor(_place(shown[-1])) if len(found) > len(shown) else None)


def _place(call: CallSummary) -> tuple[datetime, str]:
    return call.started_at, call.id


def _filter(wanted: CallsQuery) -> CallFilter:
    return CallFilter(
        from_number=wanted.from_,
        to_number=wanted.to,
        number=wanted.number,
        direction=wanted.direction,
        mode=wanted.mode,
        reason=wanted.reason,
        since=wanted.since,
        until=wanted.until,
        text=wanted.q,
    )
