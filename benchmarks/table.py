"""The one table of a run, for people: as text for a terminal, or in Markdown for a page.

Called by ``__main__`` and ``pages``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from string import ascii_lowercase
from typing import Any

HEADS = ("", "median", "10 to 90 %", "p99", "most", "floor", "ratio", "target", "", "InfraKit")
LEFT = (0, 8)


def number(value: float) -> str:
    """Write a figure with about three digits.

    >>> number(0.01234), number(2.345), number(45.67), number(3383.2)
    ('0.012', '2.35', '45.7', '3,383')
    """
    places = 0 if value >= 100 else 1 if value >= 10 else 2 if value >= 0.1 or value == 0 else 3
    return f"{value:,.{places}f}"


def cells(row: Mapping[str, Any], letter: str) -> list[str]:
    """Return what the columns say of one row; ``letter`` is that of its floor."""
    ours, unit, ratio, peer = row["ours"], row["unit"], row["ratio"], row["infrakit"]
    return [
        row["what"],
        f"{number(ours['median'])} {unit}",
        f"{number(ours['tenth'])} to {number(ours['nine_tenths'])}",
        number(ours["p99"]) if "p99" in row["limits"] else "",
        number(ours["most"]) if "most" in row["limits"] else "",
        f"{number(row['floor']['median'])} {letter}",
        "" if ratio is None else f"{number(ratio)}x",
        target(row),
        verdict(row),
        "not measured" if peer is None else f"{number(peer['median'])} {unit}",
    ]


def target(row: Mapping[str, Any]) -> str:
    """Say what a row is held to."""
    limits = row["limits"].items()
    return ", ".join(
        f"{name} {limit:g}{'x' if name == 'ratio' else ' ' + row['unit']}" for name, limit in limits
    )


def verdict(row: Mapping[str, Any]) -> str:
    """Say whether it was kept."""
    missed = [name for name, kept in row["met"].items() if not kept]
    if not missed:
        return "met"
    return "MISSED" if len(missed) == len(row["met"]) else f"MISSED ({', '.join(missed)})"


def text(figures: Sequence[Mapping[str, Any]]) -> str:
    """Lay the table out for a terminal."""
    lines = [HEADS, *(cells(row, letter) for row, letter in _lettered(figures))]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADS))]
    laid = [
        "  ".join(
            f"{cell:{'<' if column in LEFT else '>'}{widths[column]}}"
            for column, cell in enumerate(line)
        ).rstrip()
        for line in lines
    ]
    return "\n".join([*laid, "", *notes(figures)])


def markdown(figures: Sequence[Mapping[str, Any]]) -> str:
    """Write the table in Markdown."""
    lines = [list(HEADS), *(cells(row, letter) for row, letter in _lettered(figures))]
    ruled = ["---" if column in LEFT else "---:" for column in range(len(HEADS))]
    laid = [f"| {' | '.join(line)} |" for line in [lines[0], ruled, *lines[1:]]]
    return "\n".join([*laid, "", *(f"- {note}" for note in notes(figures))])


def notes(figures: Sequence[Mapping[str, Any]]) -> list[str]:
    """Say what each floor is, and what a figure is made of."""
    floors = {letter: row["floor_is"] for row, letter in _lettered(figures)}
    made_of = [f"{row['what']}: {parts(row)}." for row in figures if row["parts"]]
    return [f"Floor {letter}: {floor}." for letter, floor in floors.items()] + made_of


def parts(row: Mapping[str, Any]) -> str:
    """Say what belongs to a figure: the most that was seen of each."""
    return "; ".join(
        f"{name} {number(value)} {row['unit']}" for name, value in row["parts"].items()
    )


def _lettered(figures: Sequence[Mapping[str, Any]]) -> list[tuple[Mapping[str, Any], str]]:
    """Give each kind of floor a letter, in the order of the rows."""
    floors = list(dict.fromkeys(row["floor_is"] for row in figures))
    return [(row, ascii_lowercase[floors.index(row["floor_is"])]) for row in figures]
