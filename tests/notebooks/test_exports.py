"""A notebook that was run without a browser is whole wherever it is taken: each picture with its
words, nothing to be fetched.
"""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from nbconvert import HTMLExporter, LatexExporter, PythonExporter, ScriptExporter

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
WELCOME = NOTEBOOKS / "00-welcome.ipynb"
WITHIN = 200.0


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Give the first notebook as nbconvert, papermill and Jupyter run it: with the state of its
    widgets.
    """
    folder = tmp_path_factory.mktemp("desk")
    notebook = nbformat.read(WELCOME, as_version=4)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOCKER_HOST", f"unix://{folder}/no-engine.sock")
        for name in ("JUPYTER_RUNTIME_DIR", "IPYTHONDIR"):
            patch.setenv(name, str(folder / name))
        NotebookClient(notebook, timeout=WITHIN).execute(cwd=str(folder))
    assert "widgets" in notebook.metadata, "the state is there, and would empty what is a widget"
    return notebook


def pictures(html: str) -> list[str]:
    """Return the words of every picture in a page."""
    return re.findall(r'<img alt="(Group [^"]{40,})"', html)


def test_a_page_has_every_picture_with_its_words_and_needs_no_network(ran: Any) -> None:
    html, _ = HTMLExporter().from_notebook_node(ran)
    live, recovery, dashboard = pictures(html)
    assert "5 of 5 slots filled" in live
    assert "after a fault only 4 of 5 slots were filled" in recovery
    assert "5 of 5 slots filled" in dashboard
    assert "widget-view" not in html.replace(
        "application/vnd.jupyter.widget-view+json", "", html.count("<script>")
    )


def test_latex_has_the_figure_and_the_words_of_what_moved(ran: Any) -> None:
    # prose would need pandoc
    code = nbformat.v4.new_notebook(cells=[cell for cell in ran.cells if cell.cell_type == "code"])
    tex, resources = LatexExporter().from_notebook_node(code)
    assert tex.count("\\adjustimage") >= 1
    assert [name for name in resources["outputs"] if name.endswith(".png")]
    assert (
        len(
            re.findall(
                r"Group collabnix: .{0,40}5 of 5 slots filled",
                re.sub(r"\\\\PY[^{]*|[{}]|\n", "", tex),
            )
        )
        >= 2
    )
    assert "Live view of group" not in tex


@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.stem)
def test_a_script_is_python_with_its_prose(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    text, resources = ScriptExporter().from_notebook_node(notebook)
    assert resources["output_extension"] == ".py"
    assert f"# # {path.stem[:2]} · " in text
    ast.parse(
        PythonExporter().from_notebook_node(notebook)[0].replace("await ", "").replace("async ", "")
    )


def test_a_plain_console_tells_every_picture_in_words(tmp_path: Path) -> None:
    told = """
from ikdemo.lab import Lab, collabnix
lab = Lab()
lab.start()
lab.commit(collabnix())
lab.wait("collabnix")
lab.watch("collabnix")
lab.dashboard()
lab.kill("collabnix", 2)
lab.wait("collabnix")
lab.recovery("collabnix")
exit
"""
    environment = {**os.environ, "IPYTHONDIR": str(tmp_path), "TERM": "dumb"}
    begin = [sys.executable, "-m", "IPython", "--simple-prompt", "--no-banner", "--colors=NoColor"]
    done = subprocess.run(
        begin, input=told, env=environment, capture_output=True, text=True, timeout=WITHIN
    )
    assert done.stderr == ""
    assert done.stdout.count("Group collabnix: as wanted. 5 of 5 slots filled.") == 2
    assert "after a fault only 3 of 5 slots were filled" in done.stdout
