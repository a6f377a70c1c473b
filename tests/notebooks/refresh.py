"""Run notebooks for real and store what they showed, cleaned: ``python tests/notebooks/refresh.py
[notebooks/NAME.ipynb ...]``.

What is stored must not depend on the machine: no widget state, no versions, no warnings; cells
tagged ``machine`` keep no output. A picture is stored once, in the page that has its words. The
guard tests beside it say whether a notebook is clean.
"""

from __future__ import annotations

import sys
from pathlib import Path

LANGUAGE = {
    "file_extension": ".py",
    "mimetype": "text/x-python",
    "name": "python",
    "nbconvert_exporter": "python",
    "pygments_lexer": "ipython3",
}
"""What a notebook says of its language, so that it becomes a script as it is; no version, which is
a machine's.
"""
NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
RECORDED = ("07-docker.ipynb", "08-swarm.ipynb")
"""Need engines, and show what ``record.py`` recorded with them: only that writes them."""


def refresh(path: Path) -> None:
    """Execute one notebook top to bottom in a fresh kernel and write it back; a failing cell raises
    and nothing is written.
    """
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook, timeout=60, kernel_name="python3", record_timing=False, store_widget_state=False
    )
    client.execute(cwd=str(path.parent))
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": LANGUAGE,
    }
    for cell in notebook.cells:
        if "machine" in cell.metadata.get("tags", []):
            cell.outputs = []
        for output in cell.get("outputs", []):
            for live in (
                "application/vnd.jupyter.widget-view+json",
                "application/vnd.ikdemo.stage+json",
                "image/png",
            ):
                output.get("data", {}).pop(live, None)
    nbformat.write(notebook, path)


if __name__ == "__main__":
    for chosen in [Path(name) for name in sys.argv[1:]] or sorted(
        set(NOTEBOOKS.glob("*.ipynb")) - {NOTEBOOKS / name for name in RECORDED}
    ):
        refresh(chosen)
        sys.stdout.write(f"{chosen.name} is fresh\n")
