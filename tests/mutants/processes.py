"""Bugs planted into instances that are processes: what is doubt, what is ended, what is refused."""

from __future__ import annotations

from .mutant import Mutant

MUTANTS = (
    Mutant(
        "ikdemo/instance/state_files.py",
        'raise disk.refusal("read", self.path / name, error) from None',
        "found.complaints.append(str(error))",
        "tests/instance/test_process_few_descriptors.py::test_what_cannot_be_looked_at_is_not_gone",
    ),
    Mutant(
        "ikdemo/instance/process/plugin.py",
        'check_free("start a process")',
        "pass",
        "tests/instance/test_process_few_descriptors.py::test_nothing_is_begun_without_descriptors_and_what_lives_can_still_be_ended",
    ),
    Mutant(
        "ikdemo/instance/process/table.py",
        'check_free("go on with the instances that there are")',
        "pass",
        "tests/instance/test_process_few_descriptors.py::test_a_start_short_of_descriptors_is_refused_and_changes_nothing",
    ),
    Mutant(
        "ikdemo/instance/process/descendants.py",
        'marks.instance == instance and marks.owner in ("", owner)',
        "False",
        "tests/instance/test_process_ends_wholly.py::test_what_went_away_is_ended_by_destroy",
    ),
    Mutant(
        "ikdemo/instance/process/descendants.py",
        "below.setdefault(one.parent, []).append(pid)",
        "pass",
        "tests/instance/test_process_ends_wholly.py::test_what_went_away_is_ended_by_destroy",
    ),
    Mutant(
        "ikdemo/instance/process/descendants.py",
        "if self._is_free_or(leader, start):",
        "if True:",
        "tests/instance/test_process_ends_wholly.py::test_a_process_that_only_looks_like_one_of_an_instance_stays",
    ),
    Mutant(
        "ikdemo/instance/process/table.py",
        "if record.boot == procfs.boot():",
        "if True:",
        "tests/instance/test_process_restart.py::test_a_pid_that_was_given_to_another_process_is_never_taken_for_ours",
    ),
    Mutant(
        "ikdemo/instance/process/plugin.py",
        "check_size(record)",
        "pass",
        "tests/instance/test_process_calls.py::test_what_is_written_down_can_be_read_again_and_more_is_refused_before_anything_begins",
    ),
    Mutant(
        "ikdemo/instance/process/process_group.py",
        "age = procfs.age_of(self.record.start)",
        "age = time.time() - self.record.began",
        "tests/instance/test_process_calls.py::test_the_age_of_an_instance_is_not_a_matter_of_the_date",
    ),
    Mutant(
        "ikdemo/instance/process/spawn.py",
        "check_lengths(read.command or (), read.env or {}, path)",
        "pass",
        "tests/instance/test_process_calls.py::test_properties_that_nothing_can_be_started_from_are_refused",
    ),
    Mutant(
        "ikdemo/rpc/listener.py",
        "self._make_room()",
        "pass",
        "tests/faults/test_few_descriptors.py::test_connections_that_nobody_uses_keep_nobody_out",
    ),
)
