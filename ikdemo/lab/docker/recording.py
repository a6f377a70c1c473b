"""What the cells of a notebook showed where a Docker engine answered, kept for where none does.

A cell whose first line is ``# engine: NAME`` is not run there: what was recorded under that name is
shown in its place, and says when and on what it was recorded. Recordings are
written by ``tests/notebooks/record.py``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

from ...reconcile.analysis.partition import Fact, PartitionRecord, Sample
from ...spi.errors import IkdemoError
from ..show.partition_report import Partition
from ..show.tables import visible_html

RECORDINGS = Path(__file__).with_name("recordings")
_FIRST_LINE = re.compile(r"# engine: (.+?)\s*")
_NAME = "_recorded"
"""What the cells call in place of what they say; a name of the notebook, so that it works after a
reset as well.
"""


class Recording:
    """One recorded run of a notebook. ``label`` says when it was and on what, ``by`` who made
    it.
    """

    def __init__(self, notebook: str) -> None:
        told = json.loads((RECORDINGS / f"{notebook}.json").read_text(encoding="utf-8"))
        self.label = _label(told)
        self.by: str = told["by"]
        self._cells: dict[str, list[dict[str, str]]] = told["cells"]

    def find(self, cell: str, mime: str) -> str:
        """Return what a cell showed of one kind, such as ``text/plain``; raises IkdemoError when
        there is none.
        """
        for shown in self._cells.get(cell, []):
            if mime in shown:
                return shown[mime]
        raise IkdemoError(f"Nothing was recorded for {cell!r}")

    def show(self, cell: str) -> None:
        """Show what a cell showed, below a line that says that it is recorded."""
        from IPython import display

        if cell not in self._cells:
            raise IkdemoError(
                f"This cell needs a Docker engine, and nothing was recorded for {cell!r}"
            )
        said = f"Not live: {self.label}."
        publish: Any = display.publish_display_data
        publish({"text/plain": said, "text/html": f"<p><em>{visible_html(said)}</em></p>"})
        for shown in self._cells[cell]:
            publish(shown)

    def stand_in(self) -> None:
        """From now on, show what was recorded in place of running a marked cell; outside of a
        notebook nothing happens.
        """
        if (shell := _shell()) is not None:
            shell.user_ns[_NAME] = self.show
            if _instead not in shell.input_transformers_cleanup:
                shell.input_transformers_cleanup.append(_instead)


def recorded_partition() -> Partition:
    """Return the partition that was recorded with three engines, of which one was cut off for 16 s;
    it says that it is recorded.
    """
    told = json.loads((RECORDINGS / "08-partition.json").read_text(encoding="utf-8"))
    record = PartitionRecord(
        told["counted"],
        [Sample(*sample) for sample in told["samples"]],
        [Fact(*fact) for fact in told["facts"]],
    )
    return Partition(record, _label(told))


def _label(told: dict[str, Any]) -> str:
    """Say when something was recorded and on what."""
    return f"recorded on {say_day(told['date'])} with Docker {told['engine']} on {told['machine']}"


def say_day(iso: str) -> str:
    """Say a day.

    >>> say_day("2026-03-01")
    '1 March 2026'
    """
    day = date.fromisoformat(iso)
    return f"{day.day} {day:%B %Y}"


def step_aside() -> None:
    """From now on, let marked cells run as they are."""
    shell = _shell()
    if shell is not None and _instead in shell.input_transformers_cleanup:
        shell.input_transformers_cleanup.remove(_instead)


def _instead(lines: list[str]) -> list[str]:
    """Put the recording in place of a marked cell.

    >>> _instead(["# engine: kill\\n", "lab.kill('web')\\n"]), _instead(["lab.kill('web')\\n"])
    (["_recorded('kill')\\n"], ["lab.kill('web')\\n"])
    """
    marked = _FIRST_LINE.fullmatch(lines[0].strip()) if lines else None
    return lines if marked is None else [f"{_NAME}({marked[1]!r})\n"]


def marked_cells(cells: Sequence[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the cells of a notebook that need an engine, by the names under which they are
    recorded.
    """
    first = {
        id(cell): _FIRST_LINE.fullmatch("".join(cell["source"]).partition("\n")[0])
        for cell in cells
    }
    return {found[1]: cell for cell in cells if (found := first[id(cell)]) is not None}


def _shell() -> Any:
    try:
        from IPython.core.getipython import get_ipython
    except ModuleNotFoundError:
        return None
    return get_ipython()
