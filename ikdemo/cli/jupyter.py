"""JupyterLab with our desk laid in it: what ``ikdemo lab`` becomes, run as ``python -m
ikdemo.cli.jupyter``.

A program of its own: importing JupyterLab takes a second or two, which is paid once here and by no
other verb.
"""

from __future__ import annotations

import json
import os
import signal
import urllib.request
from pathlib import Path

from ..assembly import ending_signals

DESK = Path(__file__).parents[1] / "desk"
WORKSPACE = "ikdemo"
"""The name under which JupyterLab keeps the layout; its address is ``/lab/workspaces/ikdemo``."""
ANSWER_WITHIN = 2.0
"""Seconds that a server has to answer that is said to run."""


def main() -> None:
    """Put the layout of ``desk/workspace.json`` in the place of the last session's, then serve
    until ended.

    A second server on the same folder is not started: two of them would write the same notebooks.
    """
    from jupyter_server.serverapp import list_running_servers
    from jupyterlab import labapp
    from jupyterlab.commands import get_workspaces_dir
    from jupyterlab_server.workspaces_handler import WorkspacesManager

    for server in list_running_servers():
        if Path(server["root_dir"]) == Path.cwd() and _answers(server["url"]):
            print(
                "This copy is open already: "
                f"{server['url']}lab/workspaces/{WORKSPACE}?token={server['token']}"
            )
            return
    layout = (DESK / "workspace.json").read_text(encoding="utf-8")
    if signal.SIGHUP in ending_signals():
        # which JupyterLab takes for an orderly end
        signal.signal(signal.SIGHUP, lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    WorkspacesManager(get_workspaces_dir()).save(WORKSPACE, layout)
    labapp.main()


def _answers(url: str) -> bool:
    """Say whether a Jupyter server is there: what one that was killed left behind may name the
    process of another program.
    """
    try:
        with urllib.request.urlopen(f"{url}api", timeout=ANSWER_WITHIN) as answer:
            return "version" in json.load(answer)
    except (OSError, ValueError):
        return False


if __name__ == "__main__":
    main()
