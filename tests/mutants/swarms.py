"""Bugs planted into leadership and specs in a Docker swarm; their tests need no engine."""

from __future__ import annotations

from .mutant import Mutant

TESTS = "tests/manager/test_swarm_store.py::"
STORE = "ikdemo/manager/stores/swarm_store.py"
LOST_TESTS = "tests/group/test_lost_instances.py::"
FLAVOR, FLAVOR_TESTS = "ikdemo/flavor/swarm_flavor.py", "tests/flavor/test_swarm_flavor.py::"
MUTANTS = (
    Mutant(
        "ikdemo/engine/swarm.py",
        "api.update_swarm(spec.version, document)",
        'api.update_swarm(api.inspect_swarm()["Version"]["Index"], document)',
        TESTS + "test_an_epoch_that_begins_between_check_and_update_is_noticed",
    ),
    Mutant(
        "ikdemo/engine/swarm.py",
        'document = {**spec.document, "Labels": changed}',
        'document = {"Name": spec.document["Name"], "Labels": changed}',
        TESTS + "test_what_is_saved_is_v010_s_label_and_nothing_else_of_the_spec_changes",
    ),
    Mutant(
        "ikdemo/engine/swarm.py",
        'self._node = ""  # it may have left, or have joined another swarm\n            raise',
        "return False",
        TESTS + "test_what_an_unwell_engine_says_is_doubt",
    ),
    Mutant(
        STORE,
        'if (claim.epoch, claim.leader.get("Token")) != (term.epoch, self._token):',
        "if False:",
        TESTS + "test_a_save_fails_when_a_newer_epoch_has_begun",
    ),
    Mutant(
        STORE,
        "if there.labels.get(SPEC) != kept.version:",
        "if False:",
        TESTS + "test_a_store_that_another_program_changed_is_not_overwritten",
    ),
    Mutant(
        STORE,
        "self._term = Term(epoch, sent + LEASE)",
        "self._term = Term(epoch, self._clock() + LEASE)",
        TESTS + "test_a_term_counts_from_the_sending_of_a_renewal",
    ),
    Mutant(
        STORE,
        "return self._other is not None\n",
        "return False\n",
        TESTS + "test_of_two_managers_at_one_engine_one_leads_until_it_stands_still",
    ),
    Mutant(
        STORE,
        "return term if term is not None and ours and now < term.until else None",
        "return term if term is not None and ours else None",
        TESTS + "test_a_leader_renews_in_its_epoch_and_begins_another_after_a_break",
    ),
    Mutant(
        FLAVOR,
        "if not states or UNKNOWN in states else Health.UNHEALTHY",
        "if not states else Health.UNHEALTHY",
        FLAVOR_TESTS + "test_health_is_that_of_the_node",
    ),
    Mutant(
        FLAVOR,
        "    if READY in states:\n",
        "    if states:\n",
        "tests/wire/test_flavor_swarm.py::test_with_an_engine",
    ),
    Mutant(
        FLAVOR,
        'return await self._nodes.labelled(f"{ASSOCIATION_TAG}={association}")',
        "return [n for n in await self._nodes.labelled(ASSOCIATION_TAG) if n] or [Node(association, UNKNOWN)]",
        FLAVOR_TESTS + "test_drained_are_the_nodes_of_the_instance",
    ),
    Mutant(
        FLAVOR,
        'association = "".join(secrets.choice(_LETTERS) for _ in range(8))',
        'association = "AAAA1111"',
        FLAVOR_TESTS + "test_what_is_prepared_is_a_machine_that_joins",
    ),
    Mutant(
        FLAVOR,
        "token=tokens.manager if wanted.type == MANAGER else tokens.worker",
        "token=tokens.manager",
        FLAVOR_TESTS + "test_what_is_prepared_is_a_machine_that_joins",
    ),
    Mutant(
        FLAVOR,
        "if len(ready) > 1:",
        "if len(ready) > 2:",
        FLAVOR_TESTS + "test_of_two_nodes_that_are_ready_none_is_drained",
    ),
    Mutant(
        "ikdemo/flavor/join_script.py",
        "join() {{ joined || docker",
        "join() {{ docker",
        FLAVOR_TESTS + "test_the_script_of_a_machine_that_boots_again_joins_nothing",
    ),
    Mutant(
        "ikdemo/flavor/join_script.py",
        "in_time join\n",
        "join\n",
        FLAVOR_TESTS + "test_the_script_waits_for_an_engine_and_for_a_swarm",
    ),
    Mutant(
        FLAVOR,
        "            if node.state in GONE:\n",
        "            if node.state != READY:\n",
        FLAVOR_TESTS + "test_a_node_that_is_not_down_is_not_buried",
    ),
    Mutant(
        FLAVOR,
        "if node.state in GONE and node.manages:",
        "if node.manages:",
        FLAVOR_TESTS + "test_a_node_that_manages_and_is_not_down_stays_as_it_is",
    ),
    Mutant(
        "ikdemo/engine/swarm_nodes.py",
        '{**there["Spec"], "Role": "worker"}',
        '{"Role": "worker"}',
        FLAVOR_TESTS + "test_a_node_that_managed_is_demoted_and_then_buried",
    ),
    Mutant(
        FLAVOR,
        "self._nodes.remove(node.id, force=False)",
        "self._nodes.remove(node.id, force=True)",
        FLAVOR_TESTS + "test_a_node_that_comes_back_just_then_stays",
    ),
    Mutant(
        "ikdemo/group/reconciler.py",
        "if self.record.paused or self.record.freed or",
        "if self.record.freed or",
        LOST_TESTS + "test_while_a_group_is_paused_nothing_is_buried",
    ),
    Mutant(
        "ikdemo/group/reconciler.py",
        "self._lost.forget(executor.drained & ",
        "self._lost.forget(set() & ",
        LOST_TESTS + "test_what_is_lost_is_buried_and_what_is_drained_is_not",
    ),
    Mutant(
        "ikdemo/group/reconciler.py",
        "                described=dict(self._lost.known) or UNSET,\n",
        "",
        LOST_TESTS + "test_what_was_lost_before_a_restart_or_during_it_is_buried_after_it",
    ),
    Mutant(
        "ikdemo/group/observation.py",
        'buries=None if flavor is None else "Bury" in flavor.offers,',
        "buries=None if flavor is None else True,",
        LOST_TESTS + "test_a_flavor_that_does_not_offer_it_is_never_asked",
    ),
    Mutant(
        "ikdemo/group/lost_instances.py",
        "        self._news.set()\n",
        "",
        LOST_TESTS + "test_what_is_lost_now_does_not_wait_for_the_next_attempt_at_another",
    ),
    Mutant(
        "ikdemo/group/lost_instances.py",
        "if attempts >= ATTEMPTS:",
        "if False:",
        LOST_TESTS + "test_in_the_end_it_is_given_up",
    ),
    Mutant(
        "ikdemo/group/lost_instances.py",
        "            self._task = asyncio.create_task(\n",
        "            self._task = self._task or asyncio.create_task(\n",
        LOST_TESTS + "test_what_is_lost_is_buried_and_what_is_drained_is_not",
    ),
)
