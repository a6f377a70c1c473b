"""The lab: what a notebook imports to start plugins, commit groups, break them and look at what
happened.

Plugins are ``Plugins``, the verbs of groups ``GroupCommands``, what breaks them ``FaultInjection``;
here is what looks at the outcome.
"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from typing import ClassVar

from ..reconcile.backoff import ALLOWANCE
from ..spi.errors import IkdemoError
from ..spi.text import visible
from .dashboard.dashboard import Dashboard
from .dashboard.view import LiveView
from .faults.inject import FaultInjection
from .host.plugin_process import PROGRAMS
from .host.shell import run
from .show.recovery import Recovery
from .show.rollout import Rollout
from .show.tables import Table, Words
from .teaching.check import Check, Point, refused, remedy
from .teaching.hints import explain_missing_names
from .teaching.progress import follow_checks


class Lab(FaultInjection):
    """A place of your own with real plugin processes. ``with Lab() as lab:`` closes it for you; so
    does the end of Python.
    """

    _of_the_notebook: ClassVar[Lab | None] = None

    @classmethod
    def fresh(cls) -> Lab:
        """Return the one lab of this notebook, empty: a cell that is run again gets the same lab,
        after a ``reset``.

        One whose directory was removed is closed, and another one opened.
        """
        explain_missing_names()
        follow_checks()
        known = Lab._of_the_notebook
        if known is not None and known._line.open and not known._line.leads_somewhere:
            known.close()
        if known is None or not known._line.open:
            known = Lab._of_the_notebook = cls()
        else:
            known.reset()
        return known

    def timeline(
        self, group: str | None = None, *, last: int | None = None, since_fault: bool = False
    ) -> Table:
        """Tell in words what happened: everything, the ``last`` few lines, or what followed the
        last recorded fault.
        """
        return self._record.table(group, last, since_fault=since_fault)

    def watch(self, group: str) -> LiveView:
        """Return a live view of a group; in a notebook, it is shown when it is the last thing in a
        cell, or by ``display``.
        """
        return LiveView(group, self._line, lambda: self._why(group)).start()

    def dashboard(self, group: str = "collabnix") -> Dashboard:
        """Return the dashboard of a group: its plugins, buttons that break and stop things, and the
        live view.
        """
        return Dashboard(self, group, self._line, lambda: self._why(group)).start()

    def rollout(self, group: str) -> Rollout:
        """Return the record of a group's latest rolling update, to its end or to now."""
        self._catch_up(group, self._described(group))
        return Rollout(group, self._record.events(group), self._record.now())

    def recovery(self, group: str, since: float = 0.0) -> Recovery:
        """Return the record of a group's falls and recoveries up to now; with ``since``, of the
        falls after that time.
        """
        try:
            self._catch_up(group, self._described(group))
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
                self.resume(group)
            time.sleep(0.3 + chance.uniform(0.0, within))
            self.kill(group, 1, seed=chance.getrandbits(32))
            self.wait(group)
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
        points = [
            Point(
                name in self._programs and self._state(name) == "running",
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
            described, why = self._described(group), self._reasons(group)
        except IkdemoError as error:
            return [refused(f"group {group} is committed", error)]
        count, recovery = len(described.instances or []), self.recovery(group)
        points = [Point(described.converged, f"group {group} is as wanted", remedy(group, why))]
        if size is not None:
            points.append(
                Point(
                    count == size,
                    f"it has {size} instances",
                    f"it has {count}; commit another Size",
                )
            )
        if fell:
            points.append(
                Point(
                    bool(recovery.falls),
                    "something was lost",
                    f"remove something: lab.kill({group!r}, 2)",
                )
            )
            points.append(
                Point(
                    recovery.healed,
                    "all that was lost came back",
                    f"wait for it: lab.wait({group!r})",
                )
            )
        return points

    def reset(self) -> Words:
        """Go back to an empty lab: destroy the groups, stop the plugins, remove every file in it;
        say what was done.

        The same lab can be used again at once. What cannot be destroyed is named, and its files go
        all the same.
        """
        self._line.must_be_open()
        said = self._destroy_all()
        running = [name for name in sorted(self._programs) if self._state(name) == "running"]
        said += [f"stopped {', '.join(running)}"] if running else []
        self._begin_anew()
        return Words(
            f"Reset: {'; '.join([*said, 'the lab is empty'])}. Begin again with lab.start()."
        )

    def run(self, command: str) -> Words:
        """Run a shell command in the lab's directory, where ``infrakit`` sees this lab's plugins,
        and return what it printed.
        """
        self._line.must_be_open()
        return Words(run(command, self.root, self.plugin_dir))

    def __repr__(self) -> str:
        running = [name for name in self._programs if self._state(name) == "running"]
        return (
            visible(f"Lab with {', '.join(sorted(running)) or 'no plugin running'}")
            if self._line.open
            else "Lab, closed"
        )

    def _destroy_all(self) -> list[str]:
        """Destroy every group that a running plugin keeps, and say of each known one what came of
        it.
        """
        said = list[str]()
        for plugin in [
            name for name, program in self._programs.items() if program == PROGRAMS["group"]
        ]:
            kept = [group for group, home in self._homes.items() if home == plugin]
            try:
                kept = [
                    spec.id
                    for spec in self._call(self._with(plugin, lambda asked: asked.list_groups()))
                ]
                for group in kept:
                    self._call(self._with(plugin, lambda asked: asked.destroy_group(group)))  # noqa: B023
                    said.append(f"destroyed {group}")
            except IkdemoError as error:
                said += [
                    f"{group} could not be destroyed ({error})"
                    for group in kept
                    if f"destroyed {group}" not in said
                ]
        self._homes.clear()
        self._makers.clear()
        return said
