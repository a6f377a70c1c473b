"""The schema agrees with what is committed; the doctor says what is, and never fails for an
extra.
"""

from __future__ import annotations

import json
import re
import socketserver
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from plain_plugin import plain

from ikdemo.cli.commands import Invocation
from ikdemo.cli.verbs import lab_verbs as desk_verb
from ikdemo.cli.verbs.about_verbs import group_schema
from ikdemo.spi.errors import IkdemoError


def test_the_schema_names_every_member_and_leaves_properties_open(desk) -> None:
    done = desk.run("ikdemo schema")
    assert (done.returncode, done.stderr) == (0, "")
    schema = json.loads(done.stdout)
    assert schema == group_schema()
    members = {name: sorted(part["properties"]) for name, part in schema["$defs"].items()}
    assert members == {
        "GroupSpec": ["ID", "Properties"],
        "GroupProperties": ["Allocation", "Flavor", "Instance", "Updating"],
        "PluginSpec": ["Plugin", "Properties"],
        "Allocation": ["LogicalIDs", "Size"],
        "Updating": ["BatchSize", "Count", "Duration", "Surge"],
    }
    assert schema["$defs"]["GroupSpec"]["required"] == ["ID", "Properties"]
    assert "type" not in schema["$defs"]["PluginSpec"]["properties"]["Properties"]


def test_the_doctor_has_one_line_for_each_thing_and_a_cure_for_each_no(desk) -> None:
    desk.environment["DOCKER_HOST"] = f"unix://{desk.root}/no-engine"
    done = desk.run("ikdemo doctor")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    core, engine = ["Python 3.11 or newer", "plugin directory"], ["Docker engine", "Docker Swarm"]
    names = [*core, "inotify", "pidfd", "JupyterLab", "matplotlib", *engine, "machines"]
    assert [line[5:27].rstrip() for line in lines] == names
    assert all(re.match(r"yes  |no   .*  ->  .", line) for line in lines)
    assert lines[6].startswith("no   Docker engine")


def test_the_doctor_says_where_a_manager_is_not_fenced(desk) -> None:
    desk.start("infrakit-instance-file", "instance-file")
    desk.start("infrakit-group-default", "group-stateless", "--store", "none")
    assert "fencing" not in desk.run("ikdemo doctor").stdout, "no manager runs"
    (desk.root / "store").mkdir()
    (desk.root / "leader").write_text("group")
    files = ("--leader-file", str(desk.root / "leader"), "--store-dir", str(desk.root / "store"))
    desk.start("infrakit-manager", "group", "os", *files)
    last = desk.run("ikdemo doctor").stdout.splitlines()[-1]
    assert last == "yes  fencing               what an older leader asks for is refused"
    with plain(desk.plugins / "vm", "Instance", lambda method: {}):
        done = desk.run("ikdemo doctor")
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1].startswith(
        "no   fencing               vm: no extension Fence  ->  use plugins that offer it"
    )


@pytest.mark.parametrize(
    ("folder", "words"),
    [
        ("/proc/nowhere", "/proc/nowhere"),
        ("long" + "g" * 60, "bytes for a name"),
        ("file", "is a file"),
    ],
)
def test_the_doctor_fails_when_no_plugin_could_be_served(desk, folder: str, words: str) -> None:
    (desk.cwd / "file").write_text("")
    desk.environment["INFRAKIT_PLUGINS_DIR"] = str(desk.cwd / folder)
    done = desk.run("ikdemo doctor")
    line = done.stdout.splitlines()[1]
    assert done.returncode == 1
    assert line.startswith("no   plugin directory")
    assert words in line
    assert "INFRAKIT_PLUGINS_DIR" in line


SWARM = {"LocalNodeState": "active", "ControlAvailable": True}


class Engine(BaseHTTPRequestHandler):
    """As much of a Docker engine as a look at it needs, in Swarm mode."""

    swarm = SWARM

    def do_GET(self) -> None:
        is_version = self.path.endswith("/version")
        answer = (
            {"ApiVersion": "1.44"} if is_version else {"ServerVersion": "99.1", "Swarm": self.swarm}
        )
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def address_string(self) -> str:
        return "a Unix socket has no address"

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def engine(short_dir: Path) -> Iterator[str]:
    path = f"{short_dir}/docker.sock"
    with socketserver.ThreadingUnixStreamServer(path, Engine) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,)).start()
        yield f"unix://{path}"
        server.shutdown()


def test_the_doctor_sees_an_engine_and_its_swarm(desk, engine: str) -> None:
    desk.environment["DOCKER_HOST"] = engine
    done = desk.run("ikdemo doctor")
    assert done.stdout.splitlines()[6:8] == [
        "yes  Docker engine         version 99.1",
        "yes  Docker Swarm          active",
    ]


@pytest.mark.parametrize(
    ("swarm", "words"),
    [
        ({**SWARM, "ControlAvailable": False}, "active, as a worker  ->  name an engine that mana"),
        ({**SWARM, "LocalNodeState": "pending"}, "pending  ->  docker swarm init"),
        ({"LocalNodeState": ""}, "inactive  ->  docker swarm init"),
        (None, "inactive  ->  docker swarm init"),
    ],
)
def test_the_doctor_says_what_a_swarm_lacks(
    desk, engine: str, monkeypatch: pytest.MonkeyPatch, swarm: dict[str, object] | None, words: str
) -> None:
    monkeypatch.setattr(Engine, "swarm", swarm)
    desk.environment["DOCKER_HOST"] = engine
    assert f"no   Docker Swarm          {words}" in desk.run("ikdemo doctor").stdout


def test_jupyterlab_is_started_where_the_notebooks_are(desk) -> None:
    done = desk.run("ikdemo lab -- --version")
    assert (done.returncode, done.stderr) == (0, "")
    copy = re.escape(desk.environment["IKDEMO_DESK"])
    assert re.fullmatch(rf"Your copy of the notebooks is {copy}: .*\n\d+\.\d+\S*\n", done.stdout)


def test_without_jupyterlab_the_lab_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk_verb, "find_spec", lambda name: None)
    with pytest.raises(
        IkdemoError,
        match=r"JupyterLab is not installed; this installs it: .* -m pip install 'ikdemo\[lab\]'",
    ):
        desk_verb.lab(Invocation("ikdemo", {}, [], Path()))
