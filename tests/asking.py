"""Plain JSON-RPC over a plugin's socket, for tests that must not lean on our own client, and what
its process holds.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple


class Refused(Exception):
    """The plugin answered with an error; the text is its message."""


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("a", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def ask(path: Path, method: str, params: dict[str, Any], timeout: float = 100.0) -> Any:
    """Call one method on a connection of its own; raises Refused, and OSError or HTTPException when
    no answer comes.
    """
    body = json.dumps({"jsonrpc": "2.0", "method": method, "params": params, "id": 1})
    reply = json.loads(post(path, body.encode(), timeout))
    if reply.get("error"):
        raise Refused(reply["error"]["message"])
    return reply["result"]


def post(path: Path, body: bytes, timeout: float = 100.0) -> bytes:
    """Send one request on a connection of its own and return the body of the answer."""
    connection = _Connection(path, timeout)
    try:
        connection.request("POST", "/", body, {"Content-Type": "application/json"})
        return connection.getresponse().read()
    finally:
        connection.close()


def get(path: Path, url: str, timeout: float = 100.0) -> bytes:
    """Get what a server on a Unix socket has at ``url``, on a connection of its own."""
    connection = _Connection(path, timeout)
    try:
        connection.request("GET", url)
        return connection.getresponse().read()
    finally:
        connection.close()


class Held(NamedTuple):
    """What a process holds: memory in KiB, open descriptors, threads."""

    memory: int
    descriptors: int
    threads: int


def held(pid: int) -> Held:
    status = dict(
        line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines()
    )
    return Held(
        int(status["VmRSS"].split()[0]),
        len(list(Path(f"/proc/{pid}/fd").iterdir())),
        int(status["Threads"]),
    )


def until(
    condition: Callable[[], Any], patience: float = 100.0, say: Callable[[], object] = lambda: ""
) -> Any:
    """Wait until a condition is true and return what it gave; what no event tells is asked again
    every few milliseconds.
    """
    end = time.monotonic() + patience
    while not (found := condition()):
        assert time.monotonic() < end, say()
        time.sleep(0.01)
    return found


def stop(pid: int) -> None:
    """Stop a process, and wait until none of its threads runs: some go on for a moment."""
    os.kill(pid, signal.SIGSTOP)

    def runs(stat: Path) -> bool:
        try:
            return stat.read_text().rpartition(")")[2].split()[0] != "T"
        except OSError:  # it has ended
            return False

    until(lambda: not any(runs(stat) for stat in Path(f"/proc/{pid}/task").glob("*/stat")))
