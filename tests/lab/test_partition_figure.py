"""Counted against running as it is shown: the recorded partition and hand-made ones, in words and
as a picture whose labels cover no line.
"""

from __future__ import annotations

import json
import re
from itertools import combinations
from pathlib import Path as File
from xml.etree import ElementTree

import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from ikdemo.lab import Partition, recorded_partition
from ikdemo.lab.docker.recording import RECORDINGS
from ikdemo.reconcile.analysis.partition import Fact, PartitionRecord, Sample

SVG = "{http://www.w3.org/2000/svg}"
NAMES = ["a", "b", "c", "d"]


def cut_for(seconds: float, size: int = 6, *, back: bool = True, lost: bool = True) -> Partition:
    """Return a short partition as it may happen here, without a word of a recording."""
    each = size // 3
    samples = [Sample(-1.0, name, each) for name in ("1", "2", "3")]
    facts = [Fact(0.0, "cut", "3")]
    if lost:
        facts += [Fact(2.5, "lost", name) for name in NAMES[:each]]
        facts += [Fact(2.6, "provisioned", f"new-{name}") for name in NAMES[:each]]
        samples += [Sample(3.1 + 0.2 * n, "1", each + n + 1) for n in range(each)]
    if back:
        facts += [Fact(seconds, "back", "3")]
        samples += [Sample(seconds + 1.5, "3", 0)] if lost else []
    samples += [Sample(seconds + 3.0, "2", each)]
    return Partition(PartitionRecord(size, samples, facts))


def texts_of(axes: Axes) -> list[Text]:
    legend = axes.get_legend()
    named = [] if legend is None else list(legend.get_texts())
    return [text for text in [*axes.texts, *named] if text.get_text().strip()]


def covered(partition: Partition) -> list[str]:
    """Return which words lie on a curve, on a stamp's line or on other words."""
    figure = partition.figure()
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    found, everywhere = [], []
    for axes in figure.axes:
        boxes = [(text.get_text(), Text.get_window_extent(text)) for text in texts_of(axes)]
        everywhere += boxes
        for line in axes.lines:
            drawn = line.get_path().interpolated(400).transformed(line.get_transform())
            steps = [] if line.get_marker() not in ("None", None) else drawn.vertices
            found += [f"{said!r} lies on a line" for said, box in boxes if _hit(box, steps)]
    for (one, box), (other, place) in combinations(everywhere, 2):
        if box.overlaps(place):
            found.append(f"{one!r} lies on {other!r}")
    return found


def _hit(box: Bbox, points: object) -> bool:
    return any(box.contains(x, y) for x, y in points)  # type: ignore[attr-defined]


def test_the_recorded_partition_tells_its_story_in_words_and_numbers_and_says_it_is_recorded() -> (
    None
):
    words = recorded_partition().words
    assert words.startswith(
        "Not live: recorded on 28 November 2026 with Docker 20.10.24+dfsg1 on 2 processors, "
        "Debian 12, load 7 to 20. 12 instances were counted when the cable of machine 3 was cut."
    )
    for said in (
        "2.40 s later the group gave up what ran there: it counted 8, and 53.0 ms after that, "
        "with new ones, 12 again.",
        "3.57 s after the cut 12 ran on the others.",
        "Up to 16 containers ran, and never more than 12 were counted: up to 4 ran without",
        "The cable was back after 15.59 s. 4.11 s later no more ran than were counted.",
        "Machine 1 ran 4, in the end 6.",
        "Machine 3 ran 4, in the end 0.",
    ):
        assert said in words
    assert recorded_partition().title.endswith("(recorded, not live)")
    assert "(recorded, not live)" in recorded_partition().svg()


def test_what_has_happened_here_is_not_called_recorded() -> None:
    partition = cut_for(6.0)
    assert "record" not in partition.title + partition.words + partition.svg()


def test_what_is_kept_says_when_on_what_and_how_it_was_measured() -> None:
    kept = RECORDINGS / "08-partition.json"
    told = json.loads(kept.read_text())
    assert kept.stat().st_size < 3000
    assert {"date", "engine", "machine", "by", "what"} < set(told)
    times = [[one[0] for one in told[part]] for part in ("samples", "facts")]
    assert times == [sorted(one) for one in times]


def test_the_svg_is_xml_with_its_words_and_the_same_every_time() -> None:
    text = recorded_partition().svg()
    root = ElementTree.fromstring(text)
    assert root.get("role") == "img"
    assert root.findtext(f"{SVG}title") == "Counted against running (recorded, not live)"
    assert "up to 4 ran without being counted" in (root.findtext(f"{SVG}desc") or "")
    assert text == recorded_partition().svg()
    said = " ".join("".join(node.itertext()) for node in root.iter(f"{SVG}text"))
    for words in (
        *("1 cable cut", "2 given up", "3 replaced", "4 cable back", "5 gap closed"),
        *("counted by the group", "running: what the engines say", "4 run,", "not counted"),
        *("running but not counted: up to 4", "machine 3", "4 run, not counted"),
        *("6 run, 2 of them new", "seconds after the cable was cut"),
    ):
        assert words in said, words


def test_moments_are_numbered_in_the_order_in_which_they_came() -> None:
    text = cut_for(2.8).svg()
    assert "3 cable back" in text
    assert "4 replaced" in text


def test_the_table_has_every_moment_and_count() -> None:
    told = recorded_partition().measured()
    assert told.column("after the cut, or how many") == [
        *("2.40 s", "2.45 s", "3.57 s", "15.59 s", "19.70 s", "8 to 12", "up to 16", "up to 4"),
        "65 s",
    ]


def test_a_partition_that_goes_on_is_said_to_go_on() -> None:
    partition = cut_for(6.0, back=False)
    assert "The cable is still cut" in partition.words
    assert partition.measured().column("after the cut, or how many")[3:5] == ["not yet", "not yet"]
    assert "cable back" in partition.svg()


def test_a_cable_that_is_back_before_anybody_misses_it_leaves_no_gap() -> None:
    partition = cut_for(1.0, lost=False)
    assert "None of them was given up" in partition.words
    assert "up to 0 ran without being counted" in partition.words
    assert "not counted" not in " ".join(re.findall(r">([^<]*)</text>", partition.svg())).replace(
        "running but not counted: up to 0", ""
    )


def test_without_a_cut_there_is_a_sentence_and_no_picture() -> None:
    bundle = Partition(PartitionRecord(2, [Sample(0.0, "1", 2)], []))._repr_mimebundle_()
    assert bundle == {"text/plain": "No cable was cut."}


@pytest.mark.parametrize("seconds", [2.8, 6.0, 20.0])
@pytest.mark.parametrize("size", [3, 6, 12])
def test_no_label_covers_a_line_or_another_label(seconds: float, size: int) -> None:
    assert covered(cut_for(seconds, size)) == []


def test_no_label_of_the_recorded_partition_covers_anything() -> None:
    assert covered(recorded_partition()) == []


def test_names_of_machines_may_hold_anything(tmp_path: File) -> None:
    strange = "<b>&$5 or $6"
    record = PartitionRecord(
        2, [Sample(0.0, strange, 2), Sample(4.0, strange, 0)], [Fact(1.0, "cut", strange)]
    )
    partition = Partition(record)
    ElementTree.fromstring(partition.svg())
    assert "<b>" not in partition._repr_mimebundle_()["text/html"]
    partition.save(str(tmp_path / "cut.png"))
    assert (tmp_path / "cut.png").read_bytes().startswith(b"\x89PNG")
