"""Measures how long a stranger waits, and writes it into the README: ``python
tests/browser/measure_start.py [--tests]``.

A new clone, a home directory with nothing in it (so all that is installed is fetched first), `make
lab`, a browser that opens the address and runs the first cell, until an instance that was lost is
seen to be back; then all of it again, and the demo. With ``--tests`` the whole of ``make test`` as
well. Run it on a quiet machine: of a busy one the README says so.
"""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests" / "browser")]

from asking import until  # noqa: E402
from chromium import launch  # noqa: E402
from screen import HEALED, Screen  # noqa: E402

from benchmarks.pages import fill  # noqa: E402

ADDRESS = re.compile(r"(http://127\.0\.0\.1:\d+/)\S*[?&]token=(\w+)")
LAB_ARGS = "--no-browser --ServerApp.port=0 --LabApp.expose_app_in_browser=True"
DOOR = "lab/workspaces/ikdemo"
PATIENCE = 1200.0
"""Seconds for any one step; only what hangs takes so long."""


class Opened:
    """A JupyterLab that ``make lab`` has opened: its address, and what its server says."""

    def __init__(self, url: str, token: str) -> None:
        self.url, self.token = url, token

    def sessions(self) -> list[dict[str, Any]]:
        """Return what the server says of the notebooks that have a kernel."""
        request = urllib.request.Request(
            f"{self.url}api/sessions", headers={"Authorization": f"token {self.token}"}
        )
        with urllib.request.urlopen(request, timeout=20) as answer:
            found: list[dict[str, Any]] = json.loads(answer.read())
        return found


@contextmanager
def make_lab(clone: Path, environment: dict[str, str]) -> Iterator[Opened]:
    """Type ``make lab`` and give what it has opened; Ctrl-C ends it."""
    said = clone.parent / "said"
    with said.open("w") as out:
        make = subprocess.Popen(
            ["make", "lab"],
            cwd=clone,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    try:
        until(
            lambda: make.poll() is not None or ADDRESS.search(said.read_text()),
            PATIENCE,
            said.read_text,
        )
        found = ADDRESS.search(said.read_text())
        assert found is not None, said.read_text()
        yield Opened(*found.groups())
    finally:
        os.killpg(make.pid, signal.SIGINT)
        make.wait(60)


def first_healing(clone: Path, environment: dict[str, str]) -> tuple[float, float]:
    """Return the seconds from ``make lab`` to its address, and to the first healing on the
    screen.
    """
    began = time.monotonic()
    with make_lab(clone, environment) as lab, sync_playwright() as playwright:
        there = time.monotonic() - began
        browser = launch(playwright)
        screen = Screen(
            browser.new_page(viewport={"width": 1366, "height": 768}), lab, clone.parent
        )  # type: ignore[arg-type]
        screen.page.goto(f"{lab.url}{DOOR}?token={lab.token}")
        screen.wait_for_kernel()
        screen.page.locator(".jp-Notebook .jp-CodeCell .jp-InputArea-editor").first.click()
        screen.page.keyboard.press("Shift+Enter")
        screen.page.wait_for_selector(HEALED, state="attached", timeout=120_000)
        seen = time.monotonic() - began
        browser.close()
    return there, seen


def timed(command: list[str], clone: Path, environment: dict[str, str]) -> float:
    """Run a command in the clone, and return how many seconds it took; one that fails ends the
    measurement.
    """
    began = time.monotonic()
    subprocess.run(command, cwd=clone, env=environment, check=True, stdin=subprocess.DEVNULL)
    return time.monotonic() - began


def measure(folder: Path, tests: bool) -> str:
    """Measure in a new clone, and return the table for the README."""
    home, clone = folder / "home", folder / "ikdemo"
    home.mkdir()
    environment = {
        "HOME": str(home),
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "LAB_ARGS": LAB_ARGS,
    }
    busy = os.getloadavg()[0]
    subprocess.run(["git", "clone", "--quiet", "--no-hardlinks", ROOT, clone], check=True)
    (there, seen), (there_again, seen_again) = (first_healing(clone, environment) for _ in range(2))
    demo = timed([".venv/bin/ikdemo", "demo"], clone, environment)
    rows = [
        "| | the first time | again |",
        "|---|---:|---:|",
        f"| `make lab`: the desk is served | {there:.0f} s | {there_again:.0f} s |",
        f"| `make lab`: the first healed instance is seen | {seen:.0f} s | {seen_again:.0f} s |",
        f"| `ikdemo demo` | | {demo:.0f} s |",
    ]
    if tests:
        minutes = timed(["make", "test"], clone, environment) / 60
        has_engine = shutil.which("dockerd", path=environment["PATH"])
        without = "" if has_engine else ", without a Docker engine"
        rows.append(f"| `make test`{without} | {minutes:.0f} min | |")
    cores = os.cpu_count() or 1
    where = (
        f"{cores} cores{', busy with other work' if busy > cores else ''}, Python "
        f"{platform.python_version()}"
    )
    words = "Measured from a new clone by a program that clicks as soon as it can"
    return "\n".join(
        [*rows, "", f"{words}, downloads included ({datetime.now(UTC):%Y-%m-%d}, {where})."]
    )


def main(words: list[str]) -> None:
    """Measure, and write the README."""
    folder = Path(tempfile.mkdtemp(prefix="ik-", dir="/tmp"))
    try:
        table = measure(folder, "--tests" in words)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    fill(ROOT / "README.md", "times", table)
    sys.stdout.write(f"{table}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
