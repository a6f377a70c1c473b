"""Bugs planted into what overlaps, each noticed by the simulation: it tries the orders that nobody
thought of.
"""

from __future__ import annotations

from .mutant import Mutant

_PLAYED = "tests/simulation/test_overlapping_commands.py::test_some_order_explains_every_answer"
_FIRST, _SECOND, _THIRD = (
    "\n".join(f"{_PLAYED}[{seed}-{seed + 24}]" for seed in range(first, first + 100, 25))
    for first in (0, 100, 200)
)
_KNOWN = "tests/simulation/test_overlapping_commands.py::test_what_broke_once_holds"
_PLUGIN = "ikdemo/group/plugin.py"
_REMOVAL = "ikdemo/group/removal.py"
_REGISTRY = "ikdemo/group/registry.py"
_RECONCILER = "ikdemo/group/reconciler.py"

MUTANTS = (
    Mutant(
        _REGISTRY,
        "        async with self._lock(group):\n            supervisor = self.supervisors.get(group)\n            before =",
        "        async with asyncio.Lock():\n            supervisor = self.supervisors.get(group)\n            before =",
        _FIRST,
    ),
    Mutant(
        _REGISTRY,
        "                await self._save(after)\n                if supervisor is None:",
        "                self._at_work.add(asyncio.create_task(self._save(after)))\n                if supervisor is None:",
        _SECOND,
    ),
    Mutant(
        _REGISTRY,
        """            await supervisor.end("a free")
            async with self._lock(group):
                await self._remove_freed(group)
                self._forget(supervisor)
""",
        """            async with self._lock(group):
                await self._remove_freed(group)
                self._forget(supervisor)
            await supervisor.end("a free")
            if True:
""",
        _SECOND,
    ),
    Mutant(
        _REGISTRY,
        "        if self._closed:\n            self._at_work.add(",
        "        if False:\n            self._at_work.add(",
        _THIRD,
    ),
    Mutant(
        _RECONCILER,
        "        if desired is not self.desired or self._cancelled:\n            return None\n",
        "",
        _FIRST,
    ),
    Mutant(_RECONCILER, "if (asked or not paused) and todo.actions", "if todo.actions", _FIRST),
    Mutant(
        _PLUGIN,
        "        after = msgspec.structs.replace(\n            before,\n",
        "        after = Record(\n            group,\n",
        _FIRST,
    ),
    Mutant(_PLUGIN, "paused=False, backoffs={})", "backoffs={})", _FIRST),
    Mutant(
        _REMOVAL,
        "        if not todo.converged or supervisor.removal_error:\n",
        "        if todo.converged:\n            return\n        if not todo.converged or supervisor.removal_error:\n",
        _SECOND,
    ),
    Mutant(
        _RECONCILER,
        "self._observer.health_is_due() or bool(self._memory.expected)",
        "self._observer.health_is_due()",
        f"{_KNOWN}[3918]",
    ),
    Mutant(
        "ikdemo/reconcile/plan.py",
        "converged=not described.instances and not expected)",
        "converged=not described.instances)",
        f"{_KNOWN}[551]",
    ),
    Mutant(
        _REGISTRY,
        "        for record in await asyncio.to_thread(self._store.open):\n            if record.freed:",
        "        for record in await asyncio.to_thread(self._store.open):\n            if False:",
        f"{_KNOWN}[520]",
    ),
)
