"""Calls that overlap, beside other hands that rename, copy and delete: one instance in a slot, and
nothing lost that is there.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import random
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from msgspec import Raw

from ikdemo.spi.documents import GROUP_TAG, SHA_TAG, InstanceSpec
from ikdemo.spi.errors import PluginFailure

SPEC = InstanceSpec(Raw(b"{}"), {GROUP_TAG: "g", SHA_TAG: "s"})


def there(home: Path) -> set[str]:
    """Read the ID of each instance file."""
    return {json.loads(path.read_text())["ID"] for path in home.iterdir()}


class Hands:
    """A thread that does things to a directory, in the order of a seed, until ``rest``.
    ``deletes``: also what ends instances.
    """

    def __init__(self, home: Path, seed: int, deletes: bool) -> None:
        self.home, self.turns, self._dice = home, 0, random.Random(seed)
        self._verbs = [
            self._rename,
            self._copy,
            self._link,
            self._take_away,
            *([self._delete] if deletes else []),
        ]
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._work)
        self._thread.start()

    def rest(self) -> None:
        self._over.set()
        self._thread.join()

    def _work(self) -> None:
        while not self._over.is_set():
            with suppress(OSError):  # the plugin was faster
                names = [name for name in os.listdir(self.home) if not name.startswith(".")]  # noqa: PTH208
                if names:
                    self._dice.choice(self._verbs)(self.home / self._dice.choice(names))
            self.turns += 1

    def _rename(self, path: Path) -> None:
        target = path.with_name(f"r{self._dice.randrange(10**9)}")
        path.rename(target)

    def _copy(self, path: Path) -> None:
        made = self.home.with_name("made")
        made.write_bytes(path.read_bytes())
        made.rename(self.home / f"c{self._dice.randrange(10**9)}")

    def _link(self, path: Path) -> None:
        os.link(path, path.with_name(f"l{self._dice.randrange(10**9)}"))

    def _take_away(self, path: Path) -> None:
        self.home.rename(self.home.with_name("away"))
        if self._dice.random() < 0.5:
            self.home.mkdir()
            self.home.rmdir()
        self.home.with_name("away").rename(self.home)

    def _delete(self, path: Path) -> None:
        path.unlink()


async def answered(call: Any) -> Any:
    """Return what a call answers; None where it is in doubt, or was refused."""
    with suppress(PluginFailure):
        return await call
    return None


@pytest.mark.parametrize("seed", range(6))
def test_one_instance_fills_a_slot_whatever_its_file_is_called_meanwhile(
    tmp_path: Path, running: Any, seed: int
) -> None:
    home = tmp_path / "i"

    async def story() -> None:
        async with running(home) as (plugin, heard):
            made = {str(slot): await plugin.provision(SPEC, str(slot)) for slot in range(4)}
            hands = Hands(home, seed, deletes=False)
            try:
                for turn in itertools.count():
                    slots = random.Random(turn).choices(list(made), k=6)
                    said = await asyncio.gather(
                        *(answered(plugin.provision(SPEC, slot)) for slot in slots)
                    )
                    assert all(
                        one in (None, made[slot]) for slot, one in zip(slots, said, strict=True)
                    )
                    described = await answered(plugin.describe_instances({GROUP_TAG: "g"}))
                    assert described is None or sorted(d.id for d in described) == sorted(
                        made.values()
                    )
                    if turn > 100 and hands.turns > 300:
                        break
                    await asyncio.sleep(0)
            finally:
                hands.rest()
            assert sorted(d.id for d in await plugin.describe_instances({})) == sorted(
                made.values()
            )
            assert {fact for fact in heard.facts() if fact[1]} == {
                ("provisioned", one) for one in made.values()
            }

    asyncio.run(asyncio.wait_for(story(), 100))


@pytest.mark.parametrize("seed", range(6))
def test_after_any_overlap_what_is_described_and_what_was_told_is_what_is_there(
    tmp_path: Path, running: Any, seed: int
) -> None:
    home, dice = tmp_path / "i", random.Random(seed)

    async def story() -> None:
        async with running(home) as (plugin, heard):
            hands = Hands(home, seed, deletes=True)

            async def work() -> None:
                for _ in range(40):
                    await answered(plugin.provision(SPEC, str(dice.randrange(5))))
                    described = await answered(plugin.describe_instances({GROUP_TAG: "g"})) or []
                    assert len({d.id for d in described}) == len(described)
                    if described and dice.random() < 0.3:
                        await answered(plugin.destroy(dice.choice(described).id))
                    await asyncio.sleep(0)

            try:
                while hands.turns < 300:
                    await asyncio.gather(*(work() for _ in range(4)))
            finally:
                hands.rest()
            living = {d.id for d in await plugin.describe_instances({})}
            assert living == there(home)
            told: set[str] = set()
            for event in heard.events:
                if event.kind in ("provisioned", "lost", "destroyed"):
                    assert (event.instance in told) is (event.kind != "provisioned"), event
                    told ^= {event.instance}
            assert told == living

    asyncio.run(asyncio.wait_for(story(), 100))
