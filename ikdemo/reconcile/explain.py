"""InfraKit's Details sentences: what a commit says it will do, as a pure function of the old spec,
the world and the new spec.

The texts are InfraKit's, kept to the letter (two blanks in one of them included); they compare
committed settings and do not say what the planner will do, which is ``plan``.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..spi.config_sha import sha_of
from ..spi.documents import Allocation, GroupProperties
from ..spi.errors import SpecError


def explain(
    before: GroupProperties | None, observed: Iterable[str | None], after: GroupProperties
) -> str:
    """Return the Details of committing ``after`` where ``before`` is committed (None: nothing is).

    ``observed`` holds the config_sha tag of every instance of the group, None where there is none.
    Raises SpecError for a change that is not supported: other logical IDs, or from a size to
    logical IDs and back.
    """
    if before is None:
        return f"Managing {count(after.allocation)} instances"
    check_change(before.allocation, after.allocation)
    sha = sha_of(after)
    shas = list(observed)
    current = sum(1 for one in shas if one == sha)
    if after.allocation.logical_ids:
        if sha_of(before) == sha and current == len(shas):
            return "Noop"  # v0.1.0 announces an update of pets whether there is one or not
        return f"Performing a rolling update on {count(after.allocation)} instances"
    return _scale(
        before.allocation.size,
        after.allocation.size,
        current,
        len(shas) - current,
        sha_of(before) == sha,
    )


def check_change(before: Allocation, after: Allocation) -> None:
    """Refuse an allocation that the committed one cannot become; raises SpecError."""
    if bool(before.logical_ids) != bool(after.logical_ids):
        held, wanted = ("LogicalIDs", "Size") if before.logical_ids else ("Size", "LogicalIDs")
        text = (
            f"A group with {held} cannot become one with {wanted}; free or destroy it first, "
            "then commit"
        )
        raise SpecError(text, path="$.Properties.Allocation", expected=held)
    if before.logical_ids and before.logical_ids != after.logical_ids:
        raise SpecError(
            "Logical ID changes to a quorum is not currently supported",
            path="$.Properties.Allocation.LogicalIDs",
        )


def count(allocation: Allocation) -> int:
    """Return how many instances an allocation asks for."""
    return len(allocation.logical_ids) if allocation.logical_ids else allocation.size


def _scale(before: int, after: int, current: int, outdated: int, same_sha: bool) -> str:
    rolling = f"erforming a rolling update on {outdated} instances"
    if after < before:
        text = f"Terminating {before - after} instances to reduce the group size to {after}"
        if (rest := after - current) > 0:
            text += f",  then performing a rolling update on {rest} instances"
        return text
    if after > before:
        adding = f"dding {after - before} instances to increase the group size to {after}"
        return f"P{rolling}, then a{adding}" if outdated else f"A{adding}"
    if outdated:
        return f"P{rolling}"
    return "Noop" if same_sha else "Adjusting the instance configuration, no restarts necessary"
