"""``ikdemo watch`` with real plugins in real terminals of all kinds: a group is seen, broken by a
key, and healed.
"""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable, Iterator

import pytest
from asking import until
from desk import Desk
from terminal import Terminal

from ikdemo.cli.verbs.watch.frame import lowest
from ikdemo.cli.verbs.watch.key_actions import HELP
from ikdemo.lab.dashboard.view_model import CurveStep

COLOUR = re.compile(rb"\x1b\[[0-9;]*\b(?:3[0-7]|9[0-7]|4[0-7]|10[0-7]|38;[25]|48;[25])")
Watch = Callable[..., Terminal]


@pytest.fixture
def watch(desk: Desk) -> Iterator[Watch]:
    """Open terminals in which ``ikdemo watch`` runs."""
    opened: list[Terminal] = []

    def begin(*words: str, width: int = 80, height: int = 24, **environment: str) -> Terminal:
        told = {"TERM": "xterm-256color", **environment}
        kept = {
            name: text
            for name, text in desk.environment.items()
            if name not in ("NO_COLOR", "COLORTERM")
        }
        command = [*desk.program("ikdemo"), "watch", *words]
        opened.append(Terminal(command, {**kept, **told}, desk.cwd, width=width, height=height))
        return opened[-1]

    yield begin
    for terminal in opened:
        terminal.close()


@pytest.fixture
def web(desk: Desk) -> Desk:
    """Give a desk with a group of three files."""
    desk.start_three()
    desk.put_spec("web.json")
    desk.run("infrakit group commit web.json")
    desk.until(3)
    return desk


def test_a_group_is_seen_broken_by_a_key_and_healed(web: Desk, watch: Watch) -> None:
    terminal = watch()
    shown = terminal.sees(
        "● as wanted",
        "3 of 3 slots filled",
        "● flavor-vanilla  ● group  ● instance-file",
        "> slot 0",
    )
    assert HELP in shown.splitlines()[-1]
    before = web.living()
    terminal.type("\x1b[Bk")
    shown = terminal.sees(
        "> slot 1", "whole again", "instance-file has destroyed instance-", "● as wanted", "|▓"
    )
    assert re.search(r"> slot 1 .*\|▓+ ", shown), shown
    assert re.search(r"FAULT: instance-file is asked to destroy …\d{4} in slot 1", shown)
    assert len(set(before) & set(web.until(3))) == 2
    terminal.type("p")
    terminal.sees("‖ paused", "Paused web")
    terminal.type("0k")
    terminal.sees("> slot 0", "2 of 3 slots filled", "○ EMPTY", "Why: the group is paused")
    terminal.type("k")
    terminal.sees("Slot 0 is empty: there is nothing to kill.")
    terminal.type("s")
    terminal.sees("One pass was made: 1 action.", "3 of 3 slots filled", "‖ paused")
    terminal.type("r")
    terminal.sees("Resumed web.", "● as wanted")
    terminal.type("x")
    terminal.sees("'x' is no key here. There are: up, down, k, p, r, s, g and q.")
    terminal.type("q")
    assert terminal.ends() == 0
    assert terminal.written.count(b"\x1b[?1049h") == terminal.written.count(b"\x1b[?1049l") == 1
    assert terminal.is_as_before()


def test_a_fall_that_is_too_short_to_be_seen_stays_in_the_curve(web: Desk, watch: Watch) -> None:
    terminal = watch()
    terminal.sees("● as wanted", "full 100 %", "███")
    (web.instances / web.living()[0]).unlink()
    shown = terminal.sees("Last fall: to 2 of 3, whole again")
    until(lambda: re.search("full 100 % +█+ █+$", terminal.text(), re.MULTILINE), say=terminal.text)
    order = [shown.index(words) for words in ("is gone", "plan for group web", "made …")]
    assert order == sorted(order)


def test_a_process_is_killed_by_its_pid(desk: Desk, watch: Watch) -> None:
    desk.start("ikdemo-instance-process", "instance-file", "--grace", "0s")
    desk.start("infrakit-flavor-vanilla", "flavor-vanilla")
    desk.start("infrakit-group-default", "group")
    desk.put_spec("web.json", size=1, Command=["sleep", "1000"])
    desk.run("infrakit group commit web.json")
    desk.run("ikdemo group wait web")
    terminal = watch("web")
    terminal.sees("● as wanted", "1 of 1 slots filled")
    terminal.type("k")
    shown = terminal.sees("whole again", "kill -9 ", "● as wanted")
    assert re.search(r"kill -9 (\d+): that was instance-\d+ in slot 0\.", shown), shown
    assert re.search(r"> slot 0 .*X", shown), shown
    desk.run("infrakit group destroy web")
    terminal.sees("■ nothing wanted", "No slot is wanted")


def test_it_survives_a_group_plugin_that_goes_and_comes_back(web: Desk, watch: Watch) -> None:
    terminal = watch()
    terminal.sees("● as wanted")
    web.stop("group", how=signal.SIGKILL)
    terminal.sees("✖ nobody answers", "✖ group nobody answers", "Why: ")
    terminal.type("p")
    terminal.sees("group")
    (web.instances / web.living()[0]).unlink()
    terminal.sees("2 of 3 slots filled")
    web.start("infrakit-group-default", "group", "--poll-interval", "1h")
    terminal.sees("● as wanted", "● group", "3 of 3 slots filled")
    web.run("ikdemo group scale web 5")
    terminal.sees("5 of 5 slots filled", "slot 4")
    web.run("infrakit group free web")
    terminal.sees("■ nothing wanted")
    terminal.type("\x03")
    assert terminal.ends() == 130
    assert terminal.is_as_before()


def test_what_nobody_told_is_found_out_when_a_plugin_comes_back(web: Desk, watch: Watch) -> None:
    web.run("ikdemo group pause web")
    terminal = watch()
    terminal.sees("‖ paused", "3 of 3 slots filled")
    web.stop("instance-file")
    terminal.sees("✖ instance-file nobody answers")
    (web.instances / web.living()[0]).unlink()
    web.start("infrakit-instance-file", "instance-file", "--dir", str(web.instances))
    terminal.sees("2 of 3 slots filled", "● instance-file")
    terminal.type("r")
    terminal.sees("3 of 3 slots filled", "● as wanted")


def test_the_curve_shows_the_lowest_of_each_column() -> None:
    steps = [
        CurveStep(0.0, 4, 4, 4, 4),
        CurveStep(10.0, 4, 1, 1, 4),
        CurveStep(10.1, 4, 4, 4, 4),
        CurveStep(25.0, 4, 2, 2, 4),
    ]
    assert lowest(steps, now=30.0, wide=3) == [1.0, 0.25, 0.5]
    assert lowest(steps[1:], now=35.0, wide=7) == [None, 0.25, 1.0, 1.0, 0.5, 0.5, 0.5]


def test_it_fits_every_size_and_follows_a_change(web: Desk, watch: Watch) -> None:
    web.run("ikdemo group scale web 40")
    web.until(40)
    # as some shells say it once and for all
    terminal = watch(width=132, height=50, COLUMNS="70", LINES="20")
    terminal.sees("40 of 40 slots filled", "slot 25", "full 100 %", HELP)
    for width, height in ((80, 24), (60, 16), (40, 8), (20, 3), (100, 30)):
        terminal.resize(width, height)
        os.kill(terminal.pid, signal.SIGWINCH)
        begun = HELP[: width - 1].rstrip()
        until(lambda begun=begun: terminal.rows()[-1].startswith(begun), say=terminal.text)
        assert len(terminal.rows()) == height
    shown = terminal.sees("40 slots: 40 filled", "> slot 0")
    assert not re.search(r"^[> ]*slot 39\b", shown, re.MULTILINE)  # events may name it
    terminal.type("\x1b[A" + "\x1b[B" * 60)
    terminal.sees("> slot 39", "Slot 39 is chosen.")


def test_without_colour_everything_is_said(web: Desk, watch: Watch) -> None:
    coloured, plain = watch(), watch(NO_COLOR="1")
    for terminal in (coloured, plain):
        terminal.sees("● as wanted", "● filled", "> slot 0")
        terminal.type("k")
        terminal.sees("whole again", "|▓")
    assert COLOUR.search(coloured.written)
    assert not COLOUR.search(plain.written), COLOUR.findall(plain.written)[:5]


def test_an_old_terminal_is_shown_letters_only(web: Desk, watch: Watch) -> None:
    terminal = watch(TERM="vt100")
    terminal.sees("o as wanted", "> slot 0", "o filled", "full 100 %")
    terminal.type("\x1bOBk")
    terminal.sees("> slot 1", "whole again", "|=")
    assert not COLOUR.search(terminal.written)
    assert "█" not in terminal.text()


@pytest.mark.parametrize("term", ["dumb", "nobody-has-described-this"])
def test_without_a_screen_it_is_told_in_words(web: Desk, watch: Watch, term: str) -> None:
    terminal = watch(TERM=term, width=200, height=60)
    terminal.sees(
        f"Keys: {HELP}",
        "Group web: as wanted. 3 of 3 slots filled.",
        "Plugins: flavor-vanilla running, group running",
    )
    terminal.type("1")
    terminal.sees("Slot 1 is chosen.")
    terminal.type("k\n")
    terminal.sees(
        "FAULT: instance-file is asked to destroy instance-",
        "whole again",
        "instance-file has destroyed",
    )
    assert b"\x1b" not in terminal.written
    terminal.type("q")
    assert terminal.ends() == 0


def test_into_a_pipe_it_is_told_in_words_and_ends_in_order(web: Desk) -> None:
    stream = web.popen("ikdemo watch web")
    assert stream.stdout is not None
    assert (
        "Group web: "
        in stream.stdout.readline()
        + stream.stdout.readline()
        + stream.stdout.readline()
        + "".join(stream.stdout.readline() for _ in range(3))
    )
    stream.send_signal(signal.SIGTERM)
    _, errors = stream.communicate(timeout=100)
    assert (stream.returncode, errors) == (0, "")


def test_the_next_group_is_a_key_away(web: Desk, watch: Watch) -> None:
    web.put_spec("shop.json", group="shop", size=2)
    web.run("infrakit group commit shop.json")
    web.until(5)
    terminal = watch("shop")
    terminal.sees("shop ", "2 of 2 slots filled")
    terminal.type("g")
    terminal.sees("web ", "3 of 3 slots filled")
    web.run("infrakit group destroy shop")
    terminal.type("g")
    terminal.sees("There is no other group.", "3 of 3 slots filled")


def test_it_is_suspended_and_continued_like_any_program(web: Desk, watch: Watch) -> None:
    line = " ".join([*web.program("ikdemo"), "watch"])
    environment = {**web.environment, "TERM": "xterm-256color", "PS1": "ready> ", "HISTFILE": ""}
    shell = Terminal(["bash", "--norc", "--noprofile", "-i"], environment, web.cwd)
    try:
        shell.sees("ready>")
        shell.type(f"{line}\n")
        shell.sees("● as wanted")
        shell.type("\x1a")
        shell.sees("Stopped", "ready>")
        shell.type("echo $((20 + 3))\n")
        assert "echo $((20 + 3))\n23\n" in shell.sees("\n23\n")
        shell.type("fg\n")
        shell.sees("● as wanted", "> slot 0")
        shell.type("q")
        shell.sees("ready>")
        shell.type("exit\n")
        assert shell.ends() == 0
    finally:
        shell.close()


def test_what_keeps_a_group_from_being_seen_is_a_sentence(desk: Desk, watch: Watch) -> None:
    def refused(words: str) -> str:
        done = desk.run(f"ikdemo watch {words}")
        assert (done.returncode, done.stdout) == (1, "")
        return done.stderr

    assert "Plugin not found: group" in refused("")
    desk.start_three()
    assert (
        "No group is kept by 'group' yet, so there is nothing to watch: infrakit group commit FILE"
        in refused("")
    )
    desk.put_spec("web.json")
    desk.run("infrakit group commit web.json")
    assert "Group 'shop' is not kept by 'group'; kept are: web" in refused("shop")
    assert "Usage: ikdemo watch [GROUP]" in refused("one two")
    (desk.root / "rich").mkdir()
    (desk.root / "rich" / "__init__.py").write_text(
        "raise ModuleNotFoundError('No module named rich', name='rich')"
    )
    without = watch(PYTHONPATH=str(desk.root))
    assert without.ends() == 1
    assert "pip install 'ikdemo[watch]'" in without.text().replace("\n", "")
