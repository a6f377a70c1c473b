"""How sick an instance is: unhealthy answers in a row, and nothing else.

One rule for ``plan``, which acts on it, and ``settle``, which remembers it.
"""

from __future__ import annotations

from ..spi.documents import Health
from .world import Memory, Observation


def unhealthy_in_a_row(observed: Observation, memory: Memory) -> dict[str, int]:
    """Return instance ID to unhealthy answers in a row, this observation's included; the healthy are left out.

    An unknown answer is no evidence: it neither adds to the count nor ends it.

    >>> from ikdemo.spi.plans import Seen
    >>> seen = (Seen("a", health=Health.UNHEALTHY), Seen("b", health=Health.HEALTHY), Seen("c"))
    >>> unhealthy_in_a_row(Observation(seen), Memory(sick={"a": 1, "b": 2, "c": 3}))
    {'a': 2, 'c': 3}
    """
    counts = {}
    for seen in observed.instances:
        before = memory.sick.get(seen.id, 0)
        count = before + 1 if seen.health is Health.UNHEALTHY else 0 if seen.health is Health.HEALTHY else before
        if count:
            counts[seen.id] = count
    return counts
