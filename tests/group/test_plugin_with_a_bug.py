"""A plugin object whose code is at fault ends one pass, with its own words, and not the healing of
the group.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from ikdemo.embedding import _Here
from ikdemo.flavor.vanilla import Vanilla
from ikdemo.group.plugin import Groups
from ikdemo.instance.file.plugin import FileInstances
from ikdemo.spi.decode import decode
from ikdemo.spi.documents import GroupSpec, InstanceSpec

SIZE = 300
SECTIONS = {
    "Instance": {"Plugin": "files", "Properties": {}},
    "Flavor": {"Plugin": "flavor", "Properties": {}},
}


class AtFault(FileInstances):
    """File instances that fail for one slot, as long as nobody has mended them."""

    mended = False

    async def provision(self, spec: InstanceSpec, slot: str | None = None) -> str:
        await asyncio.sleep(0)
        if slot == "150" and not self.mended:
            raise ZeroDivisionError("one over nothing")
        return await super().provision(spec, slot)


def test_one_pass_ends_and_says_why_and_the_next_goes_on(tmp_path: Path) -> None:
    async def story() -> None:
        files = AtFault(tmp_path / "i")
        here = _Here({"files": files, "flavor": Vanilla()})
        groups = Groups(here, state_dir=None, poll_interval=0.1)
        await groups.start(lambda event: None)
        await files.start(here.rings["files"].append)
        wanted = {"ID": "web", "Properties": {"Allocation": {"Size": SIZE}, **SECTIONS}}
        await groups.commit_group(decode(json.dumps(wanted).encode(), GroupSpec))
        step = await groups.step_group("web")
        while not step.plan.reasons or step.plan.reasons[0].code != "blocked":
            step = await groups.step_group("web")
        assert step.plan.reasons[0].text == "internal error: one over nothing"
        files.mended = True
        while not (await groups.describe_group("web")).converged:
            await groups.step_group("web")
        slots = sorted(
            int(json.loads(path.read_bytes())["Slot"]) for path in (tmp_path / "i").iterdir()
        )
        assert slots == list(range(SIZE))
        await groups.stop()
        await files.stop()

    asyncio.run(asyncio.wait_for(story(), 100))
