"""JupyterLab with our desk laid in it: what ``ikdemo lab`` becomes, run as ``python -m ikdemo.cli.jupyter``.

A program of its own: importing JupyterLab takes a second or two, which is paid once here and by no other verb.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

from ..assembly import ending_signals

DESK = Path(__file__).parents[1] / "desk"
WORKSPACE = "ikdemo"
"""The name under which JupyterLab keeps the layout; its address is ``/lab/workspaces/ikdemo``."""


def main() -> None:
    """Put the layout of ``desk/workspace.json`` in the place of the last session's, then serve until ended."""
    from jupyterlab import labapp
    from jupyterlab.commands import get_workspaces_dir
    from jupyterlab_server.workspaces_handler import WorkspacesManager

    layout = (DESK / "workspace.json").read_text(encoding="utf-8")
    if signal.SIGHUP in ending_signals():
        signal.signal(signal.SIGHUP, lambda *_: os.kill(os.getpid(), signal.SIGTERM))  # which JupyterLab takes for an orderly end
    WorkspacesManager(get_workspaces_dir()).save(WORKSPACE, layout)
    labapp.main()


if __name__ == "__main__":
    main()
