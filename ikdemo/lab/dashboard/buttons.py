"""Buttons whose work is done in a thread of the session, and one line that says what came of it.

Only here does a click meet the lab: nothing blocks the kernel, a second click waits for no first,
and no error is lost: each is a sentence.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from ipywidgets import HTML, Box, Button, HBox, Layout

from ...spi.errors import IkdemoError
from ..host.session import Session
from ..show.tables import visible_html
from ..show.theme import AS_WANTED, DIFFERENT, ENDED, PAUSED, Sign

T = TypeVar("T", bound=Box)
BUSY = PAUSED._replace(word="busy")
DONE = AS_WANTED._replace(word="done")
REFUSED = DIFFERENT._replace(word="not done")


class Buttons:
    """All the buttons of one dashboard, and its line of words; ``then`` is called after whatever
    was done.
    """

    def __init__(self, session: Session, then: Callable[[], None]) -> None:
        self._session, self._then = session, then
        self._busy: set[str] = set()
        self.buttons: list[Button] = []
        self.said = HTML()
        self._say(None, "Press a button.")

    def button(self, word: str, purpose: str, work: Callable[[], str], **layout: str) -> Button:
        """Return a button that does ``work`` and says the sentence which that returns; ``purpose``
        is its longer name.
        """
        made = Button(description=word, tooltip=purpose, layout=Layout(width="auto", **layout))
        made.on_click(lambda _: self._clicked(purpose, work))
        self.buttons.append(made)
        return made

    def end(self, how: str) -> None:
        """Let no button be pressed any more."""
        for button in self.buttons:
            button.disabled = True
        self._say(ENDED, f"This dashboard has ended: {how}.")

    def _clicked(self, purpose: str, work: Callable[[], str]) -> None:
        if purpose in self._busy:
            self._say(BUSY, f"{purpose}: that is being done already.")
            return
        self._busy.add(purpose)
        self._say(BUSY, f"{purpose} …")
        self._session.spawn(lambda: self._do(purpose, work), purpose)

    def _do(self, purpose: str, work: Callable[[], str]) -> None:
        try:
            sign, said = DONE, work()
        except IkdemoError as error:
            sign, said = REFUSED, str(error)
        except Exception as error:  # noqa: BLE001  the learner is to read it: it is shown nowhere else
            sign, said = REFUSED, f"{type(error).__name__}: {error}"
        finally:
            self._busy.discard(purpose)
        self._say(sign, said)
        self._then()

    def _say(self, sign: Sign | None, said: str) -> None:
        look = "display:flex;align-items:center;gap:8px;line-height:1.4;min-height:1.9em"
        pill = sign.pill() if sign else ""
        self.said.value = (
            f'<div role="status" style="{look}">{pill} <span>{visible_html(said)}</span></div>'
        )


def row(title: str, *inside: Any) -> HBox:
    """Put controls into one row under a name of their own; the row breaks where the page is
    narrow.
    """
    name = HTML(f"<b>{visible_html(title)}</b>", layout=Layout(min_width="70px"))
    return toolbar(HBox([name, *inside], layout=Layout(flex_flow="row wrap", align_items="center")))


def toolbar(controls: T) -> T:
    """Let our extension make a toolbar of these controls: one stop of the Tab key, with arrow keys
    between them.
    """
    controls.add_class("ik-toolbar")
    return controls
