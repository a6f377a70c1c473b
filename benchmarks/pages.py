"""Writes the latest figures that are kept into ``docs/performance.md``, and draws its pictures:
no number is copied by hand.

What it writes stands between two comments; the rest of the page is left as it is. Run as ``python
-m benchmarks.pages`` or ``make bench-pictures``.
"""

from __future__ import annotations

import json
import re
import textwrap
from pathlib import Path
from typing import Any

from .chart import draw
from .results import heading, markdown
from .scale import table
from .words import targets

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


def main() -> None:
    """Draw both pictures, and write the figures beside them."""
    bench, sizes = latest("bench"), latest("scale")
    lines = targets(bench["figures"])
    met = sum(line.met for line in lines)
    where = f"{bench['date']}, {bench['machine'].rpartition(', ')[2]}, Python {bench['python']}"
    peer = (
        f"beside InfraKit {bench['infrakit']}"
        if bench["infrakit"]
        else "without InfraKit's own programs beside ours"
    )
    verdict = (
        f"{met} of {len(lines)} targets were met and {len(lines) - met} missed ({where}, {peer})."
    )
    parts = {
        "bench": (bench, f"{verdict}\n\n", markdown(bench["figures"])),
        "scale": (sizes, "", f"```text\n{table(sizes['figures'])}\n```"),
    }
    for mark, (kept, first, figures) in parts.items():
        shown = picture(draw(kept, PICTURES / f"{mark}.png"), f"pictures/{mark}.png")
        text = f"{first}{heading(kept)}.\n\n{shown}\n\n{figures}"
        fill(ROOT / "docs" / "performance.md", mark, text)
    write_leaders()


def write_leaders() -> None:
    """Write the figures of leaders that are lost; there is no picture of them."""
    kept = latest("leaders")
    text = f"{heading(kept)}.\n\n{markdown(kept['figures'])}"
    fill(ROOT / "docs" / "performance.md", "leaders", text)


if __name__ == "__main__":
    main()
