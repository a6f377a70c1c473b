"""Notebook 07 with an engine, and what it uses: live where an engine answers, recorded where none
does; nothing is left.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest
from engine.private import IMAGE, PrivateEngine
from notebook_runs import run_notebook, texts

from ikdemo.lab import Docker, Lab, Servers, collabnix_containers
from ikdemo.lab.docker.recording import Recording, marked_cells
from ikdemo.spi.errors import IkdemoError

NOTEBOOK = Path(__file__).resolve().parents[2] / "notebooks" / "07-docker.ipynb"
WITHIN = 200.0
"""Seconds for the notebook on a slow, busy machine; it takes less than 30 on an idle one."""


@pytest.fixture
def image(monkeypatch: pytest.MonkeyPatch) -> None:
    """Name the image that the private engine has, as a learner with an engine of their own
    would.
    """
    monkeypatch.setenv("IKDEMO_IMAGE", IMAGE)


@pytest.fixture
def client(engine: PrivateEngine) -> Iterator[docker.APIClient]:
    made = docker.APIClient(engine.host, timeout=100)
    yield made
    made.close()


@pytest.fixture
def lab(engine: PrivateEngine, image: None) -> Iterator[Lab]:
    with Lab() as made:
        yield made


@pytest.fixture
def web(lab: Lab) -> Servers:
    """Give the group as containers, when all of them answer and are known to be healthy."""
    here = Docker(lab)
    lab.start("instance-docker", "flavor-probe", "group")
    lab.commit(collabnix_containers(image=here.image, ports=here.ports, size=3))
    lab.wait("collabnix")
    web = Servers(lab, "collabnix")
    assert web.wait() == "all 3 servers of collabnix answer"
    web.wait_healthy()
    return web


def told(cell: dict[str, Any]) -> str:
    """Return what a cell showed, as text."""
    return "\n".join(texts(cell))


def test_the_notebook_runs_live(engine: PrivateEngine, image: None, tmp_path: Path) -> None:
    notebook = run_notebook(NOTEBOOK, tmp_path, WITHIN)
    marked = {name: told(cell) for name, cell in marked_cells(notebook.cells).items()}
    assert told(notebook.cells[1]).startswith("A Docker engine answers: version ")
    assert not [name for name, text in marked.items() if "Not live" in text]
    assert marked["start"] == "collabnix is as wanted: 5 instances"
    assert marked["pictures"].endswith("Group collabnix: 5 of 5 servers answer.")
    assert "Paused" in marked["pause"]
    assert "it is unhealthy" in marked["pause"]
    assert marked["stranger"].count("collabnix") == 3
    assert marked["stranger"].count("stranger-") == 1
    assert marked["no stranger"].count("collabnix") == 5
    assert "stranger-" not in marked["no stranger"]
    rows = [line.split("  ") for line in marked["compare"].splitlines()[1:]]
    assert [(row[0], row[-1][:8]) for row in rows] == [
        ("our group", "live"),
        ("--restart=always", "live"),
        ("Swarm service, defaults", "recorded"),
        ("Swarm service, restart delay 0 s", "recorded"),
    ]
    assert marked["compare"].count("not within 3 s") == 2, (
        "a restart policy heals neither docker kill nor rm -f"
    )
    assert marked["check"].endswith("all good: True")


def test_containers_are_lost_in_every_way_and_come_back(lab: Lab, web: Servers) -> None:
    for command in ("kill", "rm -f", "stop", "pause"):
        web.wait_healthy()
        ((slot, target),) = list(lab.docker("collabnix", command, slot="1"))
        assert slot == "1"
        visit = web.visit()
        assert not visit.whole
        assert ("is silent" in visit.words) == (command == "pause")
        web.wait()
        lab.wait("collabnix")  # a paused one that is being ended may answer once more
        assert target not in lab.describe("collabnix").column("instance")
        assert f"FAULT: docker {command} of {target} in slot 1" in repr(
            lab.timeline("collabnix", since_fault=True)
        )
    with pytest.raises(
        IkdemoError, match="There is no docker 'start' here; there are: kill, rm -f, stop, pause"
    ):
        lab.docker("collabnix", "start")


def test_only_the_labs_own_containers_are_listed(
    client: docker.APIClient, lab: Lab, web: Servers
) -> None:
    here = Docker(lab)
    somebodys = client.create_container(IMAGE, ["true"])["Id"]
    stranger = here.run()
    rows = list(here.ps())
    client.remove_container(somebodys)
    assert [row[1:3] for row in rows] == [
        ["0", "collabnix"],
        ["1", "collabnix"],
        ["2", "collabnix"],
        ["-", "-"],
    ]
    assert rows[-1][0] == stranger
    assert here.remove(stranger) == f"removed {stranger}"
    assert stranger not in here.ps().column("container")


def test_services_are_measured_where_the_engine_manages_a_swarm(
    client: docker.APIClient, lab: Lab, web: Servers
) -> None:
    client.init_swarm(advertise_addr="127.0.0.1")
    try:
        compared = Docker(lab).compare("collabnix").healings
        assert client.services() == []
    finally:
        client.leave_swarm(force=True)
    assert {one.measured for one in compared} == {"live"}
    ours, always, defaults, quick = compared
    assert all(
        seconds is not None for one in (ours, defaults, quick) for seconds in one.seconds.values()
    )
    assert always.seconds["docker kill"] is always.seconds["docker rm -f"] is None
    assert min(seconds or 0.0 for seconds in defaults.seconds.values()) > 5.0, (
        "that is the delay of a service by default"
    )


def test_what_a_killed_notebook_left_goes_with_the_directory(
    client: docker.APIClient, lab: Lab
) -> None:
    Docker(lab).run()
    assert len(client.containers()) == 1
    lab.reset()
    assert client.containers(all=True) == []


def test_an_engine_without_an_image_is_none(
    engine: PrivateEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IKDEMO_IMAGE", "localhost:1/nowhere/busybox:none")
    with Lab() as lab:
        here = Docker(lab)
        assert not here.here
        assert repr(here).startswith("There is no Docker engine to use: ")
        assert "localhost:1/nowhere/busybox:none" in repr(here)
        assert f"What they show was {Recording('07-docker').label}" in repr(here)
        with pytest.raises(IkdemoError, match="There is no Docker engine to use"):
            here.ps()
