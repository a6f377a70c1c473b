"""Ends groups: freeing one leaves its instances, destroying one leaves nothing.

Both begin with a mark in the group's record, which is durable; so the rest is done, by this process
or the next one, whatever becomes of the caller.
"""

from __future__ import annotations

import msgspec

from ..reconcile.members import Members
from ..reconcile.waiting import DESTROYING
from ..spi.contracts import Lookup
from ..spi.errors import PluginUnavailable
from ..spi.events import Emit, Event
from ..spi.plans import Freed
from .event_recorder import announce
from .observation import observe_group
from .registry import Registry, changeable, existing
from .store import Record
from .supervisor import Supervisor

DESTROY_WAIT = 60.0
"""Seconds for which DestroyGroup waits for the last instance to go; afterwards the work goes on
without the caller.
"""
ATTEMPTS = 5
"""Passes that may fail, or be in doubt and over, before a destroy says that it is not done."""


async def free(registry: Registry, group: str) -> None:
    """Forget a group that is not being destroyed, then let its loop end."""
    await registry.free(
        group, lambda before: msgspec.structs.replace(changeable(before, group), freed=True)
    )


async def force_free(registry: Registry, lookup: Lookup, group: str, force: bool) -> Freed:
    """Forget a group, with ``force`` even while it is being destroyed; return what it leaves."""
    marked: list[Record] = []

    def mark(before: Record | None) -> Record:
        check = existing if force else changeable
        marked.append(msgspec.structs.replace(check(before, group), freed=True))
        return marked[-1]

    await registry.free(group, mark)
    record = marked[-1]
    view = await observe_group(
        group,
        record.properties,
        lookup,
        ask_health=False,
        members=Members(group, record.members),
        expected=record.expected,
    )
    if view.observed.error:
        return Freed(
            None,
            f"Group '{group}' is let go; what it leaves cannot be told: {view.observed.error}",
        )
    left = tuple(sorted(seen.id for seen in view.observed.instances))
    what = (
        f"these {len(left)} instances go on, and nobody heals them"
        if left
        else "it leaves no instance"
    )
    return Freed(left, f"Group '{group}' is let go; {what}")


async def destroy(registry: Registry, emit: Emit, group: str) -> None:
    """Mark for destruction (durable), then wait until nothing is left, for at most a minute or
    until a pass fails.

    Raises PluginUnavailable when the instances cannot be destroyed now; the mark stays and the
    work goes on. Raises PluginFailure when the group is freed meanwhile.
    """
    marked: list[Supervisor] = []

    def mark(before: Record | None) -> Record:
        record = existing(before, group)
        if record.destroying:
            return record
        return msgspec.structs.replace(record, destroying=True, paused=False)

    def notify(supervisor: Supervisor, changed: bool) -> None:
        marked.append(supervisor)
        if changed:
            announce(emit, Event("destroying", group=group))
        else:
            supervisor.retry_now()

    await registry.change(group, mark, notify, by="a destroy")
    supervisor = marked[0]
    for _ in range(ATTEMPTS):
        if await supervisor.wait_until_gone(DESTROY_WAIT):
            return
        _, todo = await supervisor.reconciler.dry_run(ask_health=False)
        left = [reason for reason in todo.reasons if reason is not DESTROYING]
        if not todo.converged or supervisor.removal_error:
            why = supervisor.removal_error or (
                left[0].error or left[0].text if left else "instances are left"
            )
            way_out = f"to let it go at once: ikdemo group free --force {group}"
            raise PluginUnavailable(
                f"Group '{group}' is marked for destruction and being worked on: {why}; {way_out}"
            )
        supervisor.retry_now()  # a pass was in doubt, and is over
    raise PluginUnavailable(f"Group '{group}' is marked for destruction and being worked on")
