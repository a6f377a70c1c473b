"""The benchmark itself: its table and its file hold what they should, its charts say what they
show. No time is judged here.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
ROWS = [
    "converge-1000",
    "heal-1-of-5",
    "heal-half-of-10000",
    "describe-10000",
    "roll-100",
    "idle-10000",
    "memory-10000",
    "command",
]
ROWS += ["plain-1000", "pause-200x50-converge"]
"""One of each kind but ``start``, as the table has them."""


def run(module: str, *words: object, infrakit: Path | None = None) -> str:
    """Run one of the benchmarks and return what it prints."""
    environment = {name: value for name, value in os.environ.items() if name != "INFRAKIT_BIN"}
    if infrakit is not None:
        environment["INFRAKIT_BIN"] = str(infrakit)
    command = [sys.executable, "-m", module, *map(str, words)]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def measured(
    rows: list[str], where: Path, infrakit: Path | None = None
) -> tuple[str, dict[str, Any]]:
    """Run some rows and return what is printed and what is kept."""
    printed = run("benchmarks", "--quick", "--only", *rows, "--json", where, infrakit=infrakit)
    kept: dict[str, Any] = json.loads(where.read_text())
    assert [row["row"] for row in kept["figures"]] == rows
    return printed, kept


def test_every_row_has_figures_of_ours_and_of_its_floor(tmp_path: Path) -> None:
    printed, kept = measured(ROWS, tmp_path / "bench.json")
    assert (kept["kind"], kept["quick"], kept["infrakit"], kept["seed"]) == (
        "bench",
        True,
        None,
        101,
    )
    assert len(kept["load"]) == 3
    for row in kept["figures"]:
        assert row["ours"]["runs"] == row["floor"]["runs"] == len(row["ours"]["values"]) == 2, row[
            "row"
        ]
        assert row["infrakit"] is None, row["row"]
        assert set(row["met"]) == set(row["limits"]), row["row"]
        if row["unit"] != "%":  # a plugin at rest may have used nothing at all
            assert min(row["ours"]["values"] + row["floor"]["values"]) > 0, row["row"]
        assert row["what"] in printed
    assert printed.count("not measured") == len(ROWS)
    told = (tmp_path / "bench.json").read_text()
    assert not [trace for trace in (str(ROOT), os.uname().nodename, "/dev/shm") if trace in told]


def test_programs_in_another_folder_do_the_same_work(tmp_path: Path) -> None:
    """Our own programs stand in for InfraKit's: they have the same names, flags and sockets."""
    printed, kept = measured(["heal-1-of-5"], tmp_path / "bench.json", Path(sys.executable).parent)
    (row,) = kept["figures"]
    assert row["infrakit"]["runs"] == 2
    assert min(row["infrakit"]["values"]) > 0
    assert kept["infrakit"]
    assert "not measured" not in printed


def figure(median: float) -> dict[str, Any]:
    return {
        "runs": 1,
        "median": median,
        "tenth": median,
        "nine_tenths": median,
        "p99": 2 * median,
        "most": median,
        "values": [median],
    }


FACTS = {
    "date": "2026-01-02",
    "machine": "Linux, 2 cores",
    "python": "3.11",
    "load": [0.1, 0.1, 0.1],
    "seed": 1,
    "infrakit": "v0.1.0",
}


def made_bench() -> dict[str, Any]:
    """Return a run of two rows: one met twice and far faster than InfraKit, one missed."""
    heal = {
        "row": "heal",
        "what": "heal 1 of 5",
        "unit": "ms",
        "size": 5,
        "limits": {"median": 3, "p99": 15},
    }
    heal |= {
        "met": {"median": True, "p99": True},
        "ours": figure(2.0),
        "floor": figure(0.1),
        "infrakit": figure(4300.0),
    }
    grow = {
        "row": "converge",
        "what": "converge 1,000",
        "unit": "ms",
        "size": 1000,
        "limits": {"ratio": 4},
        "met": {"ratio": False},
    }
    grow |= {"ours": figure(90.0), "floor": figure(15.0), "infrakit": None}
    more = {"floor_is": "files", "ratio": 6.0, "parts": {}}
    return {"kind": "bench", **FACTS, "figures": [heal | more, grow | more]}


def made_scale() -> dict[str, Any]:
    """Return a run in which converging becomes dear at 1,000 and healing does not."""

    def both(cost: float) -> dict[str, Any]:
        return {"ours": figure(cost), "floor": figure(cost / 10)}

    rows = [
        {"row": f"{aspect}-{size}", "size": size, **both(cost)}
        for size, converge in ((10, 50.0), (100, 40.0), (1000, 90.0))
        for aspect, cost in (("converge", converge), ("heal", 2.0), ("describe", size / 500))
    ]
    return {"kind": "scale", **FACTS, "figures": rows}


SAID = {
    "bench": [
        "2 of 3 targets are met",
        "Missed: converge 1,000 (90.0 ms, target 60.0)",
        "heal 1 of 5: 4,300 ms where ours need 2.00",
    ],
    "scale": [
        "from 1,000 instances on an instance costs more than 1.5 times the least",
        "2.00 ms at 1,000; from 10 instances on it takes at most 1.5 times the least",
    ],
}


@pytest.mark.parametrize("made", [made_bench(), made_scale()], ids=["bench", "scale"])
def test_a_chart_is_drawn_and_says_what_it_shows(made: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "kept.json").write_text(json.dumps(made))
    words = run("benchmarks.chart", tmp_path / "kept.json", tmp_path / "out.png")
    for part in SAID[made["kind"]]:
        assert part in words, words
    picture = (tmp_path / "out.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    assert int.from_bytes(picture[16:20]) == 800, "as wide as the page shows it"
