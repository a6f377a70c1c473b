"""Our command line with a group plugin that has none of our extensions, such as InfraKit's own."""

from __future__ import annotations

import asyncio
import subprocess

from ikdemo.assembly import serve
from ikdemo.spi.contracts import Interface
from ikdemo.spi.documents import GroupDescription, GroupSpec
from ikdemo.spi.errors import UnknownGroup


class Plain:
    """A group plugin with InfraKit's five methods, whose group converges at the third look."""

    interface: Interface = "Group"
    offers: frozenset[str] = frozenset()

    def __init__(self) -> None:
        self.looks = 0

    async def commit_group(self, spec: GroupSpec, pretend: bool = False) -> str:
        return bytes(spec.properties).decode()

    async def free_group(self, group: str) -> None:
        raise UnknownGroup(group)

    async def destroy_group(self, group: str) -> None:
        raise UnknownGroup(group)

    async def describe_group(self, group: str) -> GroupDescription:
        self.looks += 1
        return GroupDescription(None, self.looks >= 3)

    async def inspect_groups(self) -> list[GroupSpec]:
        return [GroupSpec("b"), GroupSpec("a")]


def against_plain(desk, *lines: str) -> list[subprocess.CompletedProcess[str]]:
    """Serve the plain plugin and run command lines against it."""

    async def run() -> list[subprocess.CompletedProcess[str]]:
        plugin = Plain()
        async with await serve(plugin, name="group", directory=desk.plugins):  # type: ignore[arg-type]
            return [await asyncio.to_thread(desk.run, line) for line in lines]

    return asyncio.run(run())


def test_the_loop_cannot_be_steered_and_says_so(desk) -> None:
    lines = [
        "ikdemo group " + verb
        for verb in ("why x", "plan x", "pause x", "resume x", "step x", "scale x 3")
    ]
    for done in against_plain(desk, *lines):
        assert (done.returncode, done.stdout) == (1, "")
        assert "does not offer the Reconcile extension" in done.stderr


def test_a_wait_asks_until_the_plugin_says_converged(desk) -> None:
    (done,) = against_plain(desk, "ikdemo group wait x --timeout 20s")
    assert (done.returncode, done.stderr) == (0, "")
    assert "x is converged" in done.stdout
    assert "not converged" in done.stdout


def test_a_document_travels_without_its_white_space_and_nothing_else_is_changed(desk) -> None:
    (desk.cwd / "g.json").write_text(
        '{ "id": "x",\n "Properties": { "b": 1.50, "a": [ 1, 1e3 ], "a": "<\\u0041>" } }'
    )
    commit, ls = against_plain(desk, "infrakit group commit g.json", "infrakit group ls")
    assert commit.stdout == 'Committed x: {"b":1.50,"a":[1,1e3],"a":"\\u003c\\u0041\\u003e"}\n'
    assert ls.stdout == "ID\nb\na\n"


def test_no_instances_are_no_lines(desk) -> None:
    table, quiet = against_plain(desk, "infrakit group describe x", "infrakit group describe x -q")
    assert (table.stdout.count("\n"), quiet.stdout) == (1, "")
