"""The wheel: builds, and gives the programs to a machine that wants no JupyterLab."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import ikdemo

ROOT = Path(__file__).parents[2]


def run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run([str(part) for part in command], cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


# two downloads of the build tool and three small wheels, when nothing is cached
@pytest.mark.timeout(300)
def test_the_core_installs_without_the_lab(tmp_path: Path) -> None:
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet")
    run(*pip, "wheel", "--no-deps", "--wheel-dir", tmp_path, ROOT, cwd=tmp_path)
    wheel = next(tmp_path.glob("ikdemo-*.whl"))
    run(sys.executable, "-m", "venv", "--without-pip", "fresh", cwd=tmp_path)
    python = tmp_path / "fresh/bin/python"
    run(
        *pip,
        "--python",
        python,
        "install",
        "--constraint",
        ROOT / "constraints.txt",
        wheel,
        cwd=tmp_path,
    )

    assert run(tmp_path / "fresh/bin/infrakit", "version", cwd=tmp_path).startswith("Version: ")
    names = ("vanilla", "combo", "zookeeper", "swarm")
    flavors = tuple(f"infrakit-flavor-{name}" for name in names)
    ours = ("ikdemo-instance-process", "ikdemo-flavor-probe")
    for program in ("infrakit-group-default", "infrakit-instance-file", *flavors, *ours):
        said = run(tmp_path / "fresh/bin" / program, "version", cwd=tmp_path)
        assert f"Version: {ikdemo.__version__}" in said
    assert (
        run(
            python,
            "-c",
            "import ikdemo; print(ikdemo.Group.__name__, ikdemo.Lab.__name__)",
            cwd=tmp_path,
        )
        == "Group Lab\n"
    )

    site = next((tmp_path / "fresh/lib").glob("python3*/site-packages"))
    assert (site / "ikdemo/py.typed").is_file()
    for shared in (
        "lab/settings/overrides.d/ikdemo.json",
        "labextensions/ikdemo/package.json",
        "labextensions/ikdemo/static/launcher.js",
        "labextensions/ikdemo-notebooks/static/notebooks.js",
    ):
        assert (tmp_path / "fresh/share/jupyter" / shared).is_file(), shared
    desk = {path.name for path in (site / "ikdemo/desk").iterdir()}
    assert desk >= {"terminal.bash", "workspace.json"}
    assert not desk & {"overrides.json", "launcher", "notebooks"}, (
        "what JupyterLab finds in share is there only"
    )
    names = {path.name.split("-")[0].lower() for path in site.glob("*.dist-info")}
    assert names == {"ikdemo", "msgspec", "httptools", "inotify_simple"}
