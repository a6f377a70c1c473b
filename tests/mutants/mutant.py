"""A planted bug: where it is planted, and the test that has to notice it."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]


class Mutant(NamedTuple):
    """``old`` occurs exactly once in ``file`` (a path from the root) and becomes ``new``; ``test``
    (a node ID, or several, a line each) then fails.
    """

    file: str
    old: str
    new: str
    test: str

    @property
    def name(self) -> str:
        """What it is called: the first line that it changes."""
        return f"{Path(self.file).stem}: {self.old.strip().splitlines()[0][:70]} -> {(self.new.strip().splitlines() or ['nothing'])[0][:40]}"

    def planted(self, root: Path = ROOT) -> str:
        """Return the text of the file with the bug in it; raises ValueError unless the text occurs
        exactly once.
        """
        text = (root / self.file).read_text()
        if (times := text.count(self.old)) != 1:
            raise ValueError(f"expected once in {self.file}, found {times} times: {self.old!r}")
        return text.replace(self.old, self.new)
