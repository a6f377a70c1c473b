"""The learner's working copy of the notebooks: where it is, what is delivered into it, and what is
left as it is.

A notebook is delivered without outputs, with the metadata that JupyterLab would give it (so it is
not dirty when it opens), and with a fingerprint of its cells. While its cells are those that were
delivered, a newer one takes its place; once a learner has typed in it, it stays. JupyterLab's
File menu resets a single notebook from ``recorded``.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from pathlib import Path
from typing import Any

from .. import disk
from ..lab.teaching.progress import PROGRESS
from ..spi.errors import IkdemoError

VARIABLE = "IKDEMO_DESK"
"""The environment variable that names another folder than ``~/ikdemo-desk``."""
NOTEBOOKS, RECORDED, BACKUPS, EXAMPLES = "notebooks", "recorded", "backups", "examples"
BANNER = "recorded"
"""The ID of the cell that a recorded notebook begins with."""

LINK = re.compile(r"\]\((\d\d-[\w-]+\.ipynb[#)])")
"""A link from one notebook to another, up to its end or its anchor."""

Notebook = dict[str, Any]


def folder() -> Path:
    """Return where the working copy is; raises IkdemoError when no folder is named and there is no
    home directory.
    """
    try:
        return Path(os.path.abspath(Path(os.environ.get(VARIABLE) or "~/ikdemo-desk").expanduser()))  # noqa: PTH100  links stay
    except RuntimeError:
        raise IkdemoError(
            f"There is no home to keep the notebooks in. Name a folder: {VARIABLE}=/some/folder"
        ) from None


def deliver(shipped: Path, desk: Path) -> list[str]:
    """Bring the working copy up to date with the notebooks and examples in ``shipped``.

    Return a sentence for what stays as it is although this version ships another. Killed half-way,
    each file is whole or as it was. Raises IkdemoError when the folder cannot be written.
    """
    try:
        for name in (NOTEBOOKS, RECORDED, BACKUPS, EXAMPLES):
            (desk / name).mkdir(parents=True, exist_ok=True)
            with disk.opened(desk / name) as descriptor:
                disk.check_writable(descriptor)
        if not (desk / PROGRESS).exists():
            disk.write_atomic(desk, PROGRESS, b"")
        kept = [
            path.stem
            for path in sorted((shipped / NOTEBOOKS).glob("*.ipynb"))
            if not _deliver_notebook(path, desk)
        ]
        other = [
            path.name
            for path in sorted((shipped / EXAMPLES).glob("*.*"))
            if not _deliver_example(path, desk)
        ]
    except (OSError, IkdemoError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        advice = f"Make room or name another folder: {VARIABLE}=/some/folder"
        raise IkdemoError(
            f"The notebooks cannot be kept in {disk.shown(desk)} ({why}). {advice}"
        ) from None
    return [sentence for sentence in (_of_notebooks(kept), _of_examples(other)) if sentence]


def _of_notebooks(kept: list[str]) -> str:
    if not kept:
        return ""
    advice = "In JupyterLab, File, Reset This Notebook brings the new one"
    return f"Changed by you, and not from this version: {', '.join(kept)}. {advice}"


def _of_examples(other: list[str]) -> str:
    return (
        f"Not as this version ships it: {', '.join(other)}. Delete it, and the next start "
        "brings it anew"
        if other
        else ""
    )


def _deliver_notebook(path: Path, desk: Path) -> bool:
    """Deliver one notebook, and beside it what was recorded; say whether the working copy is of
    this version now.
    """
    data = path.read_bytes()
    shipped: Notebook = json.loads(data)
    told = {"cells": fingerprint(shipped), "file": hashlib.sha256(data).hexdigest()[:16]}
    recorded = desk / RECORDED / f"{path.stem}-recorded.ipynb"
    there = _read(recorded)
    if there is None or _told(there) != told:
        if there is not None and _is_typed_in(there):
            _back_up(recorded, desk)
        _write(recorded, _recorded(shipped, path.name), told)
    mine = _read(desk / NOTEBOOKS / path.name)
    if mine is None or (_told(mine).get("cells") != told["cells"] and not _is_typed_in(mine)):
        _write(desk / NOTEBOOKS / path.name, _cleared(shipped), told)
        return True
    return told["cells"] in (_told(mine).get("cells"), fingerprint(mine))


def _deliver_example(path: Path, desk: Path) -> bool:
    """Deliver a file that is not there; say whether the one that is there now is that of this
    version.
    """
    data, target = path.read_bytes(), desk / EXAMPLES / path.name
    if not target.exists():
        disk.write_atomic(target.parent, target.name, data)
    return target.read_bytes() == data


def fingerprint(notebook: Notebook) -> str:
    """Return what tells the cells of one notebook from those of another: their kinds and sources,
    not their outputs.

    Recorded or not makes no difference.

    >>> fingerprint({"cells": [{"cell_type": "code", "source": ["1\\n", "2"], "outputs": []}]})
    '0a1b61647a57acb3'
    >>> fingerprint({"cells": [{"cell_type": "code", "source": "1\\n2", "id": "other"}]})
    '0a1b61647a57acb3'
    """
    cells = [cell for cell in notebook.get("cells", ()) if cell.get("id") != BANNER]
    said = json.dumps([[cell.get("cell_type"), "".join(cell.get("source", ""))] for cell in cells])
    return hashlib.sha256(said.replace(f"](../{NOTEBOOKS}/", "](").encode()).hexdigest()[:16]


def _told(notebook: Notebook) -> dict[str, str]:
    """Return what was told of a notebook when it was delivered; nothing of one that did not come
    from here.
    """
    told = notebook.get("metadata", {}).get("ikdemo", {})
    return told if isinstance(told, dict) else {}


def _is_typed_in(notebook: Notebook) -> bool:
    return _told(notebook).get("cells") != fingerprint(notebook)


def _read(path: Path) -> Notebook | None:
    """Return a notebook, None when there is none; what cannot be read as one has no cells, and was
    not delivered.
    """
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError:
        found = {}
    return found if isinstance(found, dict) else {}


def _write(path: Path, notebook: Notebook, told: dict[str, str]) -> None:
    notebook["metadata"] = {**_metadata(), "ikdemo": told}
    text = json.dumps(notebook, indent=1, ensure_ascii=False, sort_keys=True) + "\n"
    mode = 0o444 if path.parent.name == RECORDED else 0o644
    disk.write_atomic(path.parent, path.name, text.encode(), mode=mode)


def _metadata() -> Notebook:
    """Return what JupyterLab writes into a notebook once its kernel runs: with it, opening the
    notebook changes nothing.
    """
    # these two take most of a second, and only a delivery needs them
    from ipykernel.ipkernel import IPythonKernel
    from jupyter_client.kernelspec import KernelSpecManager

    kernel = KernelSpecManager().get_kernel_spec("python3")
    spec = {"name": "python3", "display_name": kernel.display_name, "language": kernel.language}
    return {"kernelspec": spec, "language_info": IPythonKernel.language_info}


def _cleared(notebook: Notebook) -> Notebook:
    """Return a notebook without outputs: what another machine measured is not the learner's."""
    empty: Notebook = {"outputs": [], "execution_count": None}
    return {
        **notebook,
        "cells": [
            cell | empty if cell["cell_type"] == "code" else cell for cell in notebook["cells"]
        ],
    }


def _recorded(notebook: Notebook, name: str) -> Notebook:
    """Return a notebook with its outputs, and a first cell that says whose they are; its links lead
    to the learner's own.
    """
    said = (
        "**Recorded.** What you see here was measured on another machine. Your own copy is "
        f"[{name}](../{NOTEBOOKS}/{name})."
    )
    banner = {"cell_type": "markdown", "id": BANNER, "metadata": {}, "source": said}
    linked = [
        cell | {"source": LINK.sub(rf"](../{NOTEBOOKS}/\1", "".join(cell["source"]))}
        for cell in notebook["cells"]
    ]
    return {**notebook, "cells": [banner, *linked]}


def _back_up(path: Path, desk: Path) -> None:
    """Move a file into the backups, under a name that is free there."""
    number = 0
    while (
        to := desk / BACKUPS / (f"{path.stem}-{number}{path.suffix}" if number else path.name)
    ).exists():
        number += 1
    path.rename(to)
