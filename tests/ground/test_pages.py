"""The pages a stranger reads: commands are run as printed and print what is printed, code runs,
links lead somewhere.

How commands are typed is in ``pages``. With a Docker engine the walk-through is typed by
``engine/test_docker_walkthrough``.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from pages import ROOT, blocks, settled, story, typed

from ikdemo.cli.programs import find

PAGES = [
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    *sorted(f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md")),
]
NEEDS_ENGINE = "Containers"
"""The heading below which commands print something else where no engine answers."""


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "docs/walkthrough.md", "docs/ways-out.md"])
def test_commands_do_what_the_page_prints(
    page: str, short_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a Docker engine: what needs one fails in words, and leaves nothing running either."""
    monkeypatch.setenv("DOCKER_HOST", f"unix://{short_dir}/no-engine.sock")
    shutil.copytree(ROOT / "examples", short_dir / "examples")
    if page == "CONTRIBUTING.md":
        (short_dir / "greeter.py").write_text(blocks(page, "python")[0])
    lines = typed(page)
    assert lines
    with story(short_dir) as terminals:
        for line in lines:
            if line.heading == NEEDS_ENGINE:
                # it would be half a minute each time
                line.command = re.sub(r"(group wait \S+)", r"\1 --timeout 1s", line.command)
                assert "Traceback" not in terminals.type(line), line.command
            else:
                assert terminals.type(line) == settled(line.expected, terminals.plugins), (
                    line.command
                )
        assert page == "CONTRIBUTING.md" or terminals.staying() == terminals.running() == []


def test_each_example_is_a_group_of_its_own() -> None:
    """One commit must not take another one's group over to its own plugins."""
    groups = [json.loads(file.read_text())["ID"] for file in (ROOT / "examples").glob("*.json")]
    assert len(groups) == len(set(groups)) >= 4


def test_the_demo_prints_what_the_page_shows(tmp_path: Path) -> None:
    """The record of events is another one each time; everything around it is the same but for
    numbers and places.
    """
    # no font cache yet, as on a stranger's machine
    first_time = os.environ | {"MPLCONFIGDIR": str(tmp_path / "matplotlib")}
    demo = [sys.executable, "-m", "ikdemo", "demo"]
    done = subprocess.run(
        demo, cwd=tmp_path, env=first_time, capture_output=True, text=True, timeout=100
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "recovery.png").stat().st_size > 10_000
    assert around_the_record(done.stdout) == around_the_record(
        blocks("docs/walkthrough.md", "text")[0]
    )


def around_the_record(text: str) -> list[str]:
    lines = [line for line in text.strip().splitlines() if not re.match(r" +\d+\.\d+s  ", line)]
    return [
        " ".join(re.sub(r"/\S+", "PATH", re.sub(r"\b\d+(\.\d+)? ?(ms|s|%)", "N", line)).split())
        for line in lines
    ]


def test_embedding_runs_as_printed(tmp_path: Path) -> None:
    (tmp_path / "embedded.py").write_text(blocks("docs/embedding.md", "python")[0])
    done = subprocess.run(
        [sys.executable, "embedded.py"], cwd=tmp_path, capture_output=True, text=True, timeout=100
    )
    assert (done.stdout, done.stderr) == (blocks("docs/embedding.md", "text")[0], "")


@pytest.mark.parametrize("page", PAGES)
def test_links_and_make_targets_exist(page: str) -> None:
    text = (ROOT / page).read_text()
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if not link.startswith("http"):
            path, _, heading = link.partition("#")
            there = (ROOT / page).parent / path if path else ROOT / page
            assert there.exists(), link
            assert not heading or heading in anchors(there), link
    for path in re.findall(
        r"`((?:ikdemo|tests|docs|examples|notebooks|binder|benchmarks|\.ci)/[\w./-]*)`", text
    ):
        assert (ROOT / path).exists(), path
    for target in set(re.findall(r"(?:^    |`)make ([a-z]+)", text, re.MULTILINE)):
        subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, check=True)


def anchors(page: Path) -> set[str]:
    """Return what a link into a page may name: its headings, as GitHub writes them into
    addresses.
    """
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {
        re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings
    }


def test_every_program_that_is_installed_is_told_of_with_its_flags() -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    page = (ROOT / "docs/plugins.md").read_text()
    assert [name for name in scripts if f"`{name}`" not in page] == []
    for name in set(scripts) - {"ikdemo", "infrakit"}:
        program = find(name)
        flags = ", ".join(
            f"`--{flag.name}`" for flag in sorted(program.flags, key=lambda flag: flag.name)
        )
        (told,) = re.findall(
            rf"^\| `{name}` \| `{program.socket}` \| .* \| (.*)\|$", page, re.MULTILINE
        )
        assert ", ".join(sorted(told.strip().split(", "))) == flags, name


def test_every_verb_that_infrakit_lacks_is_told_of() -> None:
    page = (ROOT / "docs/plugins.md").read_text().partition("InfraKit lacks these")[2]
    told = subprocess.run(
        [sys.executable, "-m", "ikdemo", "--help"], capture_output=True, text=True, check=True
    ).stdout
    verbs = set(re.findall(r"^  (\w+)  ", told, re.MULTILINE)) - {
        "group",
        "instance",
        "flavor",
        "plugin",
        "version",
        "help",
    }
    assert len(verbs) > 5
    assert [verb for verb in sorted(verbs) if not re.search(rf"`(ikdemo )?{verb}`", page)] == []
