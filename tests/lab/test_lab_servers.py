"""A lab's group of web servers: visited over HTTP, killed, stopped, and what was measured set
beside the theory.
"""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from collections.abc import Iterator

import pytest

from ikdemo.instance import procfs
from ikdemo.instance.process.process_record import ProcessRecord
from ikdemo.lab import Lab, Servers, collabnix, collabnix_processes, side_by_side
from ikdemo.lab.dashboard.servers import Outage
from ikdemo.lab.dashboard.web_page import PageAnswer, Visit
from ikdemo.lab.faults import inject
from ikdemo.lab.faults.targets import send
from ikdemo.spi.errors import IkdemoError, NotConverged


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab() as lab:
        lab.start("instance-file", "flavor-vanilla", "instance-process", "flavor-probe", "group")
        lab.commit(collabnix_processes(size=3))
        lab.commit(collabnix(group="files", size=2))
        lab.wait("files")
        lab.wait("collabnix")
        yield lab


@pytest.fixture
def web(lab: Lab) -> Servers:
    """Give the servers when all of them answer and are known to be healthy."""
    web = Servers(lab, "collabnix")
    assert web.wait() == "all 3 servers of collabnix answer"
    assert web.wait_healthy() == "all 3 servers of collabnix are healthy"
    return web


def test_each_server_says_who_it_is(lab: Lab, web: Servers) -> None:
    visit = web.visit()
    assert visit.whole
    assert visit.words == "Group collabnix: 3 of 3 servers answer."
    for slot, instance, port, pid in lab.processes("collabnix"):
        (answer,) = (answer for answer in visit.answers if answer.slot == slot)
        assert answer[:5] == (slot, instance, port, pid, f"{instance} in slot {slot} of collabnix")
        assert os.getpgid(int(pid)) == int(pid)
        assert f"port={port}" in next(
            row[3] for row in lab.describe("collabnix") if row[1] == instance
        )


def test_a_page_that_is_opened_again_ends_the_one_before(web: Servers) -> None:
    """A cell that is run again must not leave a visitor behind each time."""
    pages = [web.page() for _ in range(3)]
    visitors = [
        thread for thread in threading.enumerate() if thread.name == "web page of collabnix"
    ]
    for thread in visitors[:-1]:
        thread.join(20)
    assert [thread.is_alive() for thread in visitors] == [False] * (len(visitors) - 1) + [True]
    assert [page._over.is_set() for page in pages] == [True, True, False]


def test_a_killed_server_is_missed_and_all_answer_again(lab: Lab, web: Servers) -> None:
    before = lab.processes("collabnix").column("pid")
    targets = lab.kill("collabnix", 2, seed=1).column("pid")
    assert not web.visit().whole
    web.wait()
    after = lab.processes("collabnix").column("pid")
    assert set(before) & set(after) == set(before) - set(targets)
    assert "FAULT: kill -KILL of" in repr(lab.timeline("collabnix", since_fault=True))
    assert lab.recovery("collabnix").healed


def test_a_stopped_server_is_silent_until_it_is_replaced(lab: Lab, web: Servers) -> None:
    ((slot, _, _, pid),) = list(lab.signal("collabnix", "STOP", slot="2"))
    assert slot == "2"
    deadline = time.monotonic() + 100  # the signal reaches a process that just runs a little later
    while (now := procfs.stat(int(pid))) is None or now.state != "T":
        assert time.monotonic() < deadline
        time.sleep(0.001)
    visit = web.visit()
    assert visit.words == f"Group collabnix: 2 of 3 servers answer. Slot 2 (pid {pid}): is silent."
    with pytest.raises(NotConverged, match="not every server answers"):
        web.wait(timeout=0.1)
    web.wait()
    assert procfs.stat(int(pid)) is None
    fall = lab.recovery("collabnix").last
    assert fall.time_to_detect is not None
    assert fall.time_to_detect > 1.35  # two intervals and a timeout, but for what clocks differ


def test_a_silence_costs_what_it_lasts_though_the_loop_never_notices(lab: Lab) -> None:
    """No flavor asks these processes for their health: however long it takes, no verdict comes."""
    spec = collabnix_processes(size=2)
    spec["ID"] = "deaf"
    spec["Properties"]["Flavor"]["Plugin"] = "flavor-vanilla"
    spec["Properties"]["Flavor"]["Properties"] = {
        "Init": spec["Properties"]["Flavor"]["Properties"]["Init"]
    }
    lab.commit(spec)
    lab.wait("deaf")
    lab.signal("deaf", "STOP", slot="1")
    assert lab.recovery("deaf").last.fewest == 1
    lab.signal("deaf", "CONT", slot="1")
    recovery = lab.recovery("deaf")
    stopped, continued = (
        event.time for event in recovery.events if event.kind in ("fault", "mended")
    )
    fall = recovery.last
    assert (fall.cause, fall.began, fall.recovered, fall.detected) == (
        "fault",
        stopped,
        continued,
        None,
    )
    assert fall.loss == fall.unnoticed == pytest.approx((continued - stopped) / 2)
    assert "The group plugin never noticed." in recovery.words
    lab.destroy("deaf")


def test_what_could_not_be_broken_is_written_back(
    lab: Lab, web: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise IkdemoError("not permitted")

    monkeypatch.setattr(inject, "send", refuse)
    with pytest.raises(IkdemoError, match="not permitted"):
        lab.kill("collabnix", 2, seed=1)
    told = [what for _, who, what in lab.timeline("collabnix", since_fault=True) if who == "lab"]
    assert [what.split(": ")[0] for what in told] == ["FAULT"] * 2 + ["MENDED"] * 2
    assert told[-1].startswith("MENDED: could not: kill -KILL of instance-")
    assert lab.recovery("collabnix").levels[-1].quality == 1


def test_outages_are_measured_slot_by_slot(lab: Lab, web: Servers) -> None:
    found = web.outages("KILL", 2, within=0.05)
    assert len(found) == 2
    assert all(0 < one.noticed <= one.replaced <= one.answered < 20 for one in found)
    faults = [row[2] for row in lab.timeline("collabnix") if row[2].startswith("FAULT: kill -KILL")]
    assert [fault.rpartition(" ")[2] for fault in faults[-2:]] == ["0", "1"]


def test_what_cannot_be_done_is_said(lab: Lab) -> None:
    with pytest.raises(IkdemoError, match="There is no signal 'BANG'"):
        lab.signal("collabnix", "BANG")
    with pytest.raises(IkdemoError, match="has only 3 instances, so 4 of them"):
        lab.kill("collabnix", 4)
    with pytest.raises(IkdemoError, match="'instance-file' is no process plugin of this lab"):
        lab.signal("files", "KILL")
    with pytest.raises(
        IkdemoError, match="'instance-file' makes no containers, so docker pause finds none"
    ):
        lab.docker("files", "pause")
    assert lab.health("files").column("health") == ["healthy", "healthy"]
    assert lab.kill("files").columns == ["slot", "removed"]


def test_a_live_page_stands_still_in_a_file(web: Servers) -> None:
    shown = web.page()._repr_mimebundle_()
    assert shown["text/plain"] == "Web page of group collabnix"
    assert re.search(
        r'<img alt="Group collabnix: 3 of 3 servers answer." src="data:image/svg\+xml;base64,',
        shown["text/html"],
    )


def test_tiles_say_in_words_what_they_say_in_colour() -> None:
    good = PageAnswer("0", "instance-1", "20001", "11", "instance-1 in slot 0 of <web>", "", 0.001)
    silent = PageAnswer("2", "instance-2", "20002", "12", "", "is silent", 0.3)
    visit = Visit("<web>", 3, [good, silent])
    assert not visit.whole
    assert (
        visit.words
        == "Group <web>: 1 of 3 servers answer. Slot 2 (pid 12): is silent. No process: 1."
    )
    drawn = visit.svg()
    assert [
        word in drawn
        for word in ("answers in 1.00 ms", "IS SILENT", "NO PROCESS", "&lt;web&gt;", "<web>")
    ] == [True] * 4 + [False]
    assert drawn.count("<rect x=") == 3
    assert visit.table.column("answer") == ["instance-1 in slot 0 of <web>", "is silent"]


def test_containers_are_told_by_their_address() -> None:
    good = PageAnswer(
        "0", "instance-1", "80", "", "instance-1 in slot 0 of web", "", 0.001, "172.17.0.2"
    )
    gone = PageAnswer("1", "instance-2", "80", "", "", "nobody there", 0.3, "")
    visit = Visit("web", 3, [good, gone], "container")
    assert (
        visit.words
        == "Group web: 1 of 3 servers answer. Slot 1 (no address): nobody there. No container: 1."
    )
    assert [word in visit.svg() for word in ("172.17.0.2:80", "NO CONTAINER", "NO PROCESS")] == [
        True,
        True,
        False,
    ]
    assert visit.table.columns == ["slot", "address", "port", "answer", "within"]
    assert (
        Visit("web", 2, [], "container").words
        == "Group web: 0 of 2 servers answer. No container: 2."
    )


def test_medians_stand_above_the_theory_of_the_probe() -> None:
    measured = {
        "kill -9": [
            Outage(0.002, 0.004, 0.2),
            Outage(0.004, 0.006, 0.25),
            Outage(0.003, 0.005, 0.9),
        ]
    }
    table = side_by_side(measured, collabnix_processes())
    assert list(table) == [
        ["kill -9", "3", "3.00 ms", "5.00 ms", "250 ms"],
        ["theory of the probe", "-", "1.65 s (1.40 s to 1.90 s)", "-", "-"],
    ]


def test_a_process_that_was_given_the_pid_of_another_gets_no_signal(lab: Lab, web: Servers) -> None:
    send(
        ProcessRecord(
            "instance-1", os.getpid(), procfs.start_of(os.getpid()) + 1, procfs.boot(), 0.0, port=1
        ),
        signal.SIGKILL,
    )
    assert web.visit().whole
