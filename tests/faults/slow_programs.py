"""Plugin programs that are slow and fail now and then, by chance drawn from a seed:
``slow_programs.py KIND NAME FOLDER SEED``.

``slots`` and ``plain`` serve files in a folder, with and without the extension Slots, and write a
line for each call into ``calls.log`` beside it; ``group`` is the group plugin, whose store is slow.
"""

from __future__ import annotations

import asyncio
import random
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from msgspec import Raw

from ikdemo.assembly import run
from ikdemo.group.plugin import Groups
from ikdemo.instance.file.plugin import FileInstances
from ikdemo.spi.contracts import Lookup, Plugin
from ikdemo.spi.documents import Description, InstanceSpec
from ikdemo.spi.errors import PluginFailure

SLOW, FAILS = 0.5, 0.1
"""Shares of calls."""
LONGEST = 0.03
"""Seconds."""


class SlowFiles(FileInstances):
    """The file plugin behind chance."""

    def __init__(self, folder: Path, seed: str) -> None:
        super().__init__(folder)
        self._chance, self._log = random.Random(seed), folder.with_name("calls.log")

    async def _meet(self, call: str) -> None:
        with self._log.open("a") as log:
            log.write(call + "\n")
        if self._chance.random() < SLOW:
            await asyncio.sleep(self._chance.uniform(0, LONGEST))

    def _fail(self) -> None:
        if self._chance.random() < FAILS:
            raise PluginFailure("not today")

    async def validate(self, properties: Raw) -> None:
        await self._meet("validate")
        await super().validate(properties)

    async def provision(self, spec: InstanceSpec, slot: str | None = None) -> str:
        await self._meet("provision")
        self._fail()
        made = await super().provision(spec, slot)
        await self._meet("provisioned")
        self._fail()
        return made

    async def destroy(self, instance: str) -> None:
        await self._meet("destroy")
        self._fail()
        await super().destroy(instance)
        self._fail()

    async def describe_instances(
        self, tags: Mapping[str, str], slots: bool = False
    ) -> list[Description]:
        await self._meet("describe")
        found = await super().describe_instances(tags, slots)
        await self._meet("described")
        return found

    async def digest_instances(self, group: str) -> str:
        await self._meet("describe")
        return await super().digest_instances(group)


class PlainFiles(SlowFiles):
    """The same without extensions."""

    offers = frozenset[str]()


def group(lookup: Lookup, folder: Path, seed: str) -> Plugin:
    """Make the group plugin with a store that takes its time."""
    groups, chance = Groups(lookup, state_dir=folder, poll_interval=0.2), random.Random(seed)

    def slowed(work: Callable[..., Any]) -> Callable[..., Any]:
        def slow(*arguments: Any) -> Any:
            time.sleep(chance.uniform(0, LONGEST))
            result = work(*arguments)
            time.sleep(chance.uniform(0, LONGEST))
            return result

        return slow

    for name in ("save", "remove"):
        setattr(groups._store, name, slowed(getattr(groups._store, name)))
    return groups


if __name__ == "__main__":
    kind, name, folder, seed = sys.argv[1], sys.argv[2], Path(sys.argv[3]), sys.argv[4]
    makers: dict[str, Callable[[Lookup], Plugin]] = {
        "slots": lambda lookup: SlowFiles(folder, seed),
        "plain": lambda lookup: PlainFiles(folder, seed),
        "group": lambda lookup: group(lookup, folder, seed),
    }
    sys.exit(run(makers[kind], name=name))
