"""Measures how soon a lost container is replaced: by us, by a bare event loop, by a restart policy,
by a Swarm service.

From the blow until the engine tells that the last replacement has started, which is listened to in
the same way for all. The bare loop is the floor, measured in turns with ours. Any engine will do,
on which the benchmark leaves nothing; a private one:

    PYTHONPATH=tests python -m engine.private python -m benchmarks.containers [--json FILE]

Needs about a quarter of an hour.
"""

from __future__ import annotations

import math
import os
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import docker

from ikdemo.lab.docker.baselines import LABEL, RestartPolicyAlways, SwarmService

from .healers import COMMAND, BareLoop, Healer, OurGroup, swarm_mode
from .plugins import PATIENCE, ours, plugins
from .report import Timing, arguments, publish

ROUNDS = {1: 20, 10: 8, 50: 3}
"""How many containers are hurt at once, and how often; in one of ``FAULTS``, and one at a time in
all of them.
"""
PEER_ROUNDS = {1: 6, 10: 3, 50: 2}
SMALLEST = 5
"""Containers that are kept, at least."""
OF_AGE = 1.5
"""Seconds between two blows: what dies in its first second is taken for a command that cannot
start, and waits.
"""
GIVE_UP = 20.0
"""Seconds after which a lost container is never replaced."""
PROGRAMS = {
    "instance-docker": ours("ikdemo-instance-docker", "--dir", "{root}/i", "--grace", "0s"),
    "flavor-vanilla": ours("infrakit-flavor-vanilla"),
    "group": ours("infrakit-group-default"),
}


class Arrivals:
    """Containers that started, as the engine tells of them."""

    def __init__(self, client: docker.APIClient) -> None:
        self._changed, self._times = threading.Condition(), dict[str, list[float]]()
        self._events = client.events(
            filters={"type": "container", "event": "start", "label": LABEL}, decode=True
        )
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        with suppress(Exception):  # however it ends, it was closed
            for event in self._events:
                at, who = time.perf_counter(), event["Actor"]["Attributes"][LABEL]
                with self._changed:
                    self._times.setdefault(who, []).append(at)
                    self._changed.notify_all()

    def forget(self, who: str) -> None:
        """Count from now on."""
        with self._changed:
            self._times[who] = []

    def wait_for(self, who: str, count: int, patience: float) -> float:
        """Return when the last of so many came, or infinity if they do not."""
        with self._changed:
            there = self._changed.wait_for(lambda: len(self._times.get(who, ())) >= count, patience)
            return self._times[who][count - 1] if there else math.inf

    def close(self) -> None:
        self._events.close()


class Bench:
    """One engine with everybody who heals on it."""

    def __init__(self, client: docker.APIClient, dice: random.Random) -> None:
        self._client, self._dice, self._arrivals = client, dice, Arrivals(client)
        self.faults: dict[str, Callable[[str], Any]] = {
            "process killed": lambda one: os.kill(
                client.inspect_container(one)["State"]["Pid"], signal.SIGKILL
            ),
            "docker kill": client.kill,
            "docker rm -f": lambda one: client.remove_container(one, force=True),
        }

    def living(self, who: str) -> list[str]:
        """Return the running containers of a healer."""
        return sorted(
            row["Id"]
            for row in self._client.containers(quiet=True, filters={"label": f"{LABEL}={who}"})
        )

    def begin(self, healer: Healer, size: int) -> None:
        """Let a healer start its containers, and wait for them."""
        self._arrivals.forget(healer.who)
        healer.start(size)
        if math.isinf(self._arrivals.wait_for(healer.who, size, PATIENCE)):
            raise SystemExit(
                f"{healer.who} did not start {size} containers within {PATIENCE:.0f} s"
            )

    def end(self, healer: Healer) -> None:
        """Let a healer stop, and remove what it left."""
        healer.stop()
        for row in self._client.containers(
            all=True, quiet=True, filters={"label": f"{LABEL}={healer.who}"}
        ):
            with suppress(docker.errors.APIError):  # somebody is removing it
                self._client.remove_container(row["Id"], force=True)

    def heal(self, healer: Healer, fault: str, at_once: int) -> float:
        """Strike, and return the seconds until all are replaced, or infinity."""
        healer.renew()
        time.sleep(OF_AGE)
        victims = self._dice.sample(self.living(healer.who), at_once)
        self._arrivals.forget(healer.who)
        began = time.perf_counter()
        with ThreadPoolExecutor(at_once) as blows:
            list(blows.map(self.faults[fault], victims))
        return (
            self._arrivals.wait_for(healer.who, at_once, GIVE_UP if at_once == 1 else PATIENCE)
            - began
        )

    def in_turns(
        self, healers: Sequence[Healer], fault: str, at_once: int, rounds: int
    ) -> list[Timing]:
        """Measure healers that stand side by side; who never heals is asked no third time."""
        times: dict[str, list[float]] = {healer.who: [] for healer in healers}
        for healer in healers:
            self.begin(healer, max(SMALLEST, at_once))
        for _ in range(rounds):
            for healer in healers:
                if times[healer.who][-2:] != [math.inf, math.inf]:
                    times[healer.who].append(self.heal(healer, fault, at_once))
        for healer in healers:
            self.end(healer)
            print(f"{fault}, {at_once} at once: {healer.who} measured", file=sys.stderr)
        return [
            Timing(who, fault, at_once, taken, who == BareLoop.who) for who, taken in times.items()
        ]

    def close(self) -> None:
        self._arrivals.close()


def measure(client: docker.APIClient, root: Path, image: str, dice: random.Random) -> list[Timing]:
    """Make all measurements with one set of plugins."""
    bench, timings = Bench(client, dice), []
    both: list[Healer] = [BareLoop(client, image), OurGroup(root, image)]
    peers: list[Healer] = [RestartPolicyAlways(client, image, COMMAND)]
    with ExitStack() as stack:
        stack.callback(bench.close)
        if stack.enter_context(swarm_mode(client)):
            peers += [
                SwarmService(client, image, COMMAND, None),
                SwarmService(client, image, COMMAND, 0.0),
            ]
        for at_once in ROUNDS:
            for fault in bench.faults if at_once == 1 else list(bench.faults)[:1]:
                timings += bench.in_turns(both, fault, at_once, ROUNDS[at_once])
                for peer in peers:
                    timings += bench.in_turns([peer], fault, at_once, PEER_ROUNDS[at_once])
    return timings


def main() -> None:
    """Measure, print, and keep the figures where asked to."""
    parser = arguments(
        "time from the loss of a container to its replacement, against a bare event loop and "
        "Docker's own means"
    )
    image = os.environ.get("IKDEMO_IMAGE", "busybox")
    parser.add_argument(
        "--image",
        default=image,
        help=f"an image that the engine has, with a sleep in it (default {image})",
    )
    given = parser.parse_args()
    with ExitStack() as stack:
        client = docker.APIClient(
            **docker.utils.kwargs_from_env(), version="auto", timeout=PATIENCE
        )
        stack.callback(client.close)
        root = Path(tempfile.mkdtemp(prefix="ikb-"))
        stack.callback(shutil.rmtree, root)
        for name in ("p", "i"):
            (root / name).mkdir(mode=0o700)
        stack.enter_context(plugins(root, PROGRAMS))
        timings = measure(client, root, given.image, random.Random(given.seed))
        engine = client.version()["Version"]
    publish(timings, given.seed, given.json, {"Docker": engine})


if __name__ == "__main__":
    main()
