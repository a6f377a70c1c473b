"""What the README says of managers, typed by a stranger: on one machine, at a node of a Docker
swarm, and by an etcd.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import docker
import pytest
from asking import until
from engine.private import PrivateEngine
from pages import Typed, story, typed

HEADING = "When the machine that keeps the groups dies"
MEMBERS = "10.0.0.1:2379,10.0.0.2:2379,10.0.0.3:2379"
HERE = "127.0.0.1"


def block(store: str) -> list[Typed]:
    """Return what is typed for managers that keep their specs in this store."""
    lines = list[Typed]()
    for line in typed("README.md"):
        if line.heading == HEADING:
            lines.append(line)
            if line.expected:
                if f"store {store};" in line.expected:
                    return lines
                lines = []
    raise AssertionError(f"the page says nothing of {store}")


def type_until_it_leads(
    folder: Path, store: str, replaced: Mapping[str, str], **variables: str
) -> None:
    """Type a block, until the answer to its last line has the form of that on the page."""
    *programs, asked = block(store)
    form = re.escape(asked.expected.strip()).replace(re.escape("machine-1"), r"\S+")
    form = re.sub(r"\d+(\\\.\d+)?", lambda _: r"[\d.hm]+", form)
    with story(folder, **variables) as terminals:
        for line in programs:
            command = line.command
            for old, new in replaced.items():
                command = command.replace(old, new)
            terminal = terminals.open(command)
            if command.startswith("infrakit-"):
                terminal.await_words(lambda text: "Listening at" in text)
        until(
            lambda: re.fullmatch(form, terminals.enter(asked.command).strip()),
            say=lambda: (form, terminals.enter(asked.command)),
        )


def test_a_manager_on_one_machine(short_dir: Path) -> None:
    type_until_it_leads(short_dir, "os", {})


def test_a_manager_with_a_docker_swarm(short_dir: Path, engine: PrivateEngine) -> None:
    with closing(docker.APIClient(engine.host, timeout=100)) as client:
        client.init_swarm(HERE, f"{HERE}:2377")
        try:
            type_until_it_leads(short_dir, "swarm", {}, DOCKER_HOST=engine.host)
        finally:
            client.leave_swarm(force=True)


@pytest.mark.usefixtures("etcd")
def test_a_manager_by_an_etcd(short_dir: Path) -> None:
    type_until_it_leads(short_dir, "etcd", {MEMBERS: "127.0.0.1:2379"})
