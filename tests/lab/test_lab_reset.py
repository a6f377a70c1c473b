"""A learner who got lost goes back to an empty lab: groups, plugins and files are gone, and the
same lab works again.
"""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

import pytest
from marked import marked

from ikdemo.lab import Lab, collabnix, collabnix_processes
from ikdemo.spi.errors import IkdemoError


def test_a_lab_is_empty_after_a_reset_and_can_be_used_again() -> None:
    with Lab() as lab:
        lab.start()
        lab.commit(collabnix())
        lab.wait("collabnix")
        (lab.root / "notes.txt").write_text("my own file")
        pids, root = [process.pid for process in lab._plugins.processes.values()], lab.root
        said = lab.reset()
        assert said == (
            "Reset: destroyed collabnix; stopped flavor-vanilla, group, instance-file; the lab "
            "is empty. "
            "Begin again with lab.start()."
        )
        assert not any(Path(f"/proc/{pid}").exists() for pid in pids)
        assert (lab.root, len(lab.plugins()), len(lab.timeline())) == (root, 0, 0)
        assert sorted(path.name for path in root.rglob("*")) == ["logs", "plugins"]
        lab.start()
        assert len(lab.instances()) == 0
        lab.commit(collabnix(size=2))
        assert lab.wait("collabnix") == "collabnix is as wanted: 2 instances"
    assert not root.exists()


def test_a_reset_destroys_what_is_paused_and_what_was_committed_elsewhere() -> None:
    with Lab() as lab:
        lab.start()
        lab.commit(collabnix(size=2))
        lab.wait("collabnix")
        lab.pause("collabnix")
        (lab.root / "other.json").write_text(
            str(collabnix(size=1, group="other")).replace("'", '"')
        )
        assert "exit status" not in lab.run("infrakit group commit other.json")
        assert "destroyed collabnix; destroyed other; stopped" in lab.reset()


def test_a_reset_without_a_group_plugin_ends_the_processes_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    with Lab() as lab:
        lab.start("instance-process", "flavor-probe", "group")
        lab.commit(collabnix_processes(size=2))
        lab.wait("collabnix")
        register = lab.plugin_dir / "instance-process.instances"
        assert len(marked(register)) == 2
        lab.kill_plugin("group")
        lab.kill_plugin("instance-process")
        said = lab.reset()
        assert said.startswith("Reset: collabnix could not be destroyed (")
        assert "; stopped flavor-probe; the lab is empty." in said
        done = threading.Event()
        while marked(register):
            done.wait(0.01)  # they end soon after, and the test has its time limit


def test_nothing_to_reset_and_nothing_left_to_reset() -> None:
    lab = Lab()
    assert lab.reset() == "Reset: the lab is empty. Begin again with lab.start()."
    lab.close()
    with pytest.raises(IkdemoError, match="This lab is closed"):
        lab.reset()
