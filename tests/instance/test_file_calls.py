"""The calls of the file plugin on a real directory: what they make, find, refuse and remove."""

from __future__ import annotations

import asyncio
import json
import re
import stat
from pathlib import Path
from typing import Any

import pytest
from msgspec import UNSET, Raw

from ikdemo.instance.file.plugin import FileInstances
from ikdemo.spi.documents import GROUP_TAG, SHA_TAG, Description, InstanceSpec
from ikdemo.spi.errors import PluginFailure, SpecError

OLD = InstanceSpec(Raw(b'{"Note":"old"}'), {GROUP_TAG: "g", SHA_TAG: "old", "tier": "web"})
NEW = InstanceSpec(Raw(b'{"Note":"new"}'), {GROUP_TAG: "g", SHA_TAG: "new", "tier": "web"})
OTHER = InstanceSpec(tags={GROUP_TAG: "other", SHA_TAG: "old"})


def put(directory: Path, name: str, **content: Any) -> None:
    directory.mkdir(exist_ok=True)
    (directory / name).write_text(json.dumps({"ID": name, **content}))


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def test_an_instance_is_a_file_that_everybody_may_read(tmp_path: Path, running: Any) -> None:
    async def story() -> None:
        async with running(tmp_path / "i") as (plugin, heard):
            instance = await plugin.provision(OLD)
            assert re.fullmatch(r"instance-\d{9,19}", instance)
            assert names(tmp_path / "i") == [instance]
            assert stat.S_IMODE((tmp_path / "i" / instance).stat().st_mode) == 0o644
            assert stat.S_IMODE((tmp_path / "i").stat().st_mode) == 0o700
            assert await plugin.describe_instances({}) == [Description(instance, None, OLD.tags)]
            await plugin.destroy(instance)
            assert names(tmp_path / "i") == [] and await plugin.describe_instances({}) == []
            assert heard.facts() == [("provisioned", instance), ("destroyed", instance)]
            assert (heard.events[0].group, heard.events[0].tags) == ("g", OLD.tags)

    asyncio.run(story())


def test_describe_goes_by_content_filters_by_every_tag_and_sorts_by_file_name(
    tmp_path: Path, running: Any
) -> None:
    put(tmp_path, "instance-3", LogicalID="", Tags=None)
    put(tmp_path, "instance-1", Tags={"group": "a", "tier": "web"})
    put(tmp_path, "instance-2", LogicalID="10.0.0.1", Tags={"group": "a", "tier": "db"})
    (tmp_path / "aaa").write_text('{"id": "named-by-content", "tags": {"x": "y"}}')
    expected = {
        (): ["named-by-content", "instance-1", "instance-2", "instance-3"],
        (("group", "a"),): ["instance-1", "instance-2"],
        (("group", "a"), ("tier", "db")): ["instance-2"],
        (("group", "zzz"),): [],
        (("tier", ""),): ["named-by-content", "instance-3"],
    }

    async def story() -> None:
        async with running(tmp_path) as (plugin, heard):
            for tags, instances in expected.items():
                assert [d.id for d in await plugin.describe_instances(dict(tags))] == instances
            assert (await plugin.describe_instances({"tier": "db"}))[0].logical_id == "10.0.0.1"
            assert heard.events == []

    asyncio.run(story())


def test_provision_into_a_slot_is_idempotent_until_the_instance_is_gone(
    tmp_path: Path, running: Any
) -> None:
    async def story() -> None:
        async with running(tmp_path) as (plugin, heard):
            first = await plugin.provision(OLD, "0")
            assert await plugin.provision(OLD, "0") == first
            with pytest.raises(PluginFailure, match=f"^slot 0 of group g is occupied by {first}$"):
                await plugin.provision(NEW, "0")
            elsewhere = [
                await plugin.provision(OLD, "1"),
                await plugin.provision(OTHER, "0"),
                await plugin.provision(OLD),
            ]
            assert len({first, *elsewhere}) == 4 == len(names(tmp_path))
            await plugin.destroy(first)
            assert await plugin.provision(NEW, "0") not in (first, *elsewhere)
            assert [event.kind for event in heard.events] == ["provisioned"] * 4 + [
                "destroyed",
                "provisioned",
            ]

    asyncio.run(story())


def test_slots_are_told_only_to_those_who_ask_and_survive_a_restart(
    tmp_path: Path, running: Any
) -> None:
    async def story() -> None:
        async with running(tmp_path) as (plugin, _):
            first, plain = await plugin.provision(OLD, "db/2"), await plugin.provision(OLD)
        async with running(tmp_path) as (plugin, _):
            assert {d.id: d.slot for d in await plugin.describe_instances({}, slots=True)} == {
                first: "db/2",
                plain: UNSET,
            }
            assert {d.slot for d in await plugin.describe_instances({})} == {UNSET}
            assert await plugin.provision(OLD, "db/2") == first


def test_an_empty_slot_is_none_and_one_that_cannot_be_is_refused_before_anything_is_made(
    tmp_path: Path, running: Any
) -> None:
    async def story() -> None:
        async with running(tmp_path) as (plugin, _):
            assert (
                len(
                    {
                        await plugin.provision(OLD, ""),
                        await plugin.provision(OLD, ""),
                        await plugin.provision(OLD),
                    }
                )
                == 3
            )
            assert {d.slot for d in await plugin.describe_instances({}, slots=True)} == {UNSET}
            for slot in ("x" * 129, "1" * 10):
                with pytest.raises(
                    SpecError,
                    match=r"^\$\.Slot: expected at most 128 characters, and at most 9 digits",
                ):
                    await plugin.provision(OLD, slot)
            assert len(names(tmp_path)) == 3

    asyncio.run(story())


def test_parallel_calls_for_one_slot_make_one_instance(tmp_path: Path, running: Any) -> None:
    async def story() -> None:
        async with running(tmp_path) as (plugin, _):
            made = await asyncio.gather(*(plugin.provision(OLD, "0") for _ in range(50)))
            assert len(set(made)) == 1 and names(tmp_path) == [made[0]]

    asyncio.run(story())


def test_of_two_files_that_claim_a_slot_the_first_is_its_occupant(
    tmp_path: Path, running: Any
) -> None:
    for name, sha in (("instance-2", "new"), ("instance-1", "old")):
        put(tmp_path, name, Tags={GROUP_TAG: "g", SHA_TAG: sha}, Slot="0")

    async def story() -> None:
        async with running(tmp_path) as (plugin, _):
            assert [d.id for d in await plugin.describe_instances({}, slots=True)] == [
                "instance-1",
                "instance-2",
            ]
            assert await plugin.provision(OLD, "0") == "instance-1"
            with pytest.raises(PluginFailure, match="occupied by instance-1"):
                await plugin.provision(NEW, "0")
            await plugin.destroy("instance-1")
            assert await plugin.provision(NEW, "0") == "instance-2"

    asyncio.run(story())


def test_destroy_goes_by_the_id_described_then_by_the_name_and_takes_copies_along(
    tmp_path: Path, running: Any
) -> None:
    for name, content in (
        ("a-copy", "instance-1"),
        ("instance-1", "instance-1"),
        ("b", "odd-id"),
        ("c", "d"),
    ):
        put(tmp_path, name, ID=content)

    async def story() -> None:
        async with running(tmp_path) as (plugin, _):
            for instance, left in (
                ("instance-1", {"b", "c"}),
                ("odd-id", {"c"}),
                ("c", set()),
            ):
                await plugin.destroy(instance)
                assert set(names(tmp_path)) == left

    asyncio.run(story())


def test_destroy_removes_nothing_but_instances_of_its_own_directory(
    tmp_path: Path, running: Any
) -> None:
    home = tmp_path / "home"
    (home / "folder").mkdir(parents=True)
    (home / "garbage").write_text("hello")
    (home / "link").symlink_to("garbage")
    (home / ".hidden").write_text('{"ID": "hidden"}')
    (tmp_path / "victim").write_text('{"ID": "victim"}')
    put(home, "foreign", ID="")

    async def story() -> None:
        async with running(home) as (plugin, _):
            for instance in ("", "../victim", "/etc/passwd", "..", ".", ".hidden", "a\0b", "x\n"):
                with pytest.raises(SpecError) as caught:
                    await plugin.destroy(instance)
                assert "\n" not in str(caught.value)
            for instance in ("folder", "garbage", "link", "foreign"):
                with pytest.raises(
                    PluginFailure, match=f"^remove {home}/{instance}: not an instance file$"
                ):
                    await plugin.destroy(instance)
            with pytest.raises(
                PluginFailure, match=f"^remove {home}/instance-1: no such file or directory$"
            ):
                await plugin.destroy("instance-1")

    asyncio.run(story())
    assert (
        names(home) == [".hidden", "folder", "foreign", "garbage", "link"]
        and (tmp_path / "victim").exists()
    )


@pytest.mark.parametrize("properties", [b"[1]", b'"x"', b"5", b"true"])
def test_properties_must_be_an_object(tmp_path: Path, running: Any, properties: bytes) -> None:
    async def story() -> None:
        async with running(tmp_path) as (plugin, _):
            with pytest.raises(SpecError, match=r"^\$\.Properties: expected an object, got "):
                await plugin.validate(Raw(properties))
            with pytest.raises(SpecError, match=r"^\$\.Spec\.Properties: expected an object, got "):
                await plugin.provision(InstanceSpec(Raw(properties)))

    asyncio.run(story())
    assert names(tmp_path) == []


def test_any_object_is_valid_and_a_missing_one_is_only_so_for_provision(
    tmp_path: Path, running: Any
) -> None:
    async def story() -> None:
        async with running(tmp_path) as (plugin, _):
            await plugin.validate(Raw(b' {"anything": [1.0]}'))
            with pytest.raises(SpecError, match=r"^Request Properties must be set$"):
                await plugin.validate(Raw(b"null"))
            assert (tmp_path / await plugin.provision(InstanceSpec())).exists()

    asyncio.run(story())


def test_a_plugin_that_does_not_run_answers_nothing(tmp_path: Path) -> None:
    with pytest.raises(PluginFailure, match=r"is not running$"):
        asyncio.run(FileInstances(tmp_path).describe_instances({}))
