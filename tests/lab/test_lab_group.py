"""A lab with real plugin processes: commit, break, heal, look; and one sentence for whatever goes
wrong.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ikdemo.lab import Lab, collabnix, compare
from ikdemo.spi.errors import IkdemoError, InUse, NotConverged, PluginUnavailable


def served_by(flavor: str) -> dict[str, Any]:
    spec = collabnix()
    spec["Properties"]["Flavor"]["Plugin"] = flavor
    return spec


@pytest.fixture
def lab() -> Iterator[Lab]:
    with Lab() as lab:
        lab.start()
        yield lab


def test_removed_instances_come_back_and_the_record_says_when(lab: Lab) -> None:
    assert lab.commit(collabnix()) == "Committed collabnix: Managing 5 instances"
    assert lab.wait("collabnix") == "collabnix is as wanted: 5 instances"
    removed = lab.kill("collabnix", 2, seed=1)
    lab.wait("collabnix")
    recovery = lab.recovery("collabnix")
    fall = recovery.last
    assert len(recovery.falls) == 1
    assert recovery.healed
    assert None not in (fall.detected, fall.acted, fall.recovered)
    assert fall.began < fall.detected <= fall.acted <= fall.recovered  # type: ignore[operator]
    assert fall.recovered - fall.began < 5.0  # type: ignore[operator]  # without waiting for the poll of 10 s
    assert sorted({life.slot for life in recovery.lives if life.died}) == sorted(
        removed.column("slot")
    )
    assert lab.instances().column("slot") == ["0", "1", "2", "3", "4"]
    assert not set(removed.column("removed")) & set(lab.describe("collabnix").column("instance"))
    assert next(what for _, _, what in lab.timeline("collabnix", since_fault=True)).startswith(
        "FAULT"
    )


def test_a_spec_may_be_a_dict_a_file_or_text_and_pretending_changes_nothing(
    lab: Lab, tmp_path: Path
) -> None:
    file = tmp_path / "collabnix.json"
    file.write_text(json.dumps(collabnix(size=2)))
    assert (
        lab.commit(file, pretend=True) == "Committing collabnix would involve: Managing 2 instances"
    )
    assert len(lab.instances()) == 0
    lab.commit(str(file))
    lab.commit(json.dumps(collabnix(size=3)))
    lab.wait("collabnix")
    assert len(lab.describe("collabnix")) == 3
    assert json.loads(lab.inspect("collabnix"))["Allocation"]["Size"] == 3


def test_scale_free_and_destroy(lab: Lab) -> None:
    lab.commit(collabnix(size=2))
    lab.scale("collabnix", 4)
    lab.wait("collabnix")
    assert len(lab.instances()) == 4
    lab.free("collabnix")
    with pytest.raises(IkdemoError, match="Group 'collabnix' is not being watched"):
        lab.describe("collabnix")
    lab.commit(collabnix(size=4))
    assert lab.destroy("collabnix") == "Destroyed collabnix"
    assert len(lab.instances()) == 0


def test_a_paused_loop_plans_and_one_step_acts(lab: Lab) -> None:
    lab.commit(collabnix())
    lab.wait("collabnix")
    lab.pause("collabnix")
    lab.kill("collabnix", 2, seed=3)
    look = lab.plan("collabnix")
    assert (len(look.observed), look.planned.column("because"), len(look.done)) == (
        3,
        ["missing", "missing"],
        0,
    )
    assert "paused" in lab.why("collabnix").column("reason")
    done = lab.step("collabnix")
    assert len(done.done) == 2
    assert len(lab.describe("collabnix")) == 5
    lab.resume("collabnix")
    lab.wait("collabnix")
    assert repr(lab.why("collabnix")) == "Nothing: the group is as wanted."


def test_a_killed_group_plugin_heals_after_its_restart_without_a_new_commit(lab: Lab) -> None:
    lab.commit(collabnix())
    lab.wait("collabnix")
    assert "killed" in lab.kill_plugin("group").column("state")
    (target,) = lab.instances().column("instance")[:1]
    (lab.directory("instance-file") / target).unlink()
    lab.start_plugin("group")
    lab.wait("collabnix")
    assert len(lab.describe("collabnix")) == 5


def test_the_record_agrees_with_the_world_after_the_instance_plugin_was_away(lab: Lab) -> None:
    lab.commit(collabnix(size=3))
    lab.wait("collabnix")
    lab.pause("collabnix")
    lab.stop_plugin("instance-file")
    gone = sorted(lab.directory("instance-file").glob("instance-*"))[0]
    gone.unlink()
    lab.start_plugin("instance-file")
    lab.resume("collabnix")
    lab.wait("collabnix")
    dead = [life.instance for life in lab.recovery("collabnix").lives if life.died]
    assert dead == [gone.name]
    assert lab.recovery("collabnix").levels[-1].quality == 1.0


def test_waiting_in_vain_says_why(lab: Lab) -> None:
    lab.commit(collabnix(size=2))
    lab.wait("collabnix")
    lab.pause("collabnix")
    lab.kill("collabnix", 1)
    with pytest.raises(NotConverged, match=r"not as wanted after 0\.3 s.*paused"):
        lab.wait("collabnix", timeout=0.3)


def test_with_a_mute_plugin_only_the_poll_heals() -> None:
    with Lab() as lab:
        lab.start("instance-file", "flavor-vanilla")
        lab.mute("instance-file", under="quiet-instance-file")
        lab.start_plugin("group", poll_interval="1s")
        lab.commit(collabnix(plugin="quiet-instance-file"))
        lab.wait("collabnix")
        recovery = lab.measure("collabnix", kills=2, within=0.5, seed=2)
        assert len(recovery.times()) == 2
        assert compare({"poll": recovery}, poll=1.0).column("faults") == ["2", "-"]
        assert all(0.02 < time < 2.5 for time in recovery.times())
        assert len(lab.instances("instance-file")) == 5


def test_shell_commands_see_this_lab_and_show_short_paths(lab: Lab) -> None:
    printed = lab.run("infrakit plugin ls")
    assert "$LAB/plugins/group" in printed
    assert str(lab.root) not in printed
    assert "(exit status 3)" in lab.run("echo no; exit 3")
    question = '{"jsonrpc":"2.0","method":"Plugin.Implements","id":1}'
    ask = f"-H 'Content-Type: application/json' -d '{question}'"
    answer = lab.run(f"curl -s --unix-socket plugins/group {ask} http://a/")
    assert '"Group"' in answer


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (
            lambda lab: lab.commit("no-such-file.json"),
            "open no-such-file.json: no such file or directory",
        ),
        (lambda lab: lab.commit("{nope}"), "not JSON"),
        (lambda lab: lab.commit(collabnix(plugin="nope")), "Plugin not found: nope"),
        (
            lambda lab: lab.commit(served_by("flavor-judge")),
            "Failed to find Flavor plugin 'flavor-judge'",
        ),
        (lambda lab: lab.describe("nobody"), "not being watched"),
        (lambda lab: lab.kill_plugin("nobody"), "no plugin process 'nobody'"),
        (lambda lab: lab.start("instance-clouds"), "no plugin 'instance-clouds' to start"),
        (lambda lab: lab.start_plugin("group", poll_interval=1), "already running"),
        (
            lambda lab: lab.start_plugin("group", "slow", poll_interval="soon"),
            "did not start.*soon",
        ),
        (lambda lab: lab.recovery("nobody").last, "no recovery to show"),
        (lambda lab: lab.directory("group"), "not a file plugin"),
    ],
)
def test_every_slip_is_one_sentence(lab: Lab, wrong, says: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(IkdemoError, match=says) as caught:
        wrong(lab)
    assert "\n" not in str(caught.value)
    sentence, *what_to_do = caught.value._render_traceback_()
    assert sentence == f"{type(caught.value).__name__}: {caught.value}"
    assert len(what_to_do) <= 1


def test_more_than_there_are_cannot_be_removed(lab: Lab) -> None:
    lab.commit(collabnix(size=2))
    lab.wait("collabnix")
    with pytest.raises(IkdemoError, match="has only 2 instances"):
        lab.kill("collabnix", 3)


def test_a_spec_that_names_a_plugin_of_a_lab_that_was_emptied_says_what_to_run(lab: Lab) -> None:
    with pytest.raises(IkdemoError) as caught:
        lab.commit(served_by("flavor-judge"))
    assert "No 'flavor-judge' runs in this lab" in caught.value._render_traceback_()[1]


def test_errors_have_their_kind(lab: Lab) -> None:
    with pytest.raises(InUse):
        lab.start_plugin("group", poll_interval=1)
    lab.stop_plugin("group")
    with pytest.raises(PluginUnavailable):
        lab.describe("collabnix")
