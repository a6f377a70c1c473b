"""A notebook run from top to bottom away from what is a person's own, and what its cells showed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient


def run_notebook(path: Path, folder: Path, within: float = 100) -> Any:
    """Run a notebook in a folder and return it with its outputs; ``within``: seconds for a cell."""
    notebook = nbformat.read(path, as_version=4)
    with pytest.MonkeyPatch.context() as patch:
        for name in ("JUPYTER_RUNTIME_DIR", "IPYTHONDIR"):
            patch.setenv(name, str(folder / name))
        NotebookClient(notebook, timeout=within, store_widget_state=False).execute(cwd=str(folder))
    return notebook


def texts(cell: dict[str, Any]) -> list[str]:
    """Return what a cell showed, part by part, as text."""
    return [
        "".join(o.get("text") or o.get("data", {}).get("text/plain", "")) for o in cell["outputs"]
    ]
