"""Writes what depends on the repository's address: run ``python binder/links.py`` after changing it
or adding a notebook.

Writes ``docs/binder.md`` wholly, and in ``README.md`` what stands between the comments ``badge``
and ``clone``. While the address is not known there is no badge and no link, for they would lead
nowhere. A test says when this program was not run.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

REPOSITORY = ""
"""``OWNER/NAME`` on GitHub; empty while it is not known. The only place that names it."""
ROOT = Path(__file__).parents[1]
DESK = "lab/workspaces/ikdemo"
INTRODUCTION = """\
# In your browser, with nothing installed

<!-- Written by `python binder/links.py`, which holds the address of the repository. -->

"""
THERE = """\
Each link starts a machine of your own on [Binder](https://mybinder.org) and opens there what it \
names. The first start of a new
version builds that machine, which takes a while. Nothing you do there is kept: to keep a \
notebook, download it (File, Download).
There is no Docker engine, so the Docker notebooks show what was recorded.

| open | what it is |
|---|---|
"""
NOT_YET = """\
Everything is prepared for [Binder](https://mybinder.org), which builds a machine of your own \
from a public repository and opens a
notebook there. This repository has no public address yet, so there are no links. Once it has \
one, write it into
[`binder/links.py`](../binder/links.py) and run that program: then each notebook has its link \
here, and the front page a badge.
"""


def link(repository: str, place: str) -> str:
    """Return the address that starts Binder and then opens ``place``."""
    return f"https://mybinder.org/v2/gh/{repository}/HEAD?urlpath={place}"


def title(notebook: Path) -> str:
    """Return the headline of a notebook."""
    first = json.loads(notebook.read_text(encoding="utf-8"))["cells"][0]
    return "".join(first["source"]).partition("\n")[0].removeprefix("# ")


def page(repository: str) -> str:
    """Return ``docs/binder.md``: the desk and every notebook, one link each."""
    if not repository:
        return INTRODUCTION + NOT_YET
    rows = [f"| [The desk]({link(repository, DESK)}) | notebook 00 beside two terminals |"]
    for notebook in sorted((ROOT / "notebooks").glob("*.ipynb")):
        place = link(repository, f"lab/tree/notebooks/{notebook.name}")
        rows.append(f"| [{title(notebook)}]({place}) | `{notebook.name}` |")
    return INTRODUCTION + THERE + "\n".join(rows) + "\n"


def badge(repository: str) -> str:
    """Return the line of the badge; nothing while it would lead nowhere."""
    return (
        f"[![Open in Binder](https://mybinder.org/badge_logo.svg)]({link(repository, DESK)})\n"
        if repository
        else ""
    )


def clone(repository: str) -> str:
    """Return the lines that fetch the repository and enter it."""
    if repository:
        return f"    git clone https://github.com/{repository}.git ikdemo\n    cd ikdemo\n"
    return "    git clone ADDRESS ikdemo      # ADDRESS: where you found this page\n    cd ikdemo\n"


def readme(text: str, repository: str) -> str:
    """Return the text of ``README.md`` with its badge and its way to clone."""
    for mark, written in (("badge", badge(repository)), ("clone", clone(repository))):
        between = re.compile(rf"(<!-- {mark}: .*? -->\n).*?(<!-- end of {mark} -->)", re.DOTALL)
        inside = f"\n{written}\n" if written else ""
        text, times = between.subn(
            lambda found, inside=inside: f"{found[1]}{inside}{found[2]}", text
        )
        if times != 1:
            raise SystemExit(f"README.md has {times} places for {mark}")
    return text


if __name__ == "__main__":
    front = ROOT / "README.md"
    (ROOT / "docs/binder.md").write_text(page(REPOSITORY), encoding="utf-8")
    front.write_text(readme(front.read_text(encoding="utf-8"), REPOSITORY), encoding="utf-8")
