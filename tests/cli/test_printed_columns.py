"""What the command line prints, character for character: InfraKit's tables, ours, log lines and
help pages.
"""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Iterator

import pytest

from ikdemo.cli import columns, logs
from ikdemo.cli.commands import unknown
from ikdemo.cli.main import IKDEMO, INFRAKIT
from ikdemo.spi.documents import Description
from ikdemo.spi.events import Event
from ikdemo.spi.plans import Action, Outcome, Plan, Reason, Step


def test_instances_are_listed_in_infrakits_columns() -> None:
    instances = [
        Description("instance-1", None, {"tier": "web", "group": "a"}),
        Description("instance-2", "10.0.0.1", None),
        Description("an-identifier-that-is-longer-than-its-column", "", {"k": "v=w", "k2": "a,b"}),
    ]
    assert columns.instance_rows(instances, quiet=False).split("\n") == [
        "ID                            \tLOGICAL                       \tTAGS",
        "instance-1                    \t  -                           \tgroup=a,tier=web",
        "instance-2                    \t10.0.0.1                      \t",
        "an-identifier-that-is-longer-than-its-column\t                              "
        "\tk2=a,b,k=v=w",
    ]
    assert columns.instance_rows(None, quiet=True) == ""


def test_plugins_are_listed_in_infrakits_columns() -> None:
    rows = columns.plugin_rows(
        [("group", "/p/group"), ("a-name-longer-than-twenty", "/p/x")], quiet=False
    )
    assert rows.split("\n") == [
        "NAME                \tLISTEN",
        "group               \t/p/group",
        "a-name-longer-than-twenty\t/p/x",
    ]


def test_reasons_are_a_table_with_their_age() -> None:
    reasons = [
        Reason("missing", "slot 3 has no instance", slot="3", since=90.0, awaits="the next pass"),
        Reason("blocked", "instance-file cannot be asked", error="Plugin not found: instance-file"),
    ]
    assert columns.reason_rows(reasons, now=102.4).split("\n") == [
        "REASON   SLOT  INSTANCE  FOR  WHY                                                       "
        "       AWAITS",
        "missing  3               12s  slot 3 has no instance                                    "
        "       the next pass",
        "blocked                       instance-file cannot be asked (Plugin not found: "
        "instance-file)",
    ]


def test_a_pass_is_a_table_of_actions_and_of_what_came_of_them() -> None:
    make = Action("provision", "missing", slot="3")
    end = Action("destroy", "outdated", slot="1", instance="i-1")
    plan = Plan(actions=(make, end))
    assert columns.step_rows(Step(plan=plan)).split("\n") == [
        "ACTION     SLOT  INSTANCE  REASON",
        "provision  3               missing",
        "destroy    1     i-1       outdated",
    ]
    done = Step(plan=plan, outcomes=(Outcome(make, "i-7"), Outcome(end, error="disk full")))
    assert columns.step_rows(done).split("\n") == [
        "ACTION     SLOT  INSTANCE  REASON    OUTCOME",
        "provision  3     i-7       missing   done",
        "destroy    1     i-1       outdated  failed: disk full",
    ]


def test_an_event_is_one_line_whatever_its_text_holds() -> None:
    event = Event("acted", 3661.0071, "group", "web", code="missing", text="two\nlines", slot="3")
    assert (
        columns.event_row(event, began=3660.0)
        == "  1.007s  group                  acted        web slot 3 missing: two lines"
    )
    assert re.fullmatch(r"\d\d:01:01\.007  group .*", columns.event_row(event))


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """Set the log up as a program does, into a string, and put everything back afterwards."""
    root, asyncio_log = logging.getLogger(), logging.getLogger("asyncio")
    before = (root.handlers[:], root.level, asyncio_log.level, logging.raiseExceptions)
    stream = io.StringIO()
    logs.set_up(4, stream)
    yield stream
    root.handlers[:], level, asyncio_level, logging.raiseExceptions = before
    root.setLevel(level)
    asyncio_log.setLevel(asyncio_level)


def test_a_log_line_has_gos_form(log: io.StringIO) -> None:
    logging.getLogger("x").critical("Plugin not found: %s", 'a "b"\n')
    logging.getLogger("x").error("EOF")
    logging.getLogger("x").info("Listening at: /p")
    logging.getLogger("x").debug("not at level 4")
    stamp = r'time="\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(Z|[+-]\d\d:\d\d)"'
    expected = [
        rf'{stamp} level=fatal msg="Plugin not found: a \\"b\\"\\n" ',
        rf"{stamp} level=error msg=EOF ",
        rf'{stamp} level=info msg="Listening at: /p" ',
    ]
    *lines, last = log.getvalue().split("\n")
    assert last == ""
    assert [
        bool(re.fullmatch(pattern, line)) for pattern, line in zip(expected, lines, strict=True)
    ] == [True] * 3, lines


def test_a_mistyped_verb_is_told_which_one_may_have_been_meant() -> None:
    assert (
        unknown("gruop", "ikdemo", ["group", "lab"])
        == 'unknown command "gruop" for "ikdemo"\n\nDid you mean this?\n\tgroup\n'
    )
    assert unknown("zzzzzz", "ikdemo", ["group", "lab"]) == 'unknown command "zzzzzz" for "ikdemo"'


@pytest.mark.parametrize("program", [INFRAKIT, IKDEMO], ids=lambda program: program.name)
def test_every_verb_has_a_help_page_that_fits_a_terminal(
    program, capsys: pytest.CaptureFixture[str]
) -> None:
    pages = [["help"]]
    for command in program.commands:
        pages += [
            ["help", command.name],
            *(["help", command.name, verb] for verb in command.verbs()),
        ]
    for page in pages:
        assert program.run(page) == 0
        printed = capsys.readouterr().out
        assert "Usage: " + program.name in printed
        assert max(map(len, printed.splitlines())) <= 110
