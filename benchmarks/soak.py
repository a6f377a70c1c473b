"""Kills for as long as told, virtual and real, and says whether every promise was kept and whether
anything grew.

First 10,000 seeded kills in the simulator, half of them while every kind of fault happens. Then
fleets of real plugins keep a group each, all at the same time. Files are deleted, commanded by
several clients at once and struck by storms, beside files of others; one fleet has an instance
plugin that does not filter, of one the plugins are killed. Processes are kept by plugins that run
out of file descriptors. Run as ``python -m benchmarks.soak [--minutes N] [--json FILE]`` or ``make
soak``; ends with status 1 when a promise was broken or something grew.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ikdemo.reconcile.analysis.simulator import Faults, Simulation
from ikdemo.reconcile.model import Desired, slots_of
from ikdemo.spi.documents import Allocation

from .files import SIZE, Files
from .fleet import Fleet
from .growth import LIMIT, Sample, growth
from .starved import Processes

VIRTUAL_KILLS, KILLS_A_RUN = 10_000, 100
STORM = Faults(refused=0.1, lost=0.1, doubled=0.1, late=0.1, blind=0.1, stale=0.1, partial=0.1)
SAMPLE = 1.0
"""Seconds between two readings of what the processes hold."""


def virtual(seed: int) -> dict[str, Any]:
    """Kill instances of simulated groups, with and without faults, and count what went wrong."""
    began, counts, broken = time.perf_counter(), Counter[str](), Counter[str]()
    runs = VIRTUAL_KILLS // KILLS_A_RUN
    for run in range(runs):
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
    faults = sum(counts[name] for name in STORM.__struct_fields__)
    figures = {
        "kills": counts["kill"],
        "passes": counts["pass"],
        "faults": faults,
        "seconds": round(time.perf_counter() - began, 1),
    }
    return {**figures, "broken": dict(broken)}


async def strike(fleet: Fleet, seed: int, end: float) -> None:
    """Strike at a fleet until the end, at seeded moments, and once at least."""
    dice = random.Random(f"{fleet.name} {seed}")
    await fleet.round(dice)
    while time.monotonic() < end:
        await fleet.round(dice)
    await fleet.end()


async def real(root: Path, minutes: float, seed: int) -> dict[str, Any]:
    """Strike at all fleets for so many minutes, and read what those hold of which no plugin is
    killed.
    """
    lasting = [
        Files(root / "files"),
        Files(root / "unfiltered", unfiltered=True),
        Processes(root / "starved"),
    ]
    fleets = [
        *lasting,
        Files(root / "files-killed", kills=True),
        Processes(root / "starved-killed", kills=True),
    ]
    await asyncio.gather(*(fleet.begin() for fleet in fleets))
    end = time.monotonic() + minutes * 60
    struck = asyncio.gather(*(strike(fleet, seed, end) for fleet in fleets))
    while not (await asyncio.wait([struck], timeout=SAMPLE))[0]:
        for fleet in lasting:
            fleet.sample()
        looks, bad = (
            sum(fleet.counts["looks"] for fleet in fleets),
            sum(fleet.broken.total() for fleet in fleets),
        )
        left = max(0.0, end - time.monotonic())
        say(f"{left / 60:5.1f} minutes to go, {looks} looks, {bad} promises broken")
    await struck
    say("")
    counts, broken, said, samples = (
        Counter[str](),
        Counter[str](),
        list[str](),
        dict[str, list[Sample]](),
    )
    for fleet in fleets:
        counts.update(fleet.counts)
        broken.update(fleet.broken)
        said += fleet.said
        samples.update(fleet.samples)
    return {
        "minutes": minutes,
        "counts": dict(counts),
        "broken": dict(broken),
        "said": said,
        "held": growth(samples),
    }


def say(line: str) -> None:
    """Show people how far it is, in the place of what was shown before."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{line}", end="", file=sys.stderr, flush=True)


def table(report: dict[str, Any]) -> str:
    """Lay the figures out for people."""
    imagined, done = report["virtual"], report["real"]
    lines = [
        "virtual: {kills} kills, {faults} faults, {passes} passes in {seconds} s".format_map(
            imagined
        ),
        f"real, in {done['minutes']:g} minutes: "
        + ", ".join(f"{times} {what}" for what, times in done["counts"].items()),
        "",
        f"{'promise':36}{'broken':>8}",
    ]
    lines += [
        f"{what:36}{times:>8}"
        for part in (imagined, done)
        for what, times in part["broken"].items()
    ]
    lines += done["said"]
    lines += [
        "",
        f"{'plugin':30}{'what':14}{'first quarter':>14}{'last quarter':>14}{'an hour':>9}  verdict",
    ]
    for row in done["held"]:
        rises = "" if row.get("per_hour") is None else f"{row['per_hour']:+d}"
        figures = f"{row['first']:>14g}{row['last']:>14g}{rises:>9}"
        lines.append(f"{row['plugin']:30}{row['what']:14}{figures}  {row['verdict']}")
    lines += [
        "Memory is flat when a line through the last half of its readings rises by at most "
        f"{LIMIT:g} KiB in an hour."
    ]
    return "\n".join(lines)


def main() -> int:
    """Soak, print, and keep the figures where asked to."""
    parser = argparse.ArgumentParser(description="kills without end, and whether the promises held")
    parser.add_argument(
        "--minutes",
        type=float,
        default=60.0,
        help="how long real plugins are struck at (default 60)",
    )
    parser.add_argument("--seed", type=int, default=1, help="of every die (default 1)")
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="also write the figures to this file"
    )
    told = parser.parse_args()
    memory = Path("/dev/shm")
    with ExitStack() as stack:
        root = Path(
            tempfile.mkdtemp(prefix="iks-", dir=memory if os.access(memory, os.W_OK) else None)
        )
        stack.callback(shutil.rmtree, root)
        report: dict[str, Any] = {
            "date": datetime.now(UTC).date().isoformat(),
            "command": f"python -m benchmarks.soak --minutes {told.minutes:g} --seed {told.seed}",
            "machine": f"{platform.system()} {platform.release()} {platform.machine()}, "
            f"{os.cpu_count()} cores",
            "python": platform.python_version(),
            "virtual": virtual(told.seed),
            "real": asyncio.run(real(root, told.minutes, told.seed)),
        }
    print(
        f"{report['date']}, {report['machine']}, Python "
        f"{report['python']}\n{report['command']}\n\n{table(report)}"
    )
    if told.json is not None:
        told.json.write_text(json.dumps(report, indent=2) + "\n")
    held_up = not sum(sum(report[part]["broken"].values()) for part in ("virtual", "real"))
    return 0 if held_up and all(row["verdict"] != "GROWS" for row in report["real"]["held"]) else 1


if __name__ == "__main__":
    sys.exit(main())
