"""Waits in a lab: until a group is as wanted, and until the record shows what the group plugin
says.

When a wait is over before its time, as after a free or a pause, is decided in
``reconcile.waiting``, for the command line as well.
"""

from __future__ import annotations

import time

from ...reconcile.plan import sentences
from ...reconcile.waiting import ConvergenceWait
from ...spi.documents import GroupDescription
from ...spi.errors import (
    IkdemoError,
    NotConverged,
    OutcomeUnknown,
    PluginFailure,
    PluginNotFound,
    PluginUnavailable,
    UnknownGroup,
)
from ..show.tables import Words
from .group_commands import GroupCommands
from .plugin_commands import PluginCommands
from .timeline import Timeline

PAUSE = 0.25
"""Seconds between two looks at a group while nothing happens."""
LAG = 1.0
"""Seconds that the record may be behind the world before it is made to agree by looking."""
SAYS_CONVERGED = ("committed", "drifted", "planned", "acted", "converged")


class Convergence:
    """What a group has come to, by its plugin and by the record."""

    def __init__(self, plugins: PluginCommands, groups: GroupCommands) -> None:
        self._plugins, self._groups = plugins, groups

    def wait(self, group: str, timeout: float = 30.0) -> Words:
        """Wait until a group is as wanted; raises NotConverged with the reasons when the time is
        up.

        Raises it early, with what overtook the wait, when the group is freed, destroyed or paused
        meanwhile.
        """
        deadline, seen, why = time.monotonic() + timeout, -1, ["it was not asked"]
        waiting, mark = ConvergenceWait(group), self._record.mark
        while time.monotonic() < deadline:
            seen = self._record.mark
            try:
                described = self._groups.described(group)
                if described.converged:
                    self.catch_up(group, described)
                    return Words(
                        f"{group} is as wanted: {len(described.instances or [])} instances"
                    )
                missing = self._groups.reasons(group)
                waiting.on_reasons(missing)
                why = list(sentences(missing))
            except PluginNotFound:
                raise  # no plugin is started while this cell waits
            except (PluginUnavailable, OutcomeUnknown) as error:
                why = [str(error)]
            except PluginFailure as error:
                waiting.on_events(
                    event.kind for event in self._record.since(mark)[0] if event.group == group
                )
                failed = waiting.on_error(error)
                if failed is not error or not self._is_handed_over(error):
                    raise failed from None
                why = [str(error)]
            left = min(PAUSE, max(0.0, deadline - time.monotonic()))
            self._record.wait_for(lambda: self._record.mark > seen, left)  # noqa: B023
        raise NotConverged(f"{group} is not as wanted after {timeout:g} s", tuple(why))

    def _is_handed_over(self, error: IkdemoError) -> bool:
        """Say whether a group may be unknown only until the manager that was elected keeps it: one
        that was stopped for a while steps down, and leads again.
        """
        return bool(self._plugins.leading) and UnknownGroup.is_said_by(error)

    def catch_up(self, group: str, described: GroupDescription) -> None:
        """Wait until the record holds what the description shows; what no plugin told is added by
        looking.
        """
        living = {one.id for one in described.instances or []}
        if not self._record.wait_for(
            lambda: self._record.living(group=group).keys() == living, LAG
        ):
            teller = self._plugins.teller(self._groups.instance_plugin(group))
            # anew: what was described before the wait is old news by now
            at, again = self._record.now(), self._groups.described(group)
            self._record.agree(teller, again.instances or [], at, group)
        if described.converged:
            self._record.wait_for(
                lambda: self._record.last_kind(group, SAYS_CONVERGED) in ("converged", ""), LAG
            )

    @property
    def _record(self) -> Timeline:
        return self._plugins.session.record
