"""Commands of several clients on one group at the same time, and what its record may say afterwards
(P9).

A record that no order of the acknowledged commands explains is a change that was lost.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import random
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import reduce
from pathlib import Path
from typing import NamedTuple

from ikdemo.rpc.proxies import GroupClient
from ikdemo.spi.decode import decode
from ikdemo.spi.documents import GroupProperties, GroupSpec
from ikdemo.spi.errors import IkdemoError, OutcomeUnknown, UnknownGroup

from .plugins import connect_group

CLIENTS = 4
VERBS = ("commit", "commit", "scale", "scale", "pause", "resume", "step", "describe")
APART = 0.01
"""Seconds within which commands that overlap are sent."""


Promise = Callable[[str, int, object], None]
"""Counts a promise: what it is, how often it was broken, and what was found."""


class Wanted(NamedTuple):
    """What a group's record says."""

    size: int
    note: str = "v1"
    paused: bool = False


class Command(NamedTuple):
    """One command; ``size`` and ``note`` are those of a commit, ``size`` that of a scale."""

    verb: str
    size: int = 0
    note: str = ""

    def after(self, before: Wanted) -> Wanted:
        """Return what the record says once this has taken effect."""
        match self.verb:
            case "commit":
                return before._replace(size=self.size, note=self.note)
            case "scale":
                return before._replace(size=self.size)
            case "pause" | "resume":
                return before._replace(paused=self.verb == "pause")
        return before


def outcomes(
    before: Wanted, made: Iterable[Command], unknown: Sequence[Command] = ()
) -> set[Wanted]:
    """Return what the record may say after the commands ``made``, in any order, and any of the
    ``unknown`` ones.

    >>> made = [Command("scale", 3), Command("commit", 4, "v2"), Command("pause")]
    >>> sorted(outcomes(Wanted(5), made))
    [Wanted(size=3, note='v2', paused=True), Wanted(size=4, note='v2', paused=True)]
    >>> sorted(outcomes(Wanted(5), [], [Command("scale", 3)]))
    [Wanted(size=3, note='v1', paused=False), Wanted(size=5, note='v1', paused=False)]
    """
    made = list(made)
    orders = (
        order
        for count in range(len(unknown) + 1)
        for some in itertools.combinations(unknown, count)
        for order in itertools.permutations([*made, *some])
    )
    return {reduce(lambda now, command: command.after(now), order, before) for order in orders}


class Clients:
    """Several clients of one group, each with a connection of its own. ``wanted``: what its record
    says.

    ``most``: the largest size that was asked for since ``seen`` was called.
    """

    def __init__(
        self,
        group: str,
        spec: Callable[[Wanted], GroupSpec],
        counts: Counter[str],
        promise: Promise,
    ) -> None:
        self._group, self._spec, self._counts, self._promise = group, spec, counts, promise
        self._all: list[GroupClient] = []
        self.wanted, self.most = Wanted(0), 0

    async def connect(self, root: Path) -> None:
        """Connect them to the group plugin."""
        self._all = [await connect_group(root) for _ in range(CLIENTS)]

    def close(self) -> None:
        for client in self._all:
            client.close()

    def drawn(self, dice: random.Random, largest: int) -> list[Command]:
        """Draw a few commands that are to overlap."""
        verbs = [dice.choice(VERBS) for _ in range(dice.randint(2, CLIENTS))]
        return [
            Command(verb, dice.randint(largest // 2, largest), dice.choice(("v1", "v2", "v3")))
            for verb in verbs
        ]

    async def overlap(self, commands: Sequence[Command], dice: random.Random) -> None:
        """Send commands at almost the same time, and see that some order of those that were
        acknowledged explains the record.
        """
        sizes = [one.size for one in commands if one.verb in ("commit", "scale")]
        self.most = max(self.most, *sizes, 0)
        sent = list(zip(self._all, commands, strict=False))
        asked = [self._ask(client, one, dice.uniform(0, APART)) for client, one in sent]
        said = list(zip(commands, await asyncio.gather(*asked), strict=True))
        made, unknown = ([one for one, word in said if word == it] for it in ("made", "unknown"))
        self._counts["commands"] += len(commands)
        self._counts["commands acknowledged"] += len(made)
        found, may = await self.record(), outcomes(self.wanted, made, unknown)
        how = f"{found} after {self.wanted} and {said}"
        self._promise("acknowledged changes lost", found not in may, how)
        self.wanted = found

    def seen(self) -> None:
        """Count from now on: the group is as wanted."""
        self.most = self.wanted.size

    async def record(self) -> Wanted:
        """Return what the record says, as soon as the plugin answers; a size of -1 when there is
        none.
        """
        while True:
            try:
                specs = await self._all[0].inspect_groups()
                codes = {reason.code for reason in await self._all[0].why_group(self._group)}
            except IkdemoError as error:
                if UnknownGroup.is_said_by(error):
                    return Wanted(-1)
                await asyncio.sleep(0.02)
                continue
            properties = decode(specs[0].properties, GroupProperties)
            note = json.loads(bytes(properties.instance.properties))["Note"]
            return Wanted(properties.allocation.size, note, "paused" in codes)

    async def _ask(self, client: GroupClient, command: Command, after: float) -> str:
        await asyncio.sleep(after)
        try:
            if command.verb == "commit":
                await client.commit_group(self._spec(Wanted(command.size, command.note)))
            elif command.verb == "scale":
                await client.scale_group(self._group, command.size)
            else:
                await getattr(client, f"{command.verb}_group")(self._group)
        except OutcomeUnknown:
            return "unknown"
        except IkdemoError:
            return "refused"
        return "made"
