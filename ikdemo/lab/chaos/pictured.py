"""What every result of chaos can do: show itself as its figure in a notebook, as words elsewhere, and as SVG in a file."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from ...spi.text import visible
from ..show.figures import faces, svg_text
from ..show.tables import Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Pictured(ABC):
    """A result: data that is also a table, a sentence and a figure."""

    @property
    @abstractmethod
    def title(self) -> str:
        """What stands above the picture."""

    @property
    @abstractmethod
    def words(self) -> str:
        """The picture, told in words."""

    @abstractmethod
    def table(self) -> Table:
        """Return the numbers as a table."""

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values, ready for JSON."""

    @abstractmethod
    def figure(self) -> Figure:
        """Draw it; raises IkdemoError when there is nothing to draw, or nothing to draw with."""

    def svg(self) -> str:
        """Return the figure as SVG text with title and description."""
        return svg_text(self)

    def __repr__(self) -> str:
        return visible(self.words)

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        return faces(self)
