"""Bugs planted into instances that are containers; their tests need a Docker engine."""

from __future__ import annotations

from .mutant import Mutant

MUTANTS = (
    Mutant(
        "ikdemo/instance/docker/containers.py",
        "            if container not in there and await self._is_alive(container):",
        "            if False:",
        "tests/engine/test_docker_doubt.py::test_a_list_that_is_none_or_lacks_what_lives_is_doubt",
    ),
    Mutant(
        "ikdemo/engine/calls.py",
        '        if rows.setdefault(row["Id"], row)["State"] != row["State"]:',
        '        rows.setdefault(row["Id"], row)\n        if False:',
        "tests/engine/test_docker_doubt.py::test_a_list_that_is_none_or_lacks_what_lives_is_doubt",
    ),
    Mutant(
        "ikdemo/engine/calls.py",
        '    if not isinstance(listed, list):\n        raise ValueError("a list of containers was expected")\n',
        "    listed = listed or []\n",
        "tests/engine/test_docker_doubt.py::test_a_list_that_is_none_or_lacks_what_lives_is_doubt",
    ),
    Mutant(
        "ikdemo/instance/docker/containers.py",
        "            if one in self and (one.labels.instance not in chosen or one.is_original):",
        "            if one in self and one.labels.instance not in chosen:",
        "tests/engine/test_docker_doubt.py::test_two_containers_of_one_instance_are_one_and_it_is_the_original_that_is_ended",
    ),
    Mutant(
        "ikdemo/instance/docker/containers.py",
        '            elif one.state in (*ALIVE, *LEFTOVER, "exited"):\n',
        "            else:\n",
        "tests/engine/test_docker_doubt.py::test_a_state_that_is_not_known_here_is_left_alone",
    ),
    Mutant(
        "ikdemo/instance/docker/containers.py",
        " if has_labels(row, wanted)]",
        "]",
        "tests/engine/test_docker_doubt.py::test_what_is_listed_beyond_what_was_asked_for_is_left_alone",
    ),
    Mutant(
        "ikdemo/instance/docker/orphans.py",
        "        if has_labels(row, [label])\n",
        "",
        "tests/engine/test_docker_doubt.py::test_what_is_listed_beyond_what_was_asked_for_is_left_alone",
    ),
    Mutant(
        "ikdemo/engine/calls.py",
        "        ended()\n        raise PluginUnavailable",
        "        raise PluginUnavailable",
        "tests/engine/test_docker_doubt.py::test_without_a_descriptor_or_a_thread_left_nothing_is_lost_and_questions_are_asked_again",
    ),
    Mutant(
        "ikdemo/instance/docker/containers.py",
        "        alive = [*(state.labels for state in self._alive.values()), *self._creating.values()]",
        "        alive = [state.labels for state in self._alive.values()]",
        "tests/engine/test_docker_doubt.py::test_overlapping_provisions_keep_to_the_room_and_to_one_for_a_slot_and_get_ports_of_their_own",
    ),
    Mutant(
        "ikdemo/instance/docker/containers.py",
        "        return len(self._alive) + len(self._creating)",
        "        return len(self._alive)",
        "tests/engine/test_docker_doubt.py::test_overlapping_provisions_keep_to_the_room_and_to_one_for_a_slot_and_get_ports_of_their_own",
    ),
    Mutant(
        "ikdemo/instance/container_labels.py",
        "    try:\n        slot = slot_of(labels.get(SLOT))\n    except SpecError:  # no slot has such a name\n        slot = None\n",
        "    slot = labels.get(SLOT)\n",
        "tests/engine/test_docker_doubt.py::test_a_slot_that_cannot_be_is_none",
    ),
)
