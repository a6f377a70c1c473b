"""One owner per directory: asked of the kernel by real processes that live, die and are killed."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ikdemo.disk import Lease
from ikdemo.spi.errors import InUse, PluginFailure

HOLD = """
import sys
from pathlib import Path
from ikdemo.disk import Lease
lease = Lease(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


def holder(directory: Path) -> subprocess.Popen[str]:
    """Start a process that owns ``directory`` until its standard input ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(directory)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None and process.stdout.readline() == "held\n"
    return process


def test_a_living_owner_is_named_and_a_killed_one_frees_the_directory_at_once(
    tmp_path: Path,
) -> None:
    with holder(tmp_path) as owner:
        with pytest.raises(InUse, match=re.escape(f"{tmp_path} is in use by pid {owner.pid}")):
            Lease(tmp_path)
        os.kill(owner.pid, signal.SIGKILL)
        owner.wait()
        lease = Lease(tmp_path)
        assert lease.holds()
        lease.release()


def test_the_owner_keeps_it_when_everything_inside_is_deleted(tmp_path: Path) -> None:
    (tmp_path / "some-lock-file").touch()
    with holder(tmp_path) as owner:
        (tmp_path / "some-lock-file").unlink()
        with pytest.raises(InUse, match="in use by pid"):
            Lease(tmp_path)
        assert owner.stdin is not None
        owner.stdin.close()
        owner.wait()
    Lease(tmp_path).release()


def test_two_leases_in_one_process_exclude_each_other_until_released(tmp_path: Path) -> None:
    first = Lease(tmp_path)
    with pytest.raises(InUse, match=f"pid {os.getpid()}"):
        Lease(tmp_path)
    first.release()
    first.release()
    second = Lease(tmp_path)
    assert second.holds() and not first.holds()
    second.release()


def test_a_child_of_the_owner_does_not_inherit_the_directory(tmp_path: Path) -> None:
    lease = Lease(tmp_path)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        lease.release()
        Lease(tmp_path).release()
        child.kill()


def test_a_directory_renamed_or_replaced_is_no_longer_held(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    lease = Lease(home)
    home.rename(tmp_path / "elsewhere")
    assert not lease.holds()
    home.mkdir()
    assert not lease.holds()
    lease.release()


def test_what_is_missing_or_no_directory_is_said_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(PluginFailure, match=r"^open .*/missing: no such file or directory$"):
        Lease(tmp_path / "missing")
    with pytest.raises(PluginFailure, match=r"^open .*/file: not a directory$"):
        Lease(tmp_path / "file")
