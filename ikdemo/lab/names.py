"""Says in a sentence which step of a notebook was skipped, when a cell uses a name that no cell has made yet.

Only here does the lab look into the notebook that runs: Jupyter tells where it is, and the cell that makes a name stands under a
heading. Called by ``Lab.fresh`` and by the kernels of ``ikdemo lab``.
"""

from __future__ import annotations

import json
import os
import symtable
from collections.abc import Callable, Iterator
from difflib import get_close_matches
from pathlib import Path
from types import TracebackType
from typing import Any

NOTEBOOK = "JPY_SESSION_NAME"
"""The environment variable in which Jupyter tells a kernel the path of its notebook."""
ALL_ABOVE = "Run the cells above this one first: menu Run, Run All Above Selected Cell."


def explain_missing_names() -> None:
    """Let the kernel that this runs in, if it is one, answer a missing name with a sentence instead of a traceback."""
    try:
        from IPython.core.getipython import get_ipython
    except ModuleNotFoundError:
        return
    shell: Any = get_ipython()
    if shell is not None:
        shell.set_custom_exc((NameError,), _show)


def sentence(name: str, known: list[str], cell_source: Callable[[str], str] = str) -> str:
    """Say what to do about a name that is not there; ``cell_source`` turns a cell with magics into Python.

    >>> sentence("lba", ["lab", "spec"])
    'There is no `lba`. Did you mean `lab`?'
    """
    step = next((heading for heading, made in _steps(cell_source) if name in made), None)
    if step is not None:
        return f"There is no `{name}` yet: the step “{step}” makes it, and it was not run. {ALL_ABOVE}"
    near = get_close_matches(name, known, n=1)
    return f"There is no `{name}`. Did you mean `{near[0]}`?" if near else f"There is no `{name}` yet. {ALL_ABOVE}"


def _show(shell: Any, kind: type[NameError], error: NameError, trace: TracebackType, tb_offset: int | None = None) -> None:
    """Show the sentence for a name missing in a cell; whatever else is missing a name is shown as always."""
    last = trace
    while last.tb_next is not None:
        last = last.tb_next
    if error.name and last.tb_frame.f_globals is shell.user_ns and not isinstance(error, UnboundLocalError):
        said = sentence(error.name, [name for name in shell.user_ns if not name.startswith("_")], shell.transform_cell)
        error._render_traceback_ = lambda: [said]  # type: ignore[attr-defined]  # what IPython asks an error for
    shell.showtraceback((kind, error, trace), tb_offset=tb_offset)


def _steps(cell_source: Callable[[str], str]) -> Iterator[tuple[str, set[str]]]:
    """Yield, for each code cell of the notebook that runs here, the heading it stands under and the names it makes."""
    try:
        cells = json.loads(Path(os.environ.get(NOTEBOOK, "")).read_text(encoding="utf-8"))["cells"]
    except (OSError, ValueError, KeyError):
        return  # not started by a Jupyter server, or no notebook
    heading = "the first cell"
    for cell in cells:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            lines = [line.lstrip("# ") for line in source.splitlines() if line.startswith("#")]
            heading = lines[-1] if lines else heading
        elif cell["cell_type"] == "code":
            yield heading, _made(cell_source(source))


def _made(source: str) -> set[str]:
    """Return the names that a cell makes.

    >>> sorted(_made("import json\\nweb = 1\\ndef ask(what):\\n    answer = what"))
    ['ask', 'json', 'web']
    """
    try:
        table = symtable.symtable(source, "cell", "exec")
    except SyntaxError:
        return set()
    return {symbol.get_name() for symbol in table.get_symbols() if symbol.is_assigned() or symbol.is_imported()}
