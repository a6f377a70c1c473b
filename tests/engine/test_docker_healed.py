"""Groups of real containers: killed, paused, removed, their plugin and engine killed; what is left
is what was wanted.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import docker
import pytest
from asking import Refused, ask, stop, until
from desk import Desk
from engine.private import IMAGE, PrivateEngine
from profiles import IN_CI, SOAK

from ikdemo.instance.container_labels import INSTANCE, SLOT
from ikdemo.instance.docker.labels import OWNER
from ikdemo.lab.teaching.specs import collabnix_containers

KILL = signal.SIGKILL
PLUGINS = {
    "instance-docker": ("ikdemo-instance-docker", "--grace", "500ms"),
    "flavor-vanilla": ("infrakit-flavor-vanilla",),
    "flavor-probe": ("ikdemo-flavor-probe",),
    "group": ("infrakit-group-default", "--poll-interval", "1h"),
}
PATIENCE = 100.0
KILLS = 200 if SOAK else 30 if IN_CI else 20


class DockerGroup:
    """A desk with the plugins of a group of containers, and the engine as somebody else sees it."""

    def __init__(self, desk: Desk, engine: PrivateEngine) -> None:
        self.desk, self.engine = desk, engine
        self.client = docker.APIClient(engine.host, timeout=100)
        desk.environment["DOCKER_HOST"] = engine.host
        for name in PLUGINS:
            self.start(name)

    def start(self, name: str) -> None:
        program, *flags = PLUGINS[name]
        self.desk.start(program, name, *flags)

    def rows(self) -> list[dict[str, Any]]:
        """List our containers, in whatever state."""
        owner = self.desk.plugins.resolve() / "instance-docker.instances"
        return list(self.client.containers(all=True, filters={"label": f"{OWNER}={owner}"}))

    def slots(self) -> dict[str, str]:
        """Return the slot of each instance whose container runs."""
        running = [row["Labels"] for row in self.rows() if row["State"] == "running"]
        return {labels[INSTANCE]: labels[SLOT] for labels in running}

    def commit(self, size: int = 5, script: str = "exec sleep 1000", **properties: Any) -> None:
        """Commit a group of containers that are not checked."""
        spec = {
            "ID": "collabnix",
            "Properties": {
                "Allocation": {"Size": size},
                "Instance": {
                    "Plugin": "instance-docker",
                    "Properties": {"Image": IMAGE, **properties},
                },
                "Flavor": {"Plugin": "flavor-vanilla", "Properties": {"Init": [script]}},
            },
        }
        self.commit_spec(spec)

    def commit_spec(self, spec: dict[str, Any]) -> None:
        (self.desk.cwd / "spec.json").write_text(json.dumps(spec))
        done = self.desk.run("infrakit group commit spec.json")
        assert done.returncode == 0, done.stderr

    def whole(self, size: int = 5) -> dict[str, str]:
        """Wait until the group is converged with nothing else left in the engine; return the slot
        of each instance.
        """

        def settled() -> bool:
            described = self.described()
            rows = self.rows()
            wanted = sorted(str(slot) for slot in range(size))
            return (
                described == set(self.slots())
                and sorted(self.slots().values()) == wanted
                and len(rows) == size
            )

        until(settled, PATIENCE, lambda: (self.rows(), self.why()))
        done = self.desk.run("ikdemo group wait collabnix --timeout 100s")
        assert done.returncode == 0, done.stdout + done.stderr
        return self.slots()

    def described(self) -> set[str]:
        try:
            said = ask(
                self.desk.plugins / "instance-docker", "Instance.DescribeInstances", {"Tags": {}}
            )
        except (Refused, OSError):
            return set()
        return {one["ID"] for one in said["Descriptions"] or []}

    def why(self) -> str:
        return self.desk.run("ikdemo group why collabnix").stdout

    def close(self) -> None:
        for name in list(self.desk.processes):
            self.desk.stop(name, KILL)
        if self.engine.answers():
            for row in self.rows():
                self.client.remove_container(row["Id"], force=True, v=True)
        self.client.close()


@pytest.fixture
def docker_group(desk: Desk, engine: PrivateEngine) -> Iterator[DockerGroup]:
    made = DockerGroup(desk, engine)
    yield made
    made.close()


def test_the_example_is_the_lab_s_own_spec() -> None:
    example = Path(__file__).parents[2] / "examples" / "collabnix-docker.json"
    assert json.loads(example.read_text()) == collabnix_containers(group="collabnix-docker")


def pages(docker_group: DockerGroup) -> set[str]:
    """Ask every instance for its page where its tags say; return the IDs of those that answered."""
    answered = set()
    for one in (
        ask(
            docker_group.desk.plugins / "instance-docker",
            "Instance.DescribeInstances",
            {"Tags": {}},
        )["Descriptions"]
        or []
    ):
        try:
            with urllib.request.urlopen(
                f"http://{one['Tags']['Address']}:{one['Tags']['port']}/", timeout=1
            ) as page:
                answered.add(page.read().decode().split()[0])
        except OSError:
            continue
    return answered


def test_the_example_walks_through_on_containers(docker_group: DockerGroup) -> None:
    docker_group.commit_spec(collabnix_containers(image=IMAGE))
    before = docker_group.whole()
    until(lambda: pages(docker_group) == set(before), PATIENCE)
    assert set(docker_group.desk.run("infrakit group describe collabnix -q").stdout.split()) >= set(
        before
    )
    shown = docker_group.desk.run(
        f"ikdemo instance logs --name instance-docker {sorted(before)[0]}"
    )
    assert shown.returncode == 0, shown.stderr
    done = docker_group.desk.run("infrakit group destroy collabnix")
    assert done.returncode == 0, done.stderr
    until(lambda: not docker_group.rows(), PATIENCE)


COMMANDS: dict[str, Callable[[docker.APIClient, str], Any]] = {
    "kill": lambda client, name: client.kill(name),
    "stop": lambda client, name: client.stop(name, timeout=1),
    "restart": lambda client, name: client.restart(name, timeout=1),
    "rm -f": lambda client, name: client.remove_container(name, force=True),
}


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_whatever_is_done_to_a_container_the_group_is_whole_again(
    docker_group: DockerGroup, command: str
) -> None:
    docker_group.commit()
    before = docker_group.whole()
    for target in sorted(before)[:2]:
        COMMANDS[command](docker_group.client, target)
    until(lambda: len(docker_group.described() - set(before)) == 2, PATIENCE)
    after = docker_group.whole()
    assert len(before.items() & after.items()) == 3


def test_a_paused_server_is_called_unhealthy_and_replaced(docker_group: DockerGroup) -> None:
    docker_group.commit_spec(collabnix_containers(size=2, image=IMAGE))
    before = docker_group.whole(2)
    until(lambda: healthy(docker_group) >= set(before), PATIENCE)
    target = sorted(before)[0]
    docker_group.client.pause(target)
    until(lambda: target not in docker_group.described(), PATIENCE)
    after = docker_group.whole(2)
    assert len(before.items() & after.items()) == 1


def healthy(docker_group: DockerGroup) -> set[str]:
    """Return the instances that the probe has called healthy so far."""
    since = {"Since": {"Stream": "", "Next": 0}, "Timeout": 0}
    events = ask(docker_group.desk.plugins / "flavor-probe", "Events.Watch", since)["Events"]
    return {event["Instance"] for event in events if event["Code"] == "healthy"}


@pytest.mark.parametrize("how", ["restart", "kill"])
def test_an_engine_that_comes_back_has_the_whole_group_again(
    docker_group: DockerGroup, how: str
) -> None:
    docker_group.commit()
    before = docker_group.whole()
    if how == "kill":
        docker_group.engine.kill()
        why = until(
            lambda: (said := docker_group.why()) and "does not answer" in said and said, PATIENCE
        )
        assert docker_group.engine.host in why
        with pytest.raises(Refused, match="the Docker engine"):
            ask(
                docker_group.desk.plugins / "instance-docker",
                "Instance.DescribeInstances",
                {"Tags": {}},
            )
        docker_group.engine.start()
    else:
        docker_group.engine.restart()
    after = docker_group.whole()
    assert not before.keys() & after.keys()


def test_an_engine_that_hangs_is_doubt_and_nothing_is_done_about_it(
    docker_group: DockerGroup,
) -> None:
    docker_group.commit(size=2)
    before, containers = docker_group.whole(2), {row["Id"] for row in docker_group.rows()}

    def looked() -> Any:
        """Have the group look at its world; return the actions that it would take, or why it cannot
        look.
        """
        try:
            return (
                ask(
                    docker_group.desk.plugins / "group",
                    "Reconcile.Plan",
                    {"ID": "collabnix"},
                    timeout=100,
                )["Plan"]["Actions"]
                or []
            )
        except Refused as error:
            return str(error)

    def described() -> str:
        with pytest.raises(Refused) as caught:
            ask(
                docker_group.desk.plugins / "instance-docker",
                "Instance.DescribeInstances",
                {"Tags": {}},
                timeout=100,
            )
        return str(caught.value)

    stop(docker_group.engine.pid)
    try:
        with ThreadPoolExecutor(4) as asking:
            described_meanwhile = [asking.submit(described) for _ in range(2)]
            looked_meanwhile = [asking.submit(looked) for _ in range(2)]
        assert all("the Docker engine" in said.result() for said in described_meanwhile)
        assert all(
            said.result() == [] or "the Docker engine" in said.result() for said in looked_meanwhile
        )
    finally:
        os.kill(docker_group.engine.pid, signal.SIGCONT)
    assert docker_group.whole(2) == before
    # what was asked of the engine before it hung has been done by now
    assert [looked(), looked()] == [[], []]
    assert {row["Id"] for row in docker_group.rows()} == containers


def test_an_image_that_is_missing_is_a_reason_and_no_hot_loop_and_its_coming_helps(
    docker_group: DockerGroup,
) -> None:
    docker_group.commit(size=2, Image="ikdemo-test/later:local", Pull="never")
    why = until(lambda: (said := docker_group.why()) and "backing-off" in said and said, PATIENCE)
    assert "the engine has no image ikdemo-test/later:local, and Pull is never" in why
    docker_group.client.tag(IMAGE, "ikdemo-test/later", "local")
    try:
        docker_group.whole(2)
    finally:
        for row in docker_group.rows():
            docker_group.client.kill(row["Id"])
        docker_group.client.remove_image("ikdemo-test/later:local", force=True)


def test_a_registry_that_cannot_be_reached_is_a_reason(docker_group: DockerGroup) -> None:
    docker_group.commit(size=1, Image="127.0.0.1:9/nowhere:1")
    why = until(lambda: (said := docker_group.why()) and "backing-off" in said and said, PATIENCE)
    assert "image 127.0.0.1:9/nowhere:1 cannot be pulled" in why
    assert "connection refused" in why


def test_a_port_that_another_instance_has_is_named(docker_group: DockerGroup) -> None:
    docker_group.commit(size=2, Ports=["18080:80"])
    why = until(lambda: (said := docker_group.why()) and "backing-off" in said and said, PATIENCE)
    assert "port 0.0.0.0:18080 is already allocated" in why
    assert len(docker_group.slots()) == 1


def test_a_command_that_fails_at_once_is_tried_less_and_less_and_why_says_so(
    docker_group: DockerGroup,
) -> None:
    docker_group.commit(size=1, script="echo cannot open the shop >&2; exit 7")
    why = until(lambda: (said := docker_group.why()) and "backing-off" in said and said, PATIENCE)
    assert "exited with status 7" in why
    assert "cannot open the shop" in why
    docker_group.commit(size=1)
    docker_group.whole(1)


def test_a_killed_plugin_knows_all_its_containers_again_and_misses_those_that_died(
    docker_group: DockerGroup,
) -> None:
    docker_group.commit()
    before = docker_group.whole()
    docker_group.desk.stop("instance-docker", KILL)
    docker_group.start("instance-docker")
    assert docker_group.whole() == before
    docker_group.desk.stop("instance-docker", KILL)
    docker_group.client.kill(sorted(before)[0])
    docker_group.start("instance-docker")
    until(lambda: len(docker_group.described()) == 5, PATIENCE)
    after = docker_group.whole()
    assert len(before.items() & after.items()) == 4


def test_containers_stay_when_plugins_just_stop_and_go_along_when_told(
    docker_group: DockerGroup,
) -> None:
    docker_group.commit(size=2)
    before = docker_group.whole(2)
    for name in ("group", "instance-docker"):
        assert docker_group.desk.stop(name) == 0
    assert docker_group.slots() == before
    command = [
        *docker_group.desk.program("ikdemo-instance-docker"),
        "--exit-with-stdin",
        "--grace",
        "500ms",
    ]
    with (docker_group.desk.root / "log").open("w") as log:
        process = subprocess.Popen(
            command, env=docker_group.desk.environment, stdin=subprocess.PIPE, stderr=log
        )
    until(lambda: docker_group.described() == set(before))
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(100) == 0
    assert docker_group.rows() == []


def test_without_an_engine_the_plugin_runs_and_says_so(desk: Desk, engine: PrivateEngine) -> None:
    desk.environment["DOCKER_HOST"] = f"unix://{desk.root}/none.sock"
    desk.start("ikdemo-instance-docker", "instance-docker")
    with pytest.raises(
        Refused,
        match=r"the Docker engine does not answer at unix://.*/none\.sock: no such file or "
        r"directory",
    ):
        ask(desk.plugins / "instance-docker", "Instance.DescribeInstances", {"Tags": {}})
    (desk.root / "none.sock").symlink_to(engine.host.removeprefix("unix://"))
    until(lambda: "answers again" in desk.log("instance-docker"))
    assert (
        ask(desk.plugins / "instance-docker", "Instance.DescribeInstances", {"Tags": {}})[
            "Descriptions"
        ]
        == []
    )
    desk.stop("instance-docker")


@pytest.mark.timeout(300)
def test_after_many_kills_of_anything_there_are_exactly_the_wanted_ones(
    docker_group: DockerGroup,
) -> None:
    docker_group.commit()
    dice, killed, plugins = random.Random(7), 0, 0
    while killed < KILLS:
        living = sorted(docker_group.slots())
        if dice.random() < 0.1:
            name = dice.choice(["instance-docker", "group"])
            docker_group.desk.stop(name, KILL)
            docker_group.start(name)
            plugins += 1
        elif living:
            target = dice.choice(living)
            try:
                dice.choice(
                    [COMMANDS["kill"], COMMANDS["kill"], COMMANDS["rm -f"], COMMANDS["stop"]]
                )(docker_group.client, target)
            except docker.errors.APIError:
                continue  # it was gone before
            killed += 1
        time.sleep(dice.random() * 0.3)
    assert plugins > KILLS / 30
    until(lambda: len(docker_group.described()) == 5, 120, docker_group.why)
    docker_group.whole()
