"""Bugs planted into the manager: what leads, what is stored before what, what comes back."""

from __future__ import annotations

from .mutant import Mutant

OVERLAP = (
    "tests/simulation/test_managers.py::test_some_order_explains_whatever_managers_answer_and_store"
)
STORE = "tests/manager/test_os_store.py"

MUTANTS = (
    Mutant(
        "ikdemo/manager/handover.py",
        " and means_the_same(kept[group], entry.properties):",
        ":",
        "tests/simulation/test_managers.py"
        "::test_a_commit_that_arrives_behind_the_next_one_does_not_stay",
    ),
    Mutant(
        "ikdemo/manager/reconciliation.py",
        "            self._check_later()\n",
        "",
        "tests/simulation/test_managers.py"
        "::test_a_commit_that_arrives_behind_the_next_one_does_not_stay",
    ),
    Mutant(
        "ikdemo/manager/stored_commands.py",
        "        await self._store(added, epoch)\n        said = []\n        for spec in specs:\n"
        "            details = await self._give(GroupEntry(self._behind.name, spec), epoch)\n"
        "            said.append(GroupDetails(spec.id, details))\n        return said\n",
        "        said = []\n        for spec in specs:\n"
        "            details = await self._give(GroupEntry(self._behind.name, spec), epoch)\n"
        "            said.append(GroupDetails(spec.id, details))\n"
        "        await self._store(added, epoch)\n        return said\n",
        OVERLAP,
    ),
    Mutant(
        "ikdemo/manager/leadership.py",
        "        return self._now() >= term.until\n",
        "        return False\n",
        "tests/manager/test_leadership.py"
        "::test_a_term_is_over_at_its_deadline_whatever_a_look_does",
    ),
    Mutant(
        "ikdemo/manager/stored_commands.py",
        "            return stored.without(group)\n",
        "            return stored\n",
        OVERLAP,
    ),
    Mutant(
        "ikdemo/manager/handover.py",
        "            except IkdemoError:\n                continue\n",
        "            except IkdemoError:\n                raise\n",
        OVERLAP,
    ),
    Mutant(
        "ikdemo/manager/stored_commands.py",
        "        try:\n            await self._stored.change(update, epoch)\n",
        "        try:\n            import asyncio\n\n"
        "            asyncio.ensure_future(self._stored.change(update, epoch))  # noqa: RUF006\n",
        OVERLAP,
    ),
    Mutant(
        "ikdemo/manager/leadership.py",
        "            await self.ensure(epoch)\n            return await act()\n\n"
        "        await self.ensure(epoch)\n",
        "            return await act()\n\n        self._over = self._over or asyncio.Future()\n",
        OVERLAP,
    ),
    Mutant(
        "ikdemo/manager/command_queue.py",
        "        return await asyncio.shield(answer)\n",
        "        self._commands.pop()\n        return await work()\n",
        OVERLAP,
    ),
    Mutant(
        "ikdemo/manager/handover.py",
        "        for group in sorted(set(kept) - set(stored)):\n",
        "        for group in ():\n",
        "tests/manager/test_manager_processes.py"
        "::test_what_another_leader_freed_meanwhile_is_kept_no_longer",
    ),
    Mutant(
        "ikdemo/manager/stored.py",
        "            except OutcomeUnknown as error:\n                unknown = error\n",
        "            except OutcomeUnknown:\n                return wanted\n",
        OVERLAP,
    ),
    Mutant(
        "ikdemo/manager/group_behind.py",
        "            return await found.plugin.commit_group(spec, pretend, epoch)\n",
        "            return await found.plugin.commit_group(spec, pretend)\n",
        "tests/faults/test_stopped_leaders.py"
        "::test_a_group_stopped_before_it_makes_an_instance_is_refused",
    ),
    Mutant(
        "ikdemo/manager/stores/os_store.py",
        "            if epoch != term.epoch:\n",
        "            if epoch < term.epoch:\n",
        f"{STORE}::test_a_leader_that_was_overtaken_saves_nothing",
    ),
    Mutant(
        "ikdemo/manager/stores/os_store.py",
        "            if self._epoch and epoch != self._epoch:\n",
        "            if self._epoch > epoch:\n",
        f"{STORE}::test_of_two_managers_of_one_name_the_latter_leads",
    ),
)
