"""Bugs planted into what is shown in a terminal: the log lines of plugins, events in the order of time, the stage."""

from __future__ import annotations

from .mutant import Mutant

_LOGS = "tests/cli/test_plugins_log_what_they_do.py"
MUTANTS = (
    Mutant(
        "ikdemo/cli/logs.py",
        "        if record.levelno <= logging.INFO and not self._poll.poll(0):",
        "        if False:",
        f"{_LOGS}::test_a_reader_that_stopped_keeps_no_plugin_from_healing[terminal]",
    ),
    Mutant(
        "ikdemo/cli/logs.py",
        "            self._left_out += 1\n",
        "",
        f"{_LOGS}::test_a_reader_that_stopped_keeps_no_plugin_from_healing[full_pipe]",
    ),
    Mutant(
        "ikdemo/instance/announce.py",
        'return visible(f"{VERBS',
        'return str(f"{VERBS',
        f"{_LOGS}::test_a_reader_that_stopped_keeps_no_plugin_from_healing[terminal]",
    ),
    Mutant(
        "ikdemo/log_limit.py",
        "        if loop is self._loop and not self._room.get(kind, BURST):",
        "        if False:",
        f"{_LOGS}::test_a_flood_has_its_first_lines_and_then_a_number_before_whatever_comes_next",
    ),
    Mutant(
        "ikdemo/log_limit.py",
        "        if self._left_out:\n            self._sum_up()\n",
        "",
        f"{_LOGS}::test_a_flood_has_its_first_lines_and_then_a_number_before_whatever_comes_next",
    ),
    Mutant(
        "ikdemo/log_limit.py",
        "        if loop is not self._loop:",
        "        if self._loop is None:",
        f"{_LOGS}::test_a_flood_has_its_first_lines_and_then_a_number_before_whatever_comes_next",
    ),
    Mutant(
        "ikdemo/instance/living.py",
        "        announce(self._emit, Event(kind",
        "        self._emit(Event(kind",
        f"{_LOGS}::test_what_fails_is_a_warning_and_a_process_is_said_with_its_pid",
    ),
    Mutant(
        "ikdemo/group/supervisor.py",
        "self._facts.acting(actions, 0 if aim.destroying else len(aim.slots))",
        "self._facts.acting(actions, len(aim.slots))",
        f"{_LOGS}::test_the_terminals_of_a_group_show_how_it_heals",
    ),
)
