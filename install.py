"""Installs this package into the environment of the Python that runs it, and says how far it is.
Run by make: ``install.py lab``.

What pip would say in three hundred lines is one line that moves here; when it fails, all that it
said is shown. Needs nothing but pip, because it runs before anything is installed.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path

PINS = {"lab": "binder/requirements.txt", "dev": "constraints.txt"}
"""The packages of each extra: how many there are says how far pip is."""
FOUND = re.compile(r"Collecting |Requirement already satisfied: |Obtaining ")


def pins(extra: str) -> int:
    """Return how many packages an extra needs."""
    lines = Path(PINS[extra]).read_text(encoding="utf-8").splitlines()
    return sum("==" in line for line in lines)


def main(extra: str) -> int:
    """Install, and return pip's exit status."""
    pip = (
        sys.executable,
        "-m",
        "pip",
        "install",
        "--disable-pip-version-check",
        "--no-input",
        "--progress-bar",
        "off",
    )
    command = [*pip, "--constraint", "constraints.txt", "--editable", f".[{extra}]"]
    began, total, said = time.monotonic(), pins(extra), list[str]()
    found = set[str]()
    shown = Shown()
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            said.append(line)
            if match := FOUND.match(line):
                found.add(re.split(r"[\s=<>~!\[(]", line[match.end() :], maxsplit=1)[0].lower())
                shown.show(f"{min(len(found), total)} of {total} packages are fetched")
            elif line.startswith("Installing collected packages"):
                shown.show("all are fetched, now they are unpacked")
    shown.end()
    if process.returncode:
        sys.stderr.writelines(said)
    else:
        print(f"Installed in {time.monotonic() - began:.0f} s")
    return process.returncode


class Shown:
    """One line on a terminal; elsewhere a line now and then."""

    def __init__(self) -> None:
        self._terminal = sys.stdout.isatty()
        self._next = 0.0

    def show(self, text: str) -> None:
        """Show how far it is."""
        if self._terminal:
            print(f"\r  {text:<60}", end="", flush=True)
        elif time.monotonic() >= self._next:
            print(f"  {text}", flush=True)
            self._next = time.monotonic() + 10.0

    def end(self) -> None:
        """Leave the line."""
        if self._terminal:
            print(f"\r{'':<62}\r", end="", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
