"""A place for the labs of the notebooks that a test runs, and a look at what they left behind."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from learner import seeing


@pytest.fixture
def home(short_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give the directory in which labs are opened; afterwards nothing is left of them, nor of what
    a cell wrote elsewhere.
    """
    for name in ("JUPYTER_RUNTIME_DIR", "IPYTHONDIR"):
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(short_dir))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no-engine.sock")
    (tmp_path / "desk").mkdir()
    yield short_dir
    deadline = time.monotonic() + 100
    while (list(short_dir.iterdir()) or seeing(short_dir)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert seeing(short_dir) == []
    assert [path.name for path in short_dir.iterdir()] == []
    assert [path.name for path in (tmp_path / "desk").iterdir()] == []
