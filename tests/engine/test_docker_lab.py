"""A lab with containers: they are killed as files and processes are, and none is left when the lab
is closed.
"""

from __future__ import annotations

from collections.abc import Iterator

import docker
import pytest
from engine.private import IMAGE, PrivateEngine

from ikdemo.lab import Lab, collabnix_containers


@pytest.fixture
def client(engine: PrivateEngine) -> Iterator[docker.APIClient]:
    made = docker.APIClient(engine.host, timeout=100)
    yield made
    made.close()


def test_a_lab_kills_containers_and_leaves_none_though_its_plugin_was_killed(
    client: docker.APIClient,
) -> None:
    stranger = client.create_container(IMAGE, ["sleep", "1000"], stop_signal="SIGKILL")["Id"]
    client.start(stranger)
    with Lab() as lab:
        lab.start("instance-docker", "flavor-probe", "group")
        lab.commit(collabnix_containers(size=2, image=IMAGE))
        lab.wait("collabnix", 60)
        before = lab.describe("collabnix").column("instance")
        lab.kill("collabnix", 1, seed=1)
        lab.wait("collabnix", 60)
        after = lab.describe("collabnix").column("instance")
        assert len(set(before) & set(after)) == 1
        assert lab.recovery("collabnix").healed
        lab.kill_plugin("instance-docker")
        assert len(client.containers(all=True)) > 2
    assert [row["Id"] for row in client.containers(all=True)] == [stranger]
    client.remove_container(stranger, force=True)
