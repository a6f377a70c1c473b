"""Whose is it, and what is it: members by the group tag alone, known by their ID, with plugins that
describe them oddly.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest
from msgspec import Raw

import ikdemo
from ikdemo.flavor.vanilla import Vanilla
from ikdemo.spi.documents import Description, InstanceSpec
from ikdemo.spi.plans import Reason

Change = Callable[[list[Description]], list[Description]]
GROUP, SHA = "infrakit.group", "infrakit.config_sha"


class Cloud:
    """Instances in memory; ``describe`` changes what is described of them. It does not filter,
    unless that says so.
    """

    interface = "Instance"

    def __init__(self, *offers: str) -> None:
        self.offers = frozenset(offers)
        self.living: dict[str, Description] = {}
        self.made: list[str] = []
        self.destroyed: list[str] = []
        self.described = 0
        self.change: Change = list

    async def validate(self, properties: Raw) -> None: ...

    async def provision(self, spec: InstanceSpec, slot: str | None = None) -> str:
        name = f"vm-{len(self.made):03}"
        self.made.append(name)
        self.living[name] = Description(name, spec.logical_id, spec.tags, slot or "")
        return name

    async def destroy(self, instance: str) -> None:
        self.destroyed.append(instance)
        self.living.pop(instance)

    async def describe_instances(
        self, tags: Mapping[str, str], slots: bool = False
    ) -> list[Description]:
        self.described += 1
        return self.change(list(self.living.values()))

    async def polls(self, times: int = 3) -> None:
        wanted = self.described + times
        while self.described < wanted:  # noqa: ASYNC110
            await asyncio.sleep(0.005)


def spec(note: str = "v1", size: int = 3, group: str = "web", **allocation: Any) -> dict[str, Any]:
    sections = {
        "Instance": {"Plugin": "cloud", "Properties": {"Note": note}},
        "Flavor": {"Plugin": "plain", "Properties": {}},
    }
    pace = {"BatchSize": 1, "Duration": "0"}
    return {
        "ID": group,
        "Properties": {"Allocation": allocation or {"Size": size}, **sections, "Updating": pace},
    }


def run(
    cloud: Cloud,
    story: Callable[[ikdemo.Group], Awaitable[None]],
    wanted: dict[str, Any] | None = None,
    poll: float = 0.02,
) -> None:
    async def told() -> None:
        async with asyncio.timeout(100):
            async with ikdemo.Group(
                wanted or spec(), {"cloud": cloud, "plain": Vanilla()}, poll_interval=poll
            ) as group:
                await group.wait(100)
                await story(group)

    asyncio.run(told())


def again(one: Description, **members: Any) -> Description:
    return Description(
        **{**{name: getattr(one, name) for name in ("id", "logical_id", "tags", "slot")}, **members}
    )


def about(reasons: list[Reason], instance: str) -> str:
    (text,) = [reason.text for reason in reasons if reason.instance == instance]
    return text


@pytest.mark.parametrize("tags", [None, {}, {"Name": "db"}, {GROUP: "other"}, {GROUP: "WEB"}])
def test_what_lacks_the_groups_tag_is_left_alone(tags: dict[str, str] | None) -> None:
    cloud = Cloud()
    cloud.living["precious"] = Description("precious", None, tags)

    async def story(group: ikdemo.Group) -> None:
        await group.commit(spec("v2"))
        await group.wait(100)
        await group.scale(1)
        await group.wait(100)
        assert "precious" in cloud.living
        assert len(cloud.living) == 2

    run(cloud, story)


def test_a_plugin_that_filters_by_tags_need_not_repeat_them() -> None:
    cloud = Cloud("FiltersByTag")
    cloud.change = lambda found: [again(one, tags=None) for one in found]

    async def story(group: ikdemo.Group) -> None:
        await cloud.polls()
        assert len(await group.instances()) == len(cloud.made) == 3
        await group.commit(spec("v2"))
        await group.wait(100)
        assert len(cloud.made) == 6
        assert len(cloud.living) == 3

    run(cloud, story)


def test_a_member_that_is_described_without_the_groups_tag_is_doubt() -> None:
    cloud = Cloud()

    async def story(group: ikdemo.Group) -> None:
        cloud.change = lambda found: [
            again(one, tags={"Name": "x"}) if one.id == "vm-001" else one for one in found
        ]
        cloud.living.pop("vm-002")
        await cloud.polls()
        assert (cloud.made, cloud.destroyed) == (["vm-000", "vm-001", "vm-002"], [])
        (reason,) = await group.why()
        assert (
            "plugin cloud describes instance vm-001, a member of the group, without the group's tag"
            in reason.text
        )
        cloud.change = list
        await group.wait(100)
        assert len(cloud.living) == 3

    run(cloud, story)


def test_tags_in_another_letter_case_change_nothing_and_are_named() -> None:
    def lower(found: list[Description]) -> list[Description]:
        return [
            again(one, tags={key: value.lower() for key, value in (one.tags or {}).items()})
            for one in found
        ]

    cloud = Cloud()
    cloud.change = lower

    async def story(group: ikdemo.Group) -> None:
        rolls = "Performing a rolling update on 3 instances"
        for note, made, said in (("v1", 3, "Noop"), ("v2", 6, rolls), ("v2", 6, "Noop")):
            assert await group.commit(spec(note, group="Web")) == said
            await group.wait(100)
            await cloud.polls()
            assert len(cloud.made) == made
        assert "config_sha" in about(await group.why(), sorted(cloud.living)[0])

    run(cloud, story, spec(group="Web"))


@pytest.mark.parametrize("slot", ["0", "13", "", "9" * 5000, "x"])
def test_a_slot_is_believed_only_of_a_plugin_that_offers_slots(slot: str) -> None:
    cloud = Cloud()
    cloud.change = lambda found: [again(one, slot=slot) for one in found]

    async def story(group: ikdemo.Group) -> None:
        await cloud.polls()
        assert (len(cloud.made), cloud.destroyed, await group.why()) == (3, [], [])

    run(cloud, story)
    run(cloud, story)  # another group plugin, which knows none of them


def test_slots_of_a_plugin_that_has_none_do_not_tell_two_lines_apart() -> None:
    cloud = Cloud()
    cloud.change = lambda found: [again(one, slot=slot) for one in found for slot in ("0", "1")]

    async def story(group: ikdemo.Group) -> None:
        await cloud.polls()
        assert (len(cloud.made), cloud.destroyed, await group.why()) == (3, [], [])

    run(cloud, story)


@pytest.mark.parametrize("offers", [(), ("Slots",)])
def test_an_instance_that_is_listed_twice_is_one(offers: tuple[str, ...]) -> None:
    cloud = Cloud(*offers)
    cloud.change = lambda found: found + found

    async def story(group: ikdemo.Group) -> None:
        await cloud.polls()
        assert (len(cloud.made), cloud.destroyed, await group.why()) == (3, [], [])
        assert len(await group.instances()) == 3

    run(cloud, story)


@pytest.mark.parametrize("offers", [(), ("Slots",)])
@pytest.mark.parametrize(
    "members",
    [{"tags": {GROUP: "web", SHA: "x"}}, {"logical_id": "other"}, {"tags": {GROUP: "other"}}],
)
def test_a_list_that_contradicts_itself_is_doubt(
    offers: tuple[str, ...], members: dict[str, Any]
) -> None:
    cloud = Cloud(*offers)

    async def story(group: ikdemo.Group) -> None:
        cloud.change = lambda found: [
            *found,
            again(cloud.living.get("vm-001", found[0]), **members),
        ]
        await cloud.polls()
        (reason,) = await group.why()
        assert "plugin cloud lists instance vm-001 twice, and not alike" in reason.text
        cloud.living.pop("vm-002")
        await cloud.polls()
        assert (len(cloud.made), cloud.destroyed) == (3, [])
        cloud.change = list
        await group.wait(100)

    run(cloud, story)


def test_an_instance_without_an_id_is_named_and_never_acted_on() -> None:
    cloud = Cloud()
    cloud.change = lambda found: [*found, Description("", None, {GROUP: "web"})]

    async def story(group: ikdemo.Group) -> None:
        await group.commit(spec("v2", size=1))
        await group.wait(100)
        (reason,) = await group.why()
        assert "without an ID" in reason.text
        assert "" not in cloud.destroyed

    run(cloud, story)


def test_pets_keep_their_logical_ids_where_the_plugin_does_not_report_them() -> None:
    cloud = Cloud()
    cloud.change = lambda found: [again(one, logical_id=None) for one in found]

    async def story(group: ikdemo.Group) -> None:
        await cloud.polls()
        assert (len(cloud.made), await group.why()) == (3, [])
        cloud.living.pop("vm-001")
        await cloud.polls()
        await group.wait(100)
        assert cloud.living[cloud.made[-1]].logical_id == "b"
        assert len(cloud.made) == 4

    run(cloud, story, spec(LogicalIDs=["a", "b", "c"]))


def test_what_a_list_says_later_of_a_known_instance_changes_nothing_and_is_named() -> None:
    cloud = Cloud("Slots")

    async def story(group: ikdemo.Group) -> None:
        def swapped(found: list[Description]) -> list[Description]:
            slots = [one.slot for one in found]
            return [
                again(one, slot=slot, tags={GROUP: "web", SHA: "zz"})
                for one, slot in zip(found, slots[::-1], strict=True)
            ]

        cloud.change = swapped
        await cloud.polls()
        assert (len(cloud.made), cloud.destroyed) == (3, [])
        assert "slot '2' instead of '0' and config_sha 'zz' instead of" in about(
            await group.why(), "vm-000"
        )
        await group.wait(100)

    run(cloud, story)


def test_a_new_member_under_another_id_is_the_one_that_was_asked_for() -> None:
    class Renaming(Cloud):
        async def provision(self, spec: InstanceSpec, slot: str | None = None) -> str:
            return "request-" + await super().provision(spec, slot)

    cloud = Renaming()

    async def story(group: ikdemo.Group) -> None:
        cloud.living.pop("vm-001")
        await cloud.polls()
        await group.wait(100)
        assert sorted(cloud.living) == ["vm-000", "vm-002", "vm-003"]

    run(cloud, story)
