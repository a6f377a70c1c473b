"""What a lab tells of what happened: the timeline, recoveries, rolling updates, and the check of a
learner's work.

Everything is read from the record; before that, it is made to agree with what the group plugin says
now.
"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence

from ..reconcile.backoff import ALLOWANCE
from ..spi.errors import IkdemoError
from .faults.inject import FaultInjection
from .host.convergence import Convergence
from .host.group_commands import GroupCommands
from .host.plugin_commands import PluginCommands
from .host.timeline import Timeline
from .show.recovery_report import Recovery
from .show.rollout import Rollout
from .show.tables import Table
from .teaching.check import Check, Point, refused, remedy


class Reports:
    """The reports of one lab."""

    def __init__(
        self,
        plugins: PluginCommands,
        groups: GroupCommands,
        convergence: Convergence,
        faults: FaultInjection,
    ) -> None:
        self._plugins, self._groups = plugins, groups
        self._convergence, self._faults = convergence, faults

    def timeline(
        self, group: str | None = None, *, last: int | None = None, since_fault: bool = False
    ) -> Table:
        """Tell in words what happened: everything, the ``last`` few lines, or what followed the
        last recorded fault.
        """
        return self._record.table(group, last, since_fault=since_fault)

    def rollout(self, group: str) -> Rollout:
        """Return the record of a group's latest rolling update, to its end or to now."""
        self._convergence.catch_up(group, self._groups.described(group))
        return Rollout(group, self._record.events(group), self._record.now())

    def recovery(self, group: str, since: float = 0.0) -> Recovery:
        """Return the record of a group's falls and recoveries up to now; with ``since``, of the
        falls after that time.
        """
        try:
            self._convergence.catch_up(group, self._groups.described(group))
        except IkdemoError:
            pass  # the group plugin is away or the group is gone: the record is all there is
        return Recovery(group, self._record.events(group), self._record.now(), since)

    def measure(self, group: str, kills: int, *, within: float, seed: int = 1) -> Recovery:
        """Remove one instance after the other, each at a random moment ``within`` so many seconds,
        and wait for each recovery.

        So many removals would be a storm to the group, which answers one by waiting; a resume now
        and then ends it.
        """
        chance, began = random.Random(seed), self._record.now()
        for turn in range(kills):
            if turn % ALLOWANCE == ALLOWANCE - 1:
                self._groups.resume(group)
            time.sleep(0.3 + chance.uniform(0.0, within))
            self._faults.kill(group, 1, seed=chance.getrandbits(32))
            self._convergence.wait(group)
        return self.recovery(group, since=began)

    def check(
        self,
        group: str = "",
        *,
        size: int | None = None,
        fell: bool = False,
        plugins: Sequence[str] = (),
    ) -> Check:
        """Check that plugins run, that a group is as wanted, of this size, and fell and came back;
        say what to do if not.
        """
        running = self._plugins.running
        points = [
            Point(
                name in running,
                f"{name} is running",
                f"start it: lab.start_plugin(..., name={name!r})",
            )
            for name in plugins
        ]
        if group:
            points += self._check_group(group, size, fell)
        return Check(points)

    def _check_group(self, group: str, size: int | None, fell: bool) -> list[Point]:
        try:
            described, why = self._groups.described(group), self._groups.reasons(group)
        except IkdemoError as error:
            return [refused(f"group {group} is committed", error)]
        count, recovery = len(described.instances or []), self.recovery(group)
        points = [Point(described.converged, f"group {group} is as wanted", remedy(group, why))]
        if size is not None:
            advice = f"it has {count}; commit another Size"
            points.append(Point(count == size, f"it has {size} instances", advice))
        if fell:
            advice = f"remove something: lab.kill({group!r}, 2)"
            points.append(Point(bool(recovery.falls), "something was lost", advice))
            advice = f"wait for it: lab.wait({group!r})"
            points.append(Point(recovery.healed, "all that was lost came back", advice))
        return points

    @property
    def _record(self) -> Timeline:
        return self._plugins.session.record
