"""The flavor that a learner writes in notebook 10, started as its own program: it answers what
InfraKit's group plugin asks.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

TESTS = Path(__file__).parents[1]
NOTEBOOK = TESTS.parent / "notebooks" / "10-your-own-plugin.ipynb"
RECORDED = TESTS / "wire" / "client-requests.jsonl"


def recorded_requests() -> list[dict[str, Any]]:
    """Return what the real group plugin was seen to ask a flavor, in order."""
    lines = map(json.loads, RECORDED.read_text().splitlines())
    return [line for line in lines if line["kind"] == "request" and line["plugin"] == "fake-flavor"]


def write_files(folder: Path) -> None:
    """Do what the notebook's ``%%writefile`` cells do."""
    for cell in json.loads(NOTEBOOK.read_text())["cells"]:
        magic, _, text = "".join(cell["source"]).partition("\n")
        if cell["cell_type"] == "code" and magic.startswith("%%writefile"):
            name = Path(magic.split()[-1].strip('"')).name  # the lab's directory stands before it
            with (folder / name).open("a" if "-a" in magic.split() else "w") as file:
                file.write(text + "\n")


@pytest.fixture
def zoo(short_dir: Path) -> Iterator[Path]:
    """Start the learner's program and give its socket."""
    write_files(short_dir)
    path = short_dir / "plugins" / "flavor-zoo"
    environment = {**os.environ, "INFRAKIT_PLUGINS_DIR": str(path.parent)}
    command = [sys.executable, str(short_dir / "serve_zoo.py")]
    with subprocess.Popen(command, env=environment, stdin=subprocess.PIPE) as process:
        deadline = time.monotonic() + 100
        while not path.exists() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        yield path
        assert process.stdin is not None
        process.stdin.close()  # as when the notebook ends
        assert process.wait(100) == 0
    assert not path.exists()


def ask(path: Path, request: dict[str, Any]) -> dict[str, Any]:
    """Send a recorded request byte by byte as it was sent, and return the answer."""
    head = "\r\n".join([request["request_line"], *request["headers"], "Connection: close", "", ""])
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(10)
        connection.connect(str(path))
        connection.sendall((head + request["body"]).encode())
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    status, _, body = answer.partition(b"\r\n\r\n")
    assert status.startswith(b"HTTP/1.1 200"), answer
    answered: dict[str, Any] = json.loads(body)
    return answered


def test_the_learners_flavor_answers_the_real_group_plugin(zoo: Path) -> None:
    asked = set()
    for request in recorded_requests():
        document, answer = json.loads(request["body"]), ask(zoo, request)
        assert answer["id"] == document["id"]
        result, method = answer["result"], document["method"]
        asked.add(method)
        if method == "Plugin.Implements":
            assert {"Name": "Flavor", "Version": "0.1.0"} in result["APIs"]
        elif method == "Flavor.Prepare":
            given, prepared = document["params"]["Spec"], result["Spec"]
            assert prepared["Tags"].pop("animal") in ("otter", "fox", "owl")
            assert prepared["Init"].startswith("echo I am the ")
            assert {**prepared, "Init": ""} == given
        else:
            assert result == ({"Health": 1} if method == "Flavor.Healthy" else {"OK": True})
    assert asked == {
        "Plugin.Implements",
        "Flavor.Validate",
        "Flavor.Prepare",
        "Flavor.Healthy",
        "Flavor.Drain",
    }
