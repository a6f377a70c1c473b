"""How long to wait before trying again: doubling, capped, with a jitter that is a hash and not a dice.

And when to stop trying. Called by ``settle`` and ``draft``.
"""

from __future__ import annotations

import hashlib

BASE = 0.5
"""Seconds before the second attempt."""
CAP = 120.0
"""Seconds between attempts at most."""
GIVE_UP_AFTER = 9
"""Attempts in a row that come to nothing by the spec's own doing, after which only another spec, or a person, helps.

Of instances that end at once there are so many in 32 to 63 seconds: longer than most restarts of something that they need.
"""


def backoff(group: str, slot: str, attempt: int) -> float:
    """Return the seconds to wait after failed attempt number ``attempt`` (from 1), between half and all of the doubling.

    The same group, slot and attempt always give the same wait, so a plan can be predicted and replayed.

    >>> 0.25 <= backoff("collabnix", "0", 1) <= 0.5
    True
    >>> 60 <= backoff("collabnix", "0", 99) <= 120
    True
    """
    whole = min(CAP, BASE * 2.0 ** min(attempt - 1, 16))
    digest = hashlib.blake2b(f"{group}\0{slot}\0{attempt}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return whole * (0.5 + 0.5 * int.from_bytes(digest, "big") / 2**64)
