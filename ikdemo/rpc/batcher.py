"""Sends calls to one plugin that are made at the same moment as one array: the Batch extension,
from the caller's side.

Only calls of one method share an array, and only of a method that was answered promptly the last
time: the slowest call of an array holds back the answers to all, so what takes its time is sent
alone, as everything is to plugins without the extension.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from msgspec import Raw, Struct

from ..spi.decode import decode
from ..spi.documents import NULL
from ..spi.errors import ProtocolError, SpecError
from .client_connection import Broken, ClientConnection, Response

MOST = 64
"""Calls in one array: as many as plugins take."""
BYTES = 2**20
"""Bytes of one array, unless a single call is longer."""
PROMPT = 0.2
"""Seconds within which an answer is prompt."""


Exchange = Callable[[bytes, bool, bool, list[ClientConnection]], Awaitable[Response]]
"""Given a body, whether it only reads, whether the plugin takes batches, and where to note the
connection: the answer.
"""


class Reply(Struct, frozen=True, forbid_unknown_fields=True):
    """The envelope of an answer; ``jsonrpc`` is not looked at, and ``id`` only in an array."""

    jsonrpc: Raw = NULL
    result: Raw = NULL
    error: Raw = NULL
    id: Raw = NULL


class PendingCall:
    """One call: its ``body``, in which ``number`` is its ID; ``reads`` if it may be repeated,
    ``batch`` if it may go with others.

    It ends after ``deadline`` seconds. ``sent`` holds the connection that it was sent on, as soon
    as it was. The caller of one that is sent with others waits for ``reply``.
    """

    reply: asyncio.Future[Reply]

    def __init__(
        self, method: str, number: int, body: bytes, deadline: float, *, reads: bool, batch: bool
    ) -> None:
        self.method, self.number, self.body, self.deadline = method, number, body, deadline
        self.reads, self.batch = reads, batch
        self.sent: list[ClientConnection] = []
        self.in_batch: Batch | None = None


class Batch:
    """Calls of one moment that are sent as one by ``ask``. Each ends at its own deadline, for which
    one timer is enough.
    """

    def __init__(
        self,
        calls: list[PendingCall],
        ask: Callable[[Batch], Coroutine[Any, Any, dict[int, Reply]]],
    ) -> None:
        self.calls = calls
        self.sent: list[ClientConnection] = []
        for call in calls:
            call.sent, call.in_batch = self.sent, self
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()
        self._await_deadline()
        self.task = self._loop.create_task(ask(self))
        self.task.add_done_callback(self._end)

    def caller_left(self) -> None:
        """One of the callers has gone away; if all have, the calls are given up."""
        if all(call.reply.done() for call in self.calls):
            self.task.cancel()

    def _await_deadline(self) -> None:
        soonest = min(call.deadline for call in self.calls if not call.reply.done())
        self._timer = self._loop.call_at(self._began + soonest, self._expire)

    def _expire(self) -> None:
        for call in self.calls:
            if not call.reply.done() and self._began + call.deadline <= self._loop.time():
                call.reply.set_exception(TimeoutError())
        if not all(call.reply.done() for call in self.calls):
            self._await_deadline()

    def _end(self, task: asyncio.Task[dict[int, Reply]]) -> None:
        """Give every caller that still waits its reply, or its share of what went wrong."""
        self._timer.cancel()
        for call in self.calls:
            # else each keeps the other, and all that was sent and received, for the collector
            call.in_batch = None
            if call.reply.done():
                continue
            if task.cancelled():
                call.reply.cancel()
            elif (error := task.exception()) is not None:
                call.reply.set_exception(error)
            elif (reply := task.result().get(call.number)) is not None:
                call.reply.set_result(reply)
            else:
                call.reply.set_exception(Broken("the answer says nothing of it"))


class Batcher:
    """The calls to one plugin. ``exchange`` sends a body, and again if it may, notes where, and
    returns the answer.

    At most ``limit`` bodies are on their way; further ones wait within their callers' deadlines.
    """

    def __init__(self, exchange: Exchange, limit: int) -> None:
        self._exchange = exchange
        self._limit = asyncio.Semaphore(limit)
        self._prompt: dict[str, bool] = {}
        self._waiting: dict[str, list[PendingCall]] = {}
        self._under_way: set[Batch] = set()

    async def send(self, call: PendingCall) -> Reply:
        """Send a call, with others if there are any and the plugin takes batches.

        Raises TimeoutError after its deadline, Broken or ProtocolError.
        """
        if not (call.batch and self._prompt.get(call.method)):
            async with asyncio.timeout(call.deadline):
                return _reply(await self._answer(call, call.body, call.reads, call.sent))
        loop = asyncio.get_running_loop()
        if not self._waiting:
            loop.call_soon(self._flush)  # after all that call in this turn of the loop
        self._waiting.setdefault(call.method, []).append(call)
        call.reply = loop.create_future()
        try:
            return await call.reply
        except (asyncio.CancelledError, TimeoutError):
            if call.in_batch is not None:
                call.in_batch.caller_left()
            raise

    async def _answer(
        self, call: PendingCall, body: bytes, reads: bool, sent: list[ClientConnection]
    ) -> Response:
        loop = asyncio.get_running_loop()
        async with self._limit:
            began = loop.time()
            try:
                return await self._exchange(body, reads, call.batch, sent)
            finally:
                self._prompt[call.method] = loop.time() - began < PROMPT

    def _flush(self) -> None:
        waiting, self._waiting = self._waiting, {}
        for calls in waiting.values():
            size, array = 0, list[PendingCall]()
            for call in calls:
                if call.reply.done():
                    continue  # who made it has gone away
                if array and (len(array) == MOST or size + len(call.body) > BYTES):
                    self._begin(array)
                    size, array = 0, []
                size += len(call.body)
                array.append(call)
            if array:
                self._begin(array)

    def _begin(self, calls: list[PendingCall]) -> None:
        in_batch = Batch(calls, self._ask)
        self._under_way.add(in_batch)
        in_batch.task.add_done_callback(lambda _: self._under_way.discard(in_batch))

    async def _ask(self, in_batch: Batch) -> dict[int, Reply]:
        """Send calls of one method and return their replies by number."""
        calls, sent = in_batch.calls, in_batch.sent
        first, reads = calls[0], all(call.reads for call in calls)
        if len(calls) == 1:
            return {first.number: _reply(await self._answer(first, first.body, reads, sent))}
        body = b"[%b]" % b",".join([call.body for call in calls])
        return _replies(await self._answer(first, body, reads, sent), calls)


def _reply(answer: Response) -> Reply:
    try:
        return decode(answer.body, Reply)
    except SpecError as error:
        raise _unreadable(answer, error) from None


def _replies(answer: Response, calls: list[PendingCall]) -> dict[int, Reply]:
    """Return the replies in an array by number, without those that contradict each other.

    An error that is no array is the answer to every call.
    """
    if not answer.body.lstrip().startswith(b"["):
        refused = _reply(answer)
        if refused.error == NULL:
            raise ProtocolError("the answer to a batch is no array")
        return {call.number: refused for call in calls}
    try:
        replies = decode(answer.body, list[Reply])
    except SpecError as error:
        raise _unreadable(answer, error) from None
    numbers = {str(call.number).encode(): call.number for call in calls}
    found: dict[int, Reply] = {}
    doubtful = set()
    for reply in replies:
        if (number := numbers.get(bytes(reply.id))) is not None and found.setdefault(
            number, reply
        ) != reply:
            doubtful.add(number)
    return {number: reply for number, reply in found.items() if number not in doubtful}


def _unreadable(answer: Response, error: SpecError) -> ProtocolError:
    shown = answer.body[:200].decode("utf-8", "replace").strip()
    if answer.status != 200:
        return ProtocolError(f"answered HTTP {answer.status}: {shown}")
    return ProtocolError(f"the answer is {error}" if shown else "the answer is empty")
