"""The learner's way through the notebooks: what is checked is noted, and Run All ends at an
exercise that is not done yet.

Only here does the lab look at what a cell has shown.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

from ...instance import procfs
from ...spi.errors import IkdemoError
from ...spi.text import visible
from ..host.open_labs import NOTEBOOK
from ..show.tables import Table
from .check import Check

PROGRESS = "progress.jsonl"
"""In the learner's copy, beside the folder of the notebooks: a line for each notebook's part that
was found good.
"""
WORK, EXERCISE = "work", "exercise"
NOT_DONE = (
    "The exercise is not done yet, so Run All ends here and leaves the lab to you. Run "
    "this cell again when it is."
)
ELSEWHERE = (
    "Nothing is noted here. What you check is noted in the copy of the notebooks that "
    "ikdemo lab opens."
)


class NotDone(Exception):
    """What a cell ends with, as far as the front end is told: it runs none of those below, and
    shows no error.
    """


class Noted:
    """What was noted, and the notebook that comes next, as a sentence and as a link."""

    def __init__(self, sentence: str, following: str = "") -> None:
        self._sentence, self._following = sentence, following

    def __repr__(self) -> str:
        return visible(
            f"{self._sentence} Next: {self._following}" if self._following else self._sentence
        )

    def _repr_html_(self) -> str:
        name = escape(visible(self._following))
        following = f' Next: <a href="{name}.ipynb">{name}</a>' if self._following else ""
        return f"<p>{escape(visible(self._sentence))}{following}</p>"


def follow_checks() -> None:
    """From now on, look at each check that a cell of this kernel shows; without a person at a
    Jupyter server, do nothing.

    nbclient, papermill, nbconvert and nbval begin kernels themselves: there every cell is run.
    """
    if not _is_begun_by_a_server():
        return
    from IPython.core.getipython import get_ipython

    shell: Any = get_ipython()
    if shell is not None and _after_a_cell not in shell.events.callbacks["post_run_cell"]:
        shell.events.register("post_run_cell", _after_a_cell)


def progress() -> Table:
    """Return the map of the notebooks: of which was the work checked, of which was the exercise
    solved.
    """
    file = _file()
    noted = set(_noted(file)) if file is not None else set()
    names = _names() if file is not None else []
    rows = [
        (name, *("yes" if (name, part) in noted else "not yet" for part in (WORK, EXERCISE)))
        for name in names
    ]
    return Table(["notebook", "work checked", "exercise solved"], rows, empty=ELSEWHERE)


def _is_begun_by_a_server() -> bool:
    """Say whether a Jupyter server named the notebook to this kernel, and not to a process that
    begun it.
    """
    try:
        return NOTEBOOK in os.environ and os.fsencode(NOTEBOOK) not in procfs.environment(
            os.getppid()
        )
    except IkdemoError:
        return False


def _after_a_cell(result: Any) -> None:
    """Note a check that is good; let one of an exercise that is not be the end of Run All."""
    check = result.result
    if not isinstance(check, Check):
        return
    if check.good:
        said = _note(EXERCISE if check.exercise else WORK)
    elif check.exercise:
        said = Noted(NOT_DONE)
        # the kernel answers "error", so nothing that was queued is run
        result.error_in_exec = NotDone(NOT_DONE)
    else:
        return
    if said is not None:
        from IPython.display import display

        display(said)  # type: ignore[no-untyped-call]


def _note(part: str) -> Noted | None:
    """Note that a part of this notebook was found good; return what there is to say, None when it
    was said before.
    """
    file, name, names = _file(), Path(os.environ[NOTEBOOK]).stem, _names()
    if file is None or name not in names:
        return None
    following = next(iter(names[names.index(name) + 1 :]), "")
    before = (name, part) in _noted(file)
    if not before:
        line = json.dumps(
            {
                "notebook": name,
                "part": part,
                "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            }
        )
        try:
            with file.open("a", encoding="utf-8") as stream:
                stream.write(line + "\n")
        except OSError as error:
            return Noted(
                f"Good, but it could not be noted in {file.name}: "
                f"{(error.strerror or str(error)).lower()}."
            )
    if part == EXERCISE:
        return Noted(f"Noted on your map: the exercise of {name} is solved.", following)
    return None if before else Noted(f"Noted on your map: the work in {name} is checked.")


def _noted(file: Path) -> Iterator[tuple[str, str]]:
    """Yield the name and part of each line that can be read."""
    try:
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return
    for line in lines:
        try:
            told = json.loads(line)
            yield str(told["notebook"]), str(told["part"])
        except (ValueError, TypeError, KeyError):
            continue  # half a line, from a disk that was full


def _file() -> Path | None:
    """Return where to note, None when the notebook that runs here is in no learner's copy."""
    told = os.environ.get(NOTEBOOK, "")
    file = Path(told).parent.parent / PROGRESS
    return file if told and file.is_file() else None


def _names() -> list[str]:
    """Return the notebooks of the course that are beside this one, in order."""
    return sorted(
        path.stem for path in Path(os.environ[NOTEBOOK]).parent.glob("[0-9][0-9]-*.ipynb")
    )
