"""The container and Binder: checked as far as this goes without an engine."""

from __future__ import annotations

import json
import os
import re
import runpy
import shlex
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text().replace("\\\n", " ").splitlines()


def instructions(word: str) -> list[str]:
    return [line.partition(" ")[2].strip() for line in DOCKERFILE if line.startswith(word + " ")]


def test_the_image_is_served_by_nobody_special_under_an_init() -> None:
    assert not any(re.match(r"#\s*syntax=", line) for line in DOCKERFILE)
    assert instructions("ARG") == ["BASE=python:3.12-slim"]
    assert instructions("USER") == ["learner"]
    assert "--uid 1000" in " ".join(instructions("RUN"))
    assert instructions("ENTRYPOINT") == ['["tini", "-g", "--"]']
    assert instructions("EXPOSE") == ["8888"]


def test_what_the_image_copies_is_here_and_reaches_the_builder() -> None:
    let_in = [
        line[1:]
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line.startswith("!")
    ]
    for copied in instructions("COPY"):
        for source in [word for word in shlex.split(copied)[:-1] if not word.startswith("--")]:
            assert (ROOT / source).exists(), source
            assert any(fnmatch(source, pattern) for pattern in let_in), (
                f"{source} is kept from the builder by .dockerignore"
            )


@pytest.mark.parametrize("name", ["binder/postBuild", "binder/start", ".ci/run"])
def test_scripts_can_be_run(name: str) -> None:
    path = ROOT / name
    assert os.access(path, os.X_OK)
    assert path.read_text().startswith("#!/usr/bin/env bash\n")
    subprocess.run(["bash", "-n", path], check=True)


def test_binder_starts_what_it_is_asked_to_start() -> None:
    done = subprocess.run(
        [ROOT / "binder/start", "echo", "two words", "x"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "two words x\n"


def test_binder_has_the_python_of_the_container() -> None:
    assert (ROOT / "binder/runtime.txt").read_text() == "python-3.12\n"
    assert "--no-deps" in (ROOT / "binder/postBuild").read_text()


def test_binder_would_build_what_is_here() -> None:
    """The dry run needs no engine: it prints the Dockerfile that Binder would build."""
    program = Path(sys.executable).with_name("jupyter-repo2docker")
    command = [program, "--no-build", "--debug", "."]
    printed = subprocess.run(
        command,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=100,
        check=True,
    )
    assert "Building conda environment for python=3.12" in printed.stdout
    assert 'pip install --no-cache-dir -r "binder/requirements.txt"' in printed.stdout
    assert "RUN ./binder/postBuild" in printed.stdout
    assert 'ENV R2D_ENTRYPOINT="${REPO_DIR}/binder/start"' in printed.stdout


# builds the package, with a download of the build tool when it is not cached
def test_binder_lays_the_desk_for_its_own_jupyterlab(tmp_path: Path) -> None:
    """Run postBuild in a home and an environment of its own, which borrows only the
    dependencies.
    """
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "env"], check=True)
    own = next((tmp_path / "env/lib").glob("python3*/site-packages"))
    borrowed = next(Path(place) for place in sys.path if place.endswith("site-packages"))
    (own / "borrowed.pth").write_text(f"{borrowed}\n")
    path = f"{tmp_path / 'env/bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    clean = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("JUPYTER", "IKDEMO_DESK"))
    }
    done = subprocess.run(
        ["binder/postBuild"],
        cwd=ROOT,
        env=clean | {"PATH": path, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "env/share/jupyter/labextensions/ikdemo/package.json").is_file()
    (layout,) = (tmp_path / ".jupyter/lab/workspaces").iterdir()
    assert "notebook:notebooks/00-welcome.ipynb" in json.loads(layout.read_text())["data"]
    settings = json.loads((tmp_path / ".jupyter/jupyter_server_config.json").read_text())
    assert Path(settings["ServerApp"]["terminado_settings"]["shell_command"][-1]).is_file()
    opened = Path(settings["ServerApp"]["root_dir"]) / "notebooks/00-welcome.ipynb"
    assert opened.is_relative_to(tmp_path)
    assert not any(cell.get("outputs") for cell in json.loads(opened.read_text())["cells"])


LINKS = runpy.run_path(str(ROOT / "binder/links.py"))
BINDER = re.compile(r"https://mybinder\.org/v2/[^)\s\"]+")


def test_the_pages_are_written_from_the_one_address() -> None:
    front, address = (ROOT / "README.md").read_text(), LINKS["REPOSITORY"]
    assert (ROOT / "docs/binder.md").read_text() == LINKS["page"](address), (
        "run: python binder/links.py"
    )
    assert front == LINKS["readme"](front, address), "run: python binder/links.py"


def test_no_badge_and_no_link_leads_nowhere() -> None:
    front = LINKS["readme"]((ROOT / "README.md").read_text(), "")
    for text in (front, LINKS["page"]("")):
        assert not BINDER.search(text)
        assert "badge_logo" not in text
    assert "git clone ADDRESS" in front


def test_once_the_address_is_known_every_link_leads_to_what_is_here() -> None:
    front = LINKS["readme"]((ROOT / "README.md").read_text(), "someone/somewhere")
    assert "git clone https://github.com/someone/somewhere.git ikdemo\n" in front
    assert front.index("badge_logo") < front.index("\n## ")
    found = [*BINDER.findall(front), *BINDER.findall(LINKS["page"]("someone/somewhere"))]
    assert len(found) == 2 + len(list((ROOT / "notebooks").glob("*.ipynb")))
    for link in found:
        address, _, place = link.removeprefix("https://mybinder.org/v2/gh/").partition(
            "/HEAD?urlpath="
        )
        assert address == "someone/somewhere"
        assert place == LINKS["DESK"] or (ROOT / place.removeprefix("lab/tree/")).is_file(), link


def test_nothing_else_names_the_repository() -> None:
    tracked = subprocess.run(
        ["git", "grep", "-lE", "mybinder.org/v2/"], cwd=ROOT, capture_output=True, text=True
    )
    allowed = {
        "README.md",
        "docs/binder.md",
        "binder/links.py",
        "tests/ground/test_container_and_binder.py",
    }
    assert set(tracked.stdout.split()) <= allowed
