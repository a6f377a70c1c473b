"""Writes every link to Binder from one address: run ``python binder/links.py`` after changing it or adding a notebook.

Writes ``docs/binder.md`` wholly, and in ``README.md`` the address behind the badge. A test says when that was forgotten.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

REPOSITORY = "OWNER/REPOSITORY"
"""The only place that names the owner and the repository on GitHub: the links lead somewhere once it is set."""
ROOT = Path(__file__).parents[1]
DESK = "lab/workspaces/ikdemo"
INTRODUCTION = """\
# In your browser, with nothing installed

<!-- Written by `python binder/links.py`, which holds the address of the repository. -->

Each link starts a machine of your own on [Binder](https://mybinder.org) and opens there what it names. The first start of a new
version builds that machine, which takes a while. Nothing you do there is kept: to keep a notebook, download it (File, Download).
There is no Docker engine, so the Docker notebooks show what was recorded.

| open | what it is |
|---|---|
"""


def link(place: str) -> str:
    """Return the address that starts Binder and then opens ``place``."""
    return f"https://mybinder.org/v2/gh/{REPOSITORY}/HEAD?urlpath={place}"


def title(notebook: Path) -> str:
    """Return the headline of a notebook."""
    first = json.loads(notebook.read_text(encoding="utf-8"))["cells"][0]
    return "".join(first["source"]).partition("\n")[0].removeprefix("# ")


def page() -> str:
    """Return ``docs/binder.md``: the desk and every notebook, one link each."""
    rows = [f"| [The desk]({link(DESK)}) | notebook 00 beside two terminals |"]
    for notebook in sorted((ROOT / "notebooks").glob("*.ipynb")):
        rows.append(f"| [{title(notebook)}]({link(f'lab/tree/notebooks/{notebook.name}')}) | `{notebook.name}` |")
    return INTRODUCTION + "\n".join(rows) + "\n"


def readme() -> str:
    """Return ``README.md`` with the address behind its badge."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    return re.sub(r"^\[binder\]: .*$", f"[binder]: {link(DESK)}", text, flags=re.MULTILINE)


if __name__ == "__main__":
    (ROOT / "docs/binder.md").write_text(page(), encoding="utf-8")
    (ROOT / "README.md").write_text(readme(), encoding="utf-8")
