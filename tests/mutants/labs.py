"""Bugs planted into labs: whose they are, what they are begun with, what they remember, and what is
left to see of them.
"""

from __future__ import annotations

from .mutant import Mutant

MUTANTS = (
    Mutant(
        "ikdemo/lab/show/plotting.py",
        "        mpl.rcdefaults()",
        "        pass",
        "tests/lab/test_own_style.py::test_whatever_a_learner_has_set_the_figure_is_the_same",
    ),
    Mutant(
        "ikdemo/lab/host/child_processes.py",
        '                        "PYTHONPATH": python_path(),\n',
        "",
        "tests/lab/test_plugin_processes.py::test_a_package_that_is_not_installed_is_found_where_this_python_finds_it",
    ),
    Mutant(
        "ikdemo/lab/host/child_processes.py",
        "stderr=output",
        "stderr=subprocess.DEVNULL",
        "tests/lab/test_plugin_processes.py::test_a_package_that_cannot_be_imported_is_named",
    ),
    Mutant(
        "ikdemo/lab/host/workspace.py",
        "            os.dup2(nothing, descriptor, inheritable=False)",
        "            pass",
        "tests/lab/test_lab_forked.py::test_a_forked_child_keeps_no_pipe_and_no_socket_and_is_told_that_the_lab_is_not_its",
    ),
    Mutant(
        "ikdemo/lab/host/session.py",
        "        if not self.has_directory:",
        "        if False:",
        "tests/lab/test_lab_lost.py::test_every_verb_says_that_the_directory_was_removed_and_the_first_cell_gives_another_lab",
    ),
    Mutant(
        "ikdemo/lab/host/timeline.py",
        "return [*led_to, *sorted",
        "return [*sorted",
        "tests/lab/test_long_record.py::test_what_is_asked_has_the_same_answer_as_if_nothing_was_forgotten",
    ),
    Mutant(
        "ikdemo/lab/host/summary.py",
        "            self._failures.setdefault(name, {})[event.kind] = event",
        "            pass",
        "tests/lab/test_long_record.py::test_a_fall_that_outlasts_the_record_keeps_its_beginning",
    ),
    Mutant(
        "ikdemo/lab/dashboard/view.py",
        "    session.at_end(lambda: output.update(one.still(), raw=True))",
        "    del output",
        "tests/notebooks/test_exports.py::test_a_page_has_every_picture_with_its_words_and_needs_no_network",
    ),
    Mutant(
        "ikdemo/lab/teaching/check.py",
        "if early else point",
        "if False else point",
        "tests/lab/test_exercises.py::test_welcome",
    ),
)
