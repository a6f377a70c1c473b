"""What other hands do in the instance directory, and what the file plugin says of it, at once."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from msgspec import Raw

from ikdemo.instance.file import directory
from ikdemo.spi.documents import GROUP_TAG, SHA_TAG, InstanceSpec
from ikdemo.spi.errors import PluginFailure

SPEC = InstanceSpec(Raw(b"{}"), {GROUP_TAG: "g", SHA_TAG: "s"})


def content(instance: str, **tags: str) -> str:
    return json.dumps({"ID": instance, "Tags": {GROUP_TAG: "g", **tags}})


def tags_of_whole_files(home: Path) -> dict[str, Any]:
    found = {}
    for path in home.iterdir():
        try:
            found[path.name] = json.loads(path.read_text())["Tags"]
        except ValueError:
            continue
    return found


def test_a_deleted_file_is_told_at_once_without_any_call(tmp_path: Path, running: Any) -> None:
    async def story() -> None:
        async with running(tmp_path) as (plugin, heard):
            instance = await plugin.provision(SPEC, "3")
            await asyncio.to_thread(subprocess.run, ["rm", tmp_path / instance], check=True)
            lost = await heard.next("lost")
            assert (lost.instance, lost.group, lost.slot, lost.tags) == (
                instance,
                "g",
                "3",
                SPEC.tags,
            )
            assert heard.facts() == [("provisioned", instance), ("lost", instance)]

    asyncio.run(story())


def test_an_answer_is_as_fresh_as_the_directory_even_if_the_loop_had_no_time_to_look(
    tmp_path: Path, running: Any
) -> None:
    async def story() -> None:
        async with running(tmp_path) as (plugin, _):
            instance = await plugin.provision(SPEC, "0")
            (tmp_path / instance).unlink()
            (tmp_path / "new").write_text(content("instance-1"))
            assert [d.id for d in await plugin.describe_instances({})] == ["instance-1"]
            assert await plugin.provision(SPEC, "0") != instance

    asyncio.run(story())


def test_files_that_appear_move_and_change_are_told(tmp_path: Path, running: Any) -> None:
    outside = tmp_path / "outside"
    outside.write_text(content("instance-2"))
    home = tmp_path / "home"

    async def story() -> None:
        async with running(home) as (plugin, heard):
            (home / "instance-1").write_text(content("instance-1"))
            assert (await heard.next("provisioned")).instance == "instance-1"
            outside.rename(home / "instance-2")
            assert (await heard.next("provisioned")).instance == "instance-2"
            (home / "instance-1").write_text(content("instance-1", tier="db"))
            assert (await heard.next("changed")).tags == {GROUP_TAG: "g", "tier": "db"}
            (home / "instance-1").rename(outside)
            assert (await heard.next("lost")).instance == "instance-1"
            assert [d.id for d in await plugin.describe_instances({})] == ["instance-2"]

    asyncio.run(story())


def test_a_file_that_joins_another_group_is_lost_to_the_first(tmp_path: Path, running: Any) -> None:
    async def story() -> None:
        async with running(tmp_path) as (plugin, heard):
            instance = await plugin.provision(SPEC, "0")
            (tmp_path / instance).write_text(json.dumps({"ID": instance, "Tags": {GROUP_TAG: "h"}}))
            assert (await heard.next("lost")).group == "g"
            assert [event.group for event in heard.events] == ["g", "g", "h"]

    asyncio.run(story())


def test_what_is_no_instance_is_reported_once_and_left_alone(tmp_path: Path, running: Any) -> None:
    def litter() -> None:
        (tmp_path / "garbage").write_text("hello")
        (tmp_path / "truncated").write_text('{"ID": "instance-9", "Ta')
        (tmp_path / "wrong").write_text('{"ID": 5}')
        (tmp_path / "empty").touch()
        (tmp_path / "huge").write_bytes(b" " * (2**20 + 1))
        (tmp_path / "folder").mkdir()
        (tmp_path / "link").symlink_to("instance-1")
        (tmp_path / "linked-folder").symlink_to("/")
        os.mkfifo(tmp_path / "fifo")
        (tmp_path / "bad\udcff\nname").write_text("")
        (tmp_path / ".hidden").write_text(content("hidden"))

    expected = {
        "'garbage' is no instance and is left alone: not JSON",
        "'truncated' is no instance and is left alone: not JSON",
        "'wrong' is no instance and is left alone: $.ID: expected a string, got a whole number",
        "'empty' is no instance and is left alone: unexpected end of JSON input",
        "'huge' is no instance and is left alone: is larger than 1048576 bytes",
        "'folder' is no instance and is left alone: is a folder, not a file",
        "'link' is no instance and is left alone: is a symbolic link, not a file",
        "'linked-folder' is no instance and is left alone: is a symbolic link, not a file",
        "'fifo' is no instance and is left alone: is a FIFO, not a file",
        "'bad\\udcff\\nname' is no instance and is left alone: unexpected end of JSON input",
    }

    async def story(litter_first: bool) -> None:
        if litter_first:
            litter()
        async with running(tmp_path) as (plugin, heard):
            if not litter_first:
                litter()
            for _ in range(3):
                assert [d.id for d in await plugin.describe_instances({})] == ["instance-1"]
            told = [
                event.text.removeprefix(f"{tmp_path}: ")
                for event in heard.events
                if event.kind == "reported"
            ]
            assert len(told) == len(expected)
            assert all(any(text.startswith(sentence) for text in told) for sentence in expected), (
                told
            )
            assert len(list(os.scandir(tmp_path))) == len(expected) + 2

    (tmp_path / "instance-1").write_text(content("instance-1"))
    asyncio.run(story(litter_first=True))
    for path in tmp_path.iterdir():
        if path.name != "instance-1":
            path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
    asyncio.run(story(litter_first=False))


def test_a_crowd_of_foreign_files_is_summed_up(tmp_path: Path, running: Any) -> None:
    for number in range(60):
        (tmp_path / f"foreign-{number}").write_text("x")

    async def story() -> None:
        async with running(tmp_path) as (plugin, heard):
            assert await plugin.describe_instances({}) == []
            assert [event.text for event in heard.events][20:] == [
                f"{tmp_path}: 40 more such entries"
            ]

    asyncio.run(story())


def test_an_instance_is_the_same_under_any_file_name_and_however_many_files_it_has(
    tmp_path: Path, running: Any
) -> None:
    async def story() -> None:
        async with running(tmp_path) as (plugin, heard):
            made = [await plugin.provision(SPEC, str(slot)) for slot in range(5)]
            before = await plugin.describe_instances({}, slots=True)
            for instance in made:
                (tmp_path / instance).rename(tmp_path / instance.upper())
            assert await plugin.describe_instances({}, slots=True) == before
            for instance in made:
                shutil.copy(tmp_path / instance.upper(), tmp_path / f"copy-of-{instance}")
                os.link(tmp_path / instance.upper(), tmp_path / f"linked-{instance}")
            assert sorted(
                await plugin.describe_instances({}, slots=True), key=lambda d: d.id
            ) == sorted(before, key=lambda d: d.id)
            assert await plugin.provision(SPEC, "2") == made[2]
            for instance in made:  # and others die at once
                (tmp_path / instance.upper()).unlink()
                (tmp_path / f"copy-of-{instance}").unlink()
            assert len(await plugin.describe_instances({})) == 5
            assert heard.facts() == [("provisioned", instance) for instance in made]
            (tmp_path / f"linked-{made[0]}").unlink()
            assert (await heard.next("lost")).instance == made[0]

    asyncio.run(story())


def test_files_that_swap_their_names_lose_nothing(tmp_path: Path, running: Any) -> None:
    async def story() -> None:
        async with running(tmp_path) as (plugin, heard):
            one, other = await plugin.provision(SPEC, "0"), await plugin.provision(SPEC, "1")
            (tmp_path / one).rename(tmp_path / ".between")
            (tmp_path / other).rename(tmp_path / one)
            (tmp_path / ".between").rename(tmp_path / other)
            assert {d.id for d in await plugin.describe_instances({})} == {one, other}
            assert heard.facts() == [("provisioned", one), ("provisioned", other)]

    asyncio.run(story())


def test_files_that_are_renamed_without_end_are_doubt_and_no_loss(
    tmp_path: Path, running: Any
) -> None:
    script = """
import os, sys
home, turn = sys.argv[1], 0
while True:
    for name in os.listdir(home):
        turn += 1
        os.rename(os.path.join(home, name), os.path.join(home, f"r{turn}-{name[-12:]}"))
    if turn < 1000:
        print(turn, flush=True)
"""

    async def story() -> None:
        async with running(tmp_path) as (plugin, heard):
            made = {await plugin.provision(SPEC, str(slot)) for slot in range(5)}
            piped = asyncio.subprocess.PIPE
            renaming = await asyncio.create_subprocess_exec(
                sys.executable, "-c", script, str(tmp_path), stdout=piped
            )
            assert renaming.stdout is not None and await renaming.stdout.readline()
            overtaken = 0
            for _ in range(50):
                try:
                    assert {d.id for d in await plugin.describe_instances({})} == made
                except PluginFailure:  # after as many notices as the kernel keeps, eight times
                    overtaken += 1
                if overtaken == 4:
                    break
                await asyncio.sleep(0)
            renaming.kill()
            await renaming.wait()
            assert {d.id for d in await plugin.describe_instances({})} == made
            assert not {kind for kind, _ in heard.facts()} & {"lost", "destroyed", "changed"}

    asyncio.run(story())


def test_a_copy_that_another_group_claims_is_that_groups_once_the_instance_is_gone(
    tmp_path: Path, running: Any
) -> None:
    async def story() -> None:
        async with running(tmp_path) as (plugin, _):
            instance = await plugin.provision(SPEC, "0")
            shutil.copy(tmp_path / instance, tmp_path / "copy")
            (tmp_path / "theirs").write_text(json.dumps({"ID": instance, "Tags": {GROUP_TAG: "h"}}))
            assert [d.tags for d in await plugin.describe_instances({})] == [SPEC.tags]
            assert await plugin.describe_instances({GROUP_TAG: "h"}) == []
            await plugin.destroy(instance)
            assert [entry.name for entry in os.scandir(tmp_path)] == ["theirs"]
            assert [d.tags for d in await plugin.describe_instances({})] == [{GROUP_TAG: "h"}]

    asyncio.run(story())


HOSTILE = [
    "",
    "../../victim",
    "a\nb",
    "\x1b[31mred",
    "<b>alert</b>",
    "x" * 129,
    "..",
    "/etc/passwd",
    "\u202eevil",
    "a\0b",
]


@pytest.mark.parametrize("told", ["before the start", "while it runs"])
def test_a_file_with_an_id_or_slot_that_cannot_be_is_no_instance(
    tmp_path: Path, running: Any, told: str
) -> None:
    def put() -> None:
        for number, instance in enumerate(HOSTILE):
            (tmp_path / f"id-{number}").write_text(
                json.dumps({"ID": instance, "Tags": {GROUP_TAG: "g"}})
            )
        for number, slot in enumerate(("9" * 5000, "9" * 10, "0" * 200, "\u0663" * 10, "x" * 129)):
            (tmp_path / f"slot-{number}").write_text(
                json.dumps({"ID": f"i-{number}", "Tags": {GROUP_TAG: "g"}, "Slot": slot})
            )

    async def story() -> None:
        if told == "before the start":
            put()
        async with running(tmp_path) as (plugin, heard):
            if told != "before the start":
                put()
            for _ in range(3):
                assert await plugin.describe_instances({GROUP_TAG: "g"}, slots=True) == []
            reports = [event.text for event in heard.events]
            assert len(reports) == len(HOSTILE) + 5 == len(set(reports))
            assert sum(
                "$.ID: expected 1 to 128 printable characters" in text for text in reports
            ) == len(HOSTILE)
            assert (
                sum(
                    "$.Slot: expected at most 128 characters, and at most 9 digits" in text
                    for text in reports
                )
                == 5
            )
            assert all(text.isprintable() for text in reports)
        assert len(list(os.scandir(tmp_path))) == len(HOSTILE) + 5

    asyncio.run(story())


def test_a_file_that_is_truncated_and_never_closed_is_lost_by_its_event(
    tmp_path: Path, running: Any
) -> None:
    async def story() -> None:
        async with running(tmp_path) as (plugin, heard):
            instance = await plugin.provision(SPEC, "0")
            await plugin.describe_instances({})  # what was noticed of its making is taken
            os.truncate(tmp_path / instance, 0)
            assert await plugin.provision(SPEC, "0") == instance  # a writer may be at work
            # long before everything is compared, without any call
            assert (await heard.next("lost")).instance == instance
            assert await plugin.provision(SPEC, "0") != instance

    asyncio.run(story())


def test_a_file_being_written_is_waited_for_and_then_judged(tmp_path: Path, running: Any) -> None:
    async def story() -> None:
        async with running(tmp_path) as (plugin, heard):
            instance = await plugin.provision(SPEC, "0")
            with (
                (tmp_path / instance).open("r+") as rewriting,
                (tmp_path / "new").open("w") as writing,
            ):
                whole = rewriting.read()
                rewriting.truncate(40)
                writing.write('{"ID": "insta')
                writing.flush()
                assert [d.id for d in await plugin.describe_instances({})] == [instance]
                assert await plugin.provision(SPEC, "0") == instance
                rewriting.seek(0)
                rewriting.write(whole)
            reported = await heard.next("reported")
            assert "'new'" in reported.text and heard.facts() == [
                ("provisioned", instance),
                ("reported", ""),
            ]
            (tmp_path / instance).write_text(whole[:40])
            assert (await heard.next("lost")).instance == instance
            (tmp_path / instance).write_text(whole)
            assert (await heard.next("provisioned")).instance == instance

    asyncio.run(story())


def test_more_changes_than_the_kernel_notes_down_are_still_seen(
    tmp_path: Path, running: Any
) -> None:
    async def story() -> None:
        async with running(tmp_path) as (plugin, heard):
            kept, deleted = await plugin.provision(SPEC, "0"), await plugin.provision(SPEC, "1")
            (tmp_path / "x0").touch()
            for turn in range(9000):
                (tmp_path / f"x{turn % 2}").rename(tmp_path / f"x{(turn + 1) % 2}")
            (tmp_path / deleted).unlink()
            (tmp_path / "late").write_text(content("instance-1"))
            assert {d.id for d in await plugin.describe_instances({})} == {kept, "instance-1"}
            assert ("lost", deleted) in heard.facts()

    asyncio.run(story())


def test_without_notices_every_call_reads_the_directory(
    tmp_path: Path, running: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(directory, "Notices", refuse)

    async def story() -> None:
        async with running(tmp_path) as (plugin, heard):
            instance = await plugin.provision(SPEC, "0")
            (tmp_path / instance).unlink()
            (tmp_path / "instance-1").write_text(content("instance-1"))
            assert [d.id for d in await plugin.describe_instances({})] == ["instance-1"]
            assert (
                heard.facts()[0] == ("provisioned", instance)
                and ("lost", instance) in heard.facts()
            )

    asyncio.run(story())
    complaints = [one.message for one in caplog.records if one.levelno >= logging.WARNING]
    assert complaints == [
        f"{tmp_path} cannot be watched (no space left on device): it is read at every call, "
        "deletions are noticed late"
    ]


def test_what_the_kernel_does_not_notice_is_found_by_comparing(
    tmp_path: Path, running: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, elsewhere = tmp_path / "home", tmp_path / "elsewhere"
    elsewhere.write_text(content("instance-1"))

    async def story() -> None:
        async with running(home) as (plugin, heard):
            os.link(elsewhere, home / "instance-1")
            await heard.next("provisioned")
            elsewhere.write_text(content("instance-1", tier="other"))
            monkeypatch.setattr(directory, "COMPARE", 0.0)
            monkeypatch.setattr(directory, "COMPARE_SHARE", 0)
            await plugin.describe_instances({})  # brings the comparison about
            await heard.next("changed")
            assert [d.tags for d in await plugin.describe_instances({})] == [
                {GROUP_TAG: "g", "tier": "other"}
            ]

    asyncio.run(story())


def test_a_comparison_by_parts_keeps_nobody_waiting_and_misses_nothing(
    tmp_path: Path, running: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, elsewhere, size = tmp_path / "home", tmp_path / "elsewhere", 40
    elsewhere.mkdir()

    async def story() -> None:
        async with running(home) as (plugin, _):
            for number in range(size):
                outside = elsewhere / str(number)
                outside.write_text(content(f"instance-{number}"))
                os.link(outside, home / f"instance-{number}")
            assert len(await plugin.describe_instances({})) == size
            # by its other name, of which the kernel says nothing here
            for number in range(0, size, 2):
                (elsewhere / str(number)).write_text(content(f"instance-{number}", tier="other"))
            for name, value in (("COMPARE", 0.0), ("COMPARE_SHARE", 0), ("PART", 3)):
                monkeypatch.setattr(directory, name, value)
            expected = {
                f"instance-{n}": {GROUP_TAG: "g"} | ({} if n % 2 else {"tier": "other"})
                for n in range(2, size)
            }
            described, turns = {}, 0
            while described != expected:
                turns += 1
                if turns == 3:  # in the middle of it
                    (home / "instance-0").unlink()
                    (home / "instance-1").unlink()
                    expected[await plugin.provision(SPEC)] = {GROUP_TAG: "g", SHA_TAG: "s"}
                described = {d.id: d.tags for d in await plugin.describe_instances({})}
                await asyncio.sleep(0)
            assert turns > size // 6  # in whatever order the parts come

    asyncio.run(asyncio.wait_for(story(), 100))


def test_a_writer_in_another_process_is_never_seen_half_way(tmp_path: Path, running: Any) -> None:
    script = """
import json, os, sys
for turn in range(400):
    path = os.path.join(sys.argv[1], f"instance-{turn % 7}")
    if turn % 3 == 2 and os.path.exists(path):
        os.unlink(path)
    with open(path, "w") as out:
        text = json.dumps({"ID": os.path.basename(path), "Tags": {"turn": str(turn)}})
        out.write(text[: 9 if turn % 5 == 4 else None])
"""

    async def story() -> None:
        async with running(tmp_path) as (plugin, _):
            writer = await asyncio.create_subprocess_exec(
                sys.executable, "-c", script, str(tmp_path)
            )
            while writer.returncode is None:
                described = await plugin.describe_instances({})
                assert all(d.id.startswith("instance-") and d.tags for d in described)
                await asyncio.sleep(0)
            assert await writer.wait() == 0
            assert {
                d.id: d.tags for d in await plugin.describe_instances({})
            } == tags_of_whole_files(tmp_path)

    asyncio.run(story())
