"""The moving picture as a pure function of the record: what it says in words, in shapes, and for
very many slots.
"""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from ikdemo.lab.dashboard.group_history import FRESH, GroupHistory
from ikdemo.lab.dashboard.view_drawing import draw, words
from ikdemo.lab.dashboard.view_model import WINDOW, ViewModel
from ikdemo.lab.show.theme import (
    AS_WANTED,
    DIFFERENT,
    EMPTY,
    FILLED,
    GONE,
    NEW,
    OLD,
    SILENT,
    UNHEALTHY,
)
from ikdemo.spi.documents import SHA_TAG
from ikdemo.spi.events import Event

SVG = "{http://www.w3.org/2000/svg}"


def event(
    kind: str, time: float, instance: str = "", slot: str = "", sha: str = "a", **more: object
) -> Event:
    return Event(kind, time, "files", "web", instance, slot, tags={SHA_TAG: sha}, **more)  # type: ignore[arg-type]


def born(size: int) -> list[Event]:
    """Return the events of a group that is made at second 0."""
    return [
        event("committed", 0.0, size=size),
        *(event("provisioned", 0.1, f"instance-{n}", str(n)) for n in range(size)),
    ]


def told(*events: Event, now: float) -> ViewModel:
    story = GroupHistory("web")
    story.read(events)
    return story.model_at(now)


def texts(svg: str) -> list[str]:
    return ["".join(node.itertext()) for node in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def test_a_lost_instance_leaves_a_cross_an_empty_lane_and_words() -> None:
    scene = told(
        *born(5),
        event("fault", 9.9, "instance-3", "3"),
        event("lost", 10.0, "instance-3", "3"),
        now=12.0,
    )
    svg = draw(scene, DIFFERENT)
    assert [lane.sign for lane in scene.lanes] == [FILLED, FILLED, FILLED, EMPTY, FILLED]
    assert texts(svg).count("EMPTY") == 1
    assert svg.count('class="halo"') == 1
    assert words(scene, DIFFERENT) == (
        "Group web: not as wanted. 4 of 5 slots filled. Wanted: 5, alive: 4. Empty: slot 3. "
        "It fell to 4 of 5 and is not whole again yet. The loop does not know of 1 loss yet."
    )
    assert ElementTree.fromstring(svg).get("aria-label") == words(scene, DIFFERENT)
    assert ElementTree.fromstring(svg).get("role") == "img"


def test_a_replacement_is_new_for_a_moment_and_the_fall_is_measured_from_the_fault() -> None:
    story = [
        *born(5),
        event("fault", 9.75, "instance-3", "3"),
        event("lost", 10.0, "instance-3", "3"),
    ]
    story += [event("provisioned", 10.25, "instance-99", "3")]
    scene = told(*story, now=10.25 + FRESH / 2)
    assert scene.lanes[3].sign is NEW
    assert scene.fall == (4, 5, 0.5, "fault")
    assert "Last fall: to 4 of 5, whole again 500 ms after the fault." in words(scene, AS_WANTED)
    assert told(*story, now=11 + FRESH).lanes[3].sign is FILLED
    assert "nr 2 …e-99" in texts(draw(told(*story, now=30.0), AS_WANTED))


def test_a_dip_of_a_thousandth_of_a_second_is_still_drawn() -> None:
    dip = event("lost", 35.0, "instance-1", "1"), event("provisioned", 35.001, "instance-9", "1")
    calm, dipped = told(*born(2), now=40.0), told(*born(2), *dip, now=40.0)
    assert dipped.quality == calm.quality == 1.0
    heights = [set(re.findall(r"V([\d.]+)", draw(scene, AS_WANTED))) for scene in (calm, dipped)]
    assert heights[1] - heights[0] == {"113.0"}  # down to one half, and up again


def test_what_is_one_stroke_now_is_one_stroke_in_every_later_frame() -> None:
    """Else a line would come and go while the picture moves."""
    dip = (
        event("fault", 3.0, "instance-1", "1"),
        event("lost", 3.001, "instance-1", "1"),
        event("provisioned", 3.03, "new", "1"),
    )
    shapes = set()
    for frame in range(60):
        (path,) = re.findall(
            r'class="curve" d="M\d+ ([^"]+)"',
            draw(told(*born(2), *dip, now=4.0 + 0.15 * frame), AS_WANTED),
        )
        shapes.add(re.sub(r"H\d+", "", path))
    assert len(shapes) == 1


def test_another_wish_is_no_fall() -> None:
    scene = told(
        *born(2),
        event("committed", 5.0, size=4),
        event("provisioned", 5.1, "instance-7", "2"),
        now=6.0,
    )
    assert (scene.size, scene.quality, scene.fall) == (4, 0.75, None)
    assert "Nothing was lost yet." in words(scene, DIFFERENT)


def test_what_grows_is_drawn_from_its_birth_and_nothing_of_it_is_lost() -> None:
    growing = [
        event("committed", 4.0, size=3),
        *(event("provisioned", 5.0 + n, f"instance-{n}", str(n)) for n in range(3)),
    ]
    story = [
        *growing,
        event("committed", 10.0, size=5),
        event("provisioned", 11.0, "instance-3", "3"),
    ]
    scene = told(*story, now=12.0)
    assert [(step.time, step.size, step.filled) for step in scene.steps] == [
        (4.0, 3, 0),
        (5.0, 3, 1),
        (6.0, 3, 2),
        (7.0, 3, 3),
        (10.0, 5, 3),
        (11.0, 5, 4),
    ]
    assert all(step.reached == step.filled for step in scene.steps)
    assert "Nothing was lost yet." in words(scene, DIFFERENT)


def test_what_was_given_up_is_no_loss_when_more_is_wanted_again() -> None:
    fewer = [
        event("committed", 5.0, size=2),
        *(event("destroyed", 6.0, f"instance-{n}", str(n)) for n in (2, 3)),
    ]
    scene = told(*born(4), *fewer, event("committed", 8.0, size=4), now=9.0)
    assert scene.steps[-1] == (8.0, 4, 2, 2, 2)
    assert scene.fall is None


def test_what_is_lost_while_a_group_grows_is_lost() -> None:
    growing = [
        event("committed", 0.0, size=5),
        *(event("provisioned", 1.0, f"instance-{n}", str(n)) for n in range(3)),
    ]
    scene = told(*growing, event("fault", 2.0, "instance-1", "1"), now=3.0)
    assert scene.steps[-1] == (2.0, 5, 2, 2, 3)
    assert "It fell to 2 of 5 and is not whole again yet." in words(scene, DIFFERENT)


def test_a_roll_is_no_fall_and_shows_filled_slots_apart_from_those_as_wanted() -> None:
    roll = [event("committed", 5.0, sha="b", size=2), event("destroyed", 6.0, "instance-1", "1")]
    roll.append(event("provisioned", 7.0, "instance-9", "1", "b"))
    scene = told(*born(2), *roll, now=8.0)
    assert [(step.filled, step.current) for step in scene.steps] == [
        (0, 0),
        (1, 1),
        (2, 2),
        (2, 0),
        (1, 0),
        (2, 1),
    ]
    assert scene.fall is None
    said = words(scene, DIFFERENT)
    assert "2 of 2 slots filled. 1 of 2 with the wanted configuration." in said
    assert "Nothing was lost yet." in said
    svg = draw(scene, DIFFERENT)
    assert "dashed: as" in texts(svg)
    assert 'stroke-dasharray="6 4"' in svg


def test_a_server_made_silent_is_shown_so_and_the_loop_does_not_know() -> None:
    scene = told(*born(3), event("fault", 5.0, "instance-2", "2", code="silent"), now=7.0)
    assert [lane.sign for lane in scene.lanes] == [FILLED, FILLED, SILENT]
    said = words(scene, DIFFERENT)
    assert "2 of 3 slots filled. Wanted: 3, alive: 3. Silent: slot 2." in said
    assert said.endswith("The loop does not know of 1 loss yet.")


def test_nearly_all_is_never_called_all() -> None:
    scene = told(
        *born(1000),
        event("lost", 5.0, "instance-2", "2"),
        event("lost", 5.0, "instance-3", "3"),
        now=7.0,
    )
    assert "It fell to 998 of 1000" in words(scene, DIFFERENT)


def test_slots_that_are_not_wanted_any_more_are_gone_not_empty() -> None:
    scene = told(
        *born(2),
        event("committed", 5.0, size=1),
        event("destroyed", 5.1, "instance-1", "1"),
        now=6.0,
    )
    assert [lane.sign for lane in scene.lanes] == [FILLED, GONE]
    assert scene.quality == 1.0


def test_what_is_old_and_what_is_sick_is_said() -> None:
    story = [
        *born(3),
        event("committed", 5.0, sha="b", size=3),
        event("provisioned", 5.5, "instance-7", "3", "b"),
    ]
    story += [event("health", 6.0, "instance-7", code="unhealthy")]
    scene = told(*story, now=20.0)
    assert [lane.sign for lane in scene.lanes] == [OLD, OLD, OLD, UNHEALTHY]
    assert "Sick: slot 3. Old: slot 0, 1, 2." in words(scene, DIFFERENT)
    assert "Wanted: 3, alive: 4." in words(scene, DIFFERENT)


def test_pets_have_lanes_by_name_and_keep_them_while_they_are_missing() -> None:
    pets = [
        event("committed", 0.0, size=2),
        event("provisioned", 1.0, "a", "rex#0"),
        event("provisioned", 1.0, "b", "mia#0"),
    ]
    story = GroupHistory("web")
    story.read([*pets, event("lost", 2.0, "a", "rex#0")])
    scene = story.model_at(3 * WINDOW)
    assert [(lane.slot, lane.sign) for lane in scene.lanes] == [("mia#0", FILLED), ("rex#0", EMPTY)]
    assert {"mia", "rex"} <= set(texts(draw(scene, DIFFERENT)))


def test_instances_without_a_slot_are_named_by_their_ends() -> None:
    scene = told(event("committed", 0.0, size=1), event("found", 1.0, "instance-123456"), now=2.0)
    assert [lane.slot for lane in scene.lanes] == ["…123456"]
    assert scene.quality == 1.0


def test_what_left_the_window_is_forgotten() -> None:
    story = GroupHistory("web")
    story.read(born(1))
    for turn in range(200):
        story.read(
            [
                event("lost", turn + 1.0, f"instance-{turn}", "0"),
                event("provisioned", turn + 1.5, f"instance-{turn + 1}", "0"),
            ]
        )
        scene = story.model_at(turn + 1.6)
    assert len(scene.lanes[0].lives) <= WINDOW + 2
    assert len(scene.steps) <= 2 * WINDOW + 2
    assert scene.lanes[0].ever == 201


@pytest.mark.parametrize(
    ("size", "lanes"), [(0, 0), (5, 5), (50, 50), (51, 0), (1000, 0), (1200, 0)]
)
def test_few_slots_have_lanes_and_many_have_tiles(size: int, lanes: int) -> None:
    svg = draw(told(*born(size), event("lost", 1.0, "instance-4", "4"), now=3.0), DIFFERENT)
    assert texts(svg).count("filled") == max(0, lanes - 1)
    assert len(svg) < 60_000
    if size > 50:
        more = "; 200 more are not drawn" if size > 1000 else ""
        assert f"{min(size, 1000)} slots: {min(size, 1000) - 1} filled, 1 EMPTY{more}" in texts(svg)


def test_a_group_named_in_markup_does_not_break_the_picture() -> None:
    story = GroupHistory("<b>&\"'")
    story.read(
        [
            Event("committed", 0.0, "group", "<b>&\"'", size=1),
            Event("provisioned", 0.0, "f", "<b>&\"'", "<i>", "<p>#0"),
        ]
    )
    assert "<b>" not in draw(story.model_at(1.0), AS_WANTED)
    ElementTree.fromstring(draw(story.model_at(1.0), AS_WANTED))


def test_the_same_scene_gives_the_same_picture() -> None:
    assert draw(told(*born(5), now=9.0), AS_WANTED) == draw(told(*born(5), now=9.0), AS_WANTED)
