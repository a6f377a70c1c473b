"""The cells of the notebooks as tests of the same run: nbval collects them, runs each notebook once
from top to bottom in a fresh kernel, and compares what the cells with the tag
``nbval-check-output`` show.

Registered by ``conftest``. By hand, ``pytest --nbval-lax notebooks/`` does the same.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Generator
from pathlib import Path

import pytest


class NotebookCells:
    """Collects cells as ``--nbval-lax`` does, and begins their kernels away from what is a
    person's own.
    """

    def __init__(self, config: pytest.Config) -> None:
        config.option.nbval_lax = not config.option.nbval
        self._own: Path | None = None

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Generator[None, object, object]:
        """Set what a kernel is told, which the setup of its first cell begins."""
        if item.path.suffix != ".ipynb":
            return (yield)
        self._own = self._own or Path(tempfile.mkdtemp(prefix="ik-jupyter-"))
        with pytest.MonkeyPatch.context() as patch:
            # with an engine, the notebook about Docker is run by the tests of containers
            patch.setenv("DOCKER_HOST", f"unix://{self._own}/no-engine.sock")
            for name in ("JUPYTER_RUNTIME_DIR", "IPYTHONDIR"):
                patch.setenv(name, str(self._own / name))
            return (yield)

    def pytest_sessionfinish(self) -> None:
        if self._own:
            shutil.rmtree(self._own, ignore_errors=True)
