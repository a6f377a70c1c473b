"""What may be the name of a slot: bounded where it is read, so that one odd name never blocks the group that reads it.

Called by every instance plugin, with what Provision asks for and with what it finds written down.
"""

from __future__ import annotations

from msgspec import UNSET, UnsetType

from .errors import SpecError

LONGEST = 128
"""Characters of a name."""
MOST_DIGITS = 9
"""Digits of a name that is a number: a group has no billion slots, and Python refuses to read more than 4,300 of them."""


def slot_of(said: str | UnsetType | None, path: str = "$.Slot") -> str | None:
    """Return the name of a slot, None when there is none: an empty name is none. Raises SpecError for one that cannot be.

    >>> slot_of("7"), slot_of("db/2"), slot_of(""), slot_of(None)
    ('7', 'db/2', None, None)
    """
    if said is None or said is UNSET or not said:
        return None
    if len(said) > LONGEST or (said.isdigit() and len(said) > MOST_DIGITS):
        expected = f"at most {LONGEST} characters, and at most {MOST_DIGITS} digits of a number"
        raise SpecError(f"{path}: expected {expected}, got {len(said)}", path=path, expected=expected)
    return said
