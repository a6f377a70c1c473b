"""A group whose instances are web servers, seen from outside: each is asked for its page, as a
browser would ask, and outages are measured.

Only here are instances visited over HTTP. It uses what a lab tells of a group and decides nothing.
"""

from __future__ import annotations

import http.client
import json
import random
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from statistics import median
from typing import Any, NamedTuple

from ...spi.durations import parse_duration
from ...spi.errors import IkdemoError, NotConverged
from ..lab import Lab
from ..show.tables import Table, Words, say_seconds
from .web_page import LivePage, PageAnswer, Visit

PATIENCE = 0.3
"""Seconds that a visitor waits for a page."""
LONGEST_PAGE = 4096
MOST = 60
"""Servers asked in one visit."""
VISIT_AGAIN, ASK_AGAIN = 0.01, 0.1
"""Seconds between two visits, which tell how long an outage was, and between two questions to the
flavor, each of which is one for every instance.
"""


class Outage(NamedTuple):
    """One server lost: seconds from the fault until it was noticed, until every slot was filled,
    until all pages were there.
    """

    noticed: float
    replaced: float
    answered: float


class Servers:
    """The web servers of one group of a lab."""

    def __init__(self, lab: Lab, group: str) -> None:
        self._lab, self.group = lab, group

    def visit(self) -> Visit:
        """Ask every server of the group for its page, all at the same time."""
        servers = self._lab.servers(self.group)
        there, kind = list(servers)[:MOST], "process" if "pid" in servers.columns else "container"
        with ThreadPoolExecutor(max_workers=max(1, len(there))) as visitors:
            answers = list(visitors.map(lambda row: _ask(*row), there))
        return Visit(self.group, self._wanted(), answers, kind)

    def page(self) -> LivePage:
        """Return a web page of the servers that is kept fresh, where widgets can be shown; else it
        stands still.
        """
        return LivePage(self.visit, self._lab.session)

    def wait(self, timeout: float = 20.0) -> Words:
        """Wait until every wanted server gives its page; raises NotConverged with what the others
        said.
        """
        deadline = time.monotonic() + timeout
        while not (visit := self.visit()).whole:
            if time.monotonic() > deadline:
                raise NotConverged(f"after {timeout:g} s not every server answers", (visit.words,))
            time.sleep(VISIT_AGAIN)
        return Words(f"all {len(visit.answers)} servers of {self.group} answer")

    def wait_healthy(self, timeout: float = 20.0) -> Words:
        """Wait until the flavor calls every instance healthy; raises NotConverged with what it says
        of each.
        """
        deadline = time.monotonic() + timeout
        while (
            set((said := self._lab.health(self.group)).column("health")) != {"healthy"}
            or len(said) < self._wanted()
        ):
            if time.monotonic() > deadline:
                raise NotConverged(
                    f"after {timeout:g} s not every server is called healthy", (repr(said),)
                )
            time.sleep(ASK_AGAIN)
        return Words(f"all {len(said)} servers of {self.group} are healthy")

    def outages(
        self, signal: str, times: int, *, within: float = 0.5, seed: int = 1
    ) -> list[Outage]:
        """Send a signal to one server after the other, slot by slot, and wait each time until all
        give their pages again.

        Each signal falls at a random moment ``within`` so many seconds after all are called
        healthy.
        """
        chance, found = random.Random(seed), list[Outage]()
        for turn in range(times):
            self.wait_healthy()
            time.sleep(chance.uniform(0.0, within))
            slots = self._lab.processes(self.group).column("slot")
            self._lab.signal(self.group, signal, slot=slots[turn % len(slots)])
            self.wait()
            answered, fall = self._lab.session.record.now(), self._lab.recovery(self.group).last
            if fall.time_to_detect is None or fall.time_to_recover is None:
                raise IkdemoError(f"{signal} was sent, and nothing was replaced")
            found.append(Outage(fall.time_to_detect, fall.time_to_recover, answered - fall.began))
        return found

    def _wanted(self) -> int:
        allocation = json.loads(self._lab.inspect(self.group))["Allocation"]
        return len(allocation.get("LogicalIDs") or []) or int(allocation.get("Size", 0))


def _ask(slot: str, instance: str, address: str, port: str, pid: str = "") -> PageAnswer:
    """Ask one server for its page, which must name its instance."""
    if not (address and port):  # a container that is just ending or beginning has no address
        return PageAnswer(slot, instance, port, pid, "", "nobody there", 0.0, address)
    connection = http.client.HTTPConnection(address, int(port), timeout=PATIENCE)
    began = time.monotonic()
    try:
        connection.request("GET", "/")
        page = connection.getresponse().read(LONGEST_PAGE).decode("utf-8", "replace").strip()
        wrong = "" if page.startswith(instance) else "somebody else answers"
    except TimeoutError:
        page, wrong = "", "is silent"
    except (OSError, http.client.HTTPException):
        page, wrong = "", "nobody there"
    finally:
        connection.close()
    return PageAnswer(slot, instance, port, pid, page, wrong, time.monotonic() - began, address)


class Noticing(NamedTuple):
    """How long it may take until a silent server is called unhealthy, in seconds."""

    least: float
    mean: float
    most: float


def expected_noticing(interval: float, timeout: float, threshold: int) -> Noticing:
    """Return what theory says of a server that falls silent at any moment between two checks.

    A simple derivation of our own: the first check to fail begins after 0 to one interval, the last
    one that is needed ``threshold - 1`` intervals later, and that one fails after its timeout.

    >>> expected_noticing(interval=0.5, timeout=0.25, threshold=3)
    Noticing(least=1.25, mean=1.5, most=1.75)
    """
    least = (threshold - 1) * interval + timeout
    return Noticing(least, least + interval / 2, least + interval)


def side_by_side(measured: Mapping[str, Sequence[Outage]], spec: Mapping[str, Any]) -> Table:
    """Set measured outages (medians) above what theory says of the group's probe; ``spec`` is the
    group's.
    """
    rows = [
        (
            name,
            str(len(outages)),
            *(say_seconds(median(one[i] for one in outages)) for i in range(3)),
        )
        for name, outages in measured.items()
    ]
    flavor = spec["Properties"]["Flavor"]["Properties"]
    interval, timeout = parse_duration(flavor["Interval"]), parse_duration(flavor["Timeout"])
    theory = expected_noticing(interval, timeout, flavor["Threshold"])
    span = f"{say_seconds(theory.least)} to {say_seconds(theory.most)}"
    rows.append(("theory of the probe", "-", f"{say_seconds(theory.mean)} ({span})", "-", "-"))
    return Table(["fault", "times", "noticed", "new process", "all answer again"], rows)
