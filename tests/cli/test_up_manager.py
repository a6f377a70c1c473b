"""``ikdemo up manager``: a managed group in one line, which ends as it began."""

from __future__ import annotations

import json
import signal
import subprocess

import asking
from desk import Desk


def test_a_managed_group_is_started_in_one_line(desk: Desk) -> None:
    desk.plugins.mkdir(mode=0o700)
    process = desk.popen("ikdemo up manager")
    try:
        asking.until(
            lambda: (desk.plugins / "group").exists() or process.poll() is not None,
        )

        def leads() -> bool:
            told: dict[str, bool] = asking.ask(desk.plugins / "group", "Manager.Leader", {})
            return told["Leads"]

        asking.until(leads)
        desk.put_spec("web.json", "web", 2)
        done = desk.run("infrakit group commit web.json")
        assert done.stdout == "Committed web: Managing 2 instances\n"
        assert "web" in desk.run("infrakit group ls --name group-stateless").stdout
        stored = json.loads((desk.plugins / "group.manager/global.config").read_text())
        assert list(stored["Groups"]) == ["web"]
    finally:
        process.send_signal(signal.SIGTERM)
        said = process.communicate(timeout=100)[1]
    assert process.returncode == 0, said
    assert sorted(path.name for path in desk.plugins.iterdir() if path.is_socket()) == []
    assert "Traceback" not in said
    assert "no longer kept" not in said


def test_a_slip_is_told_before_anything_starts(desk: Desk) -> None:
    desk.plugins.mkdir(mode=0o700)
    for words in ("manager nosuch", "manager os --nosuch", "manager --name group-stateless"):
        done = subprocess.run(
            [*desk.program("ikdemo"), "up", words],
            env=desk.environment,
            cwd=desk.cwd,
            capture_output=True,
            text=True,
            timeout=100,
        )
        assert done.returncode == 1
        assert "Traceback" not in done.stderr
        assert not [path for path in desk.plugins.iterdir() if path.is_socket()]
