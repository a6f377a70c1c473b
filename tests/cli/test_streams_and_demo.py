"""The verbs that tell what happens while it happens: events, and the demo from beginning to end."""

from __future__ import annotations

import re
import signal
from pathlib import Path


def test_events_of_all_plugins_come_in_readable_lines(desk) -> None:
    desk.start_three()
    stream = desk.popen("ikdemo events --group web")
    desk.put_spec("web.json")
    assert stream.stderr is not None
    following = {stream.stderr.readline().split('"')[3] for _ in range(3)}
    assert following == {"Following group", "Following instance-file", "Following flavor-vanilla"}
    desk.run("infrakit group commit web.json")
    desk.run("ikdemo group wait web")
    (desk.instances / desk.until(3)[0]).unlink()
    desk.run("ikdemo group wait web")
    stream.send_signal(signal.SIGINT)
    printed, errors = stream.communicate(timeout=100)
    assert (stream.returncode, errors) == (130, "")
    lines = [
        re.fullmatch(r"\d\d:\d\d:\d\d\.\d{3}  (\S+) +(\S+) +web.*", line)
        for line in printed.splitlines()
    ]
    assert all(lines), printed
    said = {(found[1], found[2]) for found in lines if found}
    assert said >= {
        ("group", "committed"),
        ("group", "converged"),
        ("instance-file", "provisioned"),
        ("instance-file", "lost"),
    }


def test_events_end_when_their_time_is_over_even_if_nothing_runs(desk) -> None:
    done = desk.run("ikdemo events --for 0.3")
    assert (done.returncode, done.stdout) == (0, "")
    assert "No plugin runs in" in done.stderr


def test_the_demo_heals_draws_and_leaves_nothing(desk) -> None:
    done = desk.run("ikdemo demo")
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    assert (desk.cwd / "recovery.png").read_bytes().startswith(b"\x89PNG")
    for word in (
        "FAULT",
        "is gone",
        "1 fault",
        "2 detected",
        "3 first action",
        "4 recovered",
        "TTD",
        "TTR",
        "Healed: 5 of 5",
    ):
        assert word in done.stdout
    folder = re.search(r"files in (\S+) vanish", done.stdout)
    assert folder
    assert not Path(folder[1]).exists()
    assert not Path(folder[1]).parent.parent.exists()


def test_an_interrupted_demo_cleans_up(desk) -> None:
    demo = desk.popen("ikdemo demo")
    assert demo.stdout is not None
    folder = ""
    for line in demo.stdout:
        folder = folder or "".join(re.findall(r"in (\S+)$", line))
        if "infrakit group commit" in line:
            break
    demo.send_signal(signal.SIGINT)
    demo.communicate(timeout=100)
    assert demo.returncode == 130
    assert folder
    assert not Path(folder).exists()
