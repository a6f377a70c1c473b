"""A swarm that is none: a socket for each of its nodes, at which an engine seems to answer, and one
spec behind all of them.

It answers as Docker 20.10 was recorded to, keeps what it is not told to change, and can be made to
hang, to refuse, or to lose an answer. It needs neither root nor an engine.
"""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingMixIn, UnixStreamServer
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

NOT_MANAGING = (
    "This node is not a swarm manager. Worker nodes can't be used to view or modify cluster state. "
    "Please run this command on a manager node or promote the current node to a manager."
)
NO_LEADER = (
    "rpc error: code = Unknown desc = The swarm does not have a leader. It's possible that too few "
    "managers are online. Make sure more than half of the managers are online."
)
Answer = tuple[int, bytes]
HANG: Answer = (0, b"hang")
"""No answer until the swarm is closed."""
LOST: Answer = (0, b"lost")
"""The request is carried out, and the connection ends without an answer."""
DROPPED: Answer = (0, b"dropped")
"""The connection ends, and nothing is carried out."""


class Asked(NamedTuple):
    """One request: which node, and what; ``path`` is without the version and the query."""

    node: str
    method: str
    path: str
    query: dict[str, str]
    body: Any

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


class Machine(NamedTuple):
    """A node that somebody's machine is: a label of its engine, as ``key=value``, its state, and
    whether it manages.
    """

    label: str
    state: str = "ready"
    manages: bool = False


class FakeSwarm:
    """``spec``, ``version`` and ``leader`` are what the swarm has; ``workers``: nodes that manage
    nothing; ``machines``: nodes at which no engine answers; ``answers``: what is said instead, to
    the end of a path, or by a function of a request; ``after_read``: what happens once, as soon as
    the spec has been read.
    """

    def __init__(self, directory: Path, *names: str) -> None:
        self.directory = directory
        self.names = names or ("n1",)
        self.leader = self.names[0]
        self.workers: set[str] = set()
        self.machines: dict[str, Machine] = {}
        self.version = 10
        self.spec: dict[str, Any] = {
            "Name": "default",
            "Labels": {},
            "Orchestration": {"TaskHistoryRetentionLimit": 5},
            "Raft": {"ElectionTick": 10, "HeartbeatTick": 1},
            "Dispatcher": {"HeartbeatPeriod": 5000000000},
            "CAConfig": {"NodeCertExpiry": 7776000000000000},
            "TaskDefaults": {},
            "EncryptionConfig": {"AutoLockManagers": False},
        }
        self.asked: list[Asked] = []
        self.answers: dict[str, Answer | Callable[[Asked], Answer | None]] = {}
        self.after_read: Callable[[], None] = lambda: None
        self.lock = threading.RLock()
        self._over = threading.Event()
        self._servers = [_Server(self, name) for name in self.names]

    def host(self, name: str = "") -> str:
        return f"unix://{self.directory}/{name or self.names[0]}.sock"

    @property
    def labels(self) -> dict[str, str]:
        with self.lock:
            return dict(self.spec["Labels"] or {})

    def set_label(self, name: str, text: str | None) -> None:
        """Change a label behind the managers' backs."""
        with self.lock:
            labels = {**self.labels, name: text}
            self.spec["Labels"] = {key: one for key, one in labels.items() if one is not None}
            self.version += 1

    def updates(self) -> list[Asked]:
        return [one for one in self.asked if one.path == "/swarm/update"]

    def close(self) -> None:
        self._over.set()
        for server in self._servers:
            server.close()

    def answer(self, asked: Asked) -> Answer:
        """Answer as an engine does, or as the test wants it."""
        with self.lock:
            self.asked.append(asked)
            said = next(
                (one for end, one in self.answers.items() if asked.path.endswith(end)), None
            )
            said = said(asked) if callable(said) else said
            if said == LOST:
                self._reply(asked)
            return self._reply(asked) if said is None else said

    def _reply(self, asked: Asked) -> Answer:
        managing = asked.node not in self.workers
        if asked.path == "/version":
            return 200, b'{"ApiVersion": "1.41", "MinAPIVersion": "1.12"}'
        if asked.path == "/info":
            return _said(
                {
                    "ID": "E",
                    "Swarm": {
                        "NodeID": asked.node,
                        "LocalNodeState": "active",
                        "ControlAvailable": managing,
                    },
                }
            )
        if not managing:
            return _refusal(503, NOT_MANAGING)
        if asked.path == "/nodes":
            return self._listed(json.loads(asked.query.get("filters", "{}")).get("label", []))
        if asked.path.startswith("/nodes/") and asked.method == "DELETE":
            forced = asked.query.get("force") in ("1", "true", "True")
            return self._removed(asked.path.rpartition("/")[2], forced)
        if asked.path.startswith("/nodes/") and asked.path.endswith("/update"):
            return self._demoted(
                asked.path.split("/")[2], asked.query["version"], asked.body["Role"]
            )
        if asked.path.startswith("/nodes/"):
            return self._node(asked.path.rpartition("/")[2])
        if asked.path == "/swarm":
            version, tokens = {"Index": self.version}, {"Worker": "W-1", "Manager": "M-1"}
            swarm = {"ID": "S", "Version": version, "Spec": self.spec, "JoinTokens": tokens}
            said = _said(swarm)
            happening, self.after_read = self.after_read, lambda: None
            happening()
            return said
        if asked.path == "/swarm/update":
            if asked.query.get("version") != str(self.version):
                return _refusal(500, "rpc error: code = Unknown desc = update out of sequence")
            self.spec, self.version = asked.body, self.version + 1
            return 200, b""
        return _refusal(404, "page not found")

    def _node(self, name: str) -> Answer:
        if name in self.machines:
            role = "manager" if self.machines[name].manages else "worker"
            spec = {"Role": role, "Availability": "active", "Labels": {"kept": "yes"}}
            return _said({"ID": name, "Version": {"Index": self.version}, "Spec": spec})
        if name not in self.names:
            return _refusal(404, f"node {name} not found")
        node: dict[str, Any] = {"ID": name, "Status": {"State": "ready"}}
        if name not in self.workers:
            node["ManagerStatus"] = {"Reachability": "reachable", "Addr": f"{name}:2377"}
            if name == self.leader:
                node["ManagerStatus"]["Leader"] = True
        return _said(node)

    def _listed(self, labels: list[str]) -> Answer:
        return _said(
            [
                {
                    "ID": name,
                    "Status": {"State": machine.state},
                    "Description": {"Engine": {"Labels": dict([machine.label.split("=")])}},
                    **({"ManagerStatus": {"Addr": "a"}} if machine.manages else {}),
                }
                for name, machine in self.machines.items()
                if machine.label in labels or not labels
            ]
        )

    def _demoted(self, name: str, version: str, role: str) -> Answer:
        if version != str(self.version):
            return _refusal(500, "rpc error: code = Unknown desc = update out of sequence")
        self.machines[name] = self.machines[name]._replace(manages=role == "manager")
        return 200, b""

    def _removed(self, name: str, forced: bool) -> Answer:
        if name not in self.machines:
            return _refusal(404, f"node {name} not found")
        if self.machines[name].manages:
            text = f"node {name} is a cluster manager and is a member of the raft cluster"
            return _refusal(400, f"rpc error: code = FailedPrecondition desc = {text}")
        if self.machines[name].state == "ready" and not forced:
            text = f"node {name} is not down and can't be removed"
            return _refusal(400, f"rpc error: code = FailedPrecondition desc = {text}")
        del self.machines[name]
        return 200, b""

    def wait_until_over(self) -> None:
        self._over.wait(100)


def _said(document: object) -> Answer:
    return 200, json.dumps(document).encode()


def _refusal(status: int, text: str) -> Answer:
    return status, json.dumps({"message": text}).encode()


class _Server(ThreadingMixIn, UnixStreamServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, swarm: FakeSwarm, name: str) -> None:
        self.swarm, self.name = swarm, name
        self.open: set[socket.socket] = set()
        super().__init__(str(swarm.directory / f"{name}.sock"), _Requests)
        self._thread = threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop, end every connection, and wait for the threads."""
        self.shutdown()
        self._thread.join()
        for one in list(self.open):
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        self.server_close()


class _Requests(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def setup(self) -> None:
        super().setup()
        self.server.open.add(self.request)

    def finish(self) -> None:
        self.server.open.discard(self.request)
        try:
            super().finish()
        except OSError:
            pass

    def handle(self) -> None:
        try:
            super().handle()
        except OSError:
            pass

    def do_GET(self) -> None:
        self._answer()

    do_POST = do_DELETE = do_GET

    def _answer(self) -> None:
        target = urlsplit(self.path)
        query = {name: values[-1] for name, values in parse_qs(target.query).items()}
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        path = re.sub(r"^/v[0-9.]+", "", target.path)
        swarm = self.server.swarm
        status, said = swarm.answer(Asked(self.server.name, self.command, path, query, body))
        if status == 0:
            if (status, said) == HANG:
                swarm.wait_until_over()
            self.close_connection = True
            return
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, *_: object) -> None:
        pass
