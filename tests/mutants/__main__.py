"""Plant small bugs, one at a time, and see that the test named for each fails: ``PYTHONPATH=tests
python -m mutants [WORD ...]``.

Works on copies of the sources, never on the sources. With words, only mutants whose list is called
so, or whose name or file has one of them. Exit status 1 when a mutant survives, or a test fails
without any.
"""

from __future__ import annotations

import os
import queue
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from .lists import LISTS
from .mutant import ROOT, Mutant

HANG = 120
"""Seconds after which a test that a bug makes hang is ended."""
LEFT_OUT = shutil.ignore_patterns(".[!d]*", "__pycache__", "build", "dist")
"""All that is hidden, but for ``.dockerignore``, of which tests of containers take a digest."""


class SourceCopies:
    """Copies of the sources, one for each worker."""

    def __init__(self, folder: Path, workers: int) -> None:
        self._free: queue.Queue[Path] = queue.Queue()
        for number in range(workers):
            copy = folder / str(number)
            shutil.copytree(ROOT, copy, ignore=LEFT_OUT, symlinks=True)
            self._free.put(copy)

    def passes(self, test: str) -> str:
        """Run a test on the sources as they are; return what is wrong, empty if it passes."""
        copy = self._free.get()
        try:
            code, output = _run(copy, test)
        finally:
            self._free.put(copy)
        return "" if code == 0 else output

    def survives(self, mutant: Mutant) -> str:
        """Run a mutant's test on a copy with the bug in it; return how it survived, empty if the
        test failed as it should.
        """
        copy = self._free.get()
        file = copy / mutant.file
        before = file.read_text()
        try:
            file.write_text(mutant.planted(copy))
            code, output = _run(copy, mutant.test)
        except ValueError as error:  # the sources have changed since
            return str(error)
        finally:
            file.write_text(before)
            self._free.put(copy)
        if code == 1:
            return ""
        return "the test passes" if code == 0 else output


def _run(copy: Path, test: str) -> tuple[int, str]:
    """Return the exit status of pytest (1: the test failed, or hung) and the end of what it
    printed.
    """
    command = [
        sys.executable,
        "-m",
        "pytest",
        *test.splitlines(),
        "-x",
        "-p",
        "no:cacheprovider",
        "--hypothesis-seed=0",
        f"--timeout={HANG}",
    ]
    environment = {
        "IKDEMO_SEARCH": "ci",  # some bugs need more examples than a run by hand tries
        **os.environ,
        "PYTHONPATH": str(copy),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    try:
        done = subprocess.run(
            command,
            cwd=copy,
            env=environment,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=2 * HANG,
        )
    except subprocess.TimeoutExpired:
        return 1, "hung"
    return done.returncode, (done.stdout + done.stderr)[-2000:]


def main(words: list[str]) -> int:
    """Run the mutants, print a table of them, and return the exit status."""
    listed = [(name, mutant) for name, mutants in LISTS.items() for mutant in mutants]
    chosen = [
        m
        for name, m in listed
        if not words or any(word == name or word in m.name or word in m.file for word in words)
    ]
    workers, began = min(os.cpu_count() or 1, len(chosen)), time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="mutants-") as folder,
        ThreadPoolExecutor(workers) as pool,
    ):
        copies = SourceCopies(Path(folder), workers)
        tests = sorted({mutant.test for mutant in chosen})
        broken = {
            test: said
            for test, said in zip(tests, pool.map(copies.passes, tests), strict=True)
            if said
        }
        for test, said in broken.items():
            print(f"FAILS WITHOUT A BUG  {test}\n{said}")
        runnable = [mutant for mutant in chosen if mutant.test not in broken]
        survivors = 0
        for mutant, said in zip(runnable, pool.map(copies.survives, runnable), strict=True):
            survivors += bool(said)
            print(
                f"{'SURVIVES' if said else 'killed  '}  {mutant.file:32} {mutant.name} {said}",
                flush=True,
            )
    seconds = time.monotonic() - began
    counted = f"{survivors} survive, {len(broken)} tests fail without a bug"
    print(f"{len(chosen)} mutants in {seconds:.0f} s: {counted}")
    return 1 if survivors or broken or not chosen else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
