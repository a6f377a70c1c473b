"""What group and instance plugins say in their terminals: each fact in a line, floods counted,
no plugin waiting for a reader.
"""

from __future__ import annotations

import asyncio
import logging
import os
import pty
import re
import select
import signal
import subprocess
from contextlib import suppress

import pytest
from asking import until

from ikdemo import log_limit
from ikdemo.log_limit import BURST, LineLimit

MESSAGE = re.compile(r'time="[^"]+" level=(info|warning) msg="((?:[^"\\]|\\.)*)" ')


def said(text: str) -> list[str]:
    """Return the messages of a log, without IDs; every line must be one of the form."""
    lines = [MESSAGE.fullmatch(line) for line in text.splitlines()]
    assert all(lines), text
    return [re.sub(r"instance-\d+", "ID", line[2]) for line in lines if line]


def test_the_terminals_of_a_group_show_how_it_heals(desk) -> None:
    desk.start_three()
    desk.put_spec("web.json", size=2)
    desk.run("infrakit group commit web.json")
    desk.run("ikdemo group wait web")
    next(desk.instances.glob("instance-*")).unlink()
    until(
        lambda: said(desk.log("group")).count("Group web has 2 instances as wanted") == 2,
        say=lambda: desk.log("group"),
    )
    lost = next(line for line in said(desk.log("instance-file")) if line.startswith("Lost"))
    slot = re.findall(r"in slot (\d)", lost)[0]
    assert sorted(said(desk.log("instance-file"))[1:3]) == [
        f"Provisioned ID in slot {slot} of group web: its file was written" for slot in (0, 1)
    ]
    assert said(desk.log("instance-file"))[3:] == [
        f"Lost ID in slot {slot} of group web: its file vanished",
        f"Provisioned ID in slot {slot} of group web: its file was written",
    ]
    told = said(desk.log("group"))
    assert told[1:3] + told[5:] == [
        "Committed group web: Managing 2 instances",
        "Adding 2 instances to group web to reach 2 (missing)",
        "Group web has 2 instances as wanted",
        f"Group web is not as wanted: slot {slot}: no instance in this slot (missing), waiting "
        "for its provisioning",
        "Adding 1 instance to group web to reach 2 (missing)",
        f"Group web: provisioned ID in slot {slot}",
        "Group web has 2 instances as wanted",
    ]
    desk.run("infrakit group destroy web")
    until(
        lambda: said(desk.log("group"))[-1].startswith("Group web is destroyed"),
        say=lambda: desk.log("group"),
    )
    assert "Removing 2 instances from group web to reach 0 (surplus)" in said(desk.log("group"))


def test_a_group_is_watched_again_after_a_kill(desk) -> None:
    desk.start_three()
    desk.put_spec("web.json", size=1)
    desk.run("infrakit group commit web.json")
    desk.until(1)
    desk.stop("group", how=signal.SIGKILL)
    desk.start("infrakit-group-default", "group", "--poll-interval", "1h")
    assert said(desk.log("group"))[0] == "Watching group web again"


def test_what_fails_is_a_warning_and_a_process_is_said_with_its_pid(desk) -> None:
    desk.start("ikdemo-instance-process", "instance-file", "--most", "1", "--grace", "0s")
    desk.start("infrakit-flavor-vanilla", "flavor-vanilla")
    desk.start("infrakit-group-default", "group")
    desk.put_spec("web.json", size=2, Command=["sleep", "1000"])
    desk.run("infrakit group commit web.json")
    until(lambda: "could not provision" in desk.log("group"), say=lambda: desk.log("group"))
    why = "no room: 1 instances are alive, and no more than 1 may be"
    assert (
        f'level=warning msg="Group web: could not provision an instance in slot 1: {why}"'
        in desk.log("group")
    )
    (pid,) = re.findall(
        r"Provisioned instance-\d+ in slot 0 of group web: pid (\d+) on port",
        desk.log("instance-file"),
    )
    os.kill(int(pid), signal.SIGKILL)
    until(
        lambda: "in slot 0 of group web: was ended by SIGKILL" in desk.log("instance-file"),
        say=lambda: desk.log("instance-file"),
    )
    desk.run("infrakit group destroy web")


def test_who_wants_warnings_only_is_told_what_fails_and_nothing_else(desk) -> None:
    desk.start("ikdemo-instance-process", "instance-file", "--most", "1", "--grace", "0s")
    desk.start("infrakit-flavor-vanilla", "flavor-vanilla")
    desk.start("infrakit-group-default", "group", "--log", "3")
    desk.put_spec("web.json", size=2, Command=["sleep", "1000"])
    desk.run("infrakit group commit web.json")
    until(lambda: "could not provision" in desk.log("group"), say=lambda: desk.log("group"))
    desk.run("infrakit group destroy web")
    assert "level=info" not in desk.log("group")


def test_of_a_flood_every_fact_is_counted(desk) -> None:
    desk.start_three()
    desk.put_spec("web.json", size=300)
    desk.run("infrakit group commit web.json")
    for name, kind, more in (
        ("instance-file", "Provisioned ", "instances were provisioned"),
        ("group", "Group web: provisioned ", "instances were provisioned or destroyed"),
    ):

        def counted(name: str = name, kind: str = kind, more: str = more) -> int:
            lines = said(desk.log(name))
            left_out = [int(line.split()[0]) for line in lines if line.endswith(f" more: {more}")]
            return sum(line.startswith(kind) for line in lines) + sum(left_out)

        until(lambda counted=counted: counted() == 300, say=lambda name=name: desk.log(name))


def test_a_flood_has_its_first_lines_and_then_a_number_before_whatever_comes_next(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_limit, "PERIOD", 0.05)
    log = logging.getLogger("flood")
    caplog.set_level(logging.INFO, "flood")
    limit = LineLimit(log)

    async def flood() -> None:
        caplog.clear()
        assert [limit.has_room("things happened") for _ in range(10_000)].count(True) == BURST
        assert limit.has_room("it is over")
        assert caplog.messages == [f"{10_000 - BURST} more: things happened"]
        assert not limit.has_room("things happened")
        while len(caplog.messages) < 2:  # noqa: ASYNC110  no event tells
            await asyncio.sleep(0.01)
        assert caplog.messages[1] == "1 more: things happened"
        assert limit.has_room("things happened")

    asyncio.run(flood())
    asyncio.run(flood())  # the loop that was to end the last second is gone


def terminal() -> tuple[int, int]:
    """Return a terminal that was stopped with Ctrl-S, by its two ends: of who reads it, and of the
    program.
    """
    reading, writing = pty.openpty()
    os.write(reading, b"\x13")
    return reading, writing


def full_pipe() -> tuple[int, int]:
    """Return a pipe that is full."""
    reading, writing = os.pipe()
    filling = os.open(f"/proc/self/fd/{writing}", os.O_WRONLY | os.O_NONBLOCK)
    with suppress(BlockingIOError):
        while True:
            os.write(filling, b"x" * 4096)
    os.close(filling)
    return reading, writing


@pytest.mark.parametrize("stopped", [terminal, full_pipe])
def test_a_reader_that_stopped_keeps_no_plugin_from_healing(desk, stopped) -> None:
    """What is not read is left out, and that is said; a text from elsewhere makes no line of its
    own.
    """
    reading, writing = stopped()
    command = [*desk.program("infrakit-instance-file"), "--dir", str(desk.instances)]
    plugin = subprocess.Popen(command, env=desk.environment, cwd=desk.cwd, stderr=writing)
    os.close(writing)
    try:
        desk.start("infrakit-flavor-vanilla", "flavor-vanilla")
        desk.start("infrakit-group-default", "group", "--poll-interval", "1h")
        until((desk.plugins / "instance-file").exists)
        desk.put_spec("web.json", group="red\x1b[31m\nINFO[0000]", size=1)
        done = desk.run("infrakit group commit web.json")
        assert done.returncode == 0, done.stderr
        first = desk.until(1)
        (desk.instances / first[0]).unlink()
        until(lambda: desk.living() and desk.living() != first)
        if stopped is terminal:
            os.write(reading, b"\x11")
        os.set_blocking(reading, False)
        told = ""

        def reads(words: str) -> bool:
            nonlocal told
            with suppress(BlockingIOError):
                told += os.read(reading, 65536).decode().lstrip("x")
            return words in told

        if stopped is full_pipe:
            until(lambda: not select.select([reading], [], [], 0)[0] or reads("never"))
        (desk.instances / desk.until(1)[0]).unlink()
        until(lambda: reads("Provisioned"), say=lambda: told)
        assert re.search(r"\d+ lines were left out here: nobody read them", told), told
        assert "group red\\x1b[31m\\nINFO[0000]: its file" in told.replace("\\\\", "\\")
        assert "red\x1b" not in told
    finally:
        plugin.kill()
        plugin.wait()
        os.close(reading)
