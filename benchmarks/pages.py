"""Writes the latest figures that are kept into ``docs/performance.md``, and draws its pictures:
nobody copies a number by hand.

What it writes stands between two comments; the rest of the page is left as it is. Run as ``python
-m benchmarks.pages`` or ``make bench-pictures``.
"""

from __future__ import annotations

import json
import re
import textwrap
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
        raise SystemExit(
            f"benchmarks/results holds no run of the kind {kind}; docs/performance.md says how "
            "to make one"
        )
    kept: dict[str, Any] = json.loads(found[-1].read_text())
    return kept


def fill(page: Path, mark: str, text: str) -> None:
    """Put a text between the comments of a mark."""
    before = page.read_text()
    after, times = re.subn(
        rf"(<!-- {mark}: .*? -->\n).*?(<!-- end of {mark} -->)",
        lambda found: f"{found[1]}\n{text}\n\n{found[2]}",
        before,
        flags=re.DOTALL,
    )
    if times != 1:
        raise SystemExit(f"{page.name} has {times} places for {mark}")
    page.write_text(after)


def picture(words: str, path: str) -> str:
    """Show a picture with what it shows in words, in lines of a page's width."""
    return textwrap.fill(f"![{words}]({path})", 140, break_on_hyphens=False, break_long_words=False)


def verdict(kept: Mapping[str, Any]) -> str:
    """Say how many targets were met, beside whom, and when and where that was measured."""
    lines = held(kept["figures"])
    met = sum(line.met for line in lines)
    where = f"{kept['date']}, {kept['machine'].rpartition(', ')[2]}, Python {kept['python']}"
    peer = (
        f", beside InfraKit {kept['infrakit']}"
        if kept["infrakit"]
        else ", without InfraKit's own programs beside ours"
    )
    return f"{met} of {len(lines)} targets were met and {len(lines) - met} missed ({where}{peer})."


def main() -> None:
    """Draw both pictures, and write the figures beside them."""
    bench, sizes = latest("bench"), latest("scale")
    page = ROOT / "docs" / "performance.md"
    shown = picture(draw(bench, PICTURES / "bench.png"), "pictures/bench.png")
    fill(
        page,
        "bench",
        f"{verdict(bench)}\n\n{heading(bench)}.\n\n{shown}\n\n{table.markdown(bench['figures'])}",
    )
    shown = picture(draw(sizes, PICTURES / "scale.png"), "pictures/scale.png")
    fill(
        page,
        "scale",
        f"{heading(sizes)}.\n\n{shown}\n\n```text\n{scale.table(sizes['figures'])}\n```",
    )


if __name__ == "__main__":
    main()
