"""Ten thousand mutated requests to each program: always an answer, a refusal or a clean close, and
the plugin is as it was.

The seeds are the bodies recorded from InfraKit's own clients, and those of the extensions. Every
request differs in some seeded way from a good one: in bytes, in JSON, or in HTTP. No answer may
come late, no memory or descriptor may stay behind.
"""

from __future__ import annotations

import json
import random
import re
import socket
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from asking import Refused, ask, held, until
from desk import Desk
from profiles import IN_CI, PATIENCE, SOAK

RECORDED = Path(__file__).parents[1] / "wire" / "conversations.jsonl"
REQUESTS = 100_000 if SOAK else 10_000 if IN_CI else 2_500
WARM_UP, CLEANING = REQUESTS // 4, 250
DEADLINE = 100.0
GROWTH = 20 * 1024  # KiB

NUMBERS = [
    b"0",
    b"-1",
    b"1.5",
    b"NaN",
    b"-Infinity",
    b"1e400",
    b"2147483648",
    b"9223372036854775808",
    b"1" * 400,
    b"-0",
    b"1e2",
]
VALUES = [
    *NUMBERS,
    b"null",
    b"true",
    b'""',
    b"[]",
    b"{}",
    b'"\\ud800"',
    b'"\xff"',
    b'"\\u0000"',
    b'"../../etc/passwd"',
    b"'x'",
]
EXTENSIONS = {
    "group": [
        f"Reconcile.{verb}" for verb in ("Plan", "Why", "Pause", "Resume", "Step", "Scale", "Free")
    ],
    "instance-file": ["Events.Watch", "Instance.Provision", "Instance.DescribeInstances"],
    "flavor-vanilla": ["Events.Watch", "Flavor.Healthy"],
}
PARAMS = {
    "Reconcile.Scale": {"ID": "collabnix", "Size": 3},
    "Reconcile.Free": {"ID": "spare", "Force": True},
    "Events.Watch": {"Since": {"Stream": "x", "Next": 1}, "Timeout": 0, "Tags": {"a": "b"}},
    "Instance.Provision": {
        "Spec": {"Properties": {"a": [1]}, "Tags": {"infrakit.group": "g"}},
        "Slot": "0",
    },
    "Instance.DescribeInstances": {"Tags": {"infrakit.group": "g"}, "Slots": True},
    "Flavor.Healthy": {"Properties": {}, "Instance": {"ID": "i", "Tags": None}},
}

Dice = random.Random
Mutation = Callable[[Dice, bytes], bytes]


def seeds(plugin: str) -> list[bytes]:
    bodies = set()
    for line in map(json.loads, RECORDED.read_text().splitlines()):
        if line["plugin"] == plugin and line["request"].get("body"):
            bodies.add(line["request"]["body"].encode("utf-8", "surrogatepass"))
    for method in EXTENSIONS[plugin]:
        call = {
            "jsonrpc": "2.0",
            "method": method,
            "params": PARAMS.get(method, {"ID": "collabnix"}),
            "id": 1,
        }
        bodies.add(json.dumps(call).encode())
        bodies.add(json.dumps([call, call]).encode())
    return sorted(bodies)


# how a body is changed


def flip(dice: Dice, body: bytes) -> bytes:
    changed = bytearray(body)
    for _ in range(dice.randint(1, 4)):
        changed[dice.randrange(len(changed))] ^= 1 << dice.randrange(8)
    return bytes(changed)


def insert(dice: Dice, body: bytes) -> bytes:
    at = dice.randrange(len(body))
    return (
        body[:at]
        + dice.choice([dice.randbytes(3), b"{", b"]", b'"', b"\\", b",", b":", b"\0", *VALUES])
        + body[at:]
    )


def delete(dice: Dice, body: bytes) -> bytes:
    at = dice.randrange(len(body))
    return body[:at] + body[at + dice.randint(1, 9) :]


def truncate(dice: Dice, body: bytes) -> bytes:
    return body[: dice.randrange(len(body))]


def repeat(dice: Dice, body: bytes) -> bytes:
    """Say a piece of the text twice, a whole member if possible."""
    members = list(re.finditer(rb'"\w+":\s*("[^"]*"|\d+|null|\{\}),?', body))
    if members and dice.random() < 0.7:
        start, end = dice.choice(members).span()
        return body[:start] + body[start:end].rstrip(b",") + b"," + body[start:]
    start, end = sorted(dice.randrange(len(body)) for _ in range(2))
    return body[:end] + body[start:]


def nest(dice: Dice, body: bytes) -> bytes:
    depth = dice.choice([10, 63, 64, 65, 500, 20_000])
    return replace_value(
        dice,
        body,
        dice.choice(
            [b"[" * depth + b"]" * depth, b'{"a":' * depth + b"1" + b"}" * depth, b"[" * depth]
        ),
    )


def number(dice: Dice, body: bytes) -> bytes:
    return replace_value(dice, body, dice.choice(VALUES))


def replace_value(dice: Dice, body: bytes, value: bytes) -> bytes:
    places = list(re.finditer(rb'(?<=:)\s*("[^"]*"|-?\d+|null|true|false)', body))
    if not places:
        return value
    start, end = dice.choice(places).span()
    return body[:start] + value + body[end:]


def swell(dice: Dice, body: bytes) -> bytes:
    """Make it large, rarely as large as is allowed."""
    size = 2**23 if dice.random() < 0.02 else 2 ** dice.randint(10, 17)
    return replace_value(dice, body, b'"' + b"x" * size + b'"')


OF_BODY: list[Mutation] = [flip, insert, delete, truncate, repeat, nest, number, number, swell]


def head(
    body: bytes, *lines: bytes, first: bytes = b"POST / HTTP/1.1", length: bytes | None = None
) -> bytes:
    length = b"%d" % len(body) if length is None else length
    return (
        b"\r\n".join([first, b"Host: a", b"Content-Length: " + length, *lines]) + b"\r\n\r\n" + body
    )


OF_HTTP: list[Mutation] = [
    lambda dice, body: head(body, length=b"%d" % (len(body) + dice.randint(1, 2**30))),
    lambda dice, body: head(body, length=b"%d" % dice.randrange(len(body))),
    lambda dice, body: head(
        body, length=dice.choice([b"-1", b"x", b"", b"1" * 30, b"0x10", b"5, 5"])
    ),
    lambda dice, body: head(body, b"Content-Length: 3"),
    lambda dice, body: head(body, b"Transfer-Encoding: chunked"),
    lambda dice, body: (
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n%b\r\n%b\r\n0\r\n\r\n"
        % (dice.choice([b"%x" % len(body), b"ffffffffffffffff", b"-1", b"zz"]), body)
    ),
    lambda dice, body: head(body, b"Origin: http://evil.example"),
    lambda dice, body: head(body, b"Content-Type: text/plain"),
    lambda dice, body: head(
        body,
        dice.choice(
            [b"Bad Header: \xff", b"\0: x", b": x", b"Upgrade: websocket\r\nConnection: Upgrade"]
        ),
    ),
    lambda dice, body: head(body, b"X: " + b"x" * dice.choice([100_000, 70_000, 200_000])),
    lambda dice, body: head(body, *[b"X%d: y" % n for n in range(dice.choice([100, 9_000]))]),
    lambda dice, body: head(
        body,
        first=dice.choice(
            [b"GET / HTTP/1.1", b"BREW / HTTP/1.1", b"POST / HTTP/9.9", b"", b"\0\1\2"]
        ),
    ),
    lambda dice, body: flip(dice, head(body)),
    lambda dice, body: truncate(dice, head(body)),
    lambda dice, body: dice.randbytes(dice.randint(1, 500)),
]


class Talk:
    """Requests to one plugin, many on a connection as long as it stays; what came back is
    counted.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.counts = path, Counter[str]()
        self._socket: socket.socket | None = None
        self._read = b""

    def send(self, request: bytes, *, last: bool) -> None:
        """Send a request and take in what comes back; with ``last`` nothing more is said and the
        connection must end.
        """
        if self._socket is None:
            self._socket, self._read = connect(self.path), b""
            self.counts["connections"] += 1
        try:
            self._socket.sendall(request)
            if last:
                self._socket.shutdown(socket.SHUT_WR)
        except OSError:
            # a refusal that came early; it may still be read
            self.counts["closed while sending"] += 1
        while self._one_answer() and last:
            pass

    def _one_answer(self) -> bool:
        """Read one answer; false when the connection has ended."""
        raw_head = self._until(
            lambda data: data.find(b"\r\n\r\n") + 4 if b"\r\n\r\n" in data else 0
        )
        if not raw_head:
            self.end("closed")
            return False
        status = int(raw_head.split()[1])
        if status == 100:
            return True
        length = int(re.search(rb"Content-Length: (\d+)", raw_head)[1])  # type: ignore[index]
        body = self._until(lambda data: length if len(data) >= length else 0) if length else b""
        assert len(body) == length, "an answer was cut short"
        self.counts[str(status)] += 1
        if status == 200:
            self.counts["errors"] += check_reply(body)
        else:
            assert body.isascii() or body.decode()
        if b"Connection: close" in raw_head:
            self.end("told to close")
            return False
        return True

    def _until(self, complete: Callable[[bytes], int]) -> bytes:
        assert self._socket is not None
        while not (size := complete(self._read)):
            try:
                data = self._socket.recv(2**16)
            except ConnectionError:
                data = b""
            if not data:
                return b""
            self._read += data
        found, self._read = self._read[:size], self._read[size:]
        return found

    def end(self, how: str) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None
            self.counts[how] += 1


def connect(path: Path) -> socket.socket:
    made = socket.socket(socket.AF_UNIX)
    made.settimeout(DEADLINE)  # an answer later than this is a failure
    made.connect(str(path))
    return made


def check_reply(body: bytes) -> int:
    """A reply is JSON-RPC: nothing for a notification, else a result or an error for each call;
    return how many are errors.
    """
    if not body:
        return 0
    errors = 0
    reply = json.loads(body)
    for one in reply if isinstance(reply, list) else [reply]:
        assert one["jsonrpc"] == "2.0"
        assert ("result" in one) != ("error" in one)
        if "error" in one:
            assert set(one["error"]) == {"code", "message", "data"}
            assert one["error"]["code"] != -32603, one
            errors += 1
    return errors


def mutated(dice: Dice, corpus: list[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Yield requests, each with whether it must be the last on its connection."""
    while True:
        body = dice.choice(corpus)
        if dice.random() < 0.1:
            yield dice.choice(OF_HTTP)(dice, body), True
            continue
        for _ in range(dice.randint(1, 2)):
            body = dice.choice(OF_BODY)(dice, body) or b" "
        yield head(body, b"Content-Type: application/json"), False


def tidy(desk: Desk) -> None:
    """Undo what valid requests did, so that only what leaks stays."""
    group = desk.plugins / "group"
    for spec in ask(group, "Group.InspectGroups", {})["Groups"] or []:
        try:
            ask(group, "Group.DestroyGroup", {"ID": spec["ID"]})
        except Refused as refused:
            assert "marked for destruction" in str(refused) or "being destroyed" in str(refused)
    for path in desk.instances.glob("instance-*"):
        path.unlink(missing_ok=True)


def dawdle(path: Path, parts: list[bytes]) -> bytes:
    """Send parts of a request and then nothing; return what comes back before the plugin ends the
    connection.
    """
    said = b""
    with connect(path) as connection:
        for part in parts:
            connection.sendall(part)
        while data := connection.recv(4096):
            said += data
    return said


@pytest.mark.timeout(PATIENCE)
@pytest.mark.parametrize("plugin", EXTENSIONS)
def test_mutated_requests_are_answered_refused_or_cut_off_and_leave_nothing_behind(
    desk: Desk, plugin: str
) -> None:
    # what is freed is given back at once, so that what is held is seen
    desk.environment["MALLOC_MMAP_THRESHOLD_"] = "131072"
    desk.start_three()
    path, pid = desk.plugins / plugin, desk.processes[plugin].pid
    talk = Talk(path)
    whole = head(b'{"jsonrpc":"2.0","method":"Plugin.Implements","id":1}')
    with ThreadPoolExecutor(4) as slow:
        dawdling = [slow.submit(dawdle, path, [whole[:cut]]) for cut in (5, 60, len(whole) - 1)]
        requests = mutated(random.Random(plugin), seeds(plugin))
        for number_sent in range(REQUESTS):
            if number_sent % CLEANING == 0:
                tidy(desk)
            if number_sent == WARM_UP:
                talk.end("warm")
                before = held(pid)
            request, last = next(requests)
            talk.send(request, last=last)
        talk.end("done")
        for late in dawdling:
            assert late.result(DEADLINE).startswith(b"HTTP/1.1 408 ")
    tidy(desk)
    assert {"Name": "Events", "Version": "0.1.0"} in ask(path, "Plugin.Implements", {})["APIs"]
    # connections of calls at once are closed a little later
    until(lambda: held(pid).descriptors <= before.descriptors + 2)
    after = held(pid)
    print(plugin, dict(talk.counts), before, after)
    assert after.memory - before.memory < GROWTH
    assert after.threads <= before.threads + 8
    assert talk.counts["200"] > REQUESTS / 2
    assert talk.counts["errors"] > REQUESTS / 4
    assert talk.counts["400"] > 50
    logs = "".join(desk.log(name) for name in desk.processes)
    assert "Traceback" not in logs
    assert "level=error" not in logs


def test_a_group_too_large_to_look_at_is_refused_before_anything_is_stored(desk: Desk) -> None:
    desk.start_three()
    group = desk.plugins / "group"
    sections = {
        "Instance": {"Plugin": "instance-file", "Properties": {}},
        "Flavor": {"Plugin": "flavor-vanilla", "Properties": {}},
    }
    for allocation, updating in (
        ({"Size": 10**9}, {}),
        ({"LogicalIDs": ["a"] * 100_001}, {}),
        ({"Size": 1}, {"Updating": {"Surge": 10**6}}),
    ):
        properties = {"Allocation": allocation, **sections, **updating}
        with pytest.raises(
            Refused, match=r"^\$\.Properties\.\w+\.\w+: a group may have 100000 instances"
        ):
            ask(group, "Group.CommitGroup", {"Spec": {"ID": "large", "Properties": properties}})
    properties = {"Allocation": {"Size": 1}, **sections}
    ask(group, "Group.CommitGroup", {"Spec": {"ID": "small", "Properties": properties}})
    with pytest.raises(Refused, match="a group may have 100000 instances"):
        ask(group, "Reconcile.Scale", {"ID": "small", "Size": 10**12})
    assert [spec["ID"] for spec in ask(group, "Group.InspectGroups", {})["Groups"]] == ["small"]
