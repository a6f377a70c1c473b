"""The README typed by a stranger: from the clone to the demo, and nothing is left running.

It installs everything once more, which takes minutes and the network, so it runs in CI, and
elsewhere with IKDEMO_CLONE_TEST=1.
"""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

import pytest
from pages import ROOT, story

INSTALLING = 500.0
ADDRESS = re.compile(r"https?://(127\.0\.0\.1|localhost):\d+/lab/\S+")


def commands() -> list[str]:
    """Return the commands of the page, without the words that are said of them."""
    lines = re.findall(r"^    (\S.*)$", (ROOT / "README.md").read_text(), re.MULTILINE)
    return [line.partition("  #")[0].strip() for line in lines]


def test_the_page_goes_from_the_clone_to_the_demo() -> None:
    told = commands()
    assert re.match(r"git clone \S+ ikdemo$", told[0])
    assert told[1:] == ["cd ikdemo", "make lab", "make test", ". .venv/bin/activate", "ikdemo demo"]


@pytest.mark.timeout(INSTALLING + 100)
def test_what_the_page_says_works_in_a_new_clone(short_dir: Path) -> None:
    if not any(os.environ.get(name) for name in ("CI", "IKDEMO_CI", "IKDEMO_CLONE_TEST")):
        pytest.skip(
            "installing everything once more takes minutes: set IKDEMO_CLONE_TEST=1 to do it"
        )
    home = short_dir / "home"
    home.mkdir()
    environment = {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": str(home),
        "LAB_ARGS": "--no-browser",
        "VIRTUAL_ENV": "",
    }
    with story(short_dir, **environment) as terminals:
        for command in commands():
            if command.startswith("git clone"):
                terminals.enter(f"git clone --quiet {ROOT} ikdemo")
            elif command == "make lab":
                terminals.open(command).await_words(
                    lambda text: bool(ADDRESS.search(text)), INSTALLING
                )
                terminals.interrupt(-signal.SIGINT)  # which is how make ends
            elif command == "make test":  # which is where this test runs
                assert "pytest" in terminals.enter("make -n test")
            else:
                printed = terminals.enter(command)
        assert "Healed: 5 of 5 instances." in printed
        assert terminals.enter("git status --porcelain") == ""
        assert terminals.staying() == terminals.running() == []
