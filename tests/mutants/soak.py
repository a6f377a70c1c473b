"""Bugs that a short soak has to find by itself, without a test that was written for them."""

from __future__ import annotations

from .mutant import Mutant

SOAK = "tests/ground/test_soak.py::test_a_short_soak_strikes_in_every_way_and_no_promise_is_broken"

MUTANTS = (
    Mutant(
        "ikdemo/group/registry.py",
        "        async with self._lock(group):\n            supervisor = self.supervisors.get(group)\n            before = supervisor.record if supervisor is not None else None\n            after = update(before)\n",
        "        supervisor = self.supervisors.get(group)\n        before = supervisor.record if supervisor is not None else None\n        after = update(before)\n        async with self._lock(group):\n",
        SOAK,
    ),
    Mutant(
        "ikdemo/reconcile/members.py",
        "if tag == self._group or (tag is None and reading.filters):",
        "if tag in (self._group, None):",
        SOAK,
    ),
    Mutant(
        "ikdemo/reconcile/settle.py",
        "if is_spent(self.spent[slot], self._now) or",
        "if False and",
        SOAK,
    ),
    Mutant(
        "ikdemo/group/store.py",
        "            disk.write_atomic(self._directory, _file_name(record.id), written, durable=True, mode=0o600)\n",
        "            pass\n",
        SOAK,
    ),
)
