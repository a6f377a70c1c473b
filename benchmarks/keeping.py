"""Measures what a group does: converge, heal, roll; each against writing the same files by hand, in
turns.

Called by ``rows``.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import partial

from .bench import Bench, Measured
from .floors import write_files
from .plugins import through
from .trio import GROUP, Trio

HOUR = 3600.0
"""Seconds that a rolling update may take: InfraKit's needs more than a poll for each instance."""


def converge(bench: Bench, size: int, rounds: int, infrakit_rounds: int) -> Measured:
    """Converge a new group to a size, from the commit to the last file."""
    place, sample = bench.place(), b""

    def work(trio: Trio) -> float:
        nonlocal sample
        taken = _converge_once(trio, size)
        sample = trio.content
        return taken

    with bench.pair() as pair:
        return bench.alternate(
            pair, work, lambda: write_files(sample, size, place), rounds, infrakit_rounds
        ).scaled(1000)


def heal(bench: Bench, size: int, share: float, rounds: int, infrakit_rounds: int) -> Measured:
    """Delete a share of a group at rest, but at least one, from the first deletion to the last
    replacement.
    """
    place, count = bench.place(), max(1, int(share * size))
    with bench.pair(size) as pair:
        floor = partial(write_files, pair.ours.content, count, place)
        return bench.alternate(
            pair, lambda trio: trio.heal(count), floor, rounds, infrakit_rounds
        ).scaled(1000)


def roll(bench: Bench, size: int, rounds: int) -> Measured:
    """Commit another configuration, from the commit to the last replacement; InfraKit's rolls once,
    one at a time.
    """
    place, versions = bench.place(), itertools.count()

    def work(trio: Trio) -> float:
        trio.rest()
        return trio.converge({GROUP: size}, f"version {next(versions)}", HOUR)

    with bench.pair(size) as pair:
        return bench.alternate(
            pair, work, partial(write_files, pair.ours.content, size, place), rounds, 1
        ).scaled(1000)


def plain(bench: Bench, size: int, rounds: int) -> Measured:
    """Converge with our group on plugins that offer no extension; the floor is the same with ours
    that offer all.

    InfraKit's column is our group on InfraKit's two plugins.
    """
    found = Measured()
    with (
        bench.trio() as usual,
        bench.trio(_mixed(bench, partial(through, "benchmarks.plain"))) as without,
    ):
        for _ in range(bench.rounds(rounds)):
            found.floor.append(_converge_once(usual, size))
            found.ours.append(_converge_once(without, size))
    if bench.infrakit is not None:
        with bench.trio(_mixed(bench, bench.theirs)) as others:
            found.infrakit = [_converge_once(others, size) for _ in range(bench.rounds(rounds))]
    return found.scaled(1000)


def _mixed(bench: Bench, command: Callable[..., list[str]]) -> dict[str, list[str]]:
    """Return the commands of our group plugin and of two others."""
    return {**bench.programs(command), "group": bench.programs()["group"]}


def _converge_once(trio: Trio, size: int) -> float:
    trio.rest()
    taken = trio.converge({GROUP: size})
    trio.destroy()
    return taken
