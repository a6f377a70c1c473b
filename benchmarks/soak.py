"""Kills for as long as told, virtual and real, and says whether every promise was kept and whether
anything grew.

First 10,000 seeded kills in the simulator, half of them while every kind of fault happens. Then
real plugins keep six groups, all at the same time. Files are deleted, commanded by several
clients at once and struck by storms, beside files of others; one group has an instance plugin that
does not filter, of one the plugins are killed. Processes are kept by plugins that run out of file
descriptors. One group has two managers, of which the leading one is killed or stopped. Run as
``python -m benchmarks.soak [--minutes N] [--json FILE]`` or ``make soak``; ends with status 1 when
a promise was broken or something grew.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from ikdemo.reconcile.analysis.simulator import Faults, Simulation
from ikdemo.reconcile.desired import Desired, slots_of
from ikdemo.spi.documents import Allocation

from .bench import directory_in_memory
from .results import about
from .soak_files import SIZE, FilesSoak
from .soak_group import LIMIT, growth
from .soak_managers import ManagersSoak
from .soak_processes import ProcessesSoak

VIRTUAL_KILLS, KILLS_A_RUN = 10_000, 100
STORM = Faults(refused=0.1, lost=0.1, doubled=0.1, late=0.1, blind=0.1, stale=0.1, partial=0.1)
SAMPLE = 1.0
"""Seconds between two readings of what the processes hold."""


def virtual(seed: int) -> dict[str, Any]:
    """Kill instances of simulated groups, with and without faults, and count what went wrong."""
    began, counts, broken = time.perf_counter(), Counter[str](), Counter[str]()
    for run in range(VIRTUAL_KILLS // KILLS_A_RUN):
        dice = random.Random(seed * 1_000_003 + run)
        wanted = Desired("soak", "sha", slots_of(Allocation(SIZE)))
        simulation = Simulation(wanted, dice.random, STORM if run % 2 else None)
        while simulation.counts["kill"] < KILLS_A_RUN:
            simulation.kill(dice.random())
            simulation.step()
        whole = simulation.settle_down(200)
        broken["groups larger than Size"] += simulation.peak > SIZE
        broken["healthy instances destroyed"] += simulation.harmed
        broken["groups not whole at the end"] += not whole or len(simulation.living) != SIZE
        counts.update(simulation.counts)
    return {
        "kills": counts["kill"],
        "passes": counts["pass"],
        "faults": sum(counts[name] for name in STORM.__struct_fields__),
        "seconds": round(time.perf_counter() - began, 1),
        "broken": dict(broken),
    }


async def real(root: Path, minutes: float, seed: int) -> dict[str, Any]:
    """Attack all groups for so many minutes, and read what those hold of which no plugin is
    killed.
    """
    lasting = [
        FilesSoak(root / "files"),
        FilesSoak(root / "unfiltered", unfiltered=True),
        ProcessesSoak(root / "starved"),
    ]
    groups = [
        *lasting,
        FilesSoak(root / "files-killed", kills=True),
        ProcessesSoak(root / "starved-killed", kills=True),
        ManagersSoak(root / "managers"),
    ]
    counts, broken = Counter[str](), Counter[str]()
    await asyncio.gather(*(group.begin() for group in groups))
    end = time.monotonic() + minutes * 60
    attacks = asyncio.gather(*(group.attack(seed, end) for group in groups))
    while not (await asyncio.wait([attacks], timeout=SAMPLE))[0]:
        for group in lasting:
            group.sample()
        looks = sum(group.counts["looks"] for group in groups)
        bad = sum(group.broken.total() for group in groups)
        left = max(0.0, end - time.monotonic()) / 60
        say(f"{left:5.1f} minutes to go, {looks} looks, {bad} promises broken")
    await attacks
    say("")
    for group in groups:
        counts.update(group.counts)
        broken.update(group.broken)
    return {
        "minutes": minutes,
        "counts": dict(counts),
        "broken": dict(broken),
        "said": [line for group in groups for line in group.said],
        "held": growth({name: taken for group in groups for name, taken in group.samples.items()}),
    }


def say(line: str) -> None:
    """Show people how far it is, in the place of what was shown before."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{line}", end="", file=sys.stderr, flush=True)


def table(report: dict[str, Any]) -> str:
    """Lay the figures out for people."""
    imagined, done = report["virtual"], report["real"]
    counts = ", ".join(f"{times} {what}" for what, times in done["counts"].items())
    broken = [*imagined["broken"].items(), *done["broken"].items()]
    lines = [
        "{date}, {machine}, Python {python}\n{command}\n".format_map(report),
        "virtual: {kills} kills, {faults} faults, {passes} passes in {seconds} s".format_map(
            imagined
        ),
        f"real, in {done['minutes']:g} minutes: {counts}",
        f"\n{'promise':36}{'broken':>8}",
        *(f"{what:36}{times:>8}" for what, times in broken),
        *done["said"],
        f"\n{'plugin':30}{'what':14}{'first quarter':>14}{'last quarter':>14}{'an hour':>9}"
        "  verdict",
    ]
    for row in done["held"]:
        rises = "" if row.get("per_hour") is None else f"{row['per_hour']:+d}"
        figures = f"{row['first']:>14g}{row['last']:>14g}{rises:>9}"
        lines.append(f"{row['plugin']:30}{row['what']:14}{figures}  {row['verdict']}")
    lines.append(
        "Memory is flat when a line through the last half of its readings rises by at most "
        f"{LIMIT:g} KiB in an hour."
    )
    return "\n".join(lines)


def main() -> int:
    """Soak, print, and keep the figures where asked to."""
    parser = argparse.ArgumentParser(description="kills without end, and whether the promises held")
    add = parser.add_argument
    minutes = "how long real plugins are struck at (default 60)"
    add("--minutes", type=float, default=60.0, help=minutes)
    add("--seed", type=int, default=1, help="of every die (default 1)")
    add("--json", type=Path, metavar="FILE", help="also write the figures to this file")
    told = parser.parse_args()
    command = f"python -m benchmarks.soak --minutes {told.minutes:g} --seed {told.seed}"
    report = {**about(told.seed), "command": command, "virtual": virtual(told.seed)}
    with directory_in_memory() as root:
        report["real"] = asyncio.run(real(root, told.minutes, told.seed))
    print(table(report))
    if told.json is not None:
        told.json.write_text(json.dumps(report, indent=2) + "\n")
    broken = any(sum(report[part]["broken"].values()) for part in ("virtual", "real"))
    return 1 if broken or any(row["verdict"] == "GROWS" for row in report["real"]["held"]) else 0


if __name__ == "__main__":
    sys.exit(main())
