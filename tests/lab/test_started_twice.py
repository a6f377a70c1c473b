"""A start cell that is run twice: what runs goes on, the table says so, and nothing is told
twice.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from msgspec import Raw
from msgspec.structs import replace

from ikdemo.flavor.vanilla import Vanilla
from ikdemo.lab import Lab, Table, collabnix
from ikdemo.spi.documents import Allocation, InstanceSpec
from ikdemo.spi.errors import InUse

SCRIPT = """
from ikdemo.assembly import run
from ikdemo.flavor.vanilla import Vanilla

run(lambda lookup: Vanilla(), name="flavor-mine", exit_with_stdin=True)
"""


class Marking(Vanilla):
    """A flavor that writes into the tags which object of it was asked."""

    def __init__(self, made: str) -> None:
        super().__init__()
        self._made = made

    async def prepare(
        self, properties: Raw, spec: InstanceSpec, allocation: Allocation
    ) -> InstanceSpec:
        return replace(spec, tags={**(spec.tags or {}), "made": self._made})


def states(plugins: Table) -> dict[str, str]:
    return dict(zip(plugins.column("plugin"), plugins.column("state"), strict=True))


@pytest.fixture
def lab() -> Iterator[Lab]:
    with Lab() as made:
        made.start()
        yield made


def test_what_runs_goes_on_and_is_said_to(lab: Lab) -> None:
    since = {name: lab.running_since(name) for name in ("group", "instance-file", "flavor-vanilla")}
    assert lab.start().column("state") == ["already running"] * 3
    assert states(lab.start_plugin("instance-file")) == {
        "flavor-vanilla": "running",
        "group": "running",
        "instance-file": "already running",
    }
    assert {name: lab.running_since(name) for name in since} == since
    assert lab.plugins().column("state") == ["running"] * 3


def test_its_events_are_told_once(lab: Lab) -> None:
    lab.commit(collabnix())
    lab.wait("collabnix")
    before = list(lab.timeline())
    lab.start()
    assert list(lab.timeline()) == before
    lab.kill("collabnix", 1)
    lab.wait("collabnix")
    assert lab.recovery("collabnix").healed
    assert len([what for _, _, what in lab.timeline() if what.endswith("is gone")]) == 1


def test_what_was_started_in_another_way_is_named_and_so_is_the_way_on(lab: Lab) -> None:
    with pytest.raises(InUse) as caught:
        lab.start_plugin("group", poll_interval=1)
    assert "lab.stop_plugin('group')" in caught.value._render_traceback_()[1]
    lab.stop_plugin("group")
    lab.start_plugin("group", poll_interval=1)


def test_a_plugin_that_was_killed_is_started_again(lab: Lab) -> None:
    lab.kill_plugin("group")
    assert states(lab.start()) == {
        "flavor-vanilla": "already running",
        "group": "running",
        "instance-file": "already running",
    }


def test_a_script(lab: Lab) -> None:
    (lab.root / "mine.py").write_text(SCRIPT)
    lab.start_script("mine.py", "flavor-mine")
    since = lab.running_since("flavor-mine")
    assert "already running" in lab.start_script("mine.py", "flavor-mine").column("state")
    assert lab.running_since("flavor-mine") == since


def test_the_object_of_the_cell_that_ran_last_is_the_one_that_is_asked(lab: Lab) -> None:
    """Otherwise a learner tells the new object something, and the old one answers."""
    spec = collabnix(size=2)
    spec["Properties"]["Flavor"]["Plugin"] = "flavor-mine"
    lab.serve(Marking("first"), "flavor-mine")
    lab.serve(Marking("second"), "flavor-mine")
    lab.commit(spec)
    lab.wait("collabnix")
    assert all("made=second" in tags for tags in lab.describe("collabnix").column("tags"))


def test_a_muted_plugin(lab: Lab) -> None:
    for _ in range(2):
        assert "quiet-files" in lab.mute("instance-file", under="quiet-files").column("plugin")
    lab.commit(collabnix("quiet-files", size=2))
    lab.wait("collabnix")
