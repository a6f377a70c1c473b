"""A lab whose Python gets SIGKILL leaves nothing: its plugins end, their instances with them, and
its directory goes.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ikdemo.instance import procfs
from ikdemo.rpc.discovery import ENVIRONMENT

LEARNER = """
import sys, time
from ikdemo.lab import Lab, collabnix, collabnix_processes
lab = Lab()
lab.start("instance-file", "instance-process", "flavor-vanilla", "flavor-probe", "group")
lab.mute("instance-file", under="quiet")
lab.commit(collabnix(group="files"))
lab.commit(collabnix_processes(group="servers", size=2))
lab.wait("files")
lab.wait("servers")
(lab.root / "notes.txt").write_text("my own file")
if "plugin" in sys.argv[1]:
    lab.kill_plugin("instance-process")
print(lab.root, flush=True)
time.sleep(60)
"""


@pytest.fixture
def home(short_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(short_dir))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    yield short_dir


def seeing(root: Path) -> list[int]:
    """Return every process that was started to see this lab's plugins: plugins, their instances,
    commands.
    """
    own = os.fsencode(root / "plugins")
    return [
        pid
        for pid, variables in procfs.with_variable(ENVIRONMENT)
        if variables[os.fsencode(ENVIRONMENT)] == own
    ]


@pytest.mark.parametrize("who", ["the kernel alone", "a plugin before", "the whole process group"])
def test_nothing_is_left_of_a_lab_whose_python_was_killed(who: str, home: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", LEARNER, who],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    ) as learner:
        assert learner.stdout is not None
        root = Path(learner.stdout.readline().strip())
        assert len(seeing(root)) >= 6
        assert root.parent == home
        if "group" in who:
            os.killpg(learner.pid, signal.SIGKILL)
        else:
            learner.kill()
    deadline = time.monotonic() + 100
    while (root.exists() or seeing(root)) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not seeing(root)
    assert list(home.iterdir()) == []


def test_a_closed_lab_leaves_no_cleanup_shell(home: Path) -> None:
    """The shell that would clean up has ended when ``close`` returns, and nothing was left for it
    to do.
    """
    program = (
        "from ikdemo import Lab\nlab = "
        "Lab()\nlab.start()\nlab.close()\nprint(open('/proc/thread-self/children').read())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=100
    )
    assert (done.stdout.strip(), done.stderr) == ("", "")
    assert list(home.iterdir()) == []
