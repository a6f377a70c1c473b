"""Writes the latest figures that are kept into the pages, and draws their pictures: nobody copies a number by hand.

What it writes stands between two comments in ``README.md`` and ``docs/performance.md``; the rest of a page is left as it is. Run
as ``python -m benchmarks.pages`` or ``make bench-pictures``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from . import scale, table
from .chart import draw
from .report import heading
from .words import held

ROOT = Path(__file__).parents[1]
RESULTS, PICTURES = ROOT / "benchmarks" / "results", ROOT / "docs" / "pictures"


def latest(kind: str) -> dict[str, Any]:
    """Return the youngest run of a kind."""
    found = sorted(RESULTS.glob(f"????-??-??-{kind}.json"))
    if not found:
        raise SystemExit(f"benchmarks/results holds no run of the kind {kind}; docs/performance.md says how to make one")
    kept: dict[str, Any] = json.loads(found[-1].read_text())
    return kept


def fill(page: Path, mark: str, text: str) -> None:
    """Put a text between the comments of a mark."""
    before = page.read_text()
    after, times = re.subn(
        rf"(<!-- {mark}: .*? -->\n).*?(<!-- end of {mark} -->)",
        lambda found: f"{found[1]}{text}\n{found[2]}",
        before,
        flags=re.DOTALL,
    )
    if times != 1:
        raise SystemExit(f"{page.name} has {times} places for {mark}")
    page.write_text(after)


def verdict(kept: Mapping[str, Any]) -> str:
    """Say how many targets were met, and when and where that was measured."""
    lines = held(kept["figures"])
    missed = [line for line in lines if not line.met]
    where = f"{kept['date']}, {kept['machine'].rpartition(', ')[2]}, Python {kept['python']}"
    first = f"{len(lines) - len(missed)} of {len(lines)} targets were met ({where})"
    return f"{first}; missed: {', '.join(line.what for line in missed)}." if missed else f"{first}."


def main() -> None:
    """Draw both pictures, and write the figures into both pages."""
    bench, sizes = latest("bench"), latest("scale")
    alt = {kind: draw(kept, PICTURES / f"{kind}.png") for kind, kept in (("bench", bench), ("scale", sizes))}
    picture = f"![{alt['bench']}]"
    fill(ROOT / "README.md", "bench", f"\n{picture}(docs/pictures/bench.png)\n\n{verdict(bench)}\n")
    page = ROOT / "docs" / "performance.md"
    fill(page, "bench", f"\n{heading(bench)}.\n\n{picture}(pictures/bench.png)\n\n{table.markdown(bench['figures'])}\n")
    laid = f"```text\n{scale.table(sizes['figures'])}\n```"
    fill(page, "scale", f"\n{heading(sizes)}.\n\n![{alt['scale']}](pictures/scale.png)\n\n{laid}\n")


if __name__ == "__main__":
    main()
