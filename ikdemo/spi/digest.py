"""What a group's instances are, in one line: two that hold the same need not tell each other ten
thousand descriptions.

Pure. The extension Digest lets an instance plugin say it, and a group at a poll compares it with
what it knows. Called by ``instance.file.index`` and ``group.observer``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from .decode import encode_lines
from .plans import ObservedInstance


def digest(instances: Iterable[ObservedInstance]) -> str:
    """Return the digest of instances, in whatever order they come; their health takes no part.

    It is the SHA-256, in hexadecimal, of one line for each: a JSON list of ID, logical ID, slot and
    configuration hash, null for what there is not; the lines are sorted by their bytes, with a
    newline between them.

    >>> digest([]) == hashlib.sha256(b"").hexdigest()
    True
    >>> one, other = ObservedInstance("i-1", slot="0", sha="x"), ObservedInstance("i-2", "a", "a#0", "x")
    >>> digest([one, other]) == hashlib.sha256(b'["i-1",null,"0","x"]\\n["i-2","a","a#0","x"]').hexdigest()
    True
    >>> digest([other, one]) == digest([one, other]) != digest([one])
    True
    """
    lines = encode_lines([(seen.id, seen.logical_id, seen.slot, seen.sha) for seen in instances])
    return hashlib.sha256(b"\n".join(sorted(lines))).hexdigest()
