"""Fake plugins that write down every request they get, and answer as the fakes of the recordings
did.

A fake is a thread-per-connection server on a Unix socket, slow and simple on purpose: what it
understands, any plugin does.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

Answer = dict[str, Any] | str | None
"""What a fake answers: members of a reply; text (``HTTP/...``: the whole response, else its body);
None: the connection drops.
"""


class Request(NamedTuple):
    """One request. ``text`` is its body up to the id: all in which InfraKit's clients and ours
    could differ.
    """

    plugin: str
    method: str
    params: dict[str, Any]
    text: str


def request(plugin: str, body: str) -> Request:
    """Read a request's body; ``text`` keeps the order of members and the spelling of numbers."""
    envelope = json.loads(body)
    text, separator, number = body.rpartition(',"id":')
    assert separator, body
    assert json.loads(number.removesuffix("}")) == envelope["id"], body
    return Request(plugin, envelope["method"], envelope["params"], text)


class Recorder:
    """Everything that was asked of some fake plugins, in the order in which it was answered."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.changed = threading.Condition()

    def until(self, true: Callable[[], bool], seconds: float = 10.0) -> None:
        """Wait for a condition on what has been asked; looked at again after every request."""
        with self.changed:
            assert self.changed.wait_for(true, seconds), [
                f"{one.plugin} {one.text}" for one in self.requests[-20:]
            ]

    def count(self, method: str) -> int:
        return sum(one.method == method for one in self.requests)

    def polls(self, times: int = 2) -> None:
        """Wait until the instances were described so many times more: whatever was to come has come
        then.
        """
        wanted = self.count("Instance.DescribeInstances") + times
        self.until(lambda: self.count("Instance.DescribeInstances") >= wanted)

    def methods(self, plugin: str) -> list[str]:
        return [one.method for one in self.requests if one.plugin == plugin]


class Fake:
    """One plugin socket. ``answers`` is called with method and parameters, one call at a time for a
    whole recorder.
    """

    def __init__(
        self, recorder: Recorder, path: Path, answers: Callable[[str, dict[str, Any]], Answer]
    ) -> None:
        self.path = path
        self._recorder, self._answers = recorder, answers
        self._connections: set[socket.socket] = set()
        self.start()

    def start(self) -> None:
        """Listen (again)."""
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(self.path))
        self._listening.listen(64)
        threading.Thread(target=self._accept, args=(self._listening,), daemon=True).start()

    def stop(self) -> None:
        """End as a process does: every connection breaks, and nobody listens."""
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for connection in list(self._connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self.path.unlink(missing_ok=True)

    def _accept(self, listening: socket.socket) -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            self._connections.add(connection)
            threading.Thread(target=self._converse, args=(connection,), daemon=True).start()

    def _converse(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as stream, contextlib.suppress(OSError):
            while body := _body(stream):
                asked = request(self.path.name, body)
                with self._recorder.changed:
                    answer = self._answers(asked.method, asked.params)
                    self._recorder.requests.append(asked)
                    self._recorder.changed.notify_all()
                if asked.method == "Events.Watch":
                    time.sleep(0.1)
                if answer is None:
                    break
                connection.sendall(_http(answer))
                if isinstance(answer, str) and answer.startswith("HTTP/"):
                    break
        self._connections.discard(connection)


def _body(stream: Any) -> str:
    length = 0
    while (line := stream.readline().strip()) or not length:
        if not line:
            return ""
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    return stream.read(length).decode()


def _http(answer: dict[str, Any] | str) -> bytes:
    if isinstance(answer, dict):
        answer = json.dumps({"jsonrpc": "2.0", **answer, "id": 1}) + "\n"
    if answer.startswith("HTTP/"):
        return answer.encode()
    body = answer.encode()
    return (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: "
        b"%d\r\n\r\n%b" % (len(body), body)
    )


def implements(*names: str, version: str = "0.1.0") -> dict[str, Any]:
    """Return the reply to Plugin.Implements."""
    return {"result": {"APIs": [{"Name": name, "Version": version} for name in names]}}


def ask(path: Path, method: str, **params: Any) -> dict[str, Any]:
    """Call a plugin and return its reply."""
    body = json.dumps({"jsonrpc": "2.0", "method": method, "params": params, "id": 1}).encode()
    with socket.socket(socket.AF_UNIX) as to:
        to.settimeout(30)
        to.connect(str(path))
        to.sendall(
            b"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%b"
            % (len(body), body)
        )
        answer = http.client.HTTPResponse(to)
        answer.begin()
        reply: dict[str, Any] = json.loads(answer.read())
    return reply


def failure(message: str) -> dict[str, Any]:
    """Return an error reply."""
    return {"error": {"code": -32000, "message": message, "data": None}}


class FakeInstances:
    """Instances in memory, numbered ``i-001`` upwards, or as ``numbers`` says for a logical ID.

    ``failing`` maps a method to the error it answers with.
    """

    def __init__(self, *extensions: str) -> None:
        self.extensions = extensions
        self.living: dict[str, dict[str, Any]] = {}
        self.failing: dict[str, str] = {}
        self.made = 0
        self.numbers: dict[str | None, int] = {}

    def __call__(self, method: str, params: dict[str, Any]) -> Answer:
        if method in self.failing:
            return failure(self.failing[method])
        match method:
            case "Plugin.Implements":
                return implements("Instance", *self.extensions)
            case "Instance.Validate":
                return {"result": {"OK": True}}
            case "Instance.Provision":
                return {"result": {"ID": self._make(params)}}
            case "Instance.Destroy":
                self.living.pop(params["Instance"], None)
                return {"result": {"OK": True}}
            case "Instance.DescribeInstances":
                wanted = (params["Tags"] or {}).items()
                found = [
                    one for one in self.living.values() if wanted <= (one["Tags"] or {}).items()
                ]
                if not params.get("Slots"):
                    found = [
                        {name: value for name, value in one.items() if name != "Slot"}
                        for one in found
                    ]
                return {"result": {"Descriptions": found}}
            case "Events.Watch" if "Events" in self.extensions:
                return {"result": {"Stream": "s", "Next": 1, "Events": [], "Gap": False}}
        return failure(f'rpc: can\'t find service "{method}"')

    def _make(self, params: dict[str, Any]) -> str:
        self.made += 1
        spec = params["Spec"]
        name = f"i-{self.numbers.pop(spec['LogicalID'], self.made):03d}"
        self.living[name] = {"ID": name, "LogicalID": spec["LogicalID"], "Tags": spec["Tags"]}
        if "Slot" in params:
            self.living[name]["Slot"] = params["Slot"]
        return name


class FakeFlavor:
    """A flavor that adds nothing and calls every instance what ``health`` says."""

    def __init__(self, *extensions: str) -> None:
        self.extensions = extensions
        self.health = 1
        self.failing: dict[str, str] = {}

    def __call__(self, method: str, params: dict[str, Any]) -> Answer:
        if method in self.failing:
            return failure(self.failing[method])
        match method:
            case "Plugin.Implements":
                return implements("Flavor", *self.extensions)
            case "Flavor.Validate" | "Flavor.Drain":
                return {"result": {"OK": True}}
            case "Flavor.Prepare":
                return {"result": {"Spec": params["Spec"]}}
            case "Flavor.Healthy":
                return {"result": {"Health": self.health}}
        return failure(f'rpc: can\'t find service "{method}"')
