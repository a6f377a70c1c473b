"""What holds for every run of pytest, whatever it is given: notebooks that are run by hand are
compared as the tests do it, and boot no machines unless IKDEMO_MACHINES is set.

``pytest --nbval-lax notebooks/`` needs no further word.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest


def pytest_configure(config: pytest.Config) -> None:
    """Put aside what differs from run to run (IDs, times, places), unless another file is named for
    it.
    """
    os.environ.setdefault("IKDEMO_MACHINES", "no")  # tests of machines boot their own
    if getattr(config.option, "nbval_sanitize_with", "no nbval") is None:
        config.option.nbval_sanitize_with = str(
            Path(__file__).parent / "tests" / "notebooks" / "sanitize.cfg"
        )


def pytest_collectstart(collector: pytest.Collector) -> None:
    """Let nbval pass over what only our extension of JupyterLab reads: the moment at which a view
    was shown.
    """
    if hasattr(collector, "skip_compare"):
        collector.skip_compare = (*collector.skip_compare, "application/vnd.ikdemo.stage+json")
