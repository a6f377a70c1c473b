"""A learner who skips a step, runs one twice or goes on after the end is told what to do, at once,
and nothing is left behind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from ikdemo.lab import Lab, collabnix
from ikdemo.spi.errors import IkdemoError

Verb = Callable[[Lab], object]
ASK_THE_GROUP: dict[str, Verb] = {
    "commit": lambda lab: lab.commit(collabnix()),
    "describe": lambda lab: lab.describe("collabnix"),
    "wait": lambda lab: lab.wait("collabnix"),
    "why": lambda lab: lab.why("collabnix"),
    "plan": lambda lab: lab.plan("collabnix"),
    "kill": lambda lab: lab.kill("collabnix"),
    "inspect": lambda lab: lab.inspect("collabnix"),
}


@pytest.fixture
def lab() -> Iterator[Lab]:
    with Lab() as made:
        yield made


def shown(verb: Verb, lab: Lab) -> str:
    """Return what a notebook shows for the error that the verb raises."""
    with pytest.raises(IkdemoError) as caught:
        verb(lab)
    return "\n".join(caught.value._render_traceback_())


@pytest.mark.parametrize("name", ASK_THE_GROUP)
def test_a_plugin_that_nobody_started_is_named_at_once(name: str, lab: Lab) -> None:
    said = shown(ASK_THE_GROUP[name], lab)
    assert said.startswith("PluginNotFound: Plugin not found: group\nStart it first: lab.start()")


@pytest.mark.parametrize("name", [name for name in ASK_THE_GROUP if name != "commit"])
def test_a_group_that_nobody_committed_is_named(name: str, lab: Lab) -> None:
    lab.start()
    said = shown(ASK_THE_GROUP[name], lab)
    assert said.endswith("Group 'collabnix' is not being watched\nCommit it first: lab.commit(...)")


def test_a_closed_lab_says_so_and_leaves_nothing_behind() -> None:
    lab = Lab()
    lab.close()
    for verb in (
        *ASK_THE_GROUP.values(),
        lambda lab: lab.start(),
        lambda lab: lab.run("ls"),
        lambda lab: lab.reset(),
    ):
        assert (
            "This lab is closed. Open a fresh one: run the first code cell, or lab = Lab.fresh()"
            in shown(verb, lab)
        )
    assert not lab.root.exists()


@pytest.mark.parametrize("n", ["2", 1.5, -1, True])
def test_how_many_to_kill_must_be_a_number(n: int, lab: Lab) -> None:
    lab.start()
    lab.commit(collabnix())
    lab.wait("collabnix")
    assert f"Expected a whole number such as 2, got {n!r}" in shown(
        lambda lab: lab.kill("collabnix", n), lab
    )


def test_a_first_cell_that_is_run_again_gives_the_same_lab_empty() -> None:
    lab = Lab.fresh()
    try:
        lab.start()
        lab.commit(collabnix(size=2))
        lab.wait("collabnix")
        assert Lab.fresh() is lab
        assert (len(lab.plugins()), len(lab.timeline())) == (0, 0)
        lab.start()
        assert len(lab.instances()) == 0
        lab.close()
        other = Lab.fresh()
        assert other is not lab
        assert other.root.exists()
    finally:
        Lab.fresh().close()


class TestCheck:
    def test_it_names_the_step_that_is_missing(self, lab: Lab) -> None:
        assert (
            "not yet  group collabnix is committed. Plugin not found: group. Start it first: "
            "lab.start()" in self.said(lab)
        )
        lab.start()
        assert "is not being watched. Commit it first: lab.commit(...)" in self.said(lab)
        lab.commit(collabnix(size=3))
        lab.wait("collabnix")
        said = self.said(lab)
        assert "not yet  it has 5 instances. It has 3; commit another Size" in said
        assert "not yet  something was lost. Remove something: lab.kill('collabnix', 2)" in said

    def test_what_is_paused_is_to_be_resumed_not_waited_for(self, lab: Lab) -> None:
        lab.start()
        lab.commit(collabnix())
        lab.wait("collabnix")
        lab.pause("collabnix")
        lab.kill("collabnix", 2)
        said = self.said(lab)
        assert "Let the loop act again: lab.resume('collabnix')" in said
        assert "group collabnix is as wanted. The group is paused" in said

    def test_a_plugin_that_does_not_run_is_named(self, lab: Lab) -> None:
        lab.start("group")
        lab.kill_plugin("group")
        said = repr(lab.check(plugins=["group", "my-files"]))
        assert "not yet  group is running. Start it: lab.start_plugin(..., name='group')" in said
        assert "not yet  my-files is running" in said

    def said(self, lab: Lab) -> str:
        check = lab.check("collabnix", size=5, fell=True)
        assert not check
        assert repr(check).endswith("\nall good: False")
        return repr(check)
