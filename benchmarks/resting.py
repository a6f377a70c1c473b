"""Measures what plugins cost that have nothing to do: processor time over a minute, and the memory
they keep after much work.

The floor is a bare interpreter beside them. Called by ``rows``.
"""

from __future__ import annotations

import time

from .bench import Bench, Measured, thawed
from .floors import bare_interpreter
from .held import memory, used
from .trio import GROUP, Trio

MINUTE, QUICK_MINUTE = 60.0, 0.5


def idle(bench: Bench, size: int, rounds: int) -> Measured:
    """Return the share of one core that three plugins use over a minute in which nothing happens,
    in percent.
    """
    found = Measured()
    minute = QUICK_MINUTE if bench.quick else MINUTE
    with bench.pair(size) as pair, bare_interpreter() as bare:
        for _ in range(bench.rounds(rounds)):
            shares = _shares({**pair.ours.pids, "bare": bare}, minute)
            found.floor.append(shares.pop("bare"))
            found.ours.append(sum(shares.values()))
            found.parts = {
                name: max(share, found.parts.get(name, 0.0)) for name, share in shares.items()
            }
        if pair.infrakit is not None:
            found.infrakit = [
                thawed(pair.infrakit, lambda trio: sum(_shares(trio.pids, minute).values()))
            ]
    return found


def _shares(pids: dict[str, int], seconds: float) -> dict[str, float]:
    before = {name: used(pid) for name, pid in pids.items()}
    time.sleep(seconds)
    return {name: 100 * (used(pid) - before[name]) / seconds for name, pid in pids.items()}


def remembering(bench: Bench, size: int, rounds: int) -> Measured:
    """Return the memory of the largest plugin after it was converged, half healed, destroyed and
    converged again, in MB.
    """
    found = Measured()
    for turn in range(bench.rounds(rounds)):
        with bench.pair() as pair, bare_interpreter() as bare:
            held = _worked(pair.ours, size)
            found.ours.append(max(now for now, _ in held.values()))
            found.floor.append(memory(bare)[0])
            for name, (now, most) in held.items():
                found.parts[f"{name} VmRSS"] = max(now, found.parts.get(f"{name} VmRSS", 0.0))
                found.parts[f"{name} VmHWM"] = max(most, found.parts.get(f"{name} VmHWM", 0.0))
            if pair.infrakit is not None and turn == 0:
                found.infrakit = [
                    thawed(
                        pair.infrakit,
                        lambda trio: max(now for now, _ in _worked(trio, size).values()),
                    )
                ]
    return found


def _worked(trio: Trio, size: int) -> dict[str, tuple[float, float]]:
    trio.converge({GROUP: size})
    trio.heal(size // 2)
    trio.destroy()
    trio.converge({GROUP: size})
    trio.rest()
    return {name: memory(pid) for name, pid in trio.pids.items()}
