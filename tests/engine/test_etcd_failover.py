"""Three candidates, three members, three machines: however one fails, one leads at a time, and what
an older leader writes late is refused.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import asking
import pytest
from engine.contest import Contest, said
from engine.etcd3 import MEMBERS, Etcd3, Written, running

LEASE = "2"
TESTS = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def etcd() -> Iterator[Etcd3]:
    with running(MEMBERS) as made:
        yield made


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("contest") / "log"


@pytest.fixture(scope="module")
def candidates(etcd: Etcd3, log: Path) -> Iterator[Contest]:
    environment = {**os.environ, "PYTHONPATH": f"{TESTS}{os.pathsep}{TESTS.parent}"}

    def start(number: int) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "engine.candidate", f"c{number}", LEASE, str(log)]
        with_us = ["setpriv", "--pdeathsig", "KILL"]  # a killed test run takes them along
        candidate = subprocess.Popen([*with_us, *command, *etcd.endpoints(number)], env=environment)
        # until then it would die of the signals that it is sent
        asking.until(lambda: any(fact.get("pid") == candidate.pid for fact in said(log)))
        return candidate

    made = Contest(etcd, start, epoch_of)
    yield made
    made.close()


@pytest.fixture
def contest(candidates: Contest) -> Iterator[Contest]:
    """Give a contest in which one leads and all is well; judge it afterwards."""
    candidates.repair()
    candidates.wrote(candidates.leading().epoch)
    yield candidates
    candidates.judge()


def next_one(contest: Contest, epoch: int) -> int:
    """Wait until another leader has written, and return its epoch."""
    leader = contest.leading(after=epoch)
    contest.wrote(leader.epoch)
    return leader.epoch


def test_a_leader_that_is_killed_is_followed_by_another_one(contest: Contest) -> None:
    leader = contest.leading()
    contest.kill(leader.number)
    assert contest.leading(after=leader.epoch).number != leader.number
    next_one(contest, leader.epoch)


def test_a_leader_that_ends_hands_over_at_once(contest: Contest) -> None:
    leader = contest.leading()
    contest.signal(leader.number, signal.SIGTERM)
    contest.processes[leader.number].wait(100)
    key = contest.etcd.history(leader.epoch + 1)
    ended = [event for event in key if event.key == "infrakit/leader" and event.value is None]
    assert ended, "the lease was not given back"
    next_one(contest, leader.epoch)


def test_a_leader_that_was_stopped_does_not_lead_when_it_goes_on(
    contest: Contest, log: Path
) -> None:
    leader = contest.leading()
    contest.signal(leader.number, signal.SIGSTOP)
    epoch = next_one(contest, leader.epoch)
    contest.signal(leader.number, signal.SIGCONT)
    contest.wrote(epoch, after=contest.etcd.revision())
    assert contest.leading().epoch == epoch


def test_a_write_that_was_decided_before_the_leadership_was_lost_is_refused(
    contest: Contest, log: Path
) -> None:
    """The next leader has written nothing yet, so the document is of the version that was read."""
    leader = contest.leading()
    name, others = f"c{leader.number}", [one for one in MEMBERS if one != leader.number]
    began = len(said(log, name))
    for other in others:
        contest.signal(other, signal.SIGUSR2)
    contest.signal(leader.number, signal.SIGUSR1)
    contest.wait(lambda: facts(log, name, began, "stopping"), "it was not stopped")
    newer = contest.leading(after=leader.epoch)
    contest.signal(leader.number, signal.SIGCONT)
    (refused, *_) = contest.wait(lambda: facts(log, name, began, "refused"), "it was not refused")
    assert refused["epoch"] == leader.epoch
    assert refused["text"] == f"fenced: epoch {leader.epoch} is over, {newer.epoch} has begun"
    for other in others:
        contest.signal(other, signal.SIGUSR2)
    contest.wrote(newer.epoch)


def test_a_machine_that_dies_takes_its_leader_along_and_no_more(contest: Contest) -> None:
    leader = contest.leading()
    contest.kill_machine(leader.number)
    next_one(contest, leader.epoch)


def test_a_leader_that_is_cut_off_is_followed_by_another_one(contest: Contest, log: Path) -> None:
    leader = contest.leading()
    name, began = f"c{leader.number}", len(said(log))
    contest.etcd.cut(leader.number)
    epoch = next_one(contest, leader.epoch)
    contest.wait(lambda: facts(log, name, began, "lost"), "it does not know that it is cut off")
    contest.etcd.heal(leader.number)
    contest.wrote(epoch, after=contest.etcd.revision())


def test_without_a_majority_nobody_acts_until_it_is_back(contest: Contest, log: Path) -> None:
    leader = contest.leading()
    name, began = f"c{leader.number}", len(said(log))
    others = [member for member in MEMBERS if member != leader.number]
    for member in others:
        contest.etcd.cut(member)
    contest.wait(lambda: facts(log, name, began, "lost"), "it goes on without a majority")
    stepped_down = len(said(log))
    # each has looked, in vain, and so knows no more than before
    for number in MEMBERS:
        contest.wait(
            lambda number=number: facts(log, f"c{number}", stepped_down, "doubt"), "no doubt"
        )
    acts = [fact for fact in said(log)[stepped_down:] if fact["what"] in ("won", "acts")]
    assert acts == []
    for member in others:
        contest.etcd.heal(member)
    contest.wrote(contest.leading().epoch, after=contest.etcd.revision())


def test_a_member_that_stands_still_is_passed_over(contest: Contest) -> None:
    """It is the one beside the leader, which has open connections to it, and no answer."""
    leader = contest.leading()
    contest.etcd.stop(leader.number)
    try:
        for _ in range(3):
            contest.wrote(contest.leading().epoch, after=contest.etcd.revision())
    finally:
        contest.etcd.resume(leader.number)


def test_etcd_s_own_leader_can_be_killed(contest: Contest) -> None:
    member = contest.etcd.leader()
    contest.etcd.kill(member)
    try:
        contest.wrote(contest.leading().epoch, after=contest.etcd.revision())
    finally:
        contest.etcd.start(member)


def epoch_of(write: Written) -> int:
    """Return what a candidate has written into the document."""
    assert write.value is not None
    return int(json.loads(write.value)["Groups"]["written"]["Properties"]["Properties"]["epoch"])


def facts(log: Path, name: str, began: int, what: str) -> list[dict[str, object]]:
    """Return what one has said of a kind since then; ``began``: lines of its own or of all."""
    lines = said(log, name) if what in ("stopping", "refused") else said(log)
    return [fact for fact in lines[began:] if fact["what"] == what and fact["by"] == name]
