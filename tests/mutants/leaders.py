"""Bugs planted into leadership by etcd: what guards a write, until when a leader may act, and what
became of a request.
"""

from __future__ import annotations

from .mutant import Mutant

MUTANTS = (
    Mutant(
        "ikdemo/manager/stores/etcd_store.py",
        "[created_at(LEADER, term.epoch), modified_at(GROUPS, kept.version)]",
        "[modified_at(GROUPS, kept.version)]",
        "tests/engine/test_etcd_store.py::test_a_save_of_an_older_epoch_is_refused",
    ),
    Mutant(
        "ikdemo/manager/stores/etcd_store.py",
        "[created_at(LEADER, term.epoch), modified_at(GROUPS, kept.version)]",
        "[modified_at(GROUPS, kept.version)]",
        "tests/engine/test_etcd_failover.py::test_a_write_that_was_decided_before_the_leadership_was_lost_is_refused",
    ),
    Mutant(
        "ikdemo/manager/stores/etcd_store.py",
        "[created_at(LEADER, term.epoch), modified_at(GROUPS, kept.version)]",
        "[created_at(LEADER, term.epoch)]",
        "tests/engine/test_etcd_store.py::test_a_save_over_another_version_is_refused",
    ),
    Mutant(
        "ikdemo/etcd/election.py",
        "        self.epoch = leader.create_revision\n",
        "        self.epoch = self._revision\n",
        "tests/engine/test_etcd_calls.py::test_an_election_whose_answer_was_lost_is_found_out_with_its_own_epoch",
    ),
    Mutant(
        "ikdemo/etcd/election.py",
        "        self._confirm(sent, seconds)\n        return Elected",
        "        self._confirm(self._now(), seconds)\n        return Elected",
        "tests/engine/test_etcd_calls.py::test_a_leader_may_act_for_a_lease_from_when_it_asked_not_from_the_answer",
    ),
    Mutant(
        "ikdemo/etcd/election.py",
        "            self._confirm(sent, seconds)\n        leader",
        "            self._confirm(self._now(), seconds)\n        leader",
        "tests/engine/test_etcd_calls.py::test_a_leader_may_act_for_a_lease_from_when_it_asked_not_from_the_answer",
    ),
    Mutant(
        "ikdemo/boottime.py",
        "    return time.clock_gettime(time.CLOCK_BOOTTIME)",
        "    return time.time()",
        "tests/engine/test_etcd_calls.py::test_no_setting_of_the_date_moves_the_end_of_a_term",
    ),
    Mutant(
        "ikdemo/etcd/election.py",
        "        if seen.found is None or self._is_foreign(seen.found):",
        "        if False:",
        "tests/engine/test_etcd_calls.py::test_a_leader_whose_key_was_removed_or_replaced_by_hand_does_not_lead",
    ),
    Mutant(
        "ikdemo/etcd/election.py",
        "[created_at(self._key, 0)],",
        "[],",
        "tests/engine/test_etcd_calls.py::test_of_many_candidates_one_leads_and_the_next_one_has_a_greater_epoch",
    ),
    Mutant(
        "ikdemo/etcd/endpoints.py",
        "            share = now + max(0.0, deadline - now) / left",
        "            share = now + self._within",
        "tests/etcd/test_endpoints.py::test_one_deadline_holds_for_all_members",
    ),
    Mutant(
        "ikdemo/etcd/endpoints.py",
        "                if attempt.sent and not again:",
        "                if False:",
        "tests/etcd/test_endpoints.py::test_what_must_not_be_sent_twice_is_sent_to_one_member_only",
    ),
    Mutant(
        "ikdemo/etcd/endpoints.py",
        "        if sent:\n",
        "        if False:\n",
        "tests/engine/test_etcd_store.py::test_a_save_without_an_answer_may_have_happened",
    ),
    Mutant(
        "ikdemo/etcd/endpoints.py",
        " and not connection.answered",
        " and connection.answered",
        "tests/engine/test_etcd_tls.py::test_certificates",
    ),
    Mutant(
        "ikdemo/etcd/endpoints.py",
        "            if member == at:\n                connection.close()\n",
        "            pass\n",
        "tests/etcd/test_endpoints.py::test_a_watch_is_left_with_its_member",
    ),
    Mutant(
        "ikdemo/etcd/etcd_connection.py",
        "response.keeps_alive and not response.is_followed",
        "response.keeps_alive",
        "tests/etcd/test_endpoints.py::test_a_second_answer_to_one_request_is_not_taken_for_the_next_one",
    ),
    Mutant(
        "ikdemo/etcd/etcd_client.py",
        "    if len(value) > LARGEST_VALUE:",
        "    if False:",
        "tests/engine/test_etcd_store.py::test_a_document_too_large_for_etcd_is_not_sent",
    ),
)
