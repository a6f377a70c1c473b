"""How sick an instance is: unhealthy answers in a row, and what its flavor told of it.

One rule for ``plan``, which acts on it, and ``settle``, which remembers it.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import structs

from ..spi.documents import Health
from .world import Desired, Memory, Observation


def heed(desired: Desired, memory: Memory, told: Iterable[str]) -> Memory:
    """Return the memory after a flavor has told that instances are unhealthy: one answer that says the same is enough now.

    A flavor that tells has looked more than once before it does; what has passed since then, the answer will show.

    >>> heed(Desired("g", "sha", (), sick_after=3), Memory(sick={"a": 1}), ["a", "b"]).sick
    {'a': 2, 'b': 2}
    """
    enough = desired.sick_after - 1
    return structs.replace(memory, sick={**memory.sick, **{one: max(enough, memory.sick.get(one, 0)) for one in told if enough}})


def unhealthy_in_a_row(observed: Observation, memory: Memory) -> dict[str, int]:
    """Return instance ID to unhealthy answers in a row, this observation's included; the healthy are left out.

    An unknown answer is no evidence: it neither adds to the count nor ends it.

    >>> from ikdemo.spi.plans import Seen
    >>> seen = (Seen("a", health=Health.UNHEALTHY), Seen("b", health=Health.HEALTHY), Seen("c"))
    >>> unhealthy_in_a_row(Observation(seen), Memory(sick={"a": 1, "b": 2, "c": 3}))
    {'a': 2, 'c': 3}
    """
    healthy, unhealthy = Health.HEALTHY, Health.UNHEALTHY
    suspects = observed.instances if memory.sick else [seen for seen in observed.instances if seen.health is unhealthy]
    counts = {}
    for seen in suspects:
        before = memory.sick.get(seen.id, 0)
        count = before + 1 if seen.health is unhealthy else 0 if seen.health is healthy else before
        if count:
            counts[seen.id] = count
    return counts
