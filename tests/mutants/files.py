"""Bugs planted into instances that are files, and into flavors: what is doubt, what is bounded,
what is forgotten.
"""

from __future__ import annotations

from .mutant import Mutant

MUTANTS = (
    Mutant(
        "ikdemo/instance/file/directory.py",
        "                self._lease.check_place()",
        "                pass",
        "tests/instance/test_file_directory_trouble.py::test_another_directory_in_the_same_place_is_doubt_until_the_first_is_back",
    ),
    Mutant(
        "ikdemo/disk/lease.py",
        "            return os.fstat(self.fd).st_nlink == 0",
        "            return False",
        "tests/instance/test_file_directory_trouble.py::test_a_deleted_directory_is_succeeded_by_the_next_one_which_is_compared_with_it",
    ),
    Mutant(
        "ikdemo/instance/file/contents.py",
        "            if there is None or old is not None or _OURS.fullmatch(name):",
        "            if False:",
        "tests/instance/test_file_doubt.py::test_a_file_that_may_not_be_read_is_doubt_if_it_may_be_an_instance_also_after_a_restart",
    ),
    Mutant(
        "ikdemo/instance/file/contents.py",
        "            if there is None or old is not None or _OURS.fullmatch(name):",
        "            if there is None or old is not None:",
        "tests/instance/test_file_doubt.py::test_a_file_that_may_not_be_read_is_doubt_if_it_may_be_an_instance_also_after_a_restart",
    ),
    Mutant(
        "ikdemo/instance/file/contents.py",
        "            self._doubt(name, error, doubted)  # no answer is not an answer",
        "            self._skip(name, _NEVER, str(error))",
        "tests/instance/test_file_doubt.py::test_without_a_descriptor_left_nothing_is_lost_and_nothing_is_made",
    ),
    Mutant(
        "ikdemo/instance/file/directory.py",
        "        for doubt in self._contents.doubts.values():\n            self._look_later()\n            raise doubt\n",
        "",
        "tests/instance/test_file_doubt.py::test_without_a_descriptor_left_nothing_is_lost_and_nothing_is_made",
    ),
    Mutant(
        "ikdemo/instance/file/contents.py",
        '            raise disk.refusal("open", self._path, error) from None',
        "            return set()",
        "tests/instance/test_file_doubt.py::test_without_a_descriptor_left_a_directory_that_cannot_be_listed_is_not_empty",
    ),
    Mutant(
        "ikdemo/instance/file/contents.py",
        "        return any(self.index.instance(instance) is None for instance in self._unsure)",
        "        return False",
        "tests/instance/test_file_doubt.py::test_a_file_that_is_renamed_while_the_directory_is_listed_is_not_lost",
    ),
    Mutant(
        "ikdemo/instance/file/contents.py",
        "if instance in self._changed\n",
        "if False\n",
        "tests/instance/test_file_outside_hands.py::test_files_that_swap_their_names_lose_nothing",
    ),
    Mutant(
        "ikdemo/instance/file/index.py",
        "        return self._entries[min(names)] if names else None\n\n    def of_id",
        "        return None\n\n    def of_id",
        "tests/instance/test_file_outside_hands.py::test_an_instance_is_the_same_under_any_file_name_and_however_many_files_it_has",
    ),
    Mutant(
        "ikdemo/instance/file/plugin.py",
        "            if copy is not entry and copy.group == entry.group:",
        "            if copy is not entry:",
        "tests/instance/test_file_outside_hands.py::test_a_copy_that_another_group_claims_is_that_groups_once_the_instance_is_gone",
    ),
    Mutant(
        "ikdemo/instance/file/plugin.py",
        "            if copy is not entry and copy.group == entry.group:",
        "            if False:",
        "tests/instance/test_file_outside_hands.py::test_a_copy_that_another_group_claims_is_that_groups_once_the_instance_is_gone",
    ),
    Mutant(
        "ikdemo/instance/file/directory.py",
        "        if self._contents.unfinished:\n            self._look_later()\n",
        "",
        "tests/instance/test_file_outside_hands.py::test_a_file_that_is_truncated_and_never_closed_is_lost_by_its_event",
    ),
    Mutant(
        "ikdemo/instance/file/format.py",
        "    _check_id(content.id)\n",
        "",
        "tests/instance/test_file_outside_hands.py::test_a_file_with_an_id_or_slot_that_cannot_be_is_no_instance",
    ),
    Mutant(
        "ikdemo/spi/documents.py",
        " or (said.isdigit() and len(said) > MOST_DIGITS)",
        "",
        "tests/instance/test_file_outside_hands.py::test_a_file_with_an_id_or_slot_that_cannot_be_is_no_instance",
    ),
    Mutant(
        "ikdemo/spi/documents.py",
        "or not said:",
        "or False:",
        "tests/instance/test_file_calls.py::test_an_empty_slot_is_none_and_one_that_cannot_be_is_refused_before_anything_is_made",
    ),
    Mutant(
        "ikdemo/instance/process/plugin.py",
        "        slot = slot_of(slot)\n",
        "",
        "tests/instance/test_process_calls.py::test_an_empty_slot_is_none_and_one_that_cannot_be_is_refused_before_anything_is_made",
    ),
    Mutant(
        "ikdemo/disk/paths.py",
        '    return os.fsencode(path).decode("utf-8", "replace")',
        "    return str(path)",
        "tests/instance/test_file_doubt.py::test_a_path_that_is_no_text_is_told_with_its_odd_bytes_replaced",
    ),
    Mutant(
        "ikdemo/flavor/probe.py",
        '        refuse_unknown(properties, VanillaProperties, ProbeProperties, path="$.Properties")\n',
        "",
        "tests/flavor/test_probe.py::test_properties_that_make_no_sense_are_refused",
    ),
    Mutant(
        "ikdemo/spi/decode.py",
        '        if inside is not None and not _is_list(field.type) and bytes(value) != b"null":',
        "        if False:",
        "tests/flavor/test_probe.py::test_properties_that_make_no_sense_are_refused",
    ),
    Mutant(
        "ikdemo/flavor/probe.py",
        "* (1.0 if monitored.health is Health.HEALTHY else GONE_SHARE)",
        "* 1.0",
        "tests/flavor/test_probe_forgets.py::test_what_does_not_answer_is_forgotten_long_before_what_does",
    ),
    Mutant(
        "ikdemo/flavor/probe.py",
        "            self._make_room()",
        '            raise PluginFailure(f"no more than {MOST} instances can be watched")',
        "tests/flavor/test_probe_forgets.py::test_when_there_is_no_room_what_is_gone_makes_it_and_what_lives_does_not",
    ),
    Mutant(
        "ikdemo/flavor/probe.py",
        "if w.health is not Health.HEALTHY and",
        "if",
        "tests/flavor/test_probe_forgets.py::test_when_there_is_no_room_what_is_gone_makes_it_and_what_lives_does_not",
    ),
    Mutant(
        "ikdemo/flavor/probe.py",
        "        if (monitored := self._monitored.pop(instance, None)) is not None:\n            monitored.stop()",
        "        self._monitored.pop(instance, None)",
        "tests/flavor/test_probe_forgets.py::test_five_hundred_instances_that_came_and_went_leave_nothing_behind",
    ),
    Mutant(
        "ikdemo/flavor/health_check.py",
        "elif self._failures >= self._threshold",
        "elif self._failures >= 2",
        "tests/flavor/test_probe.py::test_an_instance_that_hangs_is_unhealthy_after_as_many_checks_as_the_threshold_says",
    ),
    Mutant(
        "ikdemo/flavor/probe.py",
        "AT_ONCE = 64",
        "AT_ONCE = 32",
        "tests/flavor/test_probe.py::test_checks_in_flight_are_bounded",
    ),
)
