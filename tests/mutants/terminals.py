"""Bugs planted into what is shown in a terminal: the log lines of plugins, events in the order of
time, the stage.
"""

from __future__ import annotations

from .mutant import Mutant

_LOGS = "tests/cli/test_plugins_log_what_they_do.py"
_WATCH = "tests/cli/test_watch.py"
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
        "ikdemo/instance/common.py",
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
        "ikdemo/instance/common.py",
        '        log.info("%s", sentence(event))',
        "        pass",
        f"{_LOGS}::test_what_fails_is_a_warning_and_a_process_is_said_with_its_pid",
    ),
    Mutant(
        "ikdemo/group/reconciler.py",
        "self._recorder.on_acting(actions, 0 if desired.destroying else len(desired.slots))",
        "self._recorder.on_acting(actions, len(desired.slots))",
        f"{_LOGS}::test_the_terminals_of_a_group_show_how_it_heals",
    ),
    Mutant(
        "ikdemo/cli/event_merge.py",
        "HOLD = 0.2",
        "HOLD = 0.0",
        "tests/cli/test_events_in_order.py::test_a_cause_that_arrives_after_its_effect_is_told_before_it",
    ),
    Mutant(
        "ikdemo/cli/event_merge.py",
        "        late, self._told = held.at < self._told, max(held.at, self._told)",
        "        late, self._told = False, max(held.at, self._told)",
        "tests/cli/test_events_in_order.py::test_what_arrives_too_late_is_told_at_once_and_said_to_be_late",
    ),
    Mutant(
        "ikdemo/cli/event_merge.py",
        "max(event.time, self._latest.get(plugin, event.time))",
        "event.time",
        "tests/cli/test_events_in_order.py::test_one_plugin_keeps_its_order_also_when_its_clock_is_set_back",
    ),
    Mutant(
        "ikdemo/cli/verbs/watch/frame.py",
        "min(before, share)",
        "share",
        f"{_WATCH}::test_the_curve_shows_the_lowest_of_each_column",
    ),
    Mutant(
        "ikdemo/cli/verbs/watch/terminal.py",
        "                termios.tcsetattr(self._descriptor, termios.TCSADRAIN, self._before)",
        "                pass",
        f"{_WATCH}::test_a_group_is_seen_broken_by_a_key_and_healed",
    ),
    Mutant(
        "ikdemo/cli/verbs/watch/monitor.py",
        "            self._doubted.set()\n        told =",
        "            pass\n        told =",
        f"{_WATCH}::test_what_nobody_told_is_found_out_when_a_plugin_comes_back",
    ),
    Mutant(
        "ikdemo/cli/verbs/watch/key_actions.py",
        "!= instance:",
        "== instance:",
        f"{_WATCH}::test_a_process_is_killed_by_its_pid",
    ),
    Mutant(
        "ikdemo/cli/verbs/watch/terminal.py",
        'if name not in ("COLUMNS", "LINES")',
        "",
        f"{_WATCH}::test_it_fits_every_size_and_follows_a_change",
    ),
)
