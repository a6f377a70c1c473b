"""Plugins that may open few files: connections that nobody uses keep nobody out, and instances
known are instances started.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from asking import ask, held, until
from desk import Desk
from marked import marked

LIMIT = 40


@pytest.fixture
def few(desk: Desk) -> Iterator[Desk]:
    """Give a desk whose process plugin may open few files."""
    process = desk.start("ikdemo-instance-process", "instance-process", "--grace", "2s")
    resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (LIMIT, LIMIT))
    yield desk
    for name in list(desk.processes):
        desk.stop(name, signal.SIGKILL)
    for pid in marked(register(desk)):
        os.kill(pid, signal.SIGKILL)


def register(desk: Desk) -> Path:
    return desk.plugins / "instance-process.instances"


def asked_once(path: Path) -> socket.socket:
    """Return a connection on which one question was answered, kept for others."""
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(100)
    connection.connect(str(path))
    body = json.dumps(
        {"jsonrpc": "2.0", "method": "Plugin.Implements", "params": {}, "id": 1}
    ).encode()
    connection.sendall(
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    )
    assert connection.recv(4096).startswith(b"HTTP/1.1 200")
    return connection


def test_connections_that_nobody_uses_keep_nobody_out(few: Desk) -> None:
    with ExitStack() as stack:
        for _ in range(3 * LIMIT):
            stack.enter_context(asked_once(few.plugins / "instance-process"))
        assert ask(few.plugins / "instance-process", "Instance.DescribeInstances", {"Tags": {}})[
            "Descriptions"
        ] in (None, [])


def test_a_group_too_large_for_its_plugin_s_descriptors_is_exactly_what_the_plugin_knows(
    few: Desk,
) -> None:
    few.start("infrakit-flavor-vanilla", "flavor-vanilla")
    few.start("infrakit-group-default", "group", "--poll-interval", "1s")
    instance = {"Plugin": "instance-process", "Properties": {"Command": ["sleep", "1000"]}}
    flavor = {"Plugin": "flavor-vanilla", "Properties": {}}
    properties = {"Allocation": {"Size": 2 * LIMIT}, "Instance": instance, "Flavor": flavor}
    ask(
        few.plugins / "group",
        "Group.CommitGroup",
        {"Spec": {"ID": "g", "Properties": properties}, "Pretend": False},
    )
    until(lambda: "no room to start a process" in few.run("ikdemo group why g").stdout)
    until(
        lambda: (
            len(marked(register(few)))
            == len(described(few))
            == len(list(register(few).glob("*.json")))
        )
    )
    assert held(few.processes["instance-process"].pid).descriptors < LIMIT
    assert few.run("infrakit group destroy g").returncode == 0
    assert (described(few), marked(register(few)), list(register(few).iterdir())) == ([], [], [])
    assert "Traceback" not in few.log("instance-process")
    assert few.stop("instance-process") == 0


def described(desk: Desk) -> list[object]:
    return (
        ask(desk.plugins / "instance-process", "Instance.DescribeInstances", {"Tags": {}})[
            "Descriptions"
        ]
        or []
    )
