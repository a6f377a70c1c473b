"""Replays recorded conversations with InfraKit's real programs against ours, and compares what a
well-formed client sees.

A line is compared in one of three ways: ``same`` (the result or the error's message is equal, null
against [] included), ``error`` (the real program answered in Go's own words, dropped the connection
or has a known bug: ours must answer with a JSON-RPC error), ``free`` (malformed on the level of
HTTP or JSON-RPC, where ours follows the standards instead).
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

PROGRAMS = {
    "group": "infrakit-group-default",
    "instance-file": "infrakit-instance-file",
    "flavor-vanilla": "infrakit-flavor-vanilla",
    "flavor-combo": "infrakit-flavor-combo",
    "flavor-zookeeper": "infrakit-flavor-zookeeper",
}
"""Socket name to program; lines of other plugins are left out."""

KNOWN_BUGS = {
    "prepare-init-duplicated",
    "prepare-two-vanillas",
    "destroy-wrong-field",
    "describe-after-provisions",
    "provision-properties-not-validated",
    "describe-rolling",
    "pretend-quorum-on-size-group",
}
"""Cases in which the recorded answer is a known bug of v0.1.0."""

MEANWHILE = {"describe-after-directory-removed": {"remove_instances_dir": True}}
"""What the recorded program did by a bug and ours does not: a Destroy without an ID removed the
empty directory itself.
"""

GO_WORDS = ("json:", "unexpected end", 'Post "http', "no such file", "directory not empty")
DEADLINE = 100.0


def recordings(path: Path) -> list[dict[str, Any]]:
    """Return the recorded exchanges with the programs that exist here."""
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return [line for line in lines if line["plugin"] in PROGRAMS]


def verdict(line: dict[str, Any]) -> str:
    """Say how a line is compared: same, error or free."""
    request, response = line["request"], line["response"]
    odd = "raw" in request or "body_b64" in request or request["method"] != "POST"
    if odd or line["case"] in KNOWN_BUGS or line["case"].startswith(("http-", "env-")):
        return "free"
    if any("put_files" in step or "put_file_outside" in step for step in line.get("pre", [])):
        return "free"
    try:
        envelope = json.loads(request["body"])
    except ValueError:
        return "free"
    if not isinstance(envelope, dict) or envelope.get("id") is None:
        return "free"
    if response.get("closed_without_response") or not response.get("body"):
        return "error"
    error = json.loads(response["body"]).get("error")
    if error and (error["code"] != -32000 or any(words in error["message"] for words in GO_WORDS)):
        return "error"
    return "same"


class World:
    """Plugin processes in a directory of their own, made afresh by ``boot``."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.plugins, self.instances = root / "p", root / "i"
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def boot(self, poll_interval: str = "1h", only: list[str] | None = None) -> None:
        """Stop everything, empty the directories and start the programs."""
        self.stop()
        shutil.rmtree(self.root, ignore_errors=True)
        for directory in (self.plugins, self.instances):
            directory.mkdir(parents=True, mode=0o700)
        arguments = {
            "group": ["--poll-interval", poll_interval],
            "instance-file": ["--dir", str(self.instances)],
        }
        for name in only or PROGRAMS:
            self._start(name, arguments.get(name, []))

    def _start(self, name: str, arguments: list[str]) -> None:
        env = {**os.environ, "INFRAKIT_PLUGINS_DIR": str(self.plugins)}
        log = (self.root / f"{name}.log").open("wb")
        command = [sys.executable, "-m", "ikdemo", PROGRAMS[name], "--log", "5", *arguments]
        self.processes[name] = process = subprocess.Popen(
            command, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
        log.close()
        until(lambda: connects(self.plugins / name) or process.poll() is not None)
        assert process.poll() is None, (self.root / f"{name}.log").read_text()

    def stop(self) -> None:
        """Kill every program."""
        for process in self.processes.values():
            process.kill()
            process.wait()
        self.processes.clear()

    def prepare(self, step: dict[str, Any]) -> None:
        """Do what the recorder did just before a request."""
        if "put_instance_file" in step:
            (self.instances / step["put_instance_file"]).write_text(json.dumps(step["content"]))
        for name, content in step.get("put_files", {}).items():
            (self.instances / name).mkdir() if content is None else (
                self.instances / name
            ).write_text(content)
        if step.get("delete_all_instances"):
            for entry in self.instances.iterdir():
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        if step.get("remove_instances_dir"):
            shutil.rmtree(self.instances)
        if step.get("recreate_instances_dir"):
            self.instances.mkdir(exist_ok=True)
        if "put_file_outside" in step:
            Path(self.fill(step["put_file_outside"])).write_text("x")
        if "wait_instances" in step:
            self._settle(step["wait_instances"])
        if "kill_plugin" in step:
            process = self.processes.pop(step["kill_plugin"])
            process.send_signal(signal.SIGKILL)
            process.wait()
        if "unlink_stale_socket" in step:
            (self.plugins / step["unlink_stale_socket"]).unlink(missing_ok=True)

    def _settle(self, count: int) -> None:
        """Wait until there are so many instances and have been the same ones for a while: nothing
        announces that.
        """
        history: list[list[Any]] = []

        def settled() -> bool:
            history.append(self.describe())
            return (
                len(history[-1]) == count
                and len(history) > 20
                and history[-20:] == 20 * [history[-1]]
            )

        until(settled)

    def describe(self) -> list[Any]:
        body = '{"jsonrpc":"2.0","method":"Instance.DescribeInstances","params":{"Tags":{}},"id":1}'
        request = {
            "method": "POST",
            "path": "/",
            "headers": {"Content-Type": "application/json"},
            "body": body,
        }
        return json.loads(self.send({"plugin": "instance-file", "request": request}) or "{}")[
            "result"
        ]["Descriptions"]

    def send(self, line: dict[str, Any]) -> str | None:
        """Send a recorded request byte by byte as it was; None when the connection was dropped."""
        request = line["request"]
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(DEADLINE)
            s.connect(str(self.plugins / line["plugin"]))
            try:
                s.sendall(request["raw"].encode() if "raw" in request else self._bytes(request))
                answer = http.client.HTTPResponse(s, method=request.get("method", "POST"))
                answer.begin()
                return answer.read().decode("utf-8", "replace")
            except (http.client.HTTPException, OSError):
                return None

    def _bytes(self, request: dict[str, Any]) -> bytes:
        if "body_b64" in request:
            body = base64.b64decode(request["body_b64"])
        else:
            body = self.fill(request["body"]).encode("utf-8", "surrogatepass")
        head = [f"{request['method']} {request['path']} HTTP/1.1", "Host: a", "Connection: close"]
        head += [f"{name}: {value}" for name, value in request["headers"].items()]
        if not any(
            name.lower() in ("content-length", "transfer-encoding") for name in request["headers"]
        ):
            head.append(f"Content-Length: {len(body)}")
        return ("\r\n".join(head) + "\r\n\r\n").encode() + body

    def fill(self, text: str) -> str:
        """Put this world's directories in place of the recorder's placeholders."""
        for name, path in (
            ("INSTANCES_DIR", self.instances),
            ("PLUGINS_DIR", self.plugins),
            ("RUN_DIR", self.root),
        ):
            text = text.replace(f"${{{name}}}", str(path))
        return text

    def blank(self, text: str) -> str:
        """Put the placeholders in place of directories and random IDs."""
        for name, path in (
            ("INSTANCES_DIR", self.instances),
            ("PLUGINS_DIR", self.plugins),
            ("RUN_DIR", self.root),
        ):
            text = text.replace(str(path), f"${{{name}}}")
        return re.sub(r"instance-[A-Za-z0-9]{10,}", "instance-<RAND>", text)


def difference(world: World, line: dict[str, Any]) -> str:
    """Send one line and return how the answer differs from the recorded one, or nothing."""
    world.prepare(MEANWHILE.get(line["case"], {}))
    how, got = verdict(line), world.send(line)
    if how == "free":
        return ""
    try:
        reply = json.loads(world.blank(got or ""))
    except ValueError:
        return f"{line['case']}: expected a JSON answer, got {got!r}"
    if how == "error":
        return "" if reply.get("error") else f"{line['case']}: expected an error, got {got}"
    want, have = (
        comparable(value, line.get("unordered"))
        for value in (json.loads(line["response"]["body"]), reply)
    )
    return "" if want == have else f"{line['case']}: expected {want}, got {have}"


def comparable(reply: dict[str, Any], unordered: list[str] | None) -> dict[str, Any]:
    """Reduce an answer to what a client of v0.1.0 acts on.

    Entries of extensions are left out, as is Converged: there ours says what is true and v0.1.0
    does not.
    """
    value: dict[str, Any] = (
        {"message": reply["error"]["message"]}
        if reply.get("error")
        else {"result": reply.get("result")}
    )
    result = value.get("result") or {}
    if "APIs" in result:
        result["APIs"] = [
            api for api in result["APIs"] if api["Name"] in ("Group", "Instance", "Flavor")
        ]
    if isinstance(result.get("Description"), dict):
        result["Description"].pop("Converged", None)
    for path in unordered or []:
        *parents, last = path.split(".")
        node = value
        for name in parents:
            node = node.get(name) or {}
        if isinstance(node.get(last), list):
            node[last] = sorted(node[last], key=lambda one: json.dumps(one, sort_keys=True))
    return value


def connects(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as s:
        try:
            s.connect(str(path))
        except OSError:
            return False
    return True


def until(true: Any, deadline: float = DEADLINE) -> None:
    """Poll a condition of another process that no event announces."""
    end = time.monotonic() + deadline
    while not true():
        assert time.monotonic() < end, "the deadline passed"
        time.sleep(0.02)
