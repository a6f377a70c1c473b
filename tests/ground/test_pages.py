"""The pages a stranger reads: commands are run as printed and print what is printed, code runs, links lead somewhere.

In a ``console`` block a line that begins with ``$`` is typed, the lines below it are what comes back; the blocks of a page
are one story. What differs from run to run (IDs, times, the place of the sockets) is put aside before texts are compared.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = ["README.md", "CONTRIBUTING.md", *sorted(f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md"))]
STAYS = re.compile(
    r"infrakit-(group|instance|flavor)-|python greeter\.py|ikdemo events"
)  # a terminal of its own; ends with the story
PLUGINS = "/home/you/.infrakit/plugins"  # where the pages say the sockets are


@dataclass
class Typed:
    """One command of a page, and what the page says comes back."""

    command: str
    expected: str


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", (ROOT / page).read_text(), re.MULTILINE | re.DOTALL)


def typed(page: str) -> list[Typed]:
    told = [part for block in blocks(page, "console") for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]]
    return [Typed(command, expected) for command, _, expected in (part.partition("\n") for part in told)]


def settled(text: str, plugins: Path) -> str:
    """Put aside what differs from run to run."""
    text = text.replace(str(plugins), PLUGINS)
    text = re.sub(r'time="[^"]*"', 'time="T"', text)
    text = re.sub(r"instance-\d{6,}", "instance-N", text)
    text = re.sub(r"\b\d+(\.\d+)?(ms|µs|s)\b", "D", text)
    return "\n".join(" ".join(line.split()) for line in text.strip().splitlines())


class Story:
    """Terminals in one folder, with our programs on the PATH and a plugin directory of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.plugins = folder, folder / "plugins"
        self._programs: list[subprocess.Popen[bytes]] = []
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        self._environment = os.environ | {"PATH": path, "INFRAKIT_PLUGINS_DIR": str(self.plugins)}

    def type(self, line: Typed) -> str:
        """Type one command; return what comes back, settled. A program that stays is read until it has said what is expected."""
        if not STAYS.match(line.command):
            done = subprocess.run(
                ["bash", "-c", line.command],
                cwd=self.folder,
                env=self._environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=30,
            )
            return settled(done.stdout.decode(), self.plugins)
        said = self.folder / f"terminal-{len(self._programs)}"
        with said.open("wb") as out:
            self._programs.append(
                subprocess.Popen(
                    ["bash", "-c", f"exec {line.command}"], cwd=self.folder, env=self._environment, stdout=out, stderr=out
                )
            )
        deadline = time.monotonic() + 15.0
        while (text := settled(said.read_text(), self.plugins)) != settled(
            line.expected, self.plugins
        ) and time.monotonic() < deadline:
            assert self._programs[-1].poll() is None, f"{line.command} ended: {text}"
            time.sleep(0.01)
        return text

    def end(self) -> None:
        """Press Ctrl-C in every terminal that still shows a program."""
        for program in reversed(self._programs):
            program.send_signal(signal.SIGINT)
        for program in self._programs:
            assert program.wait(15.0) == 0, program.args


@contextmanager
def story(folder: Path) -> Iterator[Story]:
    told = Story(folder)
    try:
        yield told
    finally:
        told.end()


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_commands_do_what_the_page_prints(page: str, short_dir: Path) -> None:
    shutil.copytree(ROOT / "examples", short_dir / "examples")
    if page == "CONTRIBUTING.md":
        (short_dir / "greeter.py").write_text(blocks(page, "python")[0])
    lines = typed(page)
    assert lines
    with story(short_dir) as terminals:
        for line in lines:
            assert terminals.type(line) == settled(line.expected, terminals.plugins), line.command


def test_each_example_is_a_group_of_its_own() -> None:
    """One commit must not take another one's group over to its own plugins."""
    groups = [json.loads(file.read_text())["ID"] for file in (ROOT / "examples").glob("*.json")]
    assert len(groups) == len(set(groups)) >= 4


def test_the_demo_prints_what_the_page_shows(tmp_path: Path) -> None:
    """The record of events is another one each time; everything around it is the same but for numbers and places."""
    first_time = os.environ | {"MPLCONFIGDIR": str(tmp_path / "matplotlib")}  # no font cache yet, as on a stranger's machine
    demo = [sys.executable, "-m", "ikdemo", "demo"]
    done = subprocess.run(demo, cwd=tmp_path, env=first_time, capture_output=True, text=True, timeout=50)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "recovery.png").stat().st_size > 10_000
    assert around_the_record(done.stdout) == around_the_record(blocks("README.md", "text")[0])


def around_the_record(text: str) -> list[str]:
    lines = [line for line in text.strip().splitlines() if not re.match(r" +\d+\.\d+s  ", line)]
    return [" ".join(re.sub(r"/\S+", "PATH", re.sub(r"\b\d+(\.\d+)? ?(ms|s|%)", "N", line)).split()) for line in lines]


def test_embedding_runs_as_printed(tmp_path: Path) -> None:
    (tmp_path / "embedded.py").write_text(blocks("README.md", "python")[0])
    done = subprocess.run([sys.executable, "embedded.py"], cwd=tmp_path, capture_output=True, text=True, timeout=30)
    assert (done.stdout, done.stderr) == (blocks("README.md", "text")[1], "")


@pytest.mark.parametrize("page", PAGES)
def test_links_and_make_targets_exist(page: str) -> None:
    text = (ROOT / page).read_text()
    for link in re.findall(r"\]\(([^)#]+)\)", text):
        if not link.startswith("http"):
            assert ((ROOT / page).parent / link).exists(), link
    headings = {
        re.sub(r"[^\w -]", "", line).strip().lower().replace(" ", "-") for line in re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    }
    assert set(re.findall(r"\]\(#([^)]+)\)", text)) <= headings
    for path in re.findall(r"`((?:ikdemo|tests|docs|examples|notebooks|binder|benchmarks|\.ci)/[\w./-]*)`", text):
        assert (ROOT / path).exists(), path
    for target in set(re.findall(r"(?:^    |`)make ([a-z]+)", text, re.MULTILINE)):
        subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, check=True)


def test_every_program_that_is_installed_is_told_of() -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert [name for name in scripts if f"`{name}`" not in (ROOT / "README.md").read_text()] == ["ikdemo"]  # the page is its page
