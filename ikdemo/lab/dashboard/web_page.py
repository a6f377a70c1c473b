"""A small web page about web servers: a tile for each, with its port, its process and what it said,
and the same in words.

``Visit`` is one round of questions, ``LivePage`` a picture of it that is kept fresh.
"""

from __future__ import annotations

import threading
from base64 import b64encode
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from ...spi.errors import IkdemoError
from ...spi.text import visible
from ..host.session import Session
from ..show.images import shown_image
from ..show.tables import Table, say_seconds, visible_html
from .view import html_widget, show, widget_view

REDRAW = 0.2
"""Seconds between two visits of a live page."""
ANSWERS, SILENT, EMPTY = "#56B4E9", "#E69F00", "#FFFFFF"
ACROSS = 5


class PageAnswer(NamedTuple):
    """What came of one question: the page, or what was wrong; ``seconds`` until that was known.

    ``pid``: the process that was asked; empty for a container, which is known by its address.
    """

    slot: str
    instance: str
    port: str
    pid: str
    page: str
    wrong: str
    seconds: float
    address: str = "127.0.0.1"

    @property
    def who(self) -> str:
        return f"pid {self.pid}" if self.pid else self.address or "no address"

    @property
    def place(self) -> str:
        return f"port {self.port}, pid {self.pid}" if self.pid else f"{self.address}:{self.port}"


class Visit:
    """One round of questions to all servers of a group. In a notebook it shows itself as tiles.

    ``kind``: what the servers are, a process each or a container.
    """

    def __init__(
        self, group: str, wanted: int, answers: Sequence[PageAnswer], kind: str = "process"
    ) -> None:
        self.group, self.wanted, self.answers, self.kind = group, wanted, list(answers), kind

    @property
    def whole(self) -> bool:
        """Whether as many servers as are wanted gave their page, and no other is left."""
        return len(self.answers) == self.wanted and not any(answer.wrong for answer in self.answers)

    @property
    def table(self) -> Table:
        """The answers, one line each."""
        where = ("port", "pid") if self.kind == "process" else ("address", "port")
        rows = [
            (
                a.slot,
                *(getattr(a, column) for column in where),
                a.wrong or a.page,
                say_seconds(a.seconds),
            )
            for a in self.answers
        ]
        return Table(["slot", *where, "answer", "within"], rows, empty="There is no server to ask.")

    @property
    def words(self) -> str:
        """The tiles in words."""
        good = sum(not answer.wrong for answer in self.answers)
        others = "".join(f" Slot {a.slot} ({a.who}): {a.wrong}." for a in self.answers if a.wrong)
        missing = self.wanted - len(self.answers)
        lost = f" No {self.kind}: {missing}." if missing > 0 else ""
        said = f"Group {self.group}: {good} of {self.wanted} servers answer.{others}{lost}"
        return visible(said)

    def svg(self) -> str:
        """Return the tiles as SVG text: colour, border and words say the same."""
        seen = {answer.slot: answer for answer in self.answers}
        slots = sorted(
            {*seen, *map(str, range(self.wanted))} if all(map(str.isdecimal, seen)) else seen,
            key=_in_order,
        )
        height = 40 + 90 * ((len(slots) + ACROSS - 1) // ACROSS)
        headline = self.words.partition(". ")[0].rstrip(".")  # the tiles say the rest
        parts = [
            f'<text x="4" y="20" font-size="15" font-weight="bold">{visible_html(headline)}.</text>'
        ]
        parts += [
            _tile(slot, seen.get(slot), index, f"no {self.kind}")
            for index, slot in enumerate(slots)
        ]
        head = (
            '<svg xmlns="http://www.w3.org/2000/svg" role="img" '
            f'aria-label="{visible_html(self.words)}" width="800"'
        )
        look = 'font-family="sans-serif" style="max-width:100%;height:auto"'
        # the words are black, in a dark theme as well
        paper = '<rect width="800" height="100%" rx="6" fill="#FFFFFF"/>'
        return (
            f'{head} height="{height}" viewBox="0 0 800 {height}" '
            f"{look}>{paper}{''.join(parts)}</svg>"
        )

    def __repr__(self) -> str:
        return self.words

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, Any]:
        data, words = b64encode(self.svg().encode()).decode(), visible_html(self.words)
        image = shown_image(f"data:image/svg+xml;base64,{data}", words)
        return {"text/plain": repr(self), "text/html": image}


def _tile(slot: str, answer: PageAnswer | None, index: int, nothing: str) -> str:
    x, y = 4 + 159 * (index % ACROSS), 32 + 90 * (index // ACROSS)
    if answer is None:
        colour, dash, rows = EMPTY, "2 5", (nothing.upper(), "", "")
    else:
        colour, dash = (SILENT, "7 4") if answer.wrong else (ANSWERS, "")
        said = answer.wrong.upper() or f"answers in {say_seconds(answer.seconds)}"
        rows = (said, f"instance-…{answer.instance[-6:]}", answer.place)
    lines = ((18, 12, f"slot {slot}"), (37, 14, rows[0]), (56, 12, rows[1]), (73, 12, rows[2]))
    texts = "".join(
        f'<text x="{x + 76}" y="{y + dy}" font-size="{size}" '
        f'text-anchor="middle">{visible_html(row)}</text>'
        for dy, size, row in lines
    )
    stroke = f'stroke="#333" stroke-width="2" stroke-dasharray="{dash}"'
    return f'<rect x="{x}" y="{y}" width="152" height="82" rx="6" fill="{colour}" {stroke}/>{texts}'


class LivePage:
    """The tiles of one group's servers, asked anew several times a second until the lab is closed
    or a newer page is opened.
    """

    def __init__(self, visit: Callable[[], Visit], session: Session) -> None:
        self._visit, self._session, self._still = visit, session, visit()
        self._over = threading.Event()
        self._widget = html_widget()
        if self._widget is not None:
            name = f"web page of {self._still.group}"
            session.views.pop(name, lambda: None)()  # that of the same cell, run before
            session.views[name] = self._over.set
            self._widget.value = self._still.svg()
            session.spawn(self._refresh, name)

    def _refresh(self) -> None:
        """Visit and redraw; an error, such as that of a closed lab, ends it and leaves the last
        picture.
        """
        while not self._over.wait(REDRAW) and self._session.open:
            try:
                self._widget.value = self._visit().svg()
            except (IkdemoError, OSError, RuntimeError):
                return

    def __repr__(self) -> str:
        return visible(f"Web page of group {self._still.group}")

    def still(self) -> dict[str, Any]:
        """Return the first picture, and its words."""
        return self._still._repr_mimebundle_()

    def moving(self) -> dict[str, Any]:
        """Return the widget, beside the first picture."""
        return {**self.still(), "text/plain": repr(self), **widget_view(self._widget)}

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, Any]:
        return self.moving()

    def _ipython_display_(self) -> None:
        show(self, self._session)


def _in_order(slot: str) -> tuple[int, str]:
    return (int(slot), "") if slot.isdecimal() else (2**31, slot)
