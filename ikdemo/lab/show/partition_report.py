"""One partition as a learner looks at it: words, a table, a picture of what was counted against
what ran.

The arithmetic is in ``reconcile.analysis.partition``, the drawing in ``partition_figure``; here
both are put into words.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...reconcile.analysis.partition import (
    PartitionMeasures,
    PartitionRecord,
    measure,
    on_machine,
)
from ...spi.text import visible
from .images import faces, save, svg_text
from .tables import Table, say_machine, say_seconds

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Partition:
    """What happened when the cable of a machine was cut. ``recorded`` says when it was recorded and
    on what; nothing when it has just happened here.

    In a notebook it shows itself as its figure.
    """

    def __init__(self, record: PartitionRecord, recorded: str = "") -> None:
        self.record, self.recorded = record, recorded
        self.measures: PartitionMeasures = measure(record)

    @property
    def title(self) -> str:
        """What stands above the picture."""
        live = " (recorded, not live)" if self.recorded else ""
        return f"Counted against running{live}"

    @property
    def words(self) -> str:
        """The picture, told in words."""
        record, told = self.record, self.measures
        if told.cut is None:
            return "No cable was cut."
        cut = " and ".join(map(say_machine, record.cut_off))
        said = [f"{record.counted} instances were counted when the cable of {cut} was cut"]
        said += self._given_up() if told.given_up is not None else ["None of them was given up"]
        said.append(
            f"Up to {told.most_running} containers ran, and never more than {told.most_counted} "
            f"were counted: up to {told.widest_gap} ran without being counted"
        )
        said.append(self._ending())
        said += [self._on(machine) for machine in record.machines]
        live = f"Not live: {self.recorded}. " if self.recorded else ""
        return visible(f"{live}{'. '.join(said)}.")

    def measured(self) -> Table:
        """Return the moments of the partition, and how many ran and were counted."""
        told, counted = self.measures, self.record.counted
        rows = [
            ("given up", self._since(told.given_up), "the group counts what was there as lost"),
            ("counted again", self._since(told.counted_again), f"it counts {counted} again"),
            ("replaced", self._since(told.replaced), f"{counted} run on the other machines"),
            ("cable back", self._since(told.back), "the machine is heard of again"),
            ("gap closed", self._since(told.closed), "no more run than are counted"),
            ("counted", f"{told.fewest_counted} to {told.most_counted}", "by the group"),
            ("running", f"up to {told.most_running}", "what the engines say"),
            ("gap", f"up to {told.widest_gap}", "running but not counted"),
            ("gap in all", f"{told.gap_seconds:.0f} s", "each of them, added up"),
        ]
        return Table(["what", "after the cut, or how many", "meaning"], rows)

    def _since(self, time: float | None) -> str:
        """Say how long after the cut a moment was."""
        return say_seconds(None if time is None else time - (self.measures.cut or 0.0))

    def _given_up(self) -> list[str]:
        told, counted = self.measures, self.record.counted
        again = "it counts no more yet"
        if told.counted_again is not None and told.given_up is not None:
            after = say_seconds(told.counted_again - told.given_up)
            again = f"{after} after that, with new ones, {counted} again"
        fewer = f"the group gave up what ran there: it counted {told.fewest_counted}"
        replaced = "Not all have been replaced yet"
        if told.replaced is not None:
            replaced = f"{self._since(told.replaced)} after the cut {counted} ran on the others"
        return [f"{self._since(told.given_up)} later {fewer}, and {again}", replaced]

    def _ending(self) -> str:
        told = self.measures
        if told.back is None:
            return "The cable is still cut"
        over = "More still run than are counted"
        if told.closed is not None:
            after = say_seconds(told.closed - told.back)
            over = f"{after} later no more ran than were counted"
        return f"The cable was back after {self._since(told.back)}. {over}"

    def _on(self, machine: str) -> str:
        found = on_machine(self.record, machine)
        at_cut = [step.running for step in found if step.time <= (self.measures.cut or 0.0)]
        name, before = say_machine(machine), at_cut[-1] if at_cut else 0
        name = name.replace("machine ", "Machine ")
        return f"{name} ran {before}, in the end {found[-1].running}"

    def figure(self) -> Figure:
        """Draw both counts with the gap between them, above one lane per machine."""
        from .partition_figure import draw

        return draw(self)

    def svg(self) -> str:
        """Return the figure as SVG text with title and description; the same record gives the same
        text.
        """
        return svg_text(self)

    def save(self, path: str) -> None:
        """Write the figure to a file; the ending (.png, .svg, .pdf) says in which format."""
        save(self, path)

    def __repr__(self) -> str:
        return visible(self.words)

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        if self.measures.cut is None:
            return {"text/plain": repr(self)}
        return faces(self)
