"""A process that is forked from a notebook's has no part in its lab: it ends nothing, and keeps
nothing of it alive.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ikdemo.lab import Lab, collabnix
from ikdemo.spi.errors import IkdemoError

PARENT = """
import os, sys
from ikdemo.lab import Lab, collabnix
lab = Lab()
lab.start()
lab.commit(collabnix())
lab.wait("collabnix")
if (pid := os.fork()) == 0:
    sys.exit(0)  # runs whatever was registered for the end of Python
_, status = os.waitpid(pid, 0)
lab.kill("collabnix", 2)
print(status, {row[2] for row in lab.plugins()}, lab.wait("collabnix"))
"""
LEARNER = """
import os, sys, time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from ikdemo.lab import Lab
lab = Lab()
lab.start()
lab.mute("instance-file", under="quiet")
workers = ProcessPoolExecutor(2, mp_context=get_context("fork"))
print(lab.root, *{pid for pid in workers.map(lambda_free, [0.2, 0.2])}, flush=True)
time.sleep(60)
"""
WORK = (
    "import os, time\ndef lambda_free(seconds):\n    time.sleep(seconds)\n    return os.getpid()\n"
)


@pytest.fixture
def lab() -> Iterator[Lab]:
    with Lab() as opened:
        opened.start()
        opened.mute("instance-file", under="quiet")
        opened.commit(collabnix())
        opened.wait("collabnix")
        yield opened


def open_in(pid: int) -> set[str]:
    """Return the pipes and sockets that a process has open."""
    names = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # the one that lists them
            names.add(str(entry.readlink()))
    return {name for name in names if name.startswith(("socket:", "pipe:"))}


def test_a_forked_child_ends_and_the_lab_lives_on() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PARENT], capture_output=True, text=True, timeout=100
    )
    assert (done.stdout, done.stderr) == ("0 {'running'} collabnix is as wanted: 5 instances\n", "")


def test_a_forked_child_keeps_no_pipe_and_no_socket_and_is_told_that_the_lab_is_not_its(
    lab: Lab,
) -> None:
    ours, told = os.pipe()
    held = set(map(str, lab.descriptors()))
    kept = {str(Path(f"/proc/self/fd/{number}").readlink()) for number in held}
    assert len(kept & open_in(os.getpid())) >= 8
    pid = os.fork()
    if pid == 0:
        try:
            lab.describe("collabnix")
        except IkdemoError as error:
            os.write(told, str(error).encode())
        with Lab() as another:  # one of its own works as always
            another.start("flavor-vanilla")
        os.write(told, b"; left: " + " ".join(sorted(kept & open_in(os.getpid()))).encode())
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    assert (
        os.read(ours, 4096).decode()
        == "This lab is closed. Open a fresh one: run the first code cell, or lab = "
        "Lab.fresh(); left: "
    )
    os.close(ours)
    os.close(told)
    assert lab.wait("collabnix")


def test_workers_that_outlive_a_killed_kernel_keep_nothing_of_its_lab(
    short_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(short_dir))
    with subprocess.Popen(
        [sys.executable, "-c", WORK + LEARNER], stdout=subprocess.PIPE, text=True
    ) as learner:
        assert learner.stdout is not None
        root, *workers = learner.stdout.readline().split()
        learner.kill()
    try:
        deadline = time.monotonic() + 100
        while Path(root).exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        assert not Path(root).exists()
        assert all(Path(f"/proc/{worker}").exists() for worker in workers), (
            "they were to outlive it"
        )
    finally:
        for worker in workers:
            os.kill(int(worker), signal.SIGKILL)
