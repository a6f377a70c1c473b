"""A lab belongs to the process that opened it: one that is forked from that has no part in it.

A fork (``os.fork``, multiprocessing, joblib) copies all: what ends the lab at the end of Python, and the pipes and sockets whose
end tells the launcher and the caretaker that the lab is gone. Only here does a copy let go of them. Called by ``Bench``.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Iterator
from typing import Protocol


class Holds(Protocol):
    """What holds something open."""

    def descriptors(self) -> Iterator[int]:
        """Yield every descriptor that it holds open."""


class Owned(Holds, Protocol):
    """What must not be had twice."""

    def disown(self) -> None:
        """Become a closed one, in this process; nothing is told to anybody."""


_owned: weakref.WeakSet[Owned] = weakref.WeakSet()


def own(one: Owned) -> None:
    """From now on, let every process that is forked from this one let go of it."""
    _owned.add(one)


def _let_go() -> None:
    """Put nothing in the place of each descriptor: whatever object has it here may still close it, and closes nobody else's."""
    nothing = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    for one in list(_owned):
        for descriptor in one.descriptors():
            os.dup2(nothing, descriptor, inheritable=False)
        one.disown()
    os.close(nothing)


os.register_at_fork(after_in_child=_let_go)
