"""The date may be set to anything: no wait, readiness or age changes; only stamps do."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import pytest

from ikdemo.embedding import _Here
from ikdemo.flavor.vanilla import Vanilla
from ikdemo.group.clock import Clock
from ikdemo.group.plugin import Groups
from ikdemo.group.store import Record, Store
from ikdemo.instance.file.plugin import FileInstances
from ikdemo.reconcile.model import BackoffState
from ikdemo.reconcile.plan import sentences
from ikdemo.spi.decode import decode
from ikdemo.spi.documents import Allocation, GroupProperties, GroupSpec, PluginSpec
from ikdemo.spi.plans import Plan, Reason

HOUR = 3600.0


class SetClock(Clock):
    """A machine whose date is set: ``ahead`` seconds from the true one."""

    ahead = 0.0

    def wall(self) -> float:
        return super().wall() + self.ahead


def committed(note: str, duration: str) -> GroupSpec:
    properties: dict[str, Any] = {
        "Allocation": {"Size": 2},
        "Updating": {"Duration": duration},
        "Instance": {"Plugin": "instance-file", "Properties": {"Note": note}},
        "Flavor": {"Plugin": "flavor-vanilla", "Properties": {}},
    }
    return decode(json.dumps({"ID": "web", "Properties": properties}).encode(), GroupSpec)


async def update(root: Path, duration: str, jump: float, *, until_converged: bool) -> list[Reason]:
    """Roll a group from v1 to v2 with proofs of ``duration``, set the date meanwhile; return every
    reason that was given.
    """
    files, clock = FileInstances(root), SetClock()
    here = _Here({"instance-file": files, "flavor-vanilla": Vanilla()})
    groups = Groups(here, state_dir=None, poll_interval=0.05, clock=clock)
    await groups.start(lambda event: None)
    await files.start(here.rings["instance-file"].append)
    given: list[Reason] = []
    try:
        async with asyncio.timeout(100):
            await groups.commit_group(committed("v1", duration))
            while not (await groups.describe_group("web")).converged:  # noqa: ASYNC110
                await asyncio.sleep(0.005)
            await groups.commit_group(committed("v2", duration))
            while "healthy for" not in str(given):
                given += await groups.why_group("web")
                await asyncio.sleep(0.005)
            clock.ahead = jump
            looks = 0
            while (
                looks < 50
                if not until_converged
                else not (await groups.describe_group("web")).converged
            ):
                looks += 1
                given += await groups.why_group("web")
                await asyncio.sleep(0.005)
    finally:
        await groups.stop()
        await files.stop()
    return given


def readiness_seconds(given: list[Reason]) -> list[float]:
    """Return the seconds of health that the sentences name."""
    return [
        float(found[1])
        for text in sentences(given)
        if (found := re.search(r"healthy for (\S+) of", text))
    ]


@pytest.mark.parametrize("jump", [HOUR, -HOUR])
def test_an_update_goes_on_when_the_date_is_set(tmp_path: Path, jump: float) -> None:
    given = asyncio.run(update(tmp_path, "300ms", jump, until_converged=True))
    assert readiness_seconds(given)
    assert all(0 <= seconds <= 1 for seconds in readiness_seconds(given))


def test_a_date_set_forward_proves_nothing(tmp_path: Path) -> None:
    given = asyncio.run(update(tmp_path, "30m", HOUR, until_converged=False))
    assert "healthy for" in sentences(given[-1:])[0] or given[-1].code == "outdated"
    assert all(0 <= seconds < 60 for seconds in readiness_seconds(given))


@pytest.mark.parametrize("jump", [HOUR, -HOUR])
def test_since_when_is_a_stamp_of_the_date_as_it_is_set_and_the_span_to_it_stays(
    jump: float,
) -> None:
    clock = SetClock()
    plan = Plan(
        reasons=(Reason("missing", "no instance in this slot", slot="0", since=clock.now() - 7),)
    )
    for ahead in (0.0, jump):
        clock.ahead = ahead
        (reason,) = clock.stamped(plan).reasons
        assert 6 <= clock.wall() - reason.since <= 9
        assert clock.stamped(plan).reasons == (reason,)  # the same whenever it is asked for


def waiting(not_before: float) -> Record:
    properties = GroupProperties(
        PluginSpec("instance-file"), PluginSpec("flavor-vanilla"), Allocation(1)
    )
    return Record("web", properties, backoffs={"0": BackoffState(3, not_before, "no room")})


@pytest.mark.parametrize(("boot", "until"), [("this", 500.0), ("another", 0.0), ("", 0.0)])
def test_a_stored_wait_is_over_after_another_boot_of_the_machine_but_attempts_count(
    tmp_path: Path, boot: str, until: float
) -> None:
    store = Store(tmp_path, boot)
    store.open()
    store.save(waiting(500.0))
    store.close()
    (record,) = Store(tmp_path, "this").open()
    assert record.backoffs == {"0": BackoffState(3, until, "no room")}


def test_a_record_of_an_older_version_names_no_boot_and_its_waits_are_over(tmp_path: Path) -> None:
    store = Store(tmp_path, "this")
    store.open()
    store.save(waiting(1.7e9))
    store.close()
    (path,) = tmp_path.glob("*.json")
    document = json.loads(path.read_bytes())
    del document["boot"]
    path.write_text(json.dumps(document))
    (record,) = Store(tmp_path, "this").open()
    assert record.backoffs["0"] == BackoffState(3, 0.0, "no room")
