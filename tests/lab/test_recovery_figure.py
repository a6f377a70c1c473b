"""The recovery figure from hand-made events: an SVG that is XML, tells its story in words, and is
the same every time.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path as File
from xml.etree import ElementTree

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.path import Path

from ikdemo.lab.show.recovery_report import Recovery
from ikdemo.spi.errors import IkdemoError
from ikdemo.spi.events import Event

SVG = "{http://www.w3.org/2000/svg}"


def story(scale: float = 1.0, *, group: str = "collabnix", slots: int = 5) -> list[Event]:
    """Return the events of a group that loses slots 1 and 3 and gets them back after ``scale``
    seconds.
    """
    start = 1000.0
    events = [Event("committed", start - 9, group=group, size=slots)]
    events += [
        Event("provisioned", start - 8, group=group, instance=f"i-{n}", slot=str(n))
        for n in range(slots)
    ]
    told = [
        ("fault", 0.0, "i-1", "1"),
        ("lost", 0.1, "i-1", "1"),
        ("fault", 0.15, "i-3", "3"),
        ("lost", 0.2, "i-3", "3"),
    ]
    told += [
        ("drifted", 0.3, "", ""),
        ("planned", 0.4, "", ""),
        ("provisioned", 0.8, "i-11", "1"),
        ("provisioned", 1.0, "i-13", "3"),
    ]
    return events + [
        Event(kind, start + at * scale, group=group, instance=name, slot=slot)
        for kind, at, name, slot in told
    ]


def test_the_svg_is_xml_with_title_description_and_role_and_no_date() -> None:
    text = Recovery("collabnix", story(), 1010.0).svg()
    root = ElementTree.fromstring(text)
    assert root.get("role") == "img"
    assert root.findtext(f"{SVG}title") == "Group collabnix heals"
    assert "only 3 of 5 slots" in (root.findtext(f"{SVG}desc") or "")
    assert not re.search(r"dc:date|20\d\d-\d\d-\d\d", text)
    assert text == Recovery("collabnix", story(), 1010.0).svg()


def test_the_svg_says_the_four_stamps_and_every_lane_as_text() -> None:
    text = Recovery("collabnix", story(), 1010.0).svg()
    said = " ".join(
        "".join(node.itertext()) for node in ElementTree.fromstring(text).iter(f"{SVG}text")
    )
    for words in (
        "1 fault",
        "2 detected",
        "300 ms",
        "3 first action",
        "400 ms",
        "4 recovered",
        "1.00 s",
        "slot 4",
        "lost",
        "replacement",
    ):
        assert words in said, words


def test_a_group_named_in_markup_does_not_break_the_picture() -> None:
    recovery = Recovery("<b>&", story(group="<b>&"), 1010.0)
    ElementTree.fromstring(recovery.svg())
    assert "<b>" not in recovery._repr_mimebundle_()["text/html"]


def test_the_notebook_face_tells_the_picture_in_words() -> None:
    bundle = Recovery("collabnix", story(0.004), 1010.0)._repr_mimebundle_()
    assert re.search(
        r'<img alt="Group collabnix: after a fault only 3 of 5 slots were filled[^"]+" '
        r'src="data:image/png;base64,',
        bundle["text/html"],
    )
    assert "After 4.00 ms every slot was filled again." in bundle["text/plain"]


def test_stamps_and_measures_are_those_of_the_arithmetic() -> None:
    recovery = Recovery("collabnix", story(), 1010.0)
    assert recovery.stamps().column("after the fault") == ["0.00 ms", "300 ms", "400 ms", "1.00 s"]
    assert recovery.measures().column("value") == ["300 ms", "1.00 s", "60%", "330 ms", "90.0 ms"]
    assert recovery.healed
    assert recovery.times() == [1.0]


def test_two_taken_at_one_instant_are_two_though_one_is_back_before_the_other_is_reported() -> None:
    told = [
        ("fault", 0.0, 1),
        ("fault", 0.0, 3),
        ("lost", 0.001, 1),
        ("planned", 0.002, ""),
        ("provisioned", 0.003, 1),
        ("lost", 0.004, 3),
    ]
    told += [("provisioned", 0.006, 3)]
    names = {"provisioned": "new", "planned": ""}
    events = [
        Event(kind, 1000 + at, "p", "collabnix", f"{names.get(kind, 'i')}-{slot}", str(slot))
        for kind, at, slot in told
    ]
    recovery = Recovery("collabnix", [*story()[:6], *events], 1010.0)
    assert "only 3 of 5 slots" in recovery.words
    assert recovery.measures().column("value")[2:4] == ["60%", "1.80 ms"]
    assert [(life.died, life.ended) for life in recovery.lives if life.died] == [
        (1000.0, "lost")
    ] * 2


def test_nearly_all_is_never_called_all() -> None:
    told = [
        Event("fault", 1000.0, group="collabnix", instance=f"i-{n}", slot=str(n)) for n in (4, 5)
    ]
    recovery = Recovery("collabnix", [*story(slots=1000)[:1001], *told], 1010.0)
    assert recovery.measures().column("value")[2] == "99.8%"
    assert "only 998 of 1000 slots" in recovery.words


def test_a_group_that_never_fell_says_so(tmp_path: File) -> None:
    calm = Recovery("collabnix", story()[:6], 1010.0)
    assert "nothing has been lost" in repr(calm)
    assert calm._repr_mimebundle_().keys() == {"text/plain"}
    with pytest.raises(IkdemoError, match="no recovery to show"):
        calm.save(str(tmp_path / "recovery.png"))


def test_what_is_lost_while_a_group_grows_is_no_fall_and_is_not_called_nothing() -> None:
    growing = [*story()[:4], Event("fault", 995.0, "lab", "collabnix", "i-1", "1", "gone")]
    assert "nothing has been lost since" in repr(
        Recovery("collabnix", story(), 1010.0, since=1005.0)
    )
    assert repr(Recovery("collabnix", growing, 1010.0)).startswith(
        "Group collabnix: what was lost so far was lost while it grew"
    )


def test_an_unfinished_fall_is_drawn_and_says_not_yet() -> None:
    open_end = Recovery("collabnix", story()[:-2], 1010.0)
    assert not open_end.healed
    assert open_end.stamps().column("after the fault")[-1] == "not yet"
    assert "not yet" in open_end.svg()


def test_of_a_large_group_only_the_lanes_with_a_story_are_drawn() -> None:
    recovery = Recovery("collabnix", story(slots=300), 1010.0)
    lanes = [label.get_text() for label in recovery.figure().axes[1].get_yticklabels()]
    assert lanes == ["slot 1", "slot 3"]
    silent = Event("fault", 1000.0, group="collabnix", instance="i-200", slot="200", code="silent")
    figure = Recovery("collabnix", [*story(slots=300)[:301], silent], 1010.0).figure()
    assert [label.get_text() for label in figure.axes[1].get_yticklabels()] == ["slot 200"]


def silenced(*, verdict: bool, continued: float = 0.0) -> list[Event]:
    """Return the events of a group in which slot 2 falls silent, and is called sick and replaced,
    or goes on by itself.
    """
    events, at = story()[:6], 1000.0
    events.append(Event("fault", at, "lab", "collabnix", "i-2", "2", "silent", "kill -STOP of"))
    if continued:
        events.append(
            Event(
                "mended", at + continued, "lab", "collabnix", "i-2", "2", "silent", "kill -CONT of"
            )
        )
    if verdict:
        told = [
            ("health", 1.5, "i-2"),
            ("drifted", 1.504, ""),
            ("planned", 1.504, ""),
            ("destroyed", 1.55, "i-2"),
            ("provisioned", 1.6, "i-9"),
        ]
        events += [
            Event(kind, at + time, "p", "collabnix", name, "2", "unhealthy" * (kind == "health"))
            for kind, time, name in told
        ]
    return events


def test_a_silent_server_is_lost_from_its_stop_and_known_from_the_verdict() -> None:
    recovery = Recovery("collabnix", silenced(verdict=True), 1010.0)
    assert recovery.measures().column("value") == ["1.50 s", "1.60 s", "80%", "320 ms", "301 ms"]
    assert "Loss: 320 ms of a whole group, 301 ms of it unnoticed." in recovery.words
    bars = recovery.lives[2]
    assert [(down.start, down.end, down.why) for down in bars.down] == [(1000.0, 1001.55, "silent")]
    figure = recovery.figure()
    assert "silent" in [text.get_text() for text in figure.axes[1].texts]
    names = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert names == [
        "loss: 320 ms of a whole group",
        "of it unnoticed: 301 ms",
        "Q as the loop knew it",
        "Q: filled slots",
    ]


def test_a_silence_that_the_loop_never_noticed_costs_what_it_lasted() -> None:
    recovery = Recovery("collabnix", silenced(verdict=False, continued=1.25), 1010.0)
    assert recovery.measures().column("value") == ["never", "1.25 s", "80%", "250 ms", "250 ms"]
    assert (
        "The group plugin never noticed. After 1.25 s every slot was filled again."
        in recovery.words
    )
    assert recovery.stamps().column("after the fault") == ["0.00 ms", "never", "never", "1.25 s"]
    recovery.figure()


def test_a_loss_that_nobody_recorded_is_counted_from_its_first_report_and_says_so() -> None:
    events = [event for event in story() if event.kind != "fault"]
    recovery = Recovery("collabnix", events, 1010.0)
    assert recovery.stamps().columns[1] == "after the report"
    assert recovery.stamps().column("stamp")[0] == "1 report"
    assert recovery.words.startswith(
        "Group collabnix: after a loss, counted from its first report, only 3 of 5 slots"
    )
    assert recovery.figure().axes[1].get_xlabel() == "seconds after the report (cross: lost)"


@pytest.mark.parametrize("scale", [0.004, 1.0, 60.0])
@pytest.mark.parametrize(
    "events",
    [story, lambda _: silenced(verdict=True), lambda _: silenced(verdict=False, continued=2.0)],
)
def test_no_words_of_the_figure_cover_a_line_or_a_bar_of_another_instance(
    events: Callable[[float], list[Event]], scale: float
) -> None:
    figure = Recovery("collabnix", events(scale), 1010.0 + scale).figure()
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw(renderer)
    top, bottom = figure.axes
    boxes = [text.get_window_extent(renderer) for text in top.texts] + [
        top.get_legend().get_window_extent(renderer)
    ]
    for line in top.get_lines():
        if line.get_label() in ("Q: filled slots", "Q as the loop knew it"):
            xs, ys = line.get_data()
            corners = [
                (x, y)
                for x, y, later in zip(xs, ys, [*ys[1:], ys[-1]], strict=True)
                for y in (y, later)
            ]
            path = Path(top.transData.transform(corners))
            assert not any(path.intersects_bbox(box, filled=False) for box in boxes)
    bars = [bar.get_window_extent(renderer) for bar in bottom.patches]
    for text in bottom.texts:
        place = text.get_window_extent(renderer)
        touched = [bar for bar in bars if bar.overlaps(place)]
        assert all(bar.x0 <= place.x0 and place.x1 <= bar.x1 for bar in touched), text.get_text()


def test_on_a_dark_page_the_picture_is_dark_and_elsewhere_it_is_as_it_was() -> None:
    shown = Recovery("collabnix", story(), 1010.0)._repr_mimebundle_()["text/html"]
    assert '[data-jp-theme-light="false"] .ik-on-paper' in shown
    assert 'class="ik-on-paper"' in shown


def test_figures_are_saved_in_the_format_of_their_ending(tmp_path: File) -> None:
    recovery = Recovery("collabnix", story(), 1010.0)
    for name, start in (("recovery.png", b"\x89PNG"), ("recovery.svg", b"<svg")):
        recovery.save(str(tmp_path / name))
        assert (tmp_path / name).read_bytes().startswith(start)
