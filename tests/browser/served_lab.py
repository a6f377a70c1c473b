"""JupyterLab as ``make lab`` starts it: on a free port, with the learner's copy and Jupyter's
directories in one place.

What lives only here: how the server is started, asked and ended. Used by the fixtures of the
browser tests.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from asking import until

ROOT = Path(__file__).parents[2]
DIRECTORIES = {
    "JUPYTER_CONFIG_DIR": "config",
    "JUPYTER_DATA_DIR": "data",
    "JUPYTER_RUNTIME_DIR": "runtime",
    "JUPYTERLAB_SETTINGS_DIR": "settings",
    "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
    "IPYTHONDIR": "ipython",
}
OPENED_BY_THE_TEST = (
    "--no-browser",
    "--ServerApp.port=0",
    "--LabApp.expose_app_in_browser=True",
    # Notebook 7, which the same server has where it is installed
    "--JupyterNotebookApp.expose_app_in_browser=True",
)


class ServedLab:
    """One running JupyterLab. ``desk`` is the folder it shows; its notebooks may be changed without
    harm.

    ``configured``: what a person's own configuration of Jupyter says.
    """

    def __init__(self, folder: Path, configured: str = "") -> None:
        self.desk, self._settings = folder / "desk", folder / "settings"
        places = {name: str(folder / place) for name, place in DIRECTORIES.items()} | {
            "IKDEMO_DESK": str(self.desk)
        }
        (folder / "config").mkdir()
        (folder / "config/jupyter_server_config.py").write_text(configured)
        self.command = [sys.executable, "-m", "ikdemo", "lab", "--", *OPENED_BY_THE_TEST]
        self.environment = os.environ | places
        self._log = folder / "log"
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                self.command, env=self.environment, stdout=log, stderr=log
            )
        runtime = folder / "runtime"
        until(
            lambda: self._ended() or list(runtime.glob("jpserver-*-open.html")),
            100,
            self._log.read_text,
        )
        assert not self._ended(), self._log.read_text()
        told = json.loads((runtime / f"jpserver-{self._process.pid}.json").read_text())
        self.url, self.token = told["url"], told["token"]
        self.door = (runtime / f"jpserver-{self._process.pid}-open.html").as_uri()
        """The address that ``make lab`` hands to the browser."""
        until(self._answers, 100, self._log.read_text)
        self._delivered = {
            path: path.read_bytes() for path in (self.desk / "notebooks").glob("*.ipynb")
        }

    def address(self, notebook: str) -> str:
        """Say where a notebook is opened alone, without what was open before."""
        return f"{self.url}lab/tree/{notebook}?reset&token={self.token}"

    def write(self, notebook: str, cells: Sequence[str]) -> None:
        """Put a notebook of code cells on the desk."""
        metadata = {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}
        }
        empty = {"cell_type": "code", "metadata": {}, "execution_count": None, "outputs": []}
        written = [
            {**empty, "id": f"cell-{number}", "source": source}
            for number, source in enumerate(cells)
        ]
        document = {"cells": written, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
        (self.desk / notebook).write_text(json.dumps(document))

    def sessions(self) -> list[dict[str, Any]]:
        """Return what the server says of the notebooks that have a kernel."""
        found: list[dict[str, Any]] = self._ask("GET", "api/sessions")
        return found

    def said(self) -> str:
        """Return what the server has printed."""
        return self._log.read_text()

    def holds(self, path: str) -> bool:
        """Say whether a file is below the root that the server shows."""
        try:
            return bool(self._ask("GET", f"api/contents/{path}?content=0")["path"] == path)
        except urllib.error.HTTPError as error:
            error.close()
            return False

    def end_sessions(self) -> None:
        """End every kernel and every terminal."""
        for session in self.sessions():
            self._ask("DELETE", f"api/sessions/{session['id']}")
        for terminal in self._ask("GET", "api/terminals"):
            self._ask("DELETE", f"api/terminals/{terminal['name']}")

    def deliver_again(self) -> None:
        """Bring every notebook back as it was delivered."""
        for path, delivered in self._delivered.items():
            if path.read_bytes() != delivered:
                path.write_bytes(delivered)

    def forget_settings(self) -> None:
        """Forget what was changed, such as the theme."""
        shutil.rmtree(self._settings, ignore_errors=True)

    def close(self) -> None:
        """End the server as Control-C in its terminal would, with its kernels."""
        self._process.terminate()
        try:
            self._process.wait(100)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _ended(self) -> bool:
        return self._process.poll() is not None

    def _answers(self) -> bool:
        try:
            return "version" in self._ask("GET", "api")
        except OSError:
            return False

    def _ask(self, verb: str, path: str) -> Any:
        question = urllib.request.Request(
            self.url + path, method=verb, headers={"Authorization": f"token {self.token}"}
        )
        with urllib.request.urlopen(question, timeout=100) as reply:
            return json.loads(reply.read() or "null")
