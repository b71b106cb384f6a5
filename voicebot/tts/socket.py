"""One text-to-speech socket: several streams on it, what belongs to whom, and when it may be closed."""

import asyncio
from typing import Protocol

import structlog
from websockets.exceptions import ConnectionClosed

from voicebot.config import SonioxSettings
from voicebot.core.incidents import Failed
from voicebot.errors import PeerError, PeerProtocolError, PeerRefused, PeerUnavailable
from voicebot.soniox_accounts import Accounts
from voicebot.soniox_line import SonioxLine
from voicebot.soniox_socket import describe_close, open_socket, without_key
from voicebot.wire.soniox_errors import PEER, ErrorFrame, Retry, refuses_account
from voicebot.wire.soniox_tts import KEEPALIVE, Ignored, Speech, Terminated, TtsError, read

FORGET_S = 10
"""A stream that we left keeps its place until Soniox says that it is over, but no longer than this."""

log = structlog.get_logger()


class Listener(Protocol):
    """What a stream learns from its socket; none of it waits."""

    def heard(self, speech: Speech) -> None:
        """Take audio."""

    def ended(self) -> None:
        """Learn that no more audio comes."""

    def failed(self, error: PeerError, *, retry: bool) -> None:
        """Learn that no more audio comes because of `error`; `retry` says that another socket may help."""


class TtsSocket:
    """Streams may be put on it before it is open; when `run` returns it is gone and all its streams were told."""

    def __init__(self, settings: SonioxSettings, accounts: Accounts) -> None:
        self._settings, self._accounts = settings, accounts
        self.account = accounts.choose() or accounts.all[0]
        self._clock = asyncio.get_running_loop().time
        self._socket: SonioxLine | None = None
        self._settled = asyncio.Event()
        self._streams: dict[str, Listener] = {}
        self._left: dict[str, float] = {}
        self._used_at = self._clock()
        self.closed = False

    # --- what a stream does

    @property
    def free(self) -> bool:
        """Whether one more stream may be put on it."""
        return not self.closed and len(self._streams) + len(self._left) < self._settings.tts_streams_per_socket

    def add(self, stream_id: str, listener: Listener) -> None:
        """Give a stream its place."""
        self._streams[stream_id] = listener

    def leave(self, stream_id: str) -> bool:
        """Stop listening to a stream, its late audio finds nobody; return whether Soniox still has to be told."""
        known = self._streams.pop(stream_id, None) is not None and self._socket is not None and not self.closed
        if known:
            self._left[stream_id] = self._clock()
        return known

    async def send(self, message: str) -> None:
        """Send once the socket is open; if it is gone nothing happens here, its streams are told."""
        await self._settled.wait()
        if self._socket is None:
            return
        try:
            await self._socket.send(message)
        except ConnectionClosed:
            return
        self._used_at = self._clock()

    # --- its life

    async def run(self) -> None:
        """Open the socket and serve it until it is idle or broken; never raises for what the peer does."""
        error: PeerError = PeerUnavailable(PEER, "the speech socket was closed")
        retry = False
        try:
            error = await self._open() or error
            retry = (self._socket is not None and not isinstance(error, PeerRefused)) or self._elsewhere
        finally:
            self.closed = True
            self._settled.set()
            for listener in self._streams.values():
                listener.failed(error, retry=retry)
            self._streams.clear()

    @property
    def _elsewhere(self) -> bool:
        """Another account may be served where this one is not."""
        return self._accounts.present() is not self.account

    def _failed(self, kind: str) -> None:
        self._accounts.observe(Failed("tts", kind))

    async def _open(self) -> PeerError | None:
        attempts, wait_s = self._settings.connect_attempts, self._settings.retry_wait_s
        while True:
            try:
                async with open_socket(self.account.tts_url, self.account.key, self._settings) as socket:
                    self._socket = socket
                    self._settled.set()
                    return await self._serve(socket)
            except PeerRefused as refusal:
                self._failed("refused")
                self._accounts.failed(self.account)
                return refusal
            except PeerUnavailable as error:
                attempts -= 1
                self._failed("unreachable")
                log.warning("tts.unreachable", reason=str(error), attempts_left=attempts)
                if not attempts:
                    self._accounts.failed(self.account)
                    return error
            await asyncio.sleep(min(wait_s, self._settings.retry_wait_max_s))
            wait_s *= 2

    async def _serve(self, socket: SonioxLine) -> PeerError | None:
        async with asyncio.TaskGroup() as group:
            keeper = group.create_task(self._keep(socket))
            error = await self._receive(socket)
            keeper.cancel()
        if error is not None:
            log.warning("tts.lost", reason=str(error), streams=len(self._streams))
        return error

    async def _keep(self, socket: SonioxLine) -> None:
        """Keep the socket while it is used, close it when it is not."""
        keepalive_s, close_s = self._settings.keepalive_s, self._settings.tts_idle_close_s
        try:
            while not self._idle_for(close_s):
                await asyncio.sleep(min(keepalive_s, close_s))
                await socket.send(KEEPALIVE)
            self.closed = True
            await socket.close()
        except ConnectionClosed:
            return

    def _idle_for(self, seconds: float) -> bool:
        now = self._clock()
        self._left = {stream_id: at for stream_id, at in self._left.items() if now - at < FORGET_S}
        if self._streams or self._left:
            self._used_at = now
        return now - self._used_at >= seconds

    async def _receive(self, socket: SonioxLine) -> PeerError | None:
        failures: list[PeerError] = []

        def hear(data: str | bytes) -> bool:
            try:
                failure = self._take(data)
            except PeerProtocolError as error:
                failure = error
            if failure is not None:
                failures.append(failure)
            return not failures

        try:
            await socket.hear(hear)
        except ConnectionClosed as closed:
            if self.closed:
                return None
            self._failed("connection_lost")
            return PeerUnavailable(PEER, describe_close(closed, self._settings))
        return failures[0]

    def _take(self, data: str | bytes) -> PeerError | None:
        """Pass on what a message says; return the error that ends the whole connection."""
        if isinstance(data, bytes):
            raise PeerProtocolError(PEER, f"a binary message of {len(data)} bytes, expected text")
        match read(data):
            case Speech(stream_id=stream_id) as speech:
                self._accounts.worked(self.account)
                if listener := self._streams.get(stream_id):
                    listener.heard(speech)
            case Terminated(stream_id):
                self._left.pop(stream_id, None)
                if listener := self._streams.pop(stream_id, None):
                    listener.ended()
            case TtsError(None, frame):
                return self._error(frame)
            case TtsError(stream_id, frame) if stream_id is not None:
                self._fail(stream_id, frame)
            case Ignored() | TtsError():
                pass
        return None

    def _fail(self, stream_id: str, frame: ErrorFrame) -> None:
        if listener := self._streams.pop(stream_id, None):
            self._left[stream_id] = self._clock()  # `terminated` follows
            log.warning("tts.error", code=frame.code, kind=frame.kind, request_id=frame.request_id)
            error = self._error(frame)
            self.closed = self.closed or self._elsewhere  # no further stream is put on it
            listener.failed(error, retry=frame.retry is Retry.NOW or self._elsewhere)

    def _error(self, frame: ErrorFrame) -> PeerError:
        message = without_key(frame.message, self._settings)
        self._failed(frame.kind)
        if refuses_account(frame.code):
            log.error(
                "tts.refused", code=frame.code, kind=frame.kind, advice=frame.advice, fallback=self.account.fallback
            )
            self._accounts.failed(self.account)
        if frame.retry is Retry.NEVER:
            return PeerRefused(PEER, f"{frame.code} {frame.kind}: {message}", code=frame.code)
        return PeerUnavailable(PEER, f"{frame.code} {frame.kind}: {message}")
