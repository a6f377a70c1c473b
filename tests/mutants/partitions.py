"""Bugs planted into counted against running: what is counted, what is given up, when it is over,
and a label that lies on a line.
"""

from __future__ import annotations

from .mutant import Mutant

PARTITION = "ikdemo/reconcile/analysis/partition.py"
COUNTS = "tests/property/test_partition_counts.py"
TRUE = f"{COUNTS}::test_both_counts_are_at_every_moment_what_they_really_were"
GIVEN_UP = f"{COUNTS}::test_what_is_given_up_is_what_runs_on_where_the_group_lost_it"
MEASURED = f"{COUNTS}::test_measures_are_those_of_what_really_happened"
SHOWN = "tests/lab/test_partition_figure.py"

MUTANTS = (
    # a lost instance stays counted: then nothing would ever run without being counted
    Mutant(PARTITION, '"lost": -1', '"lost": 0', TRUE),
    Mutant(
        PARTITION, "running[one.machine] = one.running", "running[one.machine] += one.running", TRUE
    ),
    Mutant(PARTITION, "max(0, self.running - self.counted)", "self.running - self.counted", TRUE),
    Mutant(PARTITION, "else min(given_up, running)", "else given_up", GIVEN_UP),
    Mutant(PARTITION, "(back is None or lost < back)", "(back is None)", GIVEN_UP),
    Mutant(PARTITION, "= step.running - step.given_up", "= step.running", MEASURED),
    Mutant(PARTITION, "    if found[-1].gap:\n        return None\n", "", MEASURED),
    Mutant(PARTITION, "max(back, closed[-1])", "closed[-1]", MEASURED),
    Mutant(
        "ikdemo/lab/docker/recording.py",
        "return Partition(record, _label(told))",
        "return Partition(record)",
        f"{SHOWN}::test_the_recorded_partition_tells_its_story_in_words_and_numbers_and_says_it_is_recorded",
    ),
    Mutant(
        "ikdemo/lab/show/partition_figure.py",
        "(view.at(start) + view.at(end)) / 2",
        "view.at(start)",
        f"{SHOWN}::test_no_label_of_the_recorded_partition_covers_anything",
    ),
)
