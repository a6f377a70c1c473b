"""Experiments on real groups: refused when not steady, within limits, rolled back when interrupted,
healed in the end.
"""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Iterator

import pytest

from ikdemo.lab import Experiment, Lab, collabnix, collabnix_processes
from ikdemo.lab.chaos.findings import filled_shares
from ikdemo.lab.show.recovery_report import Recovery
from ikdemo.spi.errors import IkdemoError
from ikdemo.spi.events import Event


@pytest.fixture
def lab() -> Iterator[Lab]:
    with Lab() as lab:
        yield lab


@pytest.fixture
def files(lab: Lab) -> Lab:
    """Give a lab with the group collabnix of five files."""
    lab.start()
    lab.commit(collabnix())
    lab.wait("collabnix")
    return lab


def test_files_are_killed_and_all_come_back(files: Lab) -> None:
    before = set(files.describe("collabnix").column("instance"))
    chaos = Experiment(files, kills=8, rate=4.0, seed=2)
    assert set(files.describe("collabnix").column("instance")) == before  # a dry run
    found = chaos.run()
    assert (len(found.kills), found.whole, found.size) == (8, True, 5)
    assert len({kill.instance for kill in found.kills}) == 8
    assert before & {kill.instance for kill in found.kills}
    assert all(
        kill.filled is not None and kill.noticed is not None and kill.noticed <= kill.filled
        for kill in found.kills
    )
    assert [one.theory for one in found.measures] == [None] * 4  # nothing was supposed
    assert json.loads(json.dumps(found.to_dict()))["left"] == "collabnix is as wanted: 5 instances"


def test_with_events_the_supposition_of_a_poll_is_refuted(files: Lab) -> None:
    found = Experiment(files, kills=8, rate=4.0, poll=10.0).run()
    assert [one.agrees for one in found.measures[:3]] == [False] * 3
    assert "not yet  mean: theory is within the interval" in repr(found.check(8))


def test_with_the_poll_alone_theory_and_measurement_agree(lab: Lab) -> None:
    """The bounds are wider than an interval of 95 %: the machine may be busy, and chance has its
    share.
    """
    lab.start("instance-file", "flavor-vanilla")
    lab.mute("instance-file", under="quiet-files")
    lab.start_plugin("group", poll_interval="0.4s")
    lab.commit(collabnix("quiet-files", 30))
    lab.wait("collabnix")
    found = Experiment(lab, kills=60, rate=0.3, poll=0.4, seed=7).run()
    assert (len(found.kills), found.whole) == (60, True)
    mean, middle, most, available = found.measures
    for one, slack in ((mean, 0.1), (middle, 0.15), (most, 0.2)):
        assert one.theory is not None
        assert one.theory - 0.1 <= one.value <= one.theory + slack, found.table()
    assert available.theory is not None
    assert available.value == pytest.approx(available.theory, abs=0.06)


def test_a_group_that_is_not_steady_is_left_alone(files: Lab) -> None:
    chaos = Experiment(files, kills=3, rate=4.0)
    files.pause("collabnix")
    assert not chaos.steady()
    with pytest.raises(
        IkdemoError,
        match=r"Nothing was done: .*not in its steady state.*its loop acts .it is paused",
    ):
        chaos.run()
    assert files.recovery("collabnix").falls == []


def test_a_group_that_was_not_committed_is_named(files: Lab) -> None:
    with pytest.raises(IkdemoError, match="'nobody' is not being watched"):
        Experiment(files, "nobody", kills=1, rate=1.0)


def test_a_slot_whose_server_is_silent_is_not_filled() -> None:
    told = [
        ("committed", 0.0, ""),
        ("provisioned", 0.0, ""),
        ("fault", 2.0, "silent"),
        ("mended", 7.0, "silent"),
    ]
    events = [Event(kind, at, "p", "web", "a", "0", code, size=1) for kind, at, code in told]
    assert filled_shares(Recovery("web", events, 10.0), 0.0, 10.0) == (
        1.0,
        1.0,
        0.0,
        0.0,
        0.0,
        0.0,
        0.0,
        1.0,
        1.0,
        1.0,
    )


def test_when_nothing_heals_the_limit_holds_and_the_findings_say_so(lab: Lab) -> None:
    lab.start("instance-file", "flavor-vanilla")
    lab.mute("instance-file", under="quiet-files")
    lab.start_plugin("group", poll_interval="5s")
    lab.commit(collabnix("quiet-files"))
    lab.wait("collabnix")
    found = Experiment(lab, kills=20, rate=8.0, least=3).run()
    assert len(found.kills) <= 4
    assert found.spared > 0
    assert (
        min(
            level.quality
            for level in found.recovery.levels
            if level.time > found.recovery.last.began
        )
        >= 3 / 5
    )


def test_an_interrupt_rolls_back_and_nothing_stays_paused(files: Lab) -> None:
    def interrupt() -> None:
        """Wait for the first kill, pause the loop, let one more happen, and press the stop
        button.
        """
        deadline = time.monotonic() + 100
        while "FAULT" not in repr(files.timeline("collabnix")) and time.monotonic() < deadline:
            time.sleep(0.01)
        files.pause("collabnix")
        files.kill("collabnix", 1)
        os.kill(os.getpid(), signal.SIGINT)

    chaos = Experiment(files, kills=1000, rate=1.0)
    presser = threading.Thread(target=interrupt)
    presser.start()
    with pytest.raises(KeyboardInterrupt):
        chaos.run()
    presser.join(20)
    assert chaos.steady(), chaos.steady()
    assert len(files.describe("collabnix")) == 5


def test_processes_are_killed_and_all_come_back(lab: Lab) -> None:
    lab.start("instance-process", "flavor-probe", "group")
    lab.commit(collabnix_processes(size=4))
    lab.wait("collabnix")
    before = set(lab.processes("collabnix").column("pid"))
    found = Experiment(lab, kills=4, rate=1.0, seed=3).run()
    assert len(found.kills) == 4
    assert found.whole, found.left
    assert all(kill.filled is not None for kill in found.kills)
    assert set(lab.processes("collabnix").column("pid")) != before
