"""Says in a sentence which step of a notebook was skipped, when a cell uses a name that no cell has
made yet, a plugin that does not run or a group that is not committed.

Only here does the lab look into the notebook that runs: Jupyter tells where it is, and the cell
that makes a name stands under a heading.
"""

from __future__ import annotations

import json
import os
import re
import symtable
from collections.abc import Callable, Iterator
from difflib import get_close_matches
from pathlib import Path
from types import TracebackType
from typing import Any

from ...spi.errors import IkdemoError, PluginNotFound, UnknownGroup
from ...spi.text import visible
from ..host.open_labs import NOTEBOOK

ALL_ABOVE = "Run the cells above this one first: menu Run, Run All Above Selected Cell."
NAMED_IN_A_SPEC = re.compile(r"Failed to find (?:Flavor|Instance) plugin '([^']+)'")


def explain_missing_names() -> None:
    """Let the kernel that this runs in, if it is one, answer a missing name with a sentence instead
    of a traceback.
    """
    try:
        from IPython.core.getipython import get_ipython
    except ModuleNotFoundError:
        return
    shell: Any = get_ipython()
    if shell is not None:
        shell.set_custom_exc((NameError, FileNotFoundError), _show)


def sentence(name: str, known: list[str], cell_source: Callable[[str], str] = str) -> str:
    """Say what to do about a name that is not there; ``cell_source`` turns a cell with magics into
    Python.

    >>> sentence("lba", ["lab", "spec"])
    'There is no `lba`. Did you mean `lab`?'
    """
    step = next((step for step, made in _steps(cell_source) if name in made), None)
    if step is not None:
        return f"There is no `{name}` yet: {step} makes it, and was not run.\n{ALL_ABOVE}"
    near = get_close_matches(name, known, n=1)
    return (
        f"There is no `{name}`. Did you mean `{near[0]}`?"
        if near
        else f"There is no `{name}` yet.\n{ALL_ABOVE}"
    )


def _show(
    shell: Any,
    kind: type[Exception],
    error: Exception,
    trace: TracebackType,
    tb_offset: int | None = None,
) -> None:
    """Show the sentence for a name missing in a cell; every other error is shown as always."""
    name = _missing(error, trace, shell)
    if name:
        said = sentence(
            name, [name for name in shell.user_ns if not name.startswith("_")], shell.transform_cell
        )
        error._render_traceback_ = lambda: [visible(said, keep="\n")]  # type: ignore[attr-defined]  # what IPython asks an error for
    shell.showtraceback((kind, error, trace), tb_offset=tb_offset)


def _missing(error: Exception, trace: TracebackType, shell: Any) -> str:
    """Return the name, or the file of a ``%%writefile``, that a cell is missing; nothing when the
    error lies elsewhere.
    """
    if isinstance(error, FileNotFoundError):
        wanted = str(error.filename)
        # a magic leaves {lab.root} as it is when there is no lab
        if unfilled := re.match(r"\{(\w+)", wanted):
            return unfilled[1] if unfilled[1] not in shell.user_ns else ""
        written = Path(wanted).name
        return written if any(written in made for _, made in _steps(shell.transform_cell)) else ""
    last = trace
    while last.tb_next is not None:
        last = last.tb_next
    in_a_cell = last.tb_frame.f_globals is shell.user_ns
    return (
        error.name or ""
        if isinstance(error, NameError) and not isinstance(error, UnboundLocalError) and in_a_cell
        else ""
    )


def _steps(cell_source: Callable[[str], str]) -> Iterator[tuple[str, set[str]]]:
    """Yield, for each code cell of the notebook that runs here, the step that it is and the names
    that it makes.
    """
    try:
        cells = json.loads(Path(os.environ.get(NOTEBOOK, "")).read_text(encoding="utf-8"))["cells"]
    except (OSError, ValueError, KeyError):
        return  # not started by a Jupyter server, or no notebook
    step, first = "", True
    for cell in cells:
        source = "".join(cell["source"])
        if cell["cell_type"] == "code":
            yield "the first code cell" if first else step, _made(source, cell_source)
            first = False
        elif headings := [
            line.lstrip("# ") for line in source.splitlines() if line.startswith("## ")
        ]:
            step = f"the step “{headings[-1]}”"


def _made(source: str, cell_source: Callable[[str], str] = str) -> set[str]:
    """Return the names that a cell makes, or the name of the file that it writes.

    >>> sorted(_made("import json\\nweb = 1\\ndef ask(what):\\n    answer = what"))
    ['ask', 'json', 'web']
    >>> _made("%%writefile '{lab.root}/zoo.py'\\nanimals = 3")
    {'zoo.py'}
    """
    first = source.partition("\n")[0]
    if first.startswith("%%writefile"):
        return {Path(first.split()[-1].strip("\"'")).name}
    try:
        table = symtable.symtable(cell_source(source), "cell", "exec")
    except SyntaxError:
        return set()
    return {
        symbol.get_name()
        for symbol in table.get_symbols()
        if symbol.is_assigned() or symbol.is_imported()
    }


def name_the_step(error: IkdemoError) -> None:
    """Add to an error what is to be done first, as a note below its sentence.

    >>> missing = PluginNotFound("group")
    >>> name_the_step(missing)
    >>> print(missing, *missing.__notes__, sep="\\n")  # doctest: +NORMALIZE_WHITESPACE
    Plugin not found: group
    Start it first: lab.start(), or lab.start_plugin(..., name='group').
    lab.plugins() says what runs.
    """
    if isinstance(error, PluginNotFound):
        error.add_note(
            f"Start it first: lab.start(), or lab.start_plugin(..., name={error.name!r}). "
            "lab.plugins() says what runs."
        )
    elif missed := NAMED_IN_A_SPEC.match(str(error)):
        error.add_note(
            f"No {missed[1]!r} runs in this lab. Start it first: run the cells above this one "
            "again, from the first one on."
        )
    elif UnknownGroup.is_said_by(error):
        error.add_note("Commit it first: lab.commit(...)")
