"""What a lab answers with: a table with two faces (aligned text for a terminal, escaped HTML for a
notebook), a sentence, and how durations, shares and events are said.

Values keep what they hold; what is shown of them is made visible first, whatever plugins and
instances said.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from html import escape

from ...spi.events import Event
from ...spi.text import aligned, visible

LONGEST_WORD = 12
"""Letters of what is never broken into lines: a number with its unit, a short name. In a narrow
window an ID takes two lines.
"""

MOST = 60
"""Rows of a table that are shown."""
MANY = 4
"""Columns from which on a table is set closer."""


def visible_html(text: str) -> str:
    """Return text for HTML or SVG, in an element or in a quoted attribute, that shows itself and
    nothing else.

    >>> visible_html("<b>bell: " + chr(7))
    '&lt;b&gt;bell: \\\\x07'
    """
    return escape(visible(text))


class Words(str):
    """A sentence, or several lines, that shows itself without quotes."""

    def __repr__(self) -> str:
        return visible(self, keep="\n\t")


class Table:
    """Columns and rows of plain values; ``empty`` is the sentence shown instead of a table without
    rows.

    Of a long table the first and the last rows are shown, and how many lie between; ``rows`` and
    every loop have them all.

    >>> print(Table(["name", "size"], [["web", 5], ["db", 3]]))
    name  size
    web   5
    db    3
    >>> Table(["name"], [], empty="No group yet.")
    No group yet.
    """

    def __init__(
        self, columns: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str = "Nothing."
    ) -> None:
        self.columns = [str(column) for column in columns]
        self.rows = [[str(value) for value in row] for row in rows]
        self.empty = empty

    def __iter__(self) -> Iterator[list[str]]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def column(self, name: str) -> list[str]:
        """Return the values of one column, top to bottom."""
        index = self.columns.index(name)
        return [row[index] for row in self.rows]

    def __repr__(self) -> str:
        if not self.rows:
            return visible(self.empty)
        first, between, last = self._shown()
        lines = [[visible(value) for value in line] for line in (self.columns, *first, *last)]
        told = aligned(lines)
        return "\n".join(
            [*told[: len(first) + 1], *([between] if between else []), *told[len(first) + 1 :]]
        )

    def _repr_html_(self) -> str:
        if not self.rows:
            return f"<p>{visible_html(self.empty)}</p>"
        look = "text-align:left;padding:.3em" if len(self.columns) >= MANY else "text-align:left"
        head = "".join(
            f'<th scope="col" style="{look}">{visible_html(column)}</th>' for column in self.columns
        )
        first, between, last = self._shown()
        above, below = (
            "".join("<tr>" + "".join(_cell(value, look) for value in row) + "</tr>" for row in rows)
            for rows in (first, last)
        )
        gap = (
            f'<tr><td colspan="{len(self.columns)}" style="{look}">{escape(between)}</td></tr>'
            if between
            else ""
        )
        body = f"{above}{gap}{below}"
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"

    def _shown(self) -> tuple[list[list[str]], str, list[list[str]]]:
        """Return the rows that are shown first, what is said of those between, and the last
        ones.
        """
        if len(self.rows) <= MOST:
            return self.rows, "", []
        ends = MOST // 2
        return (
            self.rows[:ends],
            f"… and {len(self.rows) - 2 * ends:,} more; .rows has all of them",
            self.rows[-ends:],
        )


def _cell(value: str, look: str) -> str:
    """Keep what is short on one line; the rest may take more, so that the table fits a narrow page.

    A tag may break after its ``=``: in a notebook that was only opened nothing else is allowed to
    break a word.
    """
    value = visible(value)
    wrap = (
        "white-space:nowrap"
        if len(value) <= LONGEST_WORD
        else "min-width:5em;overflow-wrap:anywhere"
    )
    words = [
        escape(word).replace("=", "=<wbr>") if len(word) > LONGEST_WORD else escape(word)
        for word in value.split(" ")
    ]
    return f'<td style="{look};{wrap}">{" ".join(words)}</td>'


def say_seconds(seconds: float | None) -> str:
    """Say a duration with the unit that reads well.

    >>> say_seconds(0.001234), say_seconds(0.0123), say_seconds(0.25)
    ('1.23 ms', '12.3 ms', '250 ms')
    >>> say_seconds(3.14159), say_seconds(None)
    ('3.14 s', 'not yet')
    """
    if seconds is None:
        return "not yet"
    if abs(seconds) < 0.00995:
        return f"{seconds * 1000:.2f} ms"
    if abs(seconds) < 0.0995:
        return f"{seconds * 1000:.1f} ms"
    if abs(seconds) < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    return f"{seconds:.2f} s"


def say_percent(share: float) -> str:
    """Say a share from 0 to 1, with as many digits as it takes to tell nearly all from all, and
    nearly nothing from nothing.

    >>> say_percent(0.6), say_percent(1.0), say_percent(0.998), say_percent(0.0004)
    ('60%', '100%', '99.8%', '0.04%')
    """
    digits = 0
    while (
        0 < share < 1 and f"{share:.{digits}%}".rstrip("%").strip("0.") in ("", "1") and digits < 9
    ):
        digits += 1
    return f"{share:.{digits}%}"


def say_machine(name: str) -> str:
    """Say which machine, where it has a number for a name.

    >>> say_machine("3"), say_machine("web-1")
    ('machine 3', 'web-1')
    """
    return f"machine {name}" if name.isdecimal() else name


def say_event(event: Event) -> str:
    """Say an event in plain words.

    >>> say_event(Event("lost", instance="instance-7", slot="3"))
    'instance-7 in slot 3 is gone'
    """
    where = f" in slot {event.slot}" if event.slot else ""
    told = f": {event.text}" if event.text else ""
    match event.kind:
        case "fault":
            return f"FAULT: {event.text} {event.instance}{where}".replace("  ", " ")
        case "mended":
            return f"MENDED: {event.text} {event.instance}{where}".replace("  ", " ")
        case "provisioned":
            return f"made {event.instance}{where}"
        case "destroyed":
            return f"destroyed {event.instance}{where}"
        case "lost":
            return f"{event.instance}{where} is gone"
        case "found":
            return f"{event.instance}{where} was there already"
        case "committed":
            return f"group {event.group} committed{told}"
        case "drifted":
            return f"group {event.group} is not as wanted{told}"
        case "planned":
            return f"plan for group {event.group}{told}"
        case "acted":
            return event.text
        case "converged":
            return f"group {event.group} is as wanted{told}"
        case "paused":
            return f"group {event.group} is paused"
        case "resumed":
            return f"group {event.group} goes on"
        case "halted":
            return f"group {event.group} has stopped{told}"
        case "elected":
            return f"leads now{told}"
        case "stepped-down":
            return f"leads no longer{told}"
        case "freed" | "destroying" | "gone":
            said = {"freed": "let go", "destroying": "being destroyed", "gone": "gone"}[event.kind]
            return f"group {event.group} is {said}"
        case _:
            return f"{event.kind} {event.group or event.instance}{told}".replace(" :", ":")
