"""Bugs planted into what a learner types in, is told and is left with."""

from __future__ import annotations

from .mutant import Mutant

COPY, COURSE, STARTED = (
    "tests/cli/test_working_copy.py",
    "tests/lab/test_course.py",
    "tests/lab/test_started_twice.py",
)

MUTANTS = (
    Mutant(
        "ikdemo/cli/working_copy.py",
        '(_told(mine).get("cells") != told["cells"] and not _is_typed_in(mine)):',
        '_told(mine).get("cells") != told["cells"]:',
        f"{COPY}::test_what_a_learner_typed_stays_and_the_other_version_is_named",
    ),
    Mutant(
        "ikdemo/cli/working_copy.py",
        "        found = {}\n    return found",
        "        return None\n    return found",
        f"{COPY}::test_a_notebook_that_was_broken_stays_for_whoever_can_mend_it",
    ),
    Mutant(
        "ikdemo/cli/working_copy.py",
        "            _back_up(recorded, desk)\n",
        "            pass\n",
        f"{COPY}::test_what_was_typed_into_a_recorded_notebook_is_backed_up",
    ),
    Mutant(
        "ikdemo/cli/working_copy.py",
        "_write(desk / NOTEBOOKS / path.name, _cleared(shipped), told)",
        "_write(desk / NOTEBOOKS / path.name, shipped, told)",
        f"{COPY}::test_every_notebook_is_delivered_without_what_another_machine_measured",
    ),
    Mutant(
        "ikdemo/cli/working_copy.py",
        "                disk.check_writable(descriptor)\n",
        "                pass\n",
        f"{COPY}::test_a_read_only_folder_is_named_before_anything_is_typed_in_vain",
    ),
    Mutant(
        "ikdemo/lab/teaching/progress.py",
        "        result.error_in_exec = NotDone(NOT_DONE)",
        "        pass",
        f"{COURSE}::test_an_exercise_that_is_not_done_ends_run_all_and_shows_no_error",
    ),
    Mutant(
        "ikdemo/lab/teaching/progress.py",
        "    elif check.exercise:",
        "    elif True:",
        f"{COURSE}::test_every_other_check_lets_it_go_on",
    ),
    Mutant(
        "ikdemo/lab/teaching/progress.py",
        """ and os.fsencode(NOTEBOOK) not in procfs.environment(
            os.getppid()
        )""",
        "",
        f"{COURSE}::test_a_program_that_a_notebook_runs_does_so_too",
    ),
    Mutant(
        "ikdemo/lab/teaching/progress.py",
        "NOTEBOOK in os.environ and ",
        "",
        f"{COURSE}::test_programs_that_run_notebooks_run_them_through",
    ),
    Mutant(
        "ikdemo/lab/teaching/progress.py",
        "        except OSError as error:\n            return Noted",
        "        except KeyError as error:\n            return Noted",
        f"{COURSE}::test_a_check_is_good_although_it_cannot_be_noted",
    ),
    Mutant(
        "ikdemo/lab/host/event_collector.py",
        " if self._followed.get(process.name) is not process\n",
        "\n",
        f"{STARTED}::test_its_events_are_told_once",
    ),
    Mutant(
        "ikdemo/lab/host/session.py",
        "            self.call(self._served.pop(name).stop())",
        "            return",
        f"{STARTED}::test_the_object_of_the_cell_that_ran_last_is_the_one_that_is_asked",
    ),
    Mutant(
        "ikdemo/lab/host/plugin_commands.py",
        " and self.processes[name].command == command:",
        ":",
        f"{STARTED}::test_what_was_started_in_another_way_is_named_and_so_is_the_way_on",
    ),
    Mutant(
        "ikdemo/cli/verbs/lab_verbs.py",
        '        if this_server() and found[0].server not in (this_server(), ""):',
        "        if False:",
        "tests/cli/test_desk.py::test_a_terminal_sees_no_lab_of_another_jupyterlab",
    ),
    Mutant(
        "ikdemo/lab/host/open_labs.py",
        "                        -near.index(lab.server) if lab.server in near else -len(near),",
        "                        0,",
        "tests/cli/test_desk.py::test_a_terminal_sees_no_lab_of_another_jupyterlab",
    ),
    Mutant(
        "ikdemo/cli/verbs/lab_verbs.py",
        'for kind in ("ServerApp", "FileContentsManager")',
        'for kind in ("ServerApp",)',
        "tests/browser/test_desk_of_a_person.py::test_a_persons_own_configuration_does_not_hide_the_notebooks",
    ),
)
