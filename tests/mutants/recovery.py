"""Bugs planted into the arithmetic of recovery: when something counts as lost, what the loop knew,
what is drawn of it.
"""

from __future__ import annotations

from .mutant import Mutant

SERVICE = "ikdemo/reconcile/analysis/service.py"
RECOVERY = "ikdemo/reconcile/analysis/recovery.py"
LIVES = "ikdemo/reconcile/analysis/lives.py"
STORY, FIGURE = "ikdemo/lab/dashboard/group_history.py", "ikdemo/lab/show/recovery_figure.py"
OF_FAULTS, PICTURE, CLOCK = (
    "tests/property/test_recovery_of_faults.py",
    "tests/lab/test_live_picture.py",
    "tests/lab/test_record_clock.py",
)
FALLS_AT_THE_FAULT = (
    f"{OF_FAULTS}::test_the_curve_falls_at_the_faults_and_at_reports_of_what_nobody_recorded"
)
FALLS = f"{OF_FAULTS}::test_falls_are_those_of_the_faults"
LANES = f"{OF_FAULTS}::test_lanes_say_of_every_moment_what_the_curve_says"
TOLD = f"{OF_FAULTS}::test_words_table_and_live_view_tell_the_last_fall_as_it_was"
DRAWN = f"{OF_FAULTS}::test_the_figure_draws_the_last_fall_as_it_was"
MENDED = "tests/reconcile/test_recovery.py::test_what_serves_again_unknown_makes_up_for_nothing_that_is_unnoticed"
KNOWN = f"{OF_FAULTS}::test_what_the_loop_knows_falls_by_no_fault_and_from_whole_only_by_a_look"

MUTANTS = (
    # a fall at the report: a replacement may come between the reports of two that were lost at one
    # instant
    Mutant(
        SERVICE,
        "if event.code != ASKED and self._faults.get(name) != GONE:",
        "if False:",
        FALLS_AT_THE_FAULT,
    ),
    # a stop that the loop never saw costs nothing
    Mutant(
        SERVICE,
        "if event.code != ASKED and self",
        "if event.code not in (ASKED, SILENT) and self",
        FALLS_AT_THE_FAULT,
    ),
    Mutant(SERVICE, "SILENT if event.code == SILENT else GONE", "GONE", FALLS_AT_THE_FAULT),
    Mutant(SERVICE, "if event.code != ASKED and self", "if self", FALLS_AT_THE_FAULT),
    Mutant(SERVICE, "and self._faults.get(name) != GONE:", "and True:", FALLS_AT_THE_FAULT),
    Mutant(
        SERVICE,
        "if self._faults.get(name) == (event.code or GONE):",
        "if False:",
        FALLS_AT_THE_FAULT,
    ),
    Mutant(
        SERVICE,
        "if self._faults.get(name) == (event.code or GONE):",
        "if True:",
        FALLS_AT_THE_FAULT,
    ),
    Mutant(SERVICE, "elif name in self._unhealthy:", "else:", FALLS_AT_THE_FAULT),
    Mutant(
        SERVICE,
        "if not outside and (before == 0) != (before + change == 0):",
        "if not outside:",
        FALLS_AT_THE_FAULT,
    ),
    Mutant(
        SERVICE,
        "if instance not in self.living or failure == GONE:",
        "if instance not in self.living:",
        f"{OF_FAULTS}::test_surplus_is_what_runs_beyond_the_slots_and_never_what_is_gone",
    ),
    # the loop knows of a fault, or of a report before it looks
    Mutant(SERVICE, 'if event.kind in ("fault", "mended"):', "if False:", KNOWN),
    Mutant(
        SERVICE,
        "return loss and self._state.quality() == 1 and not self._state.surplus()",
        "return False",
        KNOWN,
    ),
    Mutant(
        RECOVERY, "max(0.0, level.known - level.quality)", "(level.known - level.quality)", MENDED
    ),
    Mutant(
        RECOVERY,
        'own = following.cause.kind in ("fault", "committed")',
        'own = following.cause.kind == "committed"',
        FALLS,
    ),
    Mutant(RECOVERY, 'or opened.cause.kind == "committed"', "", FALLS),
    Mutant(
        RECOVERY, "following.time - back.time >= hold", "following.time - back.time > hold", FALLS
    ),
    Mutant(
        RECOVERY,
        'else "fault"\n        if opened.cause.kind == "fault"\n        else "report"',
        'else "fault"',
        FALLS,
    ),
    Mutant(RECOVERY, "fewest=lowest.filled", "fewest=opened.filled", FALLS),
    Mutant(
        RECOVERY,
        "        now = max(now, event.time)\n        state.read(event)",
        "        now = event.time\n        state.read(event)",
        f"{CLOCK}::test_events_read_in_their_order_never_go_back",
    ),
    Mutant(
        LIVES, "died, ended = self.since, ended or GONE", "died, ended = died, ended or GONE", LANES
    ),
    Mutant(LIVES, "self.down.append(Down(self.since, time, self.failure))", "pass", LANES),
    Mutant(STORY, '"fault" if event.kind == "fault" else "report"', '"report"', TOLD),
    Mutant(STORY, "self._fall.fewest, step.filled", "self._fall.fewest, self._fall.fewest", TOLD),
    Mutant(STORY, "self._now - self._healed < HOLD", "False", TOLD),
    Mutant(
        STORY,
        "before.reached if before.size == service.size else 0",
        "before.reached",
        f"{PICTURE}::test_what_was_given_up_is_no_loss_when_more_is_wanted_again",
    ),
    Mutant(
        STORY,
        "            not orderly\n            and step.filled < before.filled",
        "            step.filled < before.filled",
        f"{PICTURE}::test_a_roll_is_no_fall_and_shows_filled_slots_apart_from_those_as_wanted",
    ),
    Mutant(
        FIGURE,
        "[level.quality for level in steps], [level.known for level in steps]",
        "[level.known for level in steps], [level.quality for level in steps]",
        DRAWN,
    ),
    Mutant(
        "ikdemo/lab/show/recovery_report.py",
        "only {fall.fewest} of {fall.size} slots",
        "only {fall.size - 1} of {fall.size} slots",
        TOLD,
    ),
    Mutant(
        "ikdemo/lab/host/timeline.py",
        "return [*led_to, *sorted(told, key=lambda event: event.time)]",
        "return [*led_to, *told]",
        f"{OF_FAULTS}::test_streams_that_arrive_in_any_order_make_the_same_record",
    ),
    Mutant(
        "ikdemo/lab/host/timeline.py",
        "return max((time for time in times if time <= now + AHEAD), default=times[-1])",
        "return times[-1]",
        f"{CLOCK}::test_a_step_in_the_middle_of_a_fall_does_not_make_it_longer_or_shorter",
    ),
    Mutant(
        "ikdemo/lab/host/timeline.py",
        "if len(self._leads) == 1:",
        "if True:",
        f"{CLOCK}::test_a_step_of_the_clock_between_two_falls_changes_neither",
    ),
)
