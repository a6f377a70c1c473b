"""``ikdemo instance logs``: what an instance printed, of a plugin that keeps it; the wire shows
nothing of it elsewhere.
"""

from __future__ import annotations

import json
import time

import pytest
from asking import Refused, ask
from desk import Desk

SCRIPT = "echo one; echo two >&2; echo three; exec sleep 1000"


def test_the_last_lines_of_an_instance_are_printed(desk: Desk) -> None:
    desk.start("ikdemo-instance-process", "instance-process")
    (desk.cwd / "one.json").write_text(
        json.dumps({"Properties": {"Command": ["sh", "-c", SCRIPT]}})
    )
    instance = desk.run("ikdemo instance provision one.json --name instance-process").stdout.strip()
    logs = f"ikdemo instance logs {instance} --name instance-process"
    deadline = time.monotonic() + 100
    while (said := desk.run(logs).stdout) != "one\ntwo\nthree\n" and time.monotonic() < deadline:
        time.sleep(0.01)
    assert said == "one\ntwo\nthree\n"
    assert desk.run(f"{logs} --tail 1").stdout == "three\n"
    assert desk.run(f"infrakit instance destroy {instance} --name instance-process").returncode == 0
    assert desk.run(logs).stdout == said
    unknown = desk.run("ikdemo instance logs instance-1 --name instance-process")
    assert unknown.returncode == 1
    assert "instance-1 is no instance here" in unknown.stderr
    with pytest.raises(Refused, match=r"\$.Tail: expected a whole number >= 0"):
        ask(desk.plugins / "instance-process", "Instance.Logs", {"Instance": instance, "Tail": -1})


def test_what_an_instance_printed_moves_no_cursor(desk: Desk) -> None:
    desk.start("ikdemo-instance-process", "instance-process")
    script = r"printf '\033]0;owned\007\tx\n\342\200\256egnp\n'; exec sleep 1000"
    (desk.cwd / "one.json").write_text(
        json.dumps({"Properties": {"Command": ["sh", "-c", script]}})
    )
    instance = desk.run("ikdemo instance provision one.json --name instance-process").stdout.strip()
    logs = f"ikdemo instance logs {instance} --name instance-process"
    deadline = time.monotonic() + 100
    while (said := desk.run(logs).stdout).count("\n") < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert said == "\\x1b]0;owned\\x07\tx\n\\u202eegnp\n"
    assert desk.run(f"infrakit instance destroy {instance} --name instance-process").returncode == 0


def test_a_plugin_that_keeps_no_output_says_so(desk: Desk) -> None:
    desk.start("infrakit-instance-file", "instance-file", "--dir", str(desk.instances))
    done = desk.run("ikdemo instance logs instance-1 --name instance-file")
    assert done.returncode == 1
    assert "the instance plugin instance-file keeps nothing that instances print" in done.stderr
    with pytest.raises(Refused, match="rpc: can't find method"):
        ask(desk.plugins / "instance-file", "Instance.Logs", {"Instance": "instance-1"})


def test_the_verb_is_not_one_of_infrakit_s(desk: Desk) -> None:
    assert "logs ID" in desk.run("ikdemo instance").stdout
    assert "logs" not in desk.run("infrakit instance").stdout
