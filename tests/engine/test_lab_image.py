"""The lab's image, built from the repository's Dockerfile and run: it is healthy, answers only with
its token, and heals a group.

It takes minutes and Debian's mirror, so it runs in CI when what the image is made of has changed,
and by ``make image``.
"""

from __future__ import annotations

import re
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import docker
import pytest
from asking import until
from engine.base import make_base, served_wheels
from engine.private import IMAGE, PrivateEngine, lacking

ROOT = Path(__file__).parents[2]
BASE, LAB = "ikdemo-test/base:local", "ikdemo-test/lab:local"
LARGEST = 900 * 10**6
ADDRESS = re.compile(r"http://127\.0\.0\.1:8888(/\S*)\?token=(\w+)")

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def engine_with_lab() -> Iterator[PrivateEngine]:
    """Give an engine that has built the image."""
    reason = lacking() or (
        not shutil.which("mmdebstrap")
        and "the lab's image needs a base: apt-get install mmdebstrap"
    )
    if reason:
        pytest.skip(reason)
    engine = PrivateEngine()
    try:
        engine.start(online=True)
        build(engine)
        engine.restart()
        engine.load_image()
        yield engine
    finally:
        engine.close()


def build(engine: PrivateEngine) -> None:
    """Build the Dockerfile as it is, on a base that stands in for the one it names."""
    client = docker.APIClient(engine.host, timeout=300)
    room = engine.directory / "base"
    room.mkdir()
    try:
        with served_wheels(
            room / "wheels", ["--requirement", str(ROOT / "binder/requirements.txt"), "hatchling"]
        ) as wheels:
            make_base(client, BASE, room, wheels)
            said = client.build(
                path=str(ROOT),
                tag=LAB,
                buildargs={"BASE": BASE},
                network_mode="host",
                forcerm=True,
                decode=True,
            )
            lines = [line.get("stream", "") + line.get("error", "") for line in said]
        assert client.images(LAB), "".join(lines)[-5000:]
    finally:
        client.close()


@pytest.fixture(scope="module")
def client(engine_with_lab: PrivateEngine) -> Iterator[docker.APIClient]:
    made = docker.APIClient(engine_with_lab.host, timeout=120)
    yield made
    made.close()


@pytest.fixture(scope="module")
def lab(client: docker.APIClient) -> Iterator[str]:
    """Give a container that was started as the README says, and is healthy."""
    with running(client) as container:
        until(
            lambda: state(client, container)["Health"]["Status"] == "healthy",
            60.0,
            lambda: said(client, container),
        )
        yield container


@contextmanager
def running(client: docker.APIClient, *command: str, **options: Any) -> Iterator[str]:
    """Give a container of the lab, gone afterwards."""
    container = client.create_container(LAB, list(command) or None, **options)["Id"]
    try:
        client.start(container)
        yield container
    finally:
        client.remove_container(container, force=True)


def state(client: docker.APIClient, container: str) -> dict[str, Any]:
    found: dict[str, Any] = client.inspect_container(container)["State"]
    return found


def said(client: docker.APIClient, container: str) -> str:
    return str(client.logs(container).decode())


def run(client: docker.APIClient, container: str, *command: str) -> tuple[int, str]:
    """Run a command in a container; return its exit status and what it printed."""
    made = client.exec_create(container, list(command))["Id"]
    printed = client.exec_start(made).decode()
    return client.exec_inspect(made)["ExitCode"], printed


def status(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=100) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


def test_the_image_is_small(client: docker.APIClient) -> None:
    size = client.inspect_image(LAB)["Size"]
    assert size < LARGEST, f"{size / 10**6:.0f} MB"


def test_the_lab_opens_with_the_address_it_prints_and_not_without(
    engine_with_lab: PrivateEngine, client: docker.APIClient, lab: str
) -> None:
    address = client.inspect_container(lab)["NetworkSettings"]["IPAddress"]
    printed = ADDRESS.search(said(client, lab))
    assert printed is not None, said(client, lab)
    place, token = printed.groups()
    with engine_with_lab.network():
        assert status(f"http://{address}:8888/api") == 200
        assert status(f"http://{address}:8888/api/contents/notebooks") == 403
        assert status(f"http://{address}:8888/api/contents/notebooks?token={token}") == 200
        assert status(f"http://{address}:8888{place}?token={token}") == 200


def test_a_learner_runs_the_first_notebook_as_nobody_special(
    client: docker.APIClient, lab: str
) -> None:
    assert run(client, lab, "id", "--user") == (0, "1000\n")
    code, printed = run(client, lab, "jupyter", "execute", "notebooks/00-welcome.ipynb")
    assert code == 0, printed


def test_the_lab_ends_when_it_is_asked_to(client: docker.APIClient) -> None:
    with running(client) as container:
        until(
            lambda: ADDRESS.search(said(client, container)), 60.0, lambda: said(client, container)
        )
        client.stop(container, timeout=100)
        assert state(client, container)["ExitCode"] == 0, said(client, container)


def test_the_image_shows_a_group_healing_without_a_browser(client: docker.APIClient) -> None:
    with running(client, "ikdemo", "demo") as container:
        assert client.wait(container, timeout=100)["StatusCode"] == 0, said(client, container)


def test_the_notebook_about_containers_reaches_them_when_the_engine_is_handed_in(
    engine_with_lab: PrivateEngine, client: docker.APIClient
) -> None:
    socket = engine_with_lab.host.removeprefix("unix://")
    binds, group = {socket: {"bind": "/var/run/docker.sock"}}, str(Path(socket).stat().st_gid)
    host = client.create_host_config(binds=binds, group_add=[group])
    command = ("jupyter", "execute", "notebooks/07-docker.ipynb")
    with running(
        client, *command, host_config=host, environment={"IKDEMO_IMAGE": IMAGE}
    ) as container:
        began = int(time.time())
        assert client.wait(container, timeout=200)["StatusCode"] == 0, said(client, container)
        wanted = {"event": "start", "label": "ikdemo.tag.infrakit.group=collabnix"}
        told = client.events(since=began, until=int(time.time()), filters=wanted, decode=True)
        assert len(list(told)) > 5, "the notebook had no containers of its own"
    assert client.containers(all=True, filters={"label": "ikdemo.owner"}) == []
