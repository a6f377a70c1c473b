"""What every test may rely on: a directory short enough for sockets, no silent skip in CI, no
process left behind.

Hooks are registered as one plugin, so that they hold for the doctests inside the package too.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import tempfile
import time
from collections.abc import Generator, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from desk import Desk
from hypothesis import settings
from limits import Limits
from notebook_cells import NotebookCells
from parallel import Workers

MARK = "IKDEMO_TEST_SESSION"
"""In the environment of every process that a test starts, however it is detached: the run, and the
worker in which the test runs.
"""

# a busy machine is no error: what hangs is ended by the test's own time limit
settings.register_profile("without deadline", deadline=None)
settings.load_profile("without deadline")


@pytest.fixture
def short_dir() -> Iterator[Path]:
    """Give a private temporary directory whose path leaves room for a socket's name (107 bytes in
    all).
    """
    path = Path(tempfile.mkdtemp(prefix="ik-", dir=os.environ.get("XDG_RUNTIME_DIR") or "/tmp"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def desk(short_dir: Path) -> Iterator[Desk]:
    """Give a plugin directory, a folder to work in, and the means to run programs there; everything
    started ends.
    """
    made = Desk(short_dir)
    yield made
    made.close()


def pytest_configure(config: pytest.Config) -> None:
    # begun in the background: what we start would never hear Ctrl-C
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    # nor, begun with nohup, that its terminal is closed; the run itself goes on
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, lambda *_: None)
    if os.environ.get("CI") or os.environ.get("IKDEMO_CI"):
        config.pluginmanager.register(NoSkips())
    if config.pluginmanager.hasplugin("timeout"):
        config.pluginmanager.register(Limits())
    if config.pluginmanager.hasplugin("hypothesispytest"):
        import hypothesis

        own = hypothesis.settings(
            deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
        )
        hypothesis.settings.register_profile("without a clock", own)
        hypothesis.settings.load_profile("without a clock")
    if os.environ.get("IKDEMO_COVERAGE"):
        from measured import Measured

        config.pluginmanager.register(Measured(config))
    if hasattr(config.option, "nbval"):
        config.pluginmanager.register(NotebookCells(config))
    if config.pluginmanager.hasplugin("xdist"):
        config.pluginmanager.register(Workers())
    if worker := getattr(config, "workerinput", None):
        os.environ[MARK] += f"/{worker['workerid']}"
    elif MARK not in os.environ:  # a test run inside a test leaves this to the outer one
        run = secrets.token_hex(8)
        # workers themselves have the mark of the run alone, and are no orphans
        os.environ[MARK] = run if getattr(config.option, "tx", None) else f"{run}/alone"
        config.pluginmanager.register(NoOrphans(f"{run}/"))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Run more tests side by side than there are cores: half of them wait for a process."""
    return (os.cpu_count() or 1) + 2


class NoSkips:
    """Turn every skip into a failure: in CI, whatever a test needs is there or the test is
    wrong.
    """

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        refuse_skip(report)
        return report

    @pytest.hookimpl(wrapper=True)
    def pytest_make_collect_report(
        self,
    ) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
        report = yield
        refuse_skip(report)
        return report


def refuse_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Make a failure of a skip; an expected failure stays what it is."""
    if report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome, report.longrepr = "failed", f"skipped, which CI does not allow: {reason}"


class NoOrphans:
    """Fail the run when a process that a test started outlives it by more than two seconds; kill
    what is left. Looks once, when every worker has ended its tests.
    """

    def __init__(self, run: str) -> None:
        self._needle = f"{MARK}={run}".encode()
        self._left: list[str] = []

    @pytest.hookimpl(trylast=True)  # a run that was stopped ends what tests share just before
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        deadline = time.monotonic() + 2.0
        while (left := self._alive()) and time.monotonic() < deadline:
            time.sleep(0.02)
        for pid, command in left.items():
            self._left.append(f"{pid} {command}")
            with suppress(ProcessLookupError):  # it ended just now
                os.kill(pid, signal.SIGKILL)
        if left:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        for line in self._left:
            terminalreporter.write_line(f"left running by a test: {line}", red=True)

    def _alive(self) -> dict[int, str]:
        found = {}
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                variables = (entry / "environ").read_bytes().split(b"\0")
                if any(variable.startswith(self._needle) for variable in variables):
                    found[int(entry.name)] = (
                        (entry / "cmdline")
                        .read_bytes()
                        .replace(b"\0", b" ")
                        .decode(errors="replace")
                    )
            except OSError:
                continue  # not ours, or gone meanwhile
        return found
