"""A flavor that says its Prepare is constant is not asked again in a pass; what is made is the
same.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from msgspec import Raw

import ikdemo
from ikdemo.flavor.vanilla import Vanilla
from ikdemo.instance.file.plugin import FileInstances
from ikdemo.spi.documents import Allocation, InstanceSpec


class Asked(Vanilla):
    """A vanilla that remembers for whom it was asked to prepare."""

    def __init__(self, offers: frozenset[str]) -> None:
        self.offers = offers
        self.asked: list[str | None] = []

    async def prepare(
        self, properties: Raw, spec: InstanceSpec, allocation: Allocation
    ) -> InstanceSpec:
        self.asked.append(spec.logical_id)
        return await super().prepare(properties, spec, allocation)


def spec(allocation: dict[str, Any]) -> dict[str, Any]:
    flavor = {"Plugin": "flavor", "Properties": {"Init": ["echo"], "Tags": {"tier": "web"}}}
    return {
        "ID": "web",
        "Properties": {
            "Allocation": allocation,
            "Instance": {"Plugin": "files", "Properties": {}},
            "Flavor": flavor,
        },
    }


@pytest.mark.parametrize(
    ("allocation", "at_most"),
    [({"Size": 7}, [None]), ({"LogicalIDs": ["a", "b", "a", "b", "a"]}, ["a", "b"])],
)
def test_asked_once_in_a_pass_for_each_logical_id(
    tmp_path: Path, allocation: dict[str, Any], at_most: list[str | None]
) -> None:
    async def story() -> None:
        made = {}
        for offers in (
            frozenset({"ConstantHealth"}),
            frozenset({"ConstantHealth", "ConstantPrepare"}),
        ):
            home = tmp_path / str(len(offers))
            flavor = Asked(offers)
            async with ikdemo.Group(
                spec(allocation), {"files": FileInstances(home), "flavor": flavor}
            ) as group:
                await group.wait(100)
                found = [json.loads(path.read_bytes()) for path in home.iterdir()]
                made[len(offers)] = sorted(
                    (one["Slot"], one["LogicalID"], one["Tags"], one["Spec"]) for one in found
                )
            if "ConstantPrepare" in offers:
                assert sorted(flavor.asked, key=str) == at_most
            else:
                assert len(flavor.asked) == len(found)
        assert made[1] == made[2]

    asyncio.run(asyncio.wait_for(story(), 100))
