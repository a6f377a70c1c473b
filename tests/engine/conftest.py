"""The engine that container tests share, in a network of its own, and the rule that no test leaves
anything in it; and an etcd of one member, likewise.

Where either cannot be started, its tests are skipped and say what is lacking; in CI that is a
failure, as any skip.
"""

from __future__ import annotations

from collections.abc import Iterator

import docker
import pytest
from engine.etcd3 import Etcd3, running
from engine.image_inputs import not_built
from engine.private import PrivateEngine, lacking
from profiles import SOAK

collect_ignore = ["test_lab_image.py"] if not_built() else []
collect_ignore += [] if SOAK else ["test_swarm_three_managers.py"]
"""Said at the beginning of ``make test``: not a skip, which CI would refuse."""


@pytest.fixture(scope="session")
def private_engine() -> Iterator[PrivateEngine]:
    """Start one engine for all tests; a test asks for ``engine``, which puts it into the engine's
    network.
    """
    if reason := lacking():
        pytest.skip(reason)
    made = PrivateEngine()
    try:
        made.start()
        made.load_image()
        yield made
    finally:
        made.close()


@pytest.fixture
def engine(
    private_engine: PrivateEngine, monkeypatch: pytest.MonkeyPatch
) -> Iterator[PrivateEngine]:
    """Give a running engine without a container, as DOCKER_HOST; the test, and what it starts,
    reaches containers by address.

    The test fails if it leaves a container, a network or a volume behind; they are removed, so that
    the next one finds none.
    """
    monkeypatch.setenv("DOCKER_HOST", private_engine.host)
    if not private_engine.answers():  # a test that failed may have left it stopped
        private_engine.restart()
    with private_engine.network():
        yield private_engine
    if not private_engine.answers():
        private_engine.restart()
    left = sweep(private_engine.host)
    assert not left, f"left in the engine: {left}"


@pytest.fixture(scope="session")
def one_member() -> Iterator[Etcd3]:
    """Start one member for all tests; a test asks for ``etcd``, which puts it into the network."""
    with running([1]) as made:
        yield made


@pytest.fixture
def etcd(one_member: Etcd3) -> Iterator[Etcd3]:
    """Give an etcd of one member, without keys, in whose network the test runs."""
    for key in ("test/", "infrakit/"):
        one_member.remove(key)
    with one_member.at(1):
        yield one_member


def sweep(host: str) -> list[str]:
    """Remove every container, network and volume that an engine does not have by itself; return
    what they were.
    """
    client, left = docker.APIClient(host, timeout=100), []
    try:
        for container in client.containers(all=True):
            left.append(f"container {container['Names'][0]} ({container['Status']})")
            client.remove_container(container["Id"], force=True, v=True)
        for network in client.networks():
            if network["Name"] not in ("bridge", "host", "none", "docker_gwbridge", "ingress"):
                left.append(f"network {network['Name']}")
                client.remove_network(network["Id"])
        for volume in client.volumes()["Volumes"] or []:
            left.append(f"volume {volume['Name']}")
            client.remove_volume(volume["Name"], force=True)
    finally:
        client.close()
    return left
