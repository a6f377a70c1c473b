"""Bugs planted into slots that are services of a swarm: what is read before an update, and what a
claim leaves behind. Only the tests at an engine need one.
"""

from __future__ import annotations

from .mutant import Mutant

SLOTS = "tests/simulation/test_swarm_slots.py::"
SIMULATED = (
    "tests/simulation/test_swarm_slots.py"
    "::test_never_two_in_a_slot_nothing_healthy_ended_and_no_older_leader_after_a_claim"
)
ENGINE = "tests/engine/test_swarm_instances.py::"
UPDATES = "ikdemo/instance/swarm/slot_updates.py"
CLAIMS = "ikdemo/instance/swarm/slot_claims.py"
MUTANTS = (
    Mutant(
        "ikdemo/instance/single_flight.py",
        "        if task is None or task.done():  # its callback comes in the next turn of the loop\n",
        "        if task is None:\n",
        "tests/instance/test_single_flight.py"
        "::test_one_that_ended_in_this_turn_of_the_loop_is_not_shared",
    ),
    Mutant(
        UPDATES,
        "                if task is None or is_wanted(task, self._watch.ended):",
        "                if task is not None and is_wanted(task, self._watch.ended):",
        SIMULATED,
    ),
    Mutant(
        UPDATES,
        "                    await self._services.create(emptied(wanted))\n"
        "                    continue  # and read it together with the record\n",
        "                    await self._services.create(wanted)\n                    return None\n",
        SLOTS + "test_a_slot_that_is_made_while_its_group_is_claimed_stays_empty",
    ),
    Mutant(
        UPDATES,
        "or held.occupant.instance != labels.instance:",
        "or False:",
        SLOTS + "test_a_late_destroy_does_not_hit_the_next_instance",
    ),
    Mutant(
        CLAIMS,
        "            older = [held for held in slots if held.epoch < epoch and not held.is_leaving]\n",
        "            older = list[SlotService]()\n",
        SLOTS + "test_a_fill_that_is_on_its_way_at_a_claim_is_refused",
    ),
    Mutant(
        CLAIMS,
        "        known = max(self.record, 0 if self.held is None else self.held.epoch)\n",
        "        known = self.record if self.held is None else self.held.epoch\n",
        SLOTS + "test_a_slot_that_is_made_while_its_group_is_claimed_stays_empty",
    ),
    Mutant(
        CLAIMS,
        "                if known < epoch:\n"
        "                    await self._services.update(record, touched(record.spec, epoch))\n"
        "                    continue\n",
        "                if known < epoch:\n"
        "                    await asyncio.gather(*(self._touch(one, epoch) for one in slots))\n"
        "                    await self._services.update(record, touched(record.spec, epoch))\n"
        "                    return\n",
        SLOTS + "test_a_slot_made_between_the_first_look_of_a_claim_and_its_record_is_touched_too",
    ),
    Mutant(
        "ikdemo/instance/swarm/slot_sweep.py",
        "        if not held.is_leaving:\n"
        "            await self._services.update(held.service, leaving(held.service.spec))\n",
        "",
        SLOTS + "test_a_spare_slot_that_is_filled_just_when_it_is_to_be_removed_stays",
    ),
    Mutant(
        "ikdemo/instance/swarm/task_watch.py",
        "        first, self.living, self.succeeded = not self.succeeded, found, number\n",
        "        found = {n: one for n, one in found.items() if one.task is not None}\n"
        "        first, self.living, self.succeeded = not self.succeeded, found, number\n",
        SIMULATED,
    ),
    Mutant(
        "ikdemo/engine/services.py",
        '    sent = {"params": {"version": service.version}, "headers": _trust(api, spec)}\n',
        '    now = api.inspect_service(service.id)["Version"]["Index"]\n'
        '    sent = {"params": {"version": now}, "headers": _trust(api, spec)}\n',
        ENGINE + "test_a_service_that_has_changed_since_it_was_read_is_not_changed",
    ),
    Mutant(
        "ikdemo/instance/swarm/slot_service.py",
        "    if service.name != service_name(namespace, group, slot, instance) or service.replicas < 0:",
        "    if service.replicas < 0:",
        ENGINE + "test_what_others_made_stays_untouched",
    ),
)
