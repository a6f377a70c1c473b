"""How matplotlib is loaded and used: always with its own defaults, whatever the learner, a style or
the environment has set.

So the same record gives the same picture everywhere, and always one that can be read. No figure of
ours needs a window: none fails for a backend that the environment names and this Python lacks, as
in a command that a notebook starts.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from ...spi.errors import IkdemoError

BACKEND = "MPLBACKEND"


def _load() -> None:
    """Import matplotlib; it keeps the backend that the environment names, if there is one of that
    name.
    """
    named = os.environ.pop(BACKEND, None) if "matplotlib" not in sys.modules else None
    try:
        import matplotlib as mpl
    except ModuleNotFoundError as missing:  # the plot extra is not installed
        raise IkdemoError("The figure needs matplotlib: pip install 'ikdemo[plot]'") from missing
    finally:
        if named is not None:
            os.environ[BACKEND] = named
    if named:
        with suppress(ValueError):
            mpl.rcParams["backend"] = named


_load()

import matplotlib as mpl  # noqa: E402
from matplotlib.axes import Axes  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402

__all__ = ["Axes", "Figure", "own_style"]

_one_at_a_time = threading.RLock()  # matplotlib's settings are the whole process's


@contextmanager
def own_style() -> Iterator[None]:
    """Draw and save with matplotlib's defaults inside; what was set before is back afterwards. Also
    a decorator.

    In SVG, text stays text, and identifiers are the same every time.
    """
    with _one_at_a_time, mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update({"svg.hashsalt": "ikdemo", "svg.fonttype": "none"})
        yield
