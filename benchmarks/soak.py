"""Kills for as long as told, virtual and real, and says whether every group ended as wanted and whether anything grew.

First 10,000 seeded kills in the simulator, half of them while every kind of fault happens. Then two fleets of real plugins keep
a group each: the files of both are deleted all the time, of one the plugins are killed (kill -9) and started again, too; memory,
descriptors and threads are those of the fleet that lives on. Run as ``python -m benchmarks.soak [--minutes N] [--json FILE]`` or
``make soak``; ends with status 1 when a promise was broken.
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

from ikdemo.reconcile.simulator import Faults, Simulation
from ikdemo.reconcile.world import Desired, slots_of
from ikdemo.spi.documents import Allocation

from .fleet import SIZE, Fleet, growth

VIRTUAL_KILLS, KILLS_A_RUN = 10_000, 100
STORM = Faults(refused=0.1, lost=0.1, doubled=0.1, late=0.1, blind=0.1, stale=0.1, partial=0.1)
PAUSE = 0.1
"""Seconds between two blows, on average."""
CALM = 8
"""Blows after which the group is resumed: without, they are a storm, and the group would rather wait than be struck."""
LOOK = 50
"""Blows after which both groups are waited for and looked at."""
PLUGIN_KILLS = 0.05
"""Share of blows that kill a plugin."""
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


async def strike(fleet: Fleet, seed: str, end: float, *, plugins: bool) -> None:
    """Strike at a group until the end, at seeded moments; look whether it is whole now and then."""
    dice = random.Random(seed)
    blows = 0
    sampled = 0.0
    while (now := time.monotonic()) < end:
        if plugins and dice.random() < PLUGIN_KILLS:
            await fleet.kill(dice)
        else:
            fleet.unlink(dice)
        blows += 1
        if blows % CALM == 0:
            await fleet.calm()
        if blows % LOOK == 0:
            await fleet.look()
        if not plugins and now - sampled >= SAMPLE:
            fleet.sample()
            sampled = now
        await asyncio.sleep(dice.expovariate(1 / PAUSE))


async def real(root: Path, minutes: float, seed: int) -> dict[str, Any]:
    """Strike at both sets of plugins for so many minutes."""
    steady, killed = Fleet(root / "steady"), Fleet(root / "killed")
    await asyncio.gather(steady.begin(), killed.begin())
    end = time.monotonic() + minutes * 60
    await asyncio.gather(
        strike(steady, f"steady {seed}", end, plugins=False), strike(killed, f"killed {seed}", end, plugins=True)
    )
    await asyncio.gather(steady.end(), killed.end())
    counts, broken = steady.counts + killed.counts, Counter({**steady.broken})
    broken.update(killed.broken)
    return {"minutes": minutes, **counts, "broken": dict(broken), "held": growth(steady.samples)}


def table(report: dict[str, Any]) -> str:
    """Lay the figures out for people."""
    imagined, done = report["virtual"], report["real"]
    lines = [
        "virtual: {kills} kills, {faults} faults, {passes} passes in {seconds} s".format_map(imagined),
        f"real:    {done['instances']} instances and {done['plugins']} plugins killed in {done['minutes']:g} minutes; "
        f"found whole at {done['looks']} of {done['looks'] + done['broken'].get('not whole in time', 0)} looks",
        "",
        f"{'promise':32}{'broken':>8}",
    ]
    lines += [f"{what:32}{times:>8}" for part in (imagined, done) for what, times in part["broken"].items()]
    lines += ["", f"{'plugin':16}{'what':14}{'first quarter':>14}{'last quarter':>14}{'flat':>6}"]
    lines += [
        f"{row['plugin']:16}{row['what']:14}{row['first']:>14g}{row['last']:>14g}{'yes' if row['flat'] else 'NO':>6}"
        for row in done["held"]
    ]
    return "\n".join(lines)


def main() -> int:
    """Soak, print, and keep the figures where asked to."""
    parser = argparse.ArgumentParser(description="kills without end, and whether the promises held")
    parser.add_argument("--minutes", type=float, default=60.0, help="how long real plugins are struck at (default 60)")
    parser.add_argument("--seed", type=int, default=1, help="of every die (default 1)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures to this file")
    told = parser.parse_args()
    memory = Path("/dev/shm")
    with ExitStack() as stack:
        root = Path(tempfile.mkdtemp(prefix="iks-", dir=memory if os.access(memory, os.W_OK) else None))
        stack.callback(shutil.rmtree, root)
        report: dict[str, Any] = {
            "date": datetime.now(UTC).date().isoformat(),
            "command": f"python -m benchmarks.soak --minutes {told.minutes:g} --seed {told.seed}",
            "machine": f"{platform.system()} {platform.release()} {platform.machine()}, {os.cpu_count()} cores",
            "python": platform.python_version(),
            "virtual": virtual(told.seed),
            "real": asyncio.run(real(root, told.minutes, told.seed)),
        }
    print(f"{report['date']}, {report['machine']}, Python {report['python']}\n{report['command']}\n\n{table(report)}")
    if told.json is not None:
        told.json.write_text(json.dumps(report, indent=2) + "\n")
    held_up = not sum(sum(report[part]["broken"].values()) for part in ("virtual", "real"))
    return 0 if held_up and all(row["flat"] for row in report["real"]["held"]) else 1


if __name__ == "__main__":
    sys.exit(main())
