"""A storm: what is deleted again and again is made less and less often, why says so, and a resume
ends it.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from ikdemo.embedding import _Here
from ikdemo.flavor.vanilla import Vanilla
from ikdemo.group.plugin import Groups
from ikdemo.instance.file.plugin import FileInstances
from ikdemo.reconcile.backoff import ALLOWANCE
from ikdemo.spi.decode import decode
from ikdemo.spi.documents import GroupSpec, InstanceSpec

SIZE = 5
DOUBLINGS = 8
"""More than can pass in a slot within the minute that a test may take."""


class Counted(FileInstances):
    """Counts what it makes."""

    made = 0

    async def provision(self, spec: InstanceSpec, slot: str | None = None) -> str:
        self.made += 1
        return await super().provision(spec, slot)


def clear(folder: Path) -> None:
    for path in folder.glob("instance-*"):
        path.unlink(missing_ok=True)


def test_a_janitor_is_slowed_down_named_and_a_resume_heals(tmp_path: Path) -> None:
    sections = {
        "Instance": {"Plugin": "files", "Properties": {}},
        "Flavor": {"Plugin": "flavor", "Properties": {}},
    }
    spec = {"ID": "web", "Properties": {"Allocation": {"Size": SIZE}, **sections}}

    async def story() -> None:
        files = Counted(tmp_path)
        here = _Here({"files": files, "flavor": Vanilla()})
        groups = Groups(here, state_dir=None, poll_interval=0.05)
        await groups.start(lambda event: None)
        await files.start(here.rings["files"].append)
        try:
            async with asyncio.timeout(100):
                await groups.commit_group(decode(json.dumps(spec).encode(), GroupSpec))
                while True:
                    clear(tmp_path)
                    await asyncio.sleep(0.005)
                    why = await groups.why_group("web")
                    if [reason.code for reason in why] == ["backing-off"] * (1 + SIZE):
                        break
                storm, *slots = why
                assert "ended from outside in the last 10 s" in storm.text
                assert (storm.slot, storm.instance) == ("", "")
                assert sorted(reason.slot for reason in slots) == [
                    str(slot) for slot in range(SIZE)
                ]
                assert SIZE * (1 + ALLOWANCE) <= files.made <= SIZE * (1 + ALLOWANCE + DOUBLINGS)
                await groups.resume_group("web")
                while not (await groups.describe_group("web")).converged:  # noqa: ASYNC110
                    await asyncio.sleep(0.005)
                made = files.made
                clear(tmp_path)  # its allowance is whole again
                while files.made < made + SIZE:  # noqa: ASYNC110
                    await asyncio.sleep(0.005)
        finally:
            await groups.stop()
            await files.stop()

    asyncio.run(story())
