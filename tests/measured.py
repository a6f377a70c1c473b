"""Which share of the package the tests of its units execute: measured when IKDEMO_COVERAGE is set,
as in CI, and printed at the end of the run.

Only what runs in the tests' own process is counted. Most of the command line, the lab and the
plugins' programs run in processes of their own, and measuring those would take longer than the
tests. Searches over generated worlds are not measured either: they execute the same lines again.
Registered by ``conftest``.
"""

from __future__ import annotations

import io
import os
from collections.abc import Generator
from pathlib import Path

import coverage
import pytest

ROOT = Path(__file__).parents[1]
UNITS = {"disk", "flavor", "group", "instance", "reconcile", "rpc", "spi", "wire"}
"""Folders below ``tests`` that are measured."""


class Measured:
    """Measures imports and the tests of units in this process; the controller adds up."""

    def __init__(self, config: pytest.Config) -> None:
        self._runs_tests = hasattr(config, "workerinput") or not getattr(config.option, "tx", None)
        self._adds_up = not hasattr(config, "workerinput")
        self._measured = coverage.Coverage(
            data_file=str(ROOT / ".coverage"),
            data_suffix=self._runs_tests or None,
            source=["ikdemo"],
            config_file=False,
        )
        # what was imported before is not measured; a worker may meet no test of a unit
        ignored = ["module-not-measured", "already-imported", "no-data-collected"]
        self._measured.set_option("run:disable_warnings", ignored)
        if self._runs_tests:
            del os.environ["IKDEMO_COVERAGE"]  # a test run inside a test is not measured
            self._measured.start()

    def pytest_collection_finish(self) -> None:
        self._measured.stop()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        if item.path.parent.name not in UNITS or _counts_memory(item):
            return (yield)
        self._measured.start()
        try:
            return (yield)
        finally:
            self._measured.stop()

    def pytest_sessionfinish(self) -> None:
        if self._runs_tests:
            self._measured.save()

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if not self._adds_up:
            return
        total = coverage.Coverage(data_file=str(ROOT / ".coverage"), config_file=False)
        try:
            total.combine([str(ROOT)])
            share = total.report(file=io.StringIO())
        except coverage.CoverageException as error:
            terminalreporter.write_line(f"coverage: {error}")
            return
        terminalreporter.write_line(
            f"The tests of {', '.join(sorted(UNITS))} execute {share:.0f} % of the package in "
            "their own process; what runs in other processes is not counted."
        )


def _counts_memory(item: pytest.Item) -> bool:
    """Say whether a test's module counts objects or bytes: what measures is among them."""
    module = vars(item.module) if isinstance(item, pytest.Function) else {}
    return "gc" in module or "tracemalloc" in module
