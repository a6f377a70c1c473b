"""A swarm of machines in a lab: it repairs itself, what is counted is never more than wanted, and
what runs on a machine that is cut off is seen.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from engine.swarm3 import lacking, wait_until

from ikdemo.lab import Lab
from ikdemo.lab.machines.lab_machines import GROUP, IMAGE, Machines
from ikdemo.reconcile.analysis.partition import BACK, CUT
from ikdemo.spi.errors import IkdemoError

REPLICAS = 6
pytestmark = [
    pytest.mark.skipif(bool(lacking()), reason=lacking()),
    # The SDK leaves a socket that it could not connect to the garbage collector, which warns.
    pytest.mark.filterwarnings(
        "ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning"
    ),
]


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab() as made:
        yield made


@pytest.fixture(scope="module")
def machines(lab: Lab) -> Machines:
    """Give a manager and three workers, and a service of six."""
    made = lab.machines(3)
    made.service(REPLICAS)
    return made


def workers(machines: Machines) -> list[int]:
    rows = machines.table().rows
    return [int(name.removeprefix("m")) for name, slot, *_ in rows if slot != "manager"]


def running(machines: Machines) -> int:
    return sum(map(int, machines.running().column("running")))


def is_whole(machines: Machines) -> bool:
    return len(machines.counted()) == running(machines) == REPLICAS


def test_the_same_cell_gives_the_same_machines(lab: Lab, machines: Machines) -> None:
    before = machines.table().rows
    again = lab.machines(3)
    assert again.table().rows == before
    assert [slot for _, slot, *_ in before] == ["manager", *sorted_slots(before)]
    assert again.nodes().column("role") == ["manager", "worker", "worker", "worker"]
    assert "docker swarm join" in str(again.init())


def sorted_slots(rows: list[list[str]]) -> list[str]:
    slots = [slot for _, slot, *_ in rows[1:]]
    assert sorted(slots) == ["0", "1", "2"]
    return slots


def test_a_machine_whose_power_is_cut_is_made_again_and_joins(lab: Lab, machines: Machines) -> None:
    wait_until(lambda: is_whole(machines), "six run")
    killed = workers(machines)[0]
    with machines.watch() as seen:
        machines.kill(killed)
        wait_until(lambda: killed not in workers(machines), "the machine is lost")
        lab.wait(GROUP, 100)
        wait_until(lambda: is_whole(machines), "six run again")
    record = seen.record
    assert f"m{killed}" in record.machines
    assert [one for one in record.samples if one.machine == f"m{killed}"][-1].running == 0
    assert seen.partition().measures.most_counted <= REPLICAS
    ready = [row for row in machines.nodes() if row[3] == "ready"]
    assert len(ready) == 4
    with pytest.raises(IkdemoError, match=f"There is no machine {killed}; there are: 1, "):
        machines.kill(killed)


def test_what_runs_on_a_machine_that_is_cut_off_is_not_counted_but_seen(
    lab: Lab, machines: Machines
) -> None:
    machines.service(0)
    wait_until(lambda: running(machines) == 0, "none runs")
    machines.service(REPLICAS)
    wait_until(lambda: is_whole(machines), "six run, two on each")
    lab.pause(GROUP)  # or the machine is replaced
    off = workers(machines)[1]
    with machines.watch() as seen:
        machines.cut(off)
        wait_until(lambda: running(machines) > REPLICAS, "what is lost is made elsewhere")
        wait_until(lambda: len(machines.counted()) == REPLICAS, "and counted")
        machines.heal(off)
        wait_until(lambda: is_whole(machines), "the machine has ended its own")
    told = seen.partition().measures
    assert told.most_running > REPLICAS >= told.most_counted
    assert told.widest_gap > 0
    assert [(fact.what, fact.name) for fact in seen.record.facts if fact.what in (CUT, BACK)] == [
        (CUT, f"m{off}"),
        (BACK, f"m{off}"),
    ]
    assert not seen.open
    lab.resume(GROUP)
    lab.wait(GROUP, 100)
    assert off in workers(machines)


def test_a_group_of_containers_lives_on_the_machines(lab: Lab, machines: Machines) -> None:
    machines.service(0)
    wait_until(lambda: running(machines) == 0, "none runs")
    lab.start_plugin("instance-swarm", host=machines.manager)
    lab.start("flavor-vanilla")
    container = {"Image": IMAGE, "Command": ["sleep", "1000000"]}
    wanted = {
        "Allocation": {"Size": REPLICAS},
        "Instance": {"Plugin": "instance-swarm", "Properties": container},
        "Flavor": {"Plugin": "flavor-vanilla", "Properties": {}},
    }
    lab.commit({"ID": "web", "Properties": wanted})
    lab.wait("web", 100)
    wait_until(lambda: is_whole(machines), "six run")
    assert machines.running().rows[0] == ["m1", "0"]  # none on the manager
    killed = workers(machines)[0]
    with machines.watch() as seen:
        machines.kill(killed)
        wait_until(lambda: killed not in workers(machines), "the machine is lost")
        lab.wait(GROUP, 100)
        lab.wait("web", 100)
        wait_until(lambda: is_whole(machines), "six run again")
    assert seen.partition().measures.most_counted <= REPLICAS
    lab.destroy("web")
    machines.service(REPLICAS)


def test_a_machine_that_is_not_heard_of_is_replaced(lab: Lab, machines: Machines) -> None:
    lab.wait(GROUP, 100)
    off = workers(machines)[-1]
    machines.cut(off)
    wait_until(lambda: off not in workers(machines), "it is ended")
    lab.wait(GROUP, 100)
    wait_until(lambda: is_whole(machines), "six run on the others")
    assert len(workers(machines)) == 3


def test_without_root_a_sentence_says_so(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(IkdemoError, match="need root"):
        lab.machines(3)


def test_a_watch_ends_with_its_lab() -> None:
    began = time.monotonic()
    with Lab() as lab:
        machines = lab.machines(1)
        machines.service(1)
        watch = machines.watch()
        watch.__enter__()
        threads = watch._threads
    wait_until(lambda: not any(thread.is_alive() for thread in threads), "its threads have ended")
    assert watch.record.begins >= began
