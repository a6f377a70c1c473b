"""How long to wait before trying again: doubling, capped, with a jitter that is a hash and not a
dice.

Also when to begin waiting (the allowance of a slot), and when to stop trying.
"""

from __future__ import annotations

import hashlib

BASE = 0.5
"""Seconds before the second attempt."""
CAP = 120.0
"""Seconds between attempts at most."""
GIVE_UP_AFTER = 9
"""Attempts in a row that come to nothing because of the spec itself, after which only another spec,
or a person, helps.

With instances that end at once they take 32 to 63 seconds: longer than most restarts of something
that the instances need.
"""
ALLOWANCE = 3
"""Instances of one slot that may end from outside and are replaced at once."""
REFILL = 10.0
"""Seconds after which a slot's allowance is one more again."""
WINDOW = 10
"""Seconds over which the instances that ended are counted for the sentence about a storm."""


def use_allowance(until: float, now: float) -> float:
    """Take one from an allowance that is whole again at ``until``; return when it is now. It never
    owes more than all of it.

    >>> use_allowance(0.0, now=100.0), use_allowance(125.0, now=100.0)
    (110.0, 130.0)
    """
    return min(max(until, now) + REFILL, now + ALLOWANCE * REFILL)


def allowance_is_used_up(until: float, now: float) -> bool:
    """Say whether less than one is left of an allowance that is whole again at ``until``.

    >>> (
    ...     allowance_is_used_up(use_allowance(use_allowance(0.0, 100.0), 100.0), 100.0),
    ...     allowance_is_used_up(
    ...         use_allowance(use_allowance(use_allowance(0.0, 99.0), 99.0), 99.0), 99.0
    ...     ),
    ... )
    (False, True)
    """
    return until - now > (ALLOWANCE - 1) * REFILL


def backoff(group: str, slot: str, attempt: int) -> float:
    """Return the seconds to wait after failed attempt number ``attempt`` (from 1), between half and
    all of the doubling.

    The same group, slot and attempt always give the same wait, so a plan can be predicted and
    replayed.

    >>> 0.25 <= backoff("collabnix", "0", 1) <= 0.5
    True
    >>> 60 <= backoff("collabnix", "0", 99) <= 120
    True
    """
    whole = min(CAP, BASE * 2.0 ** min(attempt - 1, 16))
    digest = hashlib.blake2b(
        f"{group}\0{slot}\0{attempt}".encode("utf-8", "surrogatepass"), digest_size=8
    ).digest()
    return whole * (0.5 + 0.5 * int.from_bytes(digest, "big") / 2**64)
