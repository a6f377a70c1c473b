"""Whatever is done to an instance directory, in whatever order, the plugin describes what is in it
now.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import stat
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ikdemo.instance.file.plugin import FileInstances
from ikdemo.spi.documents import GROUP_TAG, SHA_TAG, InstanceSpec
from ikdemo.spi.errors import PluginFailure
from ikdemo.spi.events import Event

NAMES = ("a", "b", "instance-7")
Step = tuple[Any, ...]

steps = st.one_of(
    st.tuples(
        st.just("provision"),
        st.sampled_from(["g", "h"]),
        st.sampled_from(["old", "new"]),
        st.sampled_from([None, "0", "1"]),
    ),
    st.tuples(st.just("destroy"), st.integers(0, 9)),
    st.tuples(
        st.sampled_from(["delete", "garble", "truncate", "edit", "touch", "link"]),
        st.integers(0, 9),
    ),
    st.tuples(st.sampled_from(["rename", "copy"]), st.integers(0, 9), st.sampled_from(NAMES)),
    st.tuples(st.sampled_from(["folder", "symlink", "foreign"]), st.sampled_from(NAMES)),
    st.tuples(st.just("look")),
    st.tuples(st.just("let the loop look")),
    st.tuples(st.just("swap"), st.integers(0, 9), st.integers(0, 9)),
    st.tuples(
        st.sampled_from(["replace the directory", "move the directory", "cover the directory"])
    ),
)


def really_there(home: Path) -> list[tuple[str, Any, Any]]:
    """Read the directory afresh: ID, tags and slot of every instance, in the order of the file
    names.

    Of several files with one ID the one that bears it as its name counts, or else the first one.
    """
    found: dict[str, tuple[str, tuple[str, Any, Any]]] = {}
    for path in sorted(home.iterdir(), key=lambda path: path.name):
        if stat.S_ISREG(path.lstat().st_mode):
            try:
                content = json.loads(path.read_text())
            except ValueError:
                continue
            if isinstance(content, dict) and (
                content["ID"] not in found or content["ID"] == path.name
            ):
                found[content["ID"]] = (
                    path.name,
                    (content["ID"], content["Tags"], content.get("Slot")),
                )
    return [instance for _, instance in sorted(found.values(), key=lambda one: one[0])]


def disturb(home: Path, step: Step) -> None:
    """Do to the directory what other hands may do."""
    files = sorted(path for path in home.iterdir() if path.is_file() and not path.is_symlink())
    if step[0] in ("folder", "symlink", "foreign"):
        path = home / step[1]
        if not os.path.lexists(path):
            {
                "folder": path.mkdir,
                "symlink": lambda: path.symlink_to("x"),
                "foreign": lambda: path.write_text("[1]"),
            }[step[0]]()
        elif path.is_dir():
            path.rmdir()
    elif step[0] == "swap" and files:
        one, other = files[step[1] % len(files)], files[step[2] % len(files)]
        one.rename(home.parent / "between")
        if other != one:
            other.rename(one)
        (home.parent / "between").rename(other)
    elif files:
        path = files[step[1] % len(files)]
        target = home / step[2] if len(step) > 2 else home / "hardlink"
        if not target.is_dir():
            change(path, step[0], target)


def change(path: Path, verb: str, target: Path) -> None:
    if verb == "delete":
        path.unlink()
    elif verb in ("garble", "truncate", "edit") and path.stat().st_nlink > 1:
        # the kernel tells of one name of a file only; the others are found by comparing, later
        return
    elif verb == "garble":
        path.write_text("x" * path.stat().st_size)
    elif verb == "truncate":
        os.truncate(path, path.stat().st_size // 2)
        path.open("a").close()
    elif verb == "edit":
        path.write_text(
            json.dumps({"ID": path.name, "Tags": {GROUP_TAG: "h", "edited": "yes"}, "Slot": "1"})
        )
    elif verb == "touch":
        path.touch()
    elif verb == "rename" and not target.is_symlink():
        path.rename(target)
    elif not os.path.lexists(target):
        shutil.copy(path, target) if verb == "copy" else os.link(path, target)


async def call(plugin: FileInstances, step: Step) -> None:
    """Provision or destroy; what is refused changes nothing."""
    try:
        if step[0] == "provision":
            await plugin.provision(
                InstanceSpec(tags={GROUP_TAG: step[1], SHA_TAG: step[2]}), step[3]
            )
        elif described := await plugin.describe_instances({}):
            await plugin.destroy(described[step[1] % len(described)].id)
    except PluginFailure as error:
        assert "is occupied by" in str(error)


def replay(events: list[Event]) -> list[str]:
    """Return what somebody who only listens believes to be alive."""
    alive: list[str] = []
    for event in events:
        if event.kind == "provisioned":
            alive.append(event.instance)
        elif event.kind in ("lost", "destroyed"):
            alive.remove(event.instance)
    return sorted(alive)


@settings(max_examples=150, deadline=None)
@given(story=st.lists(steps, max_size=25))
def test_the_plugin_describes_what_is_there_and_its_events_add_up_to_it(story: list[Step]) -> None:
    root = Path(tempfile.mkdtemp(prefix="ikdemo-exact-"))
    home = root / "i"
    events: list[Event] = []

    async def tell() -> None:
        plugin = FileInstances(home)
        await plugin.start(events.append)
        try:
            for step in story:
                await take(plugin, step)
            await check(plugin)
        finally:
            await plugin.stop()

    async def take(plugin: FileInstances, step: Step) -> None:
        if step[0] in ("provision", "destroy"):
            await call(plugin, step)
        elif step[0] == "look":
            await check(plugin)
        elif step[0] == "let the loop look":
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        elif step[0] == "replace the directory":
            shutil.copytree(home, root / "new", symlinks=True)
            shutil.rmtree(home)
            (root / "new").rename(home)
            # until it is looked at there is no saying which directory succeeds the deleted one
            await check(plugin)
        elif step[0] in ("move the directory", "cover the directory"):
            home.rename(root / "moved")
            if step[0] == "cover the directory":
                home.mkdir()
            for asked in (
                plugin.describe_instances({}),
                plugin.provision(InstanceSpec(), "0"),
                plugin.destroy("instance-7"),
            ):
                with pytest.raises(
                    PluginFailure,
                    match="no such file"
                    if step[0] == "move the directory"
                    else "another directory",
                ):
                    await asked
            if step[0] == "cover the directory":
                home.rmdir()  # nothing was made in it
            (root / "moved").rename(home)
        else:
            disturb(home, step)

    async def check(plugin: FileInstances) -> None:
        described = await plugin.describe_instances({}, slots=True)
        assert [(d.id, d.tags, d.slot or None) for d in described] == really_there(home)
        assert replay(events) == sorted(d.id for d in described)

    try:
        asyncio.run(tell())
    finally:
        shutil.rmtree(root)
