"""Notebook 08 with machines: they boot, die and join again, and what runs without being counted is
seen; nothing is left.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from engine.swarm3 import lacking
from notebook_runs import run_notebook, texts

from ikdemo.lab.docker.recording import marked_cells

NOTEBOOK = Path(__file__).resolve().parents[2] / "notebooks" / "08-swarm.ipynb"
pytestmark = pytest.mark.skipif(bool(lacking()), reason=lacking())


def told(cell: dict[str, Any]) -> str:
    """Return what a cell showed, as text."""
    return "\n".join(texts(cell))


def test_the_notebook_runs_live(
    short_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(short_dir))
    monkeypatch.setenv("IKDEMO_MACHINES", "yes")
    notebook = run_notebook(NOTEBOOK, tmp_path, 200)
    assert told(notebook.cells[1]) == "Machines: m1, m2, m3, m4"
    marked = {name: told(cell) for name, cell in marked_cells(notebook.cells).items()}
    assert not [name for name, text in marked.items() if "Not live" in text]
    assert "swarm-association-id=" in marked["init"]
    assert len(re.findall(r"m\d +worker +ready", marked["nodes"])) == 3
    assert "m2 is off" in marked["kill"]
    assert "machines is as wanted: 3 instances" in marked["kill"]
    assert "FAULT: cut the power of" in marked["kill"]
    assert "spread is as wanted: 12 instances" in marked["group"]
    assert re.search(r"never more than (\d+) were counted", marked["cut"])[1] == "12"  # type: ignore[index]
    assert re.search(r"up to [1-9]\d* ran without being counted", marked["cut"])
    assert [path.name for path in short_dir.iterdir()] == []
    assert str(short_dir) not in Path("/proc/mounts").read_text()
