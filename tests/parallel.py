"""Which tests run in the same worker, in which order they begin, and how many workers there are.

A test runs in any worker, unless it has the mark ``xdist_group``: those of one group run in one
worker, one after the other, and share what is expensive. Registered by ``conftest``; what holds for
one process only (``pytest`` without ``-n``) is not touched.
"""

from __future__ import annotations

import os

import pytest

SHARED = ("browser", "engine")
"""Folders whose tests share one JupyterLab, or one Docker engine."""
LONG_FIRST = ("browser", "engine", "notebooks", "simulation", "faults", "property", "ground", "lab")
"""Folders in the order in which they begin: the longest groups and tests, lest one be left at the
end, when the other workers have nothing to do.
"""
FEWEST = 2
"""Workers: much of a test's time is waiting for processes, on a single core too."""


class Workers:
    """What every process of a run in parallel has to agree on."""

    def pytest_xdist_auto_num_workers(self) -> int:
        """Say how many workers ``-n auto`` starts."""
        return max(FEWEST, len(os.sched_getaffinity(0)))

    @pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the marks
    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> None:
        """Keep together what shares something, and let the long ones begin first."""
        if not hasattr(config, "workerinput"):
            return
        for item in items:
            if item.path.parent.name in SHARED and item.get_closest_marker("xdist_group") is None:
                item.add_marker(pytest.mark.xdist_group(item.path.parent.name))
        items.sort(key=rank)


def rank(item: pytest.Item) -> int:
    """Return the place of a test's folder among those that begin first."""
    folder = item.path.parent.name
    return LONG_FIRST.index(folder) if folder in LONG_FIRST else len(LONG_FIRST)
