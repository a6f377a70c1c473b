"""Bugs planted into what keeps an older leader from acting: what is claimed, for how long, and what
is under way meanwhile.
"""

from __future__ import annotations

from .mutant import Mutant

FENCE, GROUP = "tests/instance/test_fence.py::", "tests/group/test_epochs.py::"
SIMULATED = (
    "tests/simulation/test_two_leaders.py"
    "::test_the_latest_leader_gets_what_it_wants_and_the_other_one_rests"
)
DOCKER = "tests/engine/test_docker_fencing.py::"

MUTANTS = (
    Mutant(
        "ikdemo/instance/fence.py",
        "                if epochs != self._durable:",
        "                if False:",
        FENCE + "test_what_was_claimed_outlives_the_plugin",
    ),
    Mutant(
        "ikdemo/instance/fence.py",
        "                    await asyncio.to_thread(_write, directory, epochs)\n",
        '                    self._begin(asyncio.to_thread(_write, directory, epochs), "")\n',
        FENCE + "test_a_plugin_killed_at_any_moment_knows_every_claim_that_it_answered",
    ),
    Mutant(
        "ikdemo/instance/fence.py",
        "        if epoch < known:\n            raise Fenced(epoch, known)\n        if epoch > known:",
        "        if epoch > known:\n            raise Fenced(epoch, known)\n        if False:",
        FENCE + "test_after_a_claim_an_older_leader_is_refused_and_others_are_not",
    ),
    Mutant(
        "ikdemo/instance/fence.py",
        "        if epoch < known:\n            raise Fenced(epoch, known)\n        epochs = {",
        "        epochs = {",
        FENCE + "test_of_claims_at_the_same_time_the_greatest_stays",
    ),
    Mutant(
        "ikdemo/instance/fence.py",
        "if its < epoch]",
        "if False]",
        FENCE + "test_a_claim_waits_until_what_an_older_leader_began_is_over",
    ),
    Mutant(
        "ikdemo/instance/fence.py",
        "        return await asyncio.shield(task)",
        "        return await task",
        FENCE + "test_a_claim_waits_until_what_an_older_leader_began_is_over",
    ),
    Mutant(
        "ikdemo/instance/fence.py",
        "            if pending:",
        "            if False:",
        FENCE + "test_a_claim_that_cannot_wait_longer_says_so_and_may_be_made_again",
    ),
    Mutant(
        "ikdemo/instance/fence.py",
        "            for group in read | self._epochs",
        "            for group in read",
        FENCE + "test_a_file_plugin_whose_directory_was_deleted_forgets_no_claim",
    ),
    Mutant(
        "ikdemo/instance/fence.py",
        "    except (CorruptState, SpecError) as error:\n",
        "    except (CorruptState, SpecError) as error:\n        return {}\n",
        FENCE + "test_a_file_of_epochs_that_makes_no_sense_lets_no_plugin_begin",
    ),
    Mutant(
        "ikdemo/instance/process/plugin.py",
        "        state_files.check_held()\n        await self._fence",
        "        await self._fence",
        FENCE + "test_a_claim_needs_the_directory_in_which_it_is_kept",
    ),
    Mutant(
        "ikdemo/instance/docker/provisioning.py",
        'tags.get(SHA_TAG, ""), epoch\n',
        'tags.get(SHA_TAG, ""), None\n',
        DOCKER + "test_what_waits_for_an_image_is_refused_and_holds_up_no_later_leader",
    ),
    Mutant(
        "ikdemo/instance/docker/provisioning.py",
        "group, epoch, lambda: self._create(properties, spec, slot)",
        "group, None, lambda: self._create(properties, spec, slot)",
        DOCKER + "test_what_waits_for_an_image_is_refused_and_holds_up_no_later_leader",
    ),
    Mutant(
        "ikdemo/group/epoch_claim.py",
        "        if self._fenced is None:\n            return todo\n",
        "        if True:\n            return todo\n",
        GROUP + "test_of_two_leaders_that_want_different_sizes_only_the_later_one_acts",
    ),
    Mutant(
        "ikdemo/group/epoch_claim.py",
        "        if error.begun > self.epoch:\n",
        "        if True:\n",
        GROUP + "test_a_refusal_that_comes_late_is_not_about_the_leader_of_now",
    ),
    Mutant(
        "ikdemo/group/epoch_claim.py",
        "        try:\n            await plugin.claim(self._group, epoch)\n",
        "        if self._made:\n            return plugin\n        try:\n            await plugin.claim(self._group, epoch)\n",
        GROUP + "test_a_plugin_that_forgot_the_epoch_is_claimed_again",
    ),
    Mutant(
        "ikdemo/group/epoch_claim.py",
        "since=self._fenced_at, ",
        "",
        GROUP + "test_of_two_leaders_that_want_different_sizes_only_the_later_one_acts",
    ),
    Mutant(
        "ikdemo/group/executor.py",
        "        except Fenced as error:\n            self._claim.on_refusal(error)\n            return None\n",
        "",
        GROUP + "test_an_action_on_its_way_when_a_later_leader_claims_is_refused",
    ),
    Mutant(
        "ikdemo/group/plugin.py",
        "    if epoch < (latest := supervisor.reconciler.claim.latest):",
        "    if epoch < (latest := 0):",
        GROUP + "test_an_older_leader_cannot_commit_also_after_a_restart",
    ),
    Mutant(
        "ikdemo/group/epoch_claim.py",
        "        if self._fenced is not None and self.epoch >= self._fenced.begun:",
        "        if False:",
        SIMULATED,
    ),
    Mutant(
        "ikdemo/group/executor.py",
        "await self._fencing.destroy(action.instance, self._epoch)",
        "await self._fencing.destroy(action.instance)",
        SIMULATED,
    ),
    Mutant(
        "ikdemo/rpc/dispatch.py",
        "if m.service in services and m.needs in services",
        "if m.needs in services",
        "tests/rpc/test_envelope.py::test_a_group_plugin_that_fences_has_no_instances_to_claim",
    ),
    Mutant(
        "ikdemo/rpc/client.py",
        "        if fenced := Fenced.said_by(said.message):",
        "        if fenced := None:",
        "tests/rpc/test_peers_by_name.py::test_epochs_cross_a_socket_and_what_is_fenced_is_known_again",
    ),
)
