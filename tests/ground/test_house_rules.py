"""The rules that hold the tests themselves: no silent skip in CI, no process left behind, make's
targets as they are told.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

PROBES = {
    "test_skipping.py": "import pytest\n\ndef test_one():\n    pytest.skip('no engine here')\n",
    "test_not_collected.py": "import pytest\npytest.importorskip('no_such_module')\n",
    "test_orphan.py": "import subprocess\n\ndef test_one():\n    subprocess.Popen(['sleep', "
    "'60'], start_new_session=True)\n",
    "test_hanging.py": (
        "import asyncio, time\n\n"
        "async def hang():\n    asyncio.get_running_loop().call_soon(time.sleep, 60)\n    await "
        "asyncio.sleep(60)\n\n"
        "def test_hanging():\n    asyncio.run(hang())\n\n"
        "def test_failing():\n    raise AssertionError\n"
    ),
    "test_fine.py": "def test_one(short_dir):\n    assert len(str(short_dir)) < 60\n",
}


INSTALLED_FROM = ("Makefile", "pyproject.toml", "constraints.txt", "install.py")
PIP = """
import os, sys

print("Obtaining file:///somewhere/ikdemo")
print("Collecting anyio==4.16.0 (from ikdemo[lab])")
print("Installing collected packages: anyio, ikdemo")
print(os.environ["ENDING"])
sys.exit(7 if os.environ["ENDING"] else 0)
"""


def pytest_on(name: str, folder: Path, *more: str, **environment: str) -> tuple[int, str]:
    """Run one probe in a process of its own, under our conftest."""
    for ours in ("conftest.py", "desk.py", "limits.py", "notebook_cells.py", "parallel.py"):
        shutil.copy(ROOT / "tests" / ours, folder)
    (folder / name).write_text(PROBES[name])
    clean = {
        key: value
        for key, value in os.environ.items()
        if key not in ("CI", "IKDEMO_CI", "IKDEMO_TEST_SESSION")
    } | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    options = "-q -p no:cacheprovider -p timeout -p xdist --rootdir . -c /dev/null"
    command = [sys.executable, "-m", "pytest", *options.split(), *more, name]
    done = subprocess.run(
        command, cwd=folder, env=clean | environment, capture_output=True, text=True
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("name", ["test_skipping.py", "test_not_collected.py"])
def test_a_skip_fails_in_ci_only(name: str, tmp_path: Path) -> None:
    status, _ = pytest_on(name, tmp_path)
    assert status in (0, 5)  # 5: nothing ran
    for workers in ("0", "2"):
        status, said = pytest_on(name, tmp_path, "-n", workers, CI="true")
        assert status in (1, 2)
        assert "skipped, which CI does not allow" in said


@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_process_left_behind_fails_the_run(workers: str, tmp_path: Path) -> None:
    status, said = pytest_on("test_orphan.py", tmp_path, "-n", workers)
    assert status == 1
    assert re.search(r"left running by a test: \d+ sleep 60", said)


def test_one_test_over_its_limit_is_named_and_the_others_run(tmp_path: Path) -> None:
    """Its first alarm is swallowed by an event loop."""
    status, said = pytest_on("test_hanging.py", tmp_path, "-rf", "--timeout=1")
    assert status == 1
    assert "FAILED test_hanging.py::test_hanging - Failed: Timeout (>1s)" in said
    assert "FAILED test_hanging.py::test_failing" in said


def test_an_alarm_between_the_phases_of_a_test_ends_no_run(tmp_path: Path) -> None:
    slow = "import time\n\ndef pytest_runtest_logreport(report):\n    time.sleep(1.5)\n"
    (tmp_path / "slow_report.py").write_text(slow)
    status, said = pytest_on(
        "test_fine.py", tmp_path, "--timeout=1", "-p", "slow_report", PYTHONPATH=str(tmp_path)
    )
    assert status == 0, said


def test_an_honest_test_passes_in_ci(tmp_path: Path) -> None:
    assert pytest_on("test_fine.py", tmp_path, CI="true")[0] == 0


def test_make_tells_its_targets_and_has_them() -> None:
    told = subprocess.run(
        ["make", "-s", "help"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    targets = re.findall(r"^make (\w+)", told, re.MULTILINE)
    assert targets[:2] == ["lab", "test"]
    for target in targets:
        subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, check=True)


def test_make_says_what_to_do_without_a_python(tmp_path: Path) -> None:
    for name in INSTALLED_FROM:
        shutil.copy(ROOT / name, tmp_path)
    done = subprocess.run(
        ["make", "install", "PYTHON="], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "apt install python3-venv" in done.stderr


@pytest.mark.parametrize(
    ("installed", "asked", "installs"),
    [
        ([], "lab", "install.py lab"),
        ([], "test", "install.py dev"),
        (["installed-lab"], "lab", ""),
        (["installed-lab"], "test", "install.py dev"),
        (["installed-lab", "installed"], "lab", ""),
        (["installed-lab", "installed"], "test", ""),
    ],
)
def test_make_installs_what_is_needed_and_no_more(
    installed: list[str], asked: str, installs: str, tmp_path: Path
) -> None:
    for name in INSTALLED_FROM:
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / ".venv").mkdir()
    for stamp in installed:
        (tmp_path / ".venv" / stamp).touch()
    said = subprocess.run(
        ["make", "-n", asked], cwd=tmp_path, capture_output=True, text=True, check=True
    ).stdout
    assert re.findall(r"install\.py \w+", said) == ([installs] if installs else [])


def test_installing_says_how_far_it_is_and_shows_what_pip_says_when_it_fails(
    tmp_path: Path,
) -> None:
    """Into an environment that has no pip but one which says what pip says."""
    package = tmp_path / "pip"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text(PIP)
    for ending, status in (("", 0), ("no space left on device", 7)):
        done = subprocess.run(
            [sys.executable, ROOT / "install.py", "lab"],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(tmp_path), "ENDING": ending},
            capture_output=True,
            text=True,
        )
        assert done.returncode == status
        assert re.search(r"^  1 of \d+ packages are fetched$", done.stdout, re.MULTILINE)
        assert ("Installed in" in done.stdout) == (status == 0)
        assert (done.stderr != "") == (status != 0)
        assert ending in done.stderr
