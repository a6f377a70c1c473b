"""Bugs planted into the group plugin: how records change, how loops begin and end, whose an
instance is.
"""

from __future__ import annotations

from .mutant import Mutant

MUTANTS = (
    Mutant(
        "ikdemo/group/registry.py",
        "        async with self._lock(group):\n            supervisor = self.supervisors.get(group)\n            before = supervisor.record if supervisor is not None else None\n            after = update(before)\n",
        "        supervisor = self.supervisors.get(group)\n        before = supervisor.record if supervisor is not None else None\n        after = update(before)\n        async with self._lock(group):\n",
        "tests/group/test_overlapping_commands.py::test_a_pause_and_a_commit_at_once_both_hold",
    ),
    Mutant(
        "ikdemo/group/registry.py",
        "                if after.freed:  # begun here, so that it goes on whatever becomes of the caller",
        "                if False:",
        "tests/group/test_overlapping_commands.py::test_a_change_is_made_wholly_although_its_caller_goes_away",
    ),
    Mutant(
        "ikdemo/group/registry.py",
        '            await supervisor.end("a free")\n',
        "",
        "tests/group/test_overlapping_commands.py::test_a_commit_beside_a_free_begins_no_second_loop",
    ),
    Mutant(
        "ikdemo/group/registry.py",
        "    if record is None or record.freed:",
        "    if record is None:",
        "tests/group/test_overlapping_commands.py::test_a_freed_group_does_not_come_back_by_another_command",
    ),
    Mutant(
        "ikdemo/group/registry.py",
        "            if record.freed:  # the process ended before the last step of it",
        "            if False:",
        "tests/group/test_overlapping_commands.py::test_a_freed_group_whose_record_cannot_be_removed_does_not_come_back",
    ),
    Mutant(
        "ikdemo/group/supervisor.py",
        "            await asyncio.wait([self._task])\n        self._fail_steps(self._steps)\n",
        "            await asyncio.wait([self._task])\n",
        "tests/group/test_overlapping_commands.py::test_a_step_whose_pass_hangs_is_answered_when_its_loop_ends",
    ),
    Mutant(
        "ikdemo/group/supervisor.py",
        "            except BaseException:\n                self._fail_steps(waiting)\n                raise",
        "            except BaseException:\n                raise",
        "tests/group/test_overlapping_commands.py::test_a_step_whose_pass_hangs_is_answered_when_its_loop_ends",
    ),
    Mutant(
        "ikdemo/group/supervisor.py",
        "        if self._task.done() and self._ended_by:",
        "        if False:",
        "tests/group/test_overlapping_commands.py::test_a_destroy_that_is_overtaken_by_a_free_says_so",
    ),
    Mutant(
        "ikdemo/group/removal.py",
        "        if not todo.converged or supervisor.removal_error:",
        "        if not todo.converged:",
        "tests/group/test_overlapping_commands.py::test_a_destroy_says_that_the_record_of_a_group_without_instances_cannot_be_removed",
    ),
    Mutant(
        "ikdemo/group/commit_checks.py",
        "    if after.instance.plugin != seen.plugin and (seen.shas or not is_converged):",
        "    if False:",
        "tests/group/test_overlapping_commands.py::test_a_group_with_instances_cannot_be_given_another_instance_plugin",
    ),
    Mutant(
        "ikdemo/group/commit_checks.py",
        "    if seen is None or seen.plugin != before.properties.instance.plugin:\n        raise StaleSnapshot\n",
        "    assert seen is not None\n",
        "tests/group/test_overlapping_commands.py::test_two_first_commits_at_once_are_one_and_a_replacement",
    ),
    Mutant(
        "ikdemo/group/store.py",
        "written, durable=True, mode=0o600",
        "written, mode=0o600",
        "tests/group/test_store.py::test_a_record_is_flushed_before_anybody_is_told",
    ),
    Mutant(
        "ikdemo/group/store.py",
        "            disk.sync_directory(self._directory)\n",
        "",
        "tests/group/test_store.py::test_a_group_is_forgotten_durably",
    ),
    Mutant(
        "ikdemo/group/supervisor.py",
        "return await self._loop(when_gone)\n                except Exception:\n",
        "return await self._loop(when_gone)\n                except RecursionError:\n",
        "tests/group/test_restarted_loops.py::test_a_loop_that_ends_unexpectedly_is_begun_again",
    ),
    Mutant(
        "ikdemo/group/subscriptions.py",
        "            except Exception:\n",
        "            except RecursionError:\n",
        "tests/group/test_restarted_loops.py::test_a_watch_that_ends_unexpectedly_is_begun_again",
    ),
    Mutant(
        "ikdemo/group/subscriptions.py",
        "            await asyncio.sleep(RECONNECT_AFTER)\n",
        "            return\n",
        "tests/group/test_restarted_loops.py::test_a_watch_that_ends_unexpectedly_is_begun_again",
    ),
    Mutant(
        "ikdemo/reconcile/members.py",
        "if tag == self._group or (tag is None and source.filters):",
        "if tag in (self._group, None):",
        "tests/group/test_members.py::test_what_lacks_the_groups_tag_is_left_alone",
    ),
    Mutant(
        "ikdemo/reconcile/members.py",
        "            if one.id in listed:\n                if _differs",
        "            if one.id in listed:\n                if False and _differs",
        "tests/group/test_members.py::test_a_list_that_contradicts_itself_is_doubt",
    ),
    Mutant(
        "ikdemo/reconcile/members.py",
        "    slot = (one.slot or None) if source.slots else None",
        "    slot = one.slot or None",
        "tests/group/test_members.py::test_slots_of_a_plugin_that_has_none_do_not_tell_two_lines_apart",
    ),
    Mutant(
        "ikdemo/reconcile/members.py",
        "                known, text = _merged(known, _described(one, source), source)\n",
        '                known, text = _described(one, source), ""\n',
        "tests/group/test_members.py::test_what_a_list_says_later_of_a_known_instance_changes_nothing_and_is_named",
    ),
    Mutant(
        "ikdemo/group/reconciler.py",
        "        self._memory = expect(view.applied_to(desired), self._memory, actions, self._clock.now())\n",
        "",
        "tests/group/test_overlapping_commands.py::test_what_is_asked_of_a_plugin_without_slots_is_written_down_before_it_is_asked",
    ),
    Mutant(
        "ikdemo/spi/events.py",
        "    if batch.stream != position.stream:\n        return batch.events\n",
        "    return batch.events\n",
        "ikdemo/spi/events.py",
    ),
    Mutant(
        "ikdemo/group/store.py",
        'class Record(Struct, frozen=True, rename={"backoffs": "troubled"}):',
        "class Record(Struct, frozen=True):",
        "tests/group/test_store.py::test_a_state_directory_of_the_version_before_is_opened_and_written_back",
    ),
    Mutant(
        "ikdemo/reconcile/model.py",
        'class BackoffState(Struct, frozen=True, rename={"unproductive": "futile"}):',
        "class BackoffState(Struct, frozen=True):",
        "tests/group/test_store.py::test_a_state_directory_of_the_version_before_is_opened_and_written_back",
    ),
)
