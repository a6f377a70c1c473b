"""What plugins answer, as tables: one pass of the loop (observed, planned, done), reasons and
instances.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ...spi.documents import SHA_TAG, Description
from ...spi.plans import Reason, Step
from .tables import Table


class StepView:
    """Observe, plan, act: three tables, and ``reasons`` for whatever is not as wanted."""

    def __init__(self, step: Step) -> None:
        self.step = step

    @property
    def observed(self) -> Table:
        """The instances that the loop saw."""
        rows = [
            (seen.slot or "-", seen.id, seen.health.name.lower()) for seen in self.step.observed
        ]
        rows.sort(key=_by_slot)
        return Table(["slot", "instance", "health"], rows, empty="No instance was seen.")

    @property
    def planned(self) -> Table:
        """The actions that follow from it."""
        rows = [
            (action.verb, action.slot or "-", action.instance or "-", action.code)
            for action in self.step.plan.actions
        ]
        return Table(["action", "slot", "instance", "because"], rows, empty="Nothing to do.")

    @property
    def done(self) -> Table:
        """What came of the actions."""
        rows = [
            (o.action.verb, o.action.slot or "-", o.error or o.instance or "ok")
            for o in self.step.outcomes
        ]
        return Table(["action", "slot", "outcome"], rows, empty="Nothing was done.")

    @property
    def reasons(self) -> Table:
        """Why the group is not as wanted."""
        return reasons(self.step.plan.reasons)

    def __repr__(self) -> str:
        return f"observed\n{self.observed!r}\n\nplanned\n{self.planned!r}\n\ndone\n{self.done!r}"

    def _repr_html_(self) -> str:
        parts = (("observed", self.observed), ("planned", self.planned), ("done", self.done))
        return "".join(f"<p><b>{name}</b></p>{table._repr_html_()}" for name, table in parts)


def reasons(given: Iterable[Reason]) -> Table:
    """Lay reasons out as a table."""
    rows = [
        (reason.code, reason.slot or "-", _in_words(reason), reason.awaits or "-")
        for reason in given
    ]
    return Table(
        ["reason", "slot", "in words", "waits for"], rows, empty="Nothing: the group is as wanted."
    )


def _in_words(reason: Reason) -> str:
    return (
        f"{reason.text}: {reason.error}"
        if reason.error and reason.error not in reason.text
        else reason.text
    )


def _by_slot(row: tuple[str, str, str]) -> tuple[int, str, str]:
    return (int(row[0]), "", row[1]) if row[0].isdecimal() else (2**63, row[0], row[1])


def instance_table(described: Iterable[Description], slots: Mapping[str, str]) -> Table:
    """Lay instances out in the order of slots; ``slots`` says the slot of those whose plugin does
    not.
    """
    rows = []
    for one in described:
        tags = one.tags or {}
        shown = ", ".join(f"{key}={value}" for key, value in sorted(tags.items()) if key != SHA_TAG)
        slot = told_slot(one) or slots.get(one.id, "")
        rows.append((slot or "-", one.id, tags.get(SHA_TAG, "-")[:7], shown))
    rows.sort(key=lambda row: (row[0].zfill(9), row[1]))
    return Table(["slot", "instance", "config", "tags"], rows, empty="There is no instance.")


def told_slot(described: Description) -> str:
    """Return the slot that an instance plugin told, or nothing."""
    return described.slot if isinstance(described.slot, str) else ""
