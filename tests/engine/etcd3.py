"""An etcd of three members on one machine, each in a network namespace of its own, gone without a
trace when the test run ends, however that ends.

The three namespaces hang at a switch in a fourth one; a cable can be cut there. All four live as
long as their descriptors, the members die with their parent, and their data is on a tmpfs in a
mount namespace that lives as long as one process, which dies with it too. It needs root and the
Debian packages ``etcd-server iproute2``; no unit of the former is used.

By hand: ``PYTHONPATH=tests python -m engine.etcd3 sh`` opens a shell in the first namespace, where
``127.0.0.1:2379`` is a member.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from engine.network import inside, new_network

PACKAGES = "etcd-server iproute2"
MEMBERS = (1, 2, 3)
PATIENCE = 100.0
"""Seconds for whatever has to happen."""
DATA = "/mnt"
"""Where the members' tmpfs is mounted, in their mount namespace only."""


class Written(NamedTuple):
    """One write that etcd accepted, or the end of a key: ``value`` is None."""

    revision: int
    key: str
    value: bytes | None
    created: int


class Etcd3:
    """Three members, or only some of them; ``endpoints(n)``: how they are reached from the
    namespace of member n.
    """

    def __init__(self, members: Sequence[int] = MEMBERS) -> None:
        self._switch = new_network()
        self._networks = {n: new_network() for n in members}
        self._members: dict[int, subprocess.Popen[bytes]] = {}
        self._has_data: set[int] = set()
        self._away: set[int] = set()
        self._wire()
        mount = f"mount -t tmpfs -o size=512m tmpfs {DATA} && echo mounted && exec sleep infinity"
        self._mounts = subprocess.Popen(
            ["unshare", "--mount", "setpriv", "--pdeathsig", "KILL", "sh", "-c", mount],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
        )
        assert self._mounts.stdout is not None
        if self._mounts.stdout.readline() != b"mounted\n":
            self.close()
            raise RuntimeError("no tmpfs can be mounted; a container needs CAP_SYS_ADMIN for that")

    @property
    def pids(self) -> list[int]:
        """The processes of the members, and the one that holds their data."""
        return [process.pid for process in (*self._members.values(), self._mounts)]

    def start(self, *members: int) -> None:
        """Start members, all if none is named, and wait until each knows a leader."""
        for member in members or self._networks:
            self._start(member)
        for member in members or self._networks:
            self._wait_until_ready(member)

    def kill(self, member: int) -> None:
        """Kill a member; its data stays."""
        self._members[member].kill()
        self._members.pop(member).wait()

    def stop(self, member: int) -> None:
        """Stop a member: its connections stay, and nothing answers."""
        self._members[member].send_signal(signal.SIGSTOP)
        self._away.add(member)

    def resume(self, member: int) -> None:
        """Let a member go on."""
        self._members[member].send_signal(signal.SIGCONT)
        self._away.discard(member)

    def cut(self, member: int) -> None:
        """Cut the cable of a member's namespace."""
        self._ip(self._switch, f"link set p{member} down")
        self._away.add(member)

    def heal(self, member: int) -> None:
        """Mend the cable."""
        self._ip(self._switch, f"link set p{member} up")
        self._away.discard(member)

    def endpoints(self, member: int) -> list[str]:
        """Return the members' addresses, that of the namespace first."""
        others = [other for other in self._networks if other != member]
        return ["127.0.0.1:2379", *(f"{address(other)}:2379" for other in others)]

    @contextmanager
    def at(self, member: int) -> Iterator[None]:
        """Put the calling thread, and the processes that it starts, into a member's namespace."""
        with inside(self._networks[member]):
            yield

    def leader(self) -> int:
        """Return which member leads etcd."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            for member in self._members:
                with suppress(OSError, http.client.HTTPException, ValueError):
                    said = self._answer(member, "/v3/maintenance/status", {})
                    if said.get("leader") == said["header"]["member_id"]:
                        return member
            time.sleep(0.02)
        raise AssertionError("no member leads etcd")

    def ask(self, path: str, question: Mapping[str, Any]) -> Any:
        """Ask the members that run, and are neither stopped nor cut off, until one answers."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            for member in self._members.keys() - self._away:
                with suppress(OSError, http.client.HTTPException, ValueError):
                    return self._answer(member, path, question)
            time.sleep(0.02)
        raise AssertionError("no member answers")

    def put(self, key: str, value: bytes) -> None:
        """Write a key by hand."""
        self.ask("/v3/kv/put", {"key": _b64(key.encode()), "value": _b64(value)})

    def remove(self, key: str) -> None:
        """Remove a key by hand; all keys that begin with it when it ends in a slash."""
        question = {"key": _b64(key.encode())}
        if key.endswith("/"):
            question["range_end"] = _b64(key[:-1].encode() + b"0")
        self.ask("/v3/kv/deleterange", question)

    def read(self, key: str) -> Written | None:
        """Read a key."""
        found = self.ask("/v3/kv/range", {"key": _b64(key.encode())}).get("kvs")
        return _written(found[0]) if found else None

    def history(self, since: int = 1) -> list[Written]:
        """Return all that etcd has accepted from a revision on, in the order of its revisions."""
        last, found = self.revision(), list[Written]()
        if last < since:
            return found
        everything = {"key": _b64(b"\0"), "range_end": _b64(b"\0"), "start_revision": since}
        member = min(self._members.keys() - self._away)
        with self._post(member, "/v3/watch", {"create_request": everything}) as response:
            while not found or found[-1].revision < last:
                result = json.loads(response.readline())["result"]
                found += [
                    _written(event["kv"], ended=event.get("type") == "DELETE")
                    for event in result.get("events", ())
                ]
        return found

    def revision(self) -> int:
        """Return the revision of the last write."""
        return int(self.ask("/v3/kv/range", {"key": _b64(b"\0")})["header"]["revision"])

    def close(self) -> None:
        """End everything."""
        for process in [*self._members.values(), self._mounts]:
            process.kill()
            process.wait()
        self._members.clear()
        if self._mounts.stdout is not None:
            self._mounts.stdout.close()
        for network in (self._switch, *self._networks.values()):
            os.close(network)

    def log(self, member: int) -> str:
        """Return the end of what a member wrote."""
        return Path(f"/proc/{self._mounts.pid}/root{DATA}/log-{member}").read_text()[-3000:]

    def _wire(self) -> None:
        self._ip(self._switch, "link add br0 type bridge", "link set br0 up")
        for member, network in self._networks.items():
            peer = f"/proc/{os.getpid()}/fd/{network}"
            self._ip(
                self._switch,
                f"link add p{member} type veth peer name eth0 netns {peer}",
                f"link set p{member} master br0 up",
            )
            self._ip(network, f"addr add {address(member)}/24 dev eth0", "link set eth0 up")

    def _ip(self, network: int, *commands: str) -> None:
        with inside(network):
            for command in commands:
                subprocess.run(["ip", *command.split()], check=True)

    def _start(self, member: int) -> None:
        at, data = address(member), f"{DATA}/{member}"
        everyone = ",".join(f"m{n}=http://{address(n)}:2380" for n in self._networks)
        state = "existing" if member in self._has_data else "new"
        command = (
            f"etcd --name m{member} --data-dir {data} --listen-peer-urls http://{at}:2380 "
            f"--initial-advertise-peer-urls http://{at}:2380 --advertise-client-urls "
            f"http://{at}:2379 --listen-client-urls http://{at}:2379,http://127.0.0.1:2379 "
            f"--initial-cluster {everyone} --initial-cluster-state {state} "
            "--initial-cluster-token ikdemo --enable-v2=false --log-level warn"
        )
        self._has_data.add(member)
        network = self._networks[member]
        self._members[member] = subprocess.Popen(
            [
                *("nsenter", f"--mount=/proc/{self._mounts.pid}/ns/mnt"),
                *(f"--net=/proc/{os.getpid()}/fd/{network}", "--"),
                *("setpriv", "--pdeathsig", "KILL", "sh", "-c"),
                f"exec {command} >>{DATA}/log-{member} 2>&1",
            ],
            stdin=subprocess.DEVNULL,
        )

    def _wait_until_ready(self, member: int) -> None:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and self._members[member].poll() is None:
            with suppress(OSError, http.client.HTTPException, ValueError):
                if self._answer(member, "/v3/maintenance/status", {}).get("leader"):
                    return
            time.sleep(0.02)
        raise RuntimeError(f"member {member} of etcd does not start:\n{self.log(member)}")

    def _answer(self, member: int, path: str, question: Mapping[str, Any]) -> Any:
        """Ask one member; raises OSError for an answer that is none."""
        with self._post(member, path, question) as response:
            answer = response.read()
        if response.status != 200:
            raise OSError(answer.decode(errors="replace"))
        return json.loads(answer)

    @contextmanager
    def _post(
        self, member: int, path: str, question: Mapping[str, Any]
    ) -> Iterator[http.client.HTTPResponse]:
        connection = http.client.HTTPConnection("127.0.0.1", 2379, timeout=5)
        try:
            with self.at(member):
                connection.connect()
            connection.request("POST", path, json.dumps(question))
            with connection.getresponse() as response:
                yield response
        finally:
            connection.close()


def address(member: int) -> str:
    return f"192.168.78.{10 + member}"


def _b64(data: bytes) -> str:
    return b64encode(data).decode()


def _written(pair: Mapping[str, str], *, ended: bool = False) -> Written:
    value = None if ended else b64decode(pair.get("value", ""))
    revision, created = int(pair["mod_revision"]), int(pair.get("create_revision", "0"))
    return Written(revision, b64decode(pair["key"]).decode(), value, created)


def lacking() -> str:
    """Say in a sentence why no etcd can be started here; nothing if one can."""
    if os.geteuid() != 0:
        return "three members of etcd in namespaces of their own need root"
    programs = ("etcd", "ip", "nsenter", "setpriv", "unshare")
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        return f"an etcd of the tests' own needs {', '.join(missing)}: apt-get install {PACKAGES}"
    return ""


@contextmanager
def running(members: Sequence[int]) -> Iterator[Etcd3]:
    """Give an etcd of so many members; skips the test where none can be started."""
    if reason := lacking():
        pytest.skip(reason)
    made = Etcd3(members)
    try:
        made.start()
        yield made
    finally:
        made.close()


def main(command: Sequence[str]) -> int:
    """Run a command in the first namespace of a new etcd, told by ``IKDEMO_ETCD`` where its members
    are; return its exit status.
    """
    with running(MEMBERS) as etcd, etcd.at(1):
        environment = {**os.environ, "IKDEMO_ETCD": ",".join(etcd.endpoints(1))}
        return subprocess.run(command, env=environment).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or [os.environ.get("SHELL", "/bin/sh")]))
