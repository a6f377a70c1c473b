"""What a lab leaves behind: nothing when it is closed, nothing when its Python is killed; and two
labs never meet.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ikdemo.lab import Lab, collabnix
from ikdemo.lab.host import workspace as places
from ikdemo.spi.errors import IkdemoError

CHILD = """
from ikdemo.lab import Lab, collabnix
lab = Lab()
lab.start()
lab.commit(collabnix())
lab.wait("collabnix")
print(lab.root, *(process.pid for process in lab._plugins.processes.values()), flush=True)
input()
"""


def alive(pid: int) -> bool:
    """Say whether a process still runs (a zombie does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def until(true, timeout: float) -> bool:  # type: ignore[no-untyped-def]
    deadline = time.monotonic() + timeout
    while not true() and time.monotonic() < deadline:
        time.sleep(0.02)
    return bool(true())


def open_child() -> tuple[subprocess.Popen[str], Path, list[int]]:
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    root, *pids = child.stdout.readline().split()
    assert len(pids) == 3
    return child, Path(root), [int(pid) for pid in pids]


def close_pipes(child: subprocess.Popen[str]) -> None:
    for pipe in (child.stdin, child.stdout):
        if pipe is not None:
            pipe.close()


@pytest.fixture
def alone(short_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give labs a parent directory that no other test run sweeps, and let them sweep at once."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(short_dir))
    monkeypatch.setattr(places, "YOUNG", -1.0)


@pytest.mark.usefixtures("alone")
def test_no_plugin_outlives_a_python_that_is_killed_and_the_next_lab_sweeps(
    short_dir: Path,
) -> None:
    child, root, pids = open_child()
    assert all(alive(pid) for pid in pids)
    child.send_signal(signal.SIGKILL)
    child.wait(100)
    close_pipes(child)
    assert until(lambda: not any(alive(pid) for pid in pids), timeout=100), (
        "plugins outlived their lab"
    )
    assert root.parent == short_dir
    assert root.exists()
    with Lab():
        assert not root.exists()


def test_a_python_that_ends_without_close_cleans_up() -> None:
    child, root, pids = open_child()
    assert child.stdin is not None
    child.stdin.write("\n")
    child.stdin.flush()
    assert child.wait(100) == 0
    close_pipes(child)
    assert not any(alive(pid) for pid in pids)
    assert not root.exists()


def test_an_interrupt_of_the_cell_does_not_reach_the_plugins() -> None:
    with Lab() as lab:
        lab.start("instance-file")
        (process,) = lab._plugins.processes.values()
        assert os.getpgid(process.pid) != os.getpgid(0)


def test_a_closed_lab_is_gone_and_says_so() -> None:
    lab = Lab()
    lab.start()
    root, pids = lab.root, [process.pid for process in lab._plugins.processes.values()]
    lab.close()
    lab.close()
    assert not root.exists()
    assert not any(alive(pid) for pid in pids)
    assert repr(lab) == "Lab, closed"
    with pytest.raises(IkdemoError, match="This lab is closed"):
        lab.commit(collabnix())


def test_two_labs_never_see_each_other() -> None:
    with Lab() as one, Lab() as other:
        for lab, size in ((one, 2), (other, 3)):
            lab.start()
            lab.commit(collabnix(size=size))
        for lab, size in ((one, 2), (other, 3)):
            lab.wait("collabnix")
            assert len(lab.describe("collabnix")) == size
            assert len(lab.instances()) == size
        one.destroy("collabnix")
        assert "not being watched" in one.run("infrakit group describe collabnix")
        assert len(other.describe("collabnix")) == 3
        assert {
            event.size
            for event in other.session.record.events("collabnix")
            if event.kind == "committed"
        } == {3}


def test_a_long_temporary_directory_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = tmp_path / ("deep" * 20)
    long.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(long))
    with Lab() as lab:
        lab.start_plugin("instance-file", "collabnix-instance-file")
        assert len(os.fsencode(lab.socket("collabnix-instance-file"))) <= 107
        assert long not in lab.root.parents


@pytest.mark.usefixtures("alone")
def test_a_directory_that_a_living_lab_holds_is_never_swept() -> None:
    with Lab() as one, Lab() as other:
        assert one.root.exists()
        assert other.root.exists()
