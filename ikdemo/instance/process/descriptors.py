"""File descriptors that are kept free: for ending what lives, and for answering, when all others
are in use.

A process that has no descriptor left cannot even look at ``/proc``, so room for them is made sure
of before anything begins.
"""

from __future__ import annotations

import os
from types import TracebackType

from ...spi.errors import PluginFailure

KEPT = 16
"""Descriptors that stay free for connections and for looking, whatever is started."""
HELD = 3
"""Descriptors that are held for looking at processes and ending them, which must not fail for want
of one.
"""


def check_free(what: str) -> None:
    """Raise PluginFailure unless ``KEPT`` descriptors can be opened; ``what`` says what would be
    done with them.
    """
    opened = SpareDescriptors(KEPT)
    short = KEPT - len(opened)
    opened.close()
    if short:
        raise PluginFailure(
            f"no room to {what}: fewer than {KEPT} file descriptors are free (too many open files)"
        )


class SpareDescriptors:
    """Descriptors of no use but to be given back: within ``with spare:`` as many are free; nothing
    may await in there.
    """

    def __init__(self, number: int = HELD) -> None:
        self._number = number
        self._held: list[int] = []
        self._fill()

    def __len__(self) -> int:
        return len(self._held)

    def __enter__(self) -> None:
        self.close()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._fill()

    def close(self) -> None:
        """Give all of them back."""
        while self._held:
            os.close(self._held.pop())

    def _fill(self) -> None:
        try:
            while len(self._held) < self._number:
                self._held.append(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
        except OSError:
            pass  # as many as there are
