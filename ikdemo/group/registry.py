"""Which groups there are: the one place that changes a group's record, begins its loop and ends it.

A change is a function of the present record. It is applied under the group's lock and is durable
before the caller gets an answer, so commands on one group take effect one after the other, however
they overlap (P9). A group has one loop at most: one that was freed keeps its entry until its loop
has ended. Locks are never held across a call to a plugin.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any
from weakref import WeakValueDictionary

from ..spi.contracts import Lookup
from ..spi.errors import IkdemoError, OutcomeUnknown, PluginFailure, PluginUnavailable, UnknownGroup
from ..spi.events import Emit, Event
from .clock import Clock
from .event_recorder import announce, log_watched
from .store import Record, Store
from .subscriptions import Subscriptions
from .supervisor import STOP_WAIT, Supervisor

STORE_WAIT = 60.0
"""Seconds after which a change fails with OutcomeUnknown because the store has not answered; the
change itself goes on.
"""
STOPPING = "the group plugin stopped"
"""What overtakes a command that waits for a loop when its process stops."""
END_WAIT = 20.0
"""Seconds to wait for a loop that is ending: what it has begun may take that long to be answered.
"""

Change = Callable[[Record | None], Record]
"""A change: from the present record (None: there is no such group) to the next; raises an error to
refuse it.
"""
Notify = Callable[[Supervisor, bool], None]
"""Is given the group's loop, and whether anything changed, before the next change is made."""

log = logging.getLogger(__name__)


class Registry:
    """The groups of one group plugin, by ID."""

    def __init__(self, store: Store, lookup: Lookup, poll_interval: float, clock: Clock) -> None:
        self.supervisors: dict[str, Supervisor] = {}
        self._store, self._lookup, self._poll, self._clock = store, lookup, poll_interval, clock
        self._subscriptions = Subscriptions(lookup)
        self._emit: Emit = lambda event: None
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._at_work: set[asyncio.Task[None]] = set()
        self._ending: dict[str, asyncio.Task[None]] = {}
        self._closed = False

    async def open(self, emit: Emit) -> None:
        """Resume every stored group. Raises InUse or CorruptState; nothing runs then."""
        self._emit = emit
        for record in await asyncio.to_thread(self._store.open):
            if record.freed:  # the process ended before the last step of it
                await self._remove_freed(record.id)
            else:
                self._start(record, resumed=True)
                log_watched(record.id)

    async def close(self) -> None:
        """End the loops, not the groups: what was begun is finished, the records stay."""
        self._closed = True
        await self._subscriptions.close()
        ends = [
            asyncio.create_task(supervisor.end(STOPPING))
            for supervisor in self.supervisors.values()
        ]
        if waiting := [*ends, *self._ending.values(), *self._at_work]:
            await asyncio.wait(waiting, timeout=STOP_WAIT + 2.0)
        self._store.close()

    async def change(
        self,
        group: str,
        update: Change,
        notify: Notify = lambda supervisor, changed: None,
        *,
        by: str,
    ) -> None:
        """Make ``update`` of the present record durable and what is wanted; ``by`` names the
        command to those it overtakes.

        The change is made wholly even if the caller goes away. Raises what ``update`` and the store
        raise, nothing being changed then; OutcomeUnknown when the store does not answer.
        """
        await self._run(f"{by} of group {group}", self._change(group, update, notify, by))

    async def remember(self, supervisor: Supervisor, update: Callable[[Record], Record]) -> None:
        """Make what a loop remembers durable, beside whatever else was changed meanwhile; raises as
        ``change`` does.
        """
        await self._run(
            f"memory of group {supervisor.record.id}", self._remember(supervisor, update)
        )

    async def free(self, group: str, update: Change) -> None:
        """Let a group go: its mark is durable first, then its loop ends, then its record goes.

        Raises PluginUnavailable when something that its loop had begun is not answered yet; the
        group is let go all the same.
        """
        await self.change(group, update, by="a free")
        await self.wait_until_ended(group)

    async def wait_until_ended(self, group: str) -> None:
        """Wait until a group that was let go has no loop any longer; raises PluginUnavailable when
        that takes too long.
        """
        leaving = self._ending.get(group)
        if leaving is None:
            return
        _, pending = await asyncio.wait([leaving], timeout=END_WAIT)
        if pending:
            text = (
                f"Group '{group}' was let go, but a plugin has not answered the last call of "
                "its loop yet; try again later"
            )
            raise PluginUnavailable(text)

    async def _run(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        if self._closed:
            work.close()
            raise PluginUnavailable("the group plugin is stopping")
        task = asyncio.create_task(work, name=name)
        self._at_work.add(task)
        task.add_done_callback(self._done)
        # and if the caller goes away, the task goes on
        _, pending = await asyncio.wait([task], timeout=STORE_WAIT)
        if pending:
            raise OutcomeUnknown(
                f"{name}: the store has not answered within {STORE_WAIT:g} s; it may have happened"
            )
        task.result()

    def _done(self, task: asyncio.Task[None]) -> None:
        self._at_work.discard(task)
        if not task.cancelled():
            task.exception()  # marks it as seen: the caller may have gone away

    def _lock(self, group: str) -> asyncio.Lock:
        return self._locks.setdefault(group, asyncio.Lock())

    async def _change(self, group: str, update: Change, notify: Notify, by: str) -> None:
        async with self._lock(group):
            supervisor = self.supervisors.get(group)
            before = supervisor.record if supervisor is not None else None
            after = update(before)
            if after is not before:
                await self._save(after)
                if supervisor is None:
                    supervisor = self._start(after, resumed=False)
                else:
                    supervisor.set_desired(after, by=by)
                    self._subscriptions.follow(supervisor)
                if after.freed:  # begun here, so that it goes on whatever becomes of the caller
                    self._ending[group] = asyncio.create_task(
                        self._end_freed(group), name=f"end of group {group}"
                    )
            assert supervisor is not None
            notify(supervisor, after is not before)

    async def _remember(self, supervisor: Supervisor, update: Callable[[Record], Record]) -> None:
        group = supervisor.record.id
        async with self._lock(group):
            if self.supervisors.get(group) is not supervisor or supervisor.record.freed:
                return
            after = update(supervisor.record)
            if after is not supervisor.record:
                await self._save(after)
                supervisor.reconciler.record = after

    def _start(self, record: Record, *, resumed: bool) -> Supervisor:
        supervisor = Supervisor(
            record,
            self._lookup,
            self._emit,
            self._poll,
            self.remember,
            resumed=resumed,
            clock=self._clock,
        )
        self.supervisors[record.id] = supervisor
        # what becomes durable while the plugin stops is for the next process: this loop ends as it
        # begins
        if self._closed:
            self._at_work.add(ending := asyncio.create_task(supervisor.end(STOPPING)))
            ending.add_done_callback(self._done)
        else:
            self._subscriptions.follow(supervisor)
        supervisor.start(partial(self._forget_destroyed, supervisor))
        return supervisor

    async def _forget_destroyed(self, supervisor: Supervisor) -> None:
        """The last instance of a group marked for destruction is gone: now its record may go.
        Raises as the store does.
        """
        group = supervisor.record.id
        async with self._lock(group):
            if not supervisor.record.freed:
                await self._remove(group)
                self._forget(supervisor)
                announce(self._emit, Event("gone", group=group))

    async def _end_freed(self, group: str) -> None:
        supervisor = self.supervisors[group]
        try:
            await supervisor.end("a free")
            async with self._lock(group):
                await self._remove_freed(group)
                self._forget(supervisor)
                announce(self._emit, Event("freed", group=group))
        finally:
            del self._ending[group]

    async def _save(self, record: Record) -> None:
        await asyncio.to_thread(self._store.save, record)

    async def _remove_freed(self, group: str) -> None:
        """Remove the record of a group that was let go; where that cannot be, its mark keeps it
        from coming back.
        """
        try:
            await self._remove(group)
        except IkdemoError as error:
            log.warning(
                "The record of group %s, which was let go, cannot be removed yet: %s", group, error
            )

    async def _remove(self, group: str) -> None:
        await asyncio.to_thread(self._store.remove, group)

    def _forget(self, supervisor: Supervisor) -> None:
        del self.supervisors[supervisor.record.id]
        self._subscriptions.unsubscribe(supervisor)


def changeable(record: Record | None, group: str) -> Record:
    """Return the record of a group that can be changed; raises UnknownGroup, or PluginFailure when
    it is being destroyed.
    """
    record = existing(record, group)
    if record.destroying:
        raise PluginFailure(
            f"Group '{group}' is being destroyed; to let it go at once: ikdemo group free "
            f"--force {group}"
        )
    return record


def existing(record: Record | None, group: str) -> Record:
    """Return the record of a group that is there; raises UnknownGroup."""
    if record is None or record.freed:
        raise UnknownGroup(group)
    return record
