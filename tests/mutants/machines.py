"""Bugs planted into instances that are machines: what is made twice, what is left, what is known."""

from __future__ import annotations

from .mutant import Mutant

TESTS = "tests/engine/test_machines.py::"
LAB = "tests/engine/test_lab_machines.py::"
TABLE = "ikdemo/instance/machine/machine_table.py"
AWAY = TESTS + (
    "test_a_plugin_that_was_away_knows_its_machines_again_and_ends_what_it_does_not_know"
)
KILLED = TESTS + "test_nothing_is_left_when_the_kernel_of_a_lab_is_killed"
MUTANTS = (
    Mutant(
        "ikdemo/instance/output_limit.py",
        "        cut(log)",
        "        pass",
        TESTS + "test_what_a_machine_prints_is_cut_to_its_end",
    ),
    Mutant(
        TABLE,
        "        self._machines[record.id] = kept\n        await self._boots",
        "        await asyncio.sleep(0)\n        self._machines[record.id] = kept\n        await self._boots",
        TESTS + "test_a_slot_is_never_filled_twice_however_often_it_is_asked_for",
    ),
    Mutant(
        "ikdemo/instance/machine/plugin.py",
        "await table.booted(instance)",
        "pass",
        TESTS + "test_a_slot_is_never_filled_twice_however_often_it_is_asked_for",
    ),
    Mutant(
        TABLE, "await asyncio.to_thread(end_machines, self.state_files.owner, known)", "pass", AWAY
    ),
    Mutant(TABLE, "await asyncio.to_thread(machine.erase, self.place(number))", "pass", AWAY),
    Mutant(TABLE, "self._switch = Switch.of(record.pid)", "pass", AWAY),
    Mutant(
        TABLE,
        "        self._tell_lost(kept.record, kept.place, reason)\n        self._erase(kept)",
        "        self._erase(kept)",
        TESTS + "test_a_power_cut_is_told_as_a_loss_and_the_slot_is_free",
    ),
    Mutant(
        "ikdemo/instance/machine/machine.py",
        "    remove_cgroup(place.cgroup)\n",
        "",
        TESTS + "test_a_machine_boots_runs_its_init_and_has_an_engine_of_its_own",
    ),
    Mutant(
        "ikdemo/lab/host/workspace.py",
        "    end_orphaned_machines(directory)\n",
        "",
        KILLED + "[True]",
    ),
    Mutant(
        "ikdemo/lab/machines/count_watch.py",
        "if self._running.get(name) != running and",
        "if name not in self._running and",
        LAB + "test_what_runs_on_a_machine_that_is_cut_off_is_not_counted_but_seen",
    ),
    Mutant(
        "ikdemo/lab/machines/count_watch.py",
        "            for name in known - machines.keys() if machines else ():\n"
        "                self._say(name, 0)\n",
        "",
        LAB + "test_a_machine_whose_power_is_cut_is_made_again_and_joins",
    ),
    Mutant(
        "ikdemo/lab/machines/count_watch.py",
        "return self.open and self._session.open",
        "return self.open",
        LAB + "test_a_watch_ends_with_its_lab",
    ),
    Mutant(
        "ikdemo/instance/machine/plugin.py",
        "        if self._takes_along:\n",
        "        if False:\n",
        TESTS + "test_a_plugin_takes_its_machines_along_if_it_is_to",
    ),
)
