"""The recovery figure from hand-made events: an SVG that is XML, tells its story in words, and is the same every time."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from ikdemo.lab.recovery import Recovery
from ikdemo.spi.errors import IkdemoError
from ikdemo.spi.events import Event

SVG = "{http://www.w3.org/2000/svg}"


def story(scale: float = 1.0, *, group: str = "collabnix", slots: int = 5) -> list[Event]:
    """Return the events of a group that loses slots 1 and 3 and gets them back after ``scale`` seconds."""
    start = 1000.0
    events = [Event("committed", start - 9, group=group, size=slots)]
    events += [Event("provisioned", start - 8, group=group, instance=f"i-{n}", slot=str(n)) for n in range(slots)]
    told = [("fault", 0.0, "i-1", "1"), ("lost", 0.1, "i-1", "1"), ("fault", 0.15, "i-3", "3"), ("lost", 0.2, "i-3", "3")]
    told += [
        ("drifted", 0.3, "", ""),
        ("planned", 0.4, "", ""),
        ("provisioned", 0.8, "i-11", "1"),
        ("provisioned", 1.0, "i-13", "3"),
    ]
    return events + [Event(kind, start + at * scale, group=group, instance=name, slot=slot) for kind, at, name, slot in told]


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
    said = " ".join("".join(node.itertext()) for node in ElementTree.fromstring(text).iter(f"{SVG}text"))
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
        r'<img alt="Group collabnix: after a fault only 3 of 5 slots were filled[^"]+" src="data:image/png;base64,',
        bundle["text/html"],
    )
    assert "After 4.00 ms every slot was filled again." in bundle["text/plain"]


def test_stamps_and_measures_are_those_of_the_arithmetic() -> None:
    recovery = Recovery("collabnix", story(), 1010.0)
    assert recovery.stamps().column("after the fault") == ["0.00 ms", "300 ms", "400 ms", "1.00 s"]
    assert recovery.measures().column("value") == ["300 ms", "1.00 s", "60%", "330 ms", "90.0 ms"]
    assert recovery.healed
    assert recovery.times() == [1.0]


def test_a_group_that_never_fell_says_so(tmp_path: Path) -> None:
    calm = Recovery("collabnix", story()[:6], 1010.0)
    assert "nothing has been lost" in repr(calm)
    assert calm._repr_mimebundle_().keys() == {"text/plain"}
    with pytest.raises(IkdemoError, match="no recovery to show"):
        calm.save(str(tmp_path / "recovery.png"))


def test_an_unfinished_fall_is_drawn_and_says_not_yet() -> None:
    open_end = Recovery("collabnix", story()[:-2], 1010.0)
    assert not open_end.healed
    assert open_end.stamps().column("after the fault")[-1] == "not yet"
    assert "not yet" in open_end.svg()


def test_of_a_large_group_only_the_lanes_with_a_story_are_drawn() -> None:
    recovery = Recovery("collabnix", story(slots=300), 1010.0)
    lanes = [label.get_text() for label in recovery.figure().axes[1].get_yticklabels()]
    assert lanes == ["slot 1", "slot 3"]


def test_figures_are_saved_in_the_format_of_their_ending(tmp_path: Path) -> None:
    recovery = Recovery("collabnix", story(), 1010.0)
    for name, start in (("recovery.png", b"\x89PNG"), ("recovery.svg", b"<svg")):
        recovery.save(str(tmp_path / name))
        assert (tmp_path / name).read_bytes().startswith(start)
