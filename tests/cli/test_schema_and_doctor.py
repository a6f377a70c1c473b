"""The schema agrees with what is committed; the doctor says what is, and never fails for an extra."""

from __future__ import annotations

import json
import re

import pytest

from ikdemo.cli.schema import group_schema


def test_the_schema_names_every_member_and_leaves_properties_open(desk) -> None:
    done = desk.run("ikdemo schema")
    assert (done.returncode, done.stderr) == (0, "")
    schema = json.loads(done.stdout)
    assert schema == group_schema()
    members = {name: sorted(part["properties"]) for name, part in schema["$defs"].items()}
    assert members == {
        "GroupSpec": ["ID", "Properties"],
        "GroupProperties": ["Allocation", "Flavor", "Instance"],
        "PluginSpec": ["Plugin", "Properties"],
        "Allocation": ["LogicalIDs", "Size"],
    }
    assert schema["$defs"]["GroupSpec"]["required"] == ["ID", "Properties"]
    assert "type" not in schema["$defs"]["PluginSpec"]["properties"]["Properties"]


def test_the_doctor_has_one_line_for_each_thing_and_a_cure_for_each_no(desk) -> None:
    desk.environment["DOCKER_HOST"] = f"unix://{desk.root}/no-engine"
    done = desk.run("ikdemo doctor")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    names = ["Python 3.11 or newer", "plugin directory", "inotify", "JupyterLab", "matplotlib", "Docker engine", "Docker Swarm"]
    assert [line[5:27].rstrip() for line in lines] == names
    assert all(re.match(r"yes  |no   .*  ->  .", line) for line in lines)
    assert lines[5].startswith("no   Docker engine")


@pytest.mark.parametrize(
    ("folder", "words"),
    [("/proc/nowhere", "/proc/nowhere"), ("long" + "g" * 60, "bytes for a name"), ("file", "is a file")],
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
