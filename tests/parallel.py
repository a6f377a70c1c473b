"""Which tests run in the same worker, and in which order they begin.

A test runs in any worker, but for those that share something expensive: they run in one worker, one
after the other. Registered by ``conftest``; a run in one process (``pytest`` without ``-n``) is not
touched. pytest-xdist's own groups are marks that it hides in the names of tests, which pytest 9.2
ignores: so a scheduler of ours reads the paths.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from xdist.scheduler import LoadScopeScheduling

SHARED = ("tests/browser/", "tests/engine/")
"""Folders whose tests share one JupyterLab, or one Docker engine and one etcd."""
APART = (
    "tests/engine/test_docker_doubt.py",
    "tests/engine/test_docker_reach.py",
    "tests/engine/test_machines.py",
)
"""Files in them whose tests need neither."""
WHOLE = (
    "tests/engine/test_etcd_failover.py",
    "tests/engine/test_manager_failover.py",
    "tests/engine/test_lab_image.py",
    "tests/engine/test_lab_machines.py",
    "tests/engine/test_swarm3.py",
    "tests/ground/test_recovery_page.py",
    "tests/lab/test_chaos_exercise.py",
    "tests/lab/test_chaos_figures.py",
    "tests/lab/test_lab_servers.py",
    "tests/notebooks/test_docker_recorded.py",
    "tests/notebooks/test_exports.py",
)
"""Files whose tests share what takes long to make."""
LONG_FIRST = ("browser", "engine", "notebooks", "simulation", "faults", "property", "ground", "lab")
"""Folders in the order in which they begin: the longest groups and tests, lest one be left at the
end, when the other workers have nothing to do.
"""


def group_of(nodeid: str) -> str:
    """Return what a test shares with others, by its name; its own name if it shares nothing."""
    path = nodeid.partition("::")[0]
    if path in WHOLE or path.endswith(".ipynb"):  # the cells of one kernel
        return path
    if path in APART:
        return nodeid
    return next((folder for folder in SHARED if path.startswith(folder)), nodeid)


class Workers:
    """What every process of a run in parallel has to agree on."""

    def pytest_xdist_make_scheduler(
        self, config: pytest.Config, log: object
    ) -> LoadScopeScheduling:
        """Hand out groups of tests, in the order in which they were collected."""
        from xdist.scheduler import LoadScopeScheduling

        class Groups(LoadScopeScheduling):
            def _split_scope(self, nodeid: str) -> str:
                return group_of(nodeid)

        config.option.loadscopereorder = False
        return Groups(config, log)

    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> None:
        """Let the long ones begin first."""
        if hasattr(config, "workerinput"):
            items.sort(key=rank)


def rank(item: pytest.Item) -> int:
    """Return the place of a test's folder among those that begin first."""
    folder = item.path.parent.name
    return LONG_FIRST.index(folder) if folder in LONG_FIRST else len(LONG_FIRST)
