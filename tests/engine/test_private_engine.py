"""The tests' own engine: containers are reached by address, it survives a crash and a restart, and
leaves nothing.
"""

from __future__ import annotations

import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest
from asking import until
from engine import private
from engine.private import IMAGE, PrivateEngine


@pytest.fixture
def client(engine: PrivateEngine) -> Iterator[docker.APIClient]:
    made = docker.APIClient(engine.host, timeout=100)
    yield made
    made.close()


@pytest.fixture
def server(client: docker.APIClient) -> Iterator[str]:
    """Give a running container that serves a page."""
    script = "mkdir /www; echo hello >/www/index.html; exec httpd -f -h /www"
    container = client.create_container(IMAGE, ["sh", "-c", script], stop_signal="SIGKILL")["Id"]
    client.start(container)
    yield container
    client.remove_container(container, force=True)


def page(client: docker.APIClient, container: str) -> bytes:
    """Return what a container answers, once it does."""
    address = client.inspect_container(container)["NetworkSettings"]["IPAddress"]
    return bytes(until(lambda: get(address)))


def get(address: str) -> bytes:
    try:
        with urllib.request.urlopen(f"http://{address}/", timeout=2) as answer:
            return bytes(answer.read())
    except OSError:
        return b""


def test_a_container_is_reached_by_its_address(client: docker.APIClient, server: str) -> None:
    assert page(client, server) == b"hello\n"


def test_a_crash_leaves_containers_until_the_engine_is_back(
    engine: PrivateEngine, client: docker.APIClient, server: str
) -> None:
    assert page(client, server) == b"hello\n"
    address = client.inspect_container(server)["NetworkSettings"]["IPAddress"]
    engine.kill()
    assert not engine.answers()
    assert get(address) == b"hello\n"
    engine.start()
    assert not client.inspect_container(server)["State"]["Running"]


def test_a_restart_ends_the_containers_and_keeps_them(
    engine: PrivateEngine, client: docker.APIClient, server: str
) -> None:
    engine.restart()
    assert not client.inspect_container(server)["State"]["Running"]
    client.start(server)
    assert page(client, server) == b"hello\n"


def test_nothing_runs_on_after_a_crash_that_nobody_repaired() -> None:
    if reason := private.lacking():
        pytest.skip(reason)
    engine = PrivateEngine()
    try:
        engine.start()
        engine.load_image()
        client = docker.APIClient(engine.host, timeout=100)
        container = client.create_container(IMAGE, ["sleep", "987654"])["Id"]
        client.start(container)
        client.close()
        engine.kill()
    finally:
        engine.close()
    assert [pid for pid in private.processes() if b"987654" in private.command_of(pid)] == []


def test_a_command_runs_with_an_engine_of_its_own_that_is_gone_afterwards() -> None:
    if reason := private.lacking():
        pytest.skip(reason)
    look = (
        "import docker, os; c = docker.from_env(); print(os.environ['DOCKER_HOST'], "
        "len(c.images.list())); c.close()"
    )
    command = [sys.executable, "-m", "engine.private", sys.executable, "-c", look]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=100)
    assert ran.returncode == 0, ran.stderr
    host, images = ran.stdout.split()
    directory = Path(host.removeprefix("unix://")).parent
    assert images == "1"
    assert not directory.exists()
    assert [
        pid for pid in private.processes() if os.fsencode(directory) in private.command_of(pid)
    ] == []
    assert str(directory) not in Path("/proc/mounts").read_text()
