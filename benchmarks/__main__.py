"""Measures how fast it is on this machine and prints one table: ours, the floor, the target, and
InfraKit where it is there.

Run as ``python -m benchmarks`` or ``make bench``. With the environment variable ``INFRAKIT_BIN``, a
folder with InfraKit's programs, the same work is done by them in turns. Files are on tmpfs where
there is one.
"""

from __future__ import annotations

import json
import sys

from . import table
from .bench import bench, infrakit_programs
from .figures import kept
from .report import about, arguments, heading
from .rows import ROWS


def main() -> None:
    """Measure, print, and keep the figures where asked to."""
    parser = arguments("how fast it is, against what the same work costs by hand")
    parser.add_argument(
        "--only",
        nargs="+",
        metavar="ROW",
        choices=[row.name for row in ROWS],
        help="measure these rows only",
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="ten instances, two rounds: tries the benchmark, measures nothing",
    )
    parser.add_argument("--markdown", action="store_true", help="print the table in Markdown")
    given = parser.parse_args()
    facts = {"kind": "bench", **about(given.seed), "quick": given.quick}
    figures = []
    with bench(given.seed, infrakit_programs(), quick=given.quick) as run:
        facts["infrakit"] = run.version()
        for row in ROWS:
            if given.only is None or row.name in given.only:
                print(f"{row.what} ...", file=sys.stderr, flush=True)
                size = run.size(row.size)
                figures.append(kept(row, size, row.measure(run, size)))
    print(heading(facts), (table.markdown if given.markdown else table.text)(figures), sep="\n\n")
    if given.json is not None:
        given.json.write_text(json.dumps({**facts, "figures": figures}, indent=1) + "\n")


if __name__ == "__main__":
    main()
