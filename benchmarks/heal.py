"""Measures how long a group takes to heal and to converge, against the floor of writing the same files by hand.

Real plugin processes, in a directory on tmpfs where there is one (a disk's file system would be measured otherwise); the files
are waited for by the kernel's notices. Run as ``python -m benchmarks.heal [--json FILE]`` or ``make bench``; needs half a minute.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import shutil
import statistics
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple, cast

from inotify_simple import INotify, flags
from msgspec import Raw

import ikdemo
from ikdemo.disk import write_atomic
from ikdemo.rpc.proxies import GroupClient
from ikdemo.spi.documents import GroupSpec

from .plugins import PATIENCE, plugins

KILLS = 200
SIZES = {5: 20, 100: 10, 1000: 5}
"""Sizes to converge to, and how often each."""
PROGRAMS = {
    "instance-file": ["infrakit-instance-file", "--dir", "{root}/i"],
    "flavor-vanilla": ["infrakit-flavor-vanilla"],
    "group": ["infrakit-group-default"],
}
PROPERTIES = {
    "Instance": {"Plugin": "instance-file", "Properties": {"Note": "Collabnix Infrakit 101"}},
    "Flavor": {
        "Plugin": "flavor-vanilla",
        "Properties": {
            "Init": ["docker pull dockercloud/hello-world", "docker run -d -p 8080:80 dockercloud/hello-world"],
            "Tags": {"tier": "web", "project": "infrakit"},
        },
    },
}


class Timing(NamedTuple):
    """What was measured, in milliseconds, beside the floor measured in alternation with it."""

    what: str
    times: list[float]
    floor: list[float]

    def summary(self) -> dict[str, Any]:
        """Return the figures to print and to keep."""
        median, floor = statistics.median(self.times), statistics.median(self.floor)
        p99 = statistics.quantiles(self.times, n=100, method="inclusive")[98]
        return {
            "what": self.what,
            "runs": len(self.times),
            "median_ms": round(median, 3),
            "p99_ms": round(p99, 3),
            "floor_median_ms": round(floor, 4),
            "ratio": round(median / floor, 1),
        }


class Arrivals:
    """The instance files that appear in a directory, as the kernel tells of them."""

    def __init__(self, directory: Path) -> None:
        self._inotify = INotify()
        self._inotify.add_watch(directory, flags.MOVED_TO | flags.CREATE)
        self._names: list[str] = []

    def wait_for(self, count: int) -> tuple[float, list[str]]:
        """Wait until so many files came since the last time; return the time of the last and all their names."""
        until = time.monotonic() + PATIENCE
        while len(self._names) < count:
            left = until - time.monotonic()
            if left <= 0:
                raise SystemExit(f"{len(self._names)} of {count} instance files after {PATIENCE:.0f} s")
            events = self._inotify.read(timeout=int(left * 1000))
            self._names += [event.name for event in events if not event.name.startswith(".")]
        at, names, self._names = time.perf_counter(), self._names[:count], self._names[count:]
        return at, names

    def close(self) -> None:
        """Stop listening."""
        self._inotify.close()


def spec(size: int) -> GroupSpec:
    """Return the spec of the group that is measured."""
    return GroupSpec("collabnix", Raw(json.dumps({"Allocation": {"Size": size}, **PROPERTIES}).encode()))


async def converge(group: GroupClient, size: int, home: Path, arrivals: Arrivals) -> float:
    """Commit a group of a size and return the milliseconds until its last file is there."""
    waiting = asyncio.create_task(asyncio.to_thread(arrivals.wait_for, size))
    began = time.perf_counter()
    await group.commit_group(spec(size))
    ended, names = await waiting
    if len(set(names)) != size or len(list(os.scandir(home))) != size:
        raise SystemExit(f"more or other files than the {size} that were wanted")
    return (ended - began) * 1000


def write_like(sample: bytes, size: int, where: Path) -> float:
    """Write so many files of the same content in a loop and return the milliseconds; they are removed again."""
    opened = os.open(where, os.O_RDONLY | os.O_DIRECTORY)
    began = time.perf_counter()
    for number in range(size):
        write_atomic(opened, f"instance-{number}", sample)
    ended = time.perf_counter()
    os.close(opened)
    for path in where.iterdir():
        path.unlink()
    return (ended - began) * 1000


async def measure_converging(group: GroupClient, size: int, rounds: int, root: Path, arrivals: Arrivals) -> Timing:
    """Converge to a size and write as many files by hand, in turns."""
    times, floor = [], []
    for _ in range(rounds):
        times.append(await converge(group, size, root / "i", arrivals))
        sample = next((root / "i").iterdir()).read_bytes()
        await group.destroy_group("collabnix")
        floor.append(write_like(sample, size, root / "floor"))
    return Timing(f"converge to {size}", times, floor)


async def measure_healing(group: GroupClient, root: Path, arrivals: Arrivals) -> Timing:
    """Delete one file of five, again and again, and wait for the one that replaces it; write one by hand in turns."""
    await converge(group, 5, root / "i", arrivals)
    times, floor = [], []
    for turn in range(KILLS):
        victim = sorted((root / "i").iterdir())[turn % 5]
        sample = victim.read_bytes()
        began = time.perf_counter()
        victim.unlink()
        ended, _ = arrivals.wait_for(1)
        times.append((ended - began) * 1000)
        floor.append(write_like(sample, 1, root / "floor"))
        await asyncio.sleep(0.02)  # let the group settle: the next deletion is to find it at rest
    await group.destroy_group("collabnix")
    return Timing("heal 1 of 5", times, floor)


async def measure(root: Path) -> list[Timing]:
    """Make all measurements with one set of plugins."""
    arrivals = Arrivals(root / "i")
    group = cast(GroupClient, await ikdemo.connect("group", directory=root / "p"))
    try:
        healing = await measure_healing(group, root, arrivals)
        return [healing, *[await measure_converging(group, size, n, root, arrivals) for size, n in SIZES.items()]]
    finally:
        group.close()
        arrivals.close()


def table(rows: list[dict[str, Any]]) -> str:
    """Lay the figures out for people."""
    lines = [f"{'':18}{'runs':>6}{'median ms':>12}{'p99 ms':>10}{'floor ms':>10}{'ratio':>8}"]
    for row in rows:
        figures = f"{row['median_ms']:>12.2f}{row['p99_ms']:>10.2f}{row['floor_median_ms']:>10.3f}{row['ratio']:>7.1f}x"
        lines.append(f"{row['what']:18}{row['runs']:>6}{figures}")
    return "\n".join(lines)


def main() -> None:
    """Measure, print, and keep the figures where asked to."""
    parser = argparse.ArgumentParser(description="time to heal and to converge, against writing the same files by hand")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures to this file")
    where = parser.parse_args().json
    memory = Path("/dev/shm")
    parent = memory if os.access(memory, os.W_OK) else Path(tempfile.gettempdir())
    with ExitStack() as stack:
        root = Path(tempfile.mkdtemp(prefix="ikb-", dir=parent))
        stack.callback(shutil.rmtree, root)
        for name in ("p", "i", "floor"):
            (root / name).mkdir(mode=0o700)
        stack.enter_context(plugins(root, PROGRAMS))
        rows = [timing.summary() for timing in asyncio.run(measure(root))]
    machine = f"{platform.system()} {platform.release()} {platform.machine()}, {os.cpu_count()} cores"
    about = {"machine": machine, "python": platform.python_version(), "directory": str(parent)}
    print(f"{machine}, Python {about['python']}, files in {parent}\n\n{table(rows)}")
    if where is not None:
        where.write_text(json.dumps({**about, "figures": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
