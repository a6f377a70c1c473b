"""The live picture as a browser draws it: no word lies on a line, on a cross, on another word, or
outside of the picture.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import pairwise

import pytest
from playwright.sync_api import Page
from window import Window

from ikdemo.lab.dashboard.group_history import GroupHistory
from ikdemo.lab.dashboard.view_drawing import draw
from ikdemo.lab.show.theme import DESTROYING, DIFFERENT
from ikdemo.spi.documents import SHA_TAG
from ikdemo.spi.events import Event

GROUP = "WWW-a-long-name-of-a-group"
COVERED = """() => {
  const svg = document.querySelector('svg'), room = svg.viewBox.baseVal;
  const words = [...svg.querySelectorAll('text')].filter((text) => text.textContent.trim());
  const boxes = words.map((text) => [text.textContent, text.getBBox()]);
  const found = [];
  const inside = (box, x, y) => box.x < x && x < box.x + box.width
    && box.y + 2 < y && y < box.y + box.height - 2;
  for (const path of svg.querySelectorAll('path.curve, path.line:not([d*="h"])')) {
    const length = path.getTotalLength();
    for (let at = 0; at <= length; at += 1) {
      const {x, y} = path.getPointAtLength(at);
      for (const [said, box] of boxes) {
        if (inside(box, x, y)) { found.push(`${said} lies on a line`); at = length; }
      }
    }
  }
  boxes.forEach(([said, box], n) => {
    if (box.x < 0 || box.x + box.width > room.width || box.y + box.height > room.height) {
      found.push(`${said} leaves the picture`);
    }
    for (const [other, place] of boxes.slice(n + 1))
      if (box.x < place.x + place.width && place.x < box.x + box.width
          && box.y + 3 < place.y + place.height && place.y + 3 < box.y + box.height) {
        found.push(`${said} lies on ${other}`);
      }
  });
  return found;
}"""


def event(
    kind: str, time: float, instance: str = "", slot: str = "", sha: str = "a", **more: object
) -> Event:
    return Event(kind, time, "files", GROUP, instance, slot, tags={SHA_TAG: sha}, **more)  # type: ignore[arg-type]


def born(size: int, apart: float = 0.001, name: str = "") -> list[Event]:
    slots = [f"{name}{n}" for n in range(size)]
    births = [
        event("provisioned", 0.1 + apart * n, f"instance-{n}", slot) for n, slot in enumerate(slots)
    ]
    return [event("committed", 0.0, size=size), *births]


def killed(time: float, slot: str, instance: str, new: str, back: float) -> Iterator[Event]:
    yield event("fault", time, instance, slot)
    yield event("lost", time + 0.001, instance, slot)
    yield event("provisioned", time + back, new, slot)


def rolled(size: int) -> Iterator[Event]:
    """Yield a roll that is half-way."""
    yield event("committed", 12.0, size=size, sha="b")
    for turn in range(size // 2):
        slot = str(size - 1 - turn)
        yield event("destroyed", 13 + 1.5 * turn, f"instance-{slot}", slot)
        yield event("provisioned", 13.4 + 1.5 * turn, f"new-{slot}", slot, "b")


@cache
def scenes() -> dict[str, tuple[list[Event], float]]:
    """Return stories, each with the moment that is drawn."""
    living = [*(f"instance-{n}" for n in range(5)), *(f"x-{n}" for n in range(12))]
    storm = [
        one
        for n in range(12)
        for one in killed(2.0 + 1.4 * n, str(n % 5), living[n], living[n + 5], 0.9)
    ]
    verdict = event("health", 7.0, "instance-1", code="unhealthy")
    pets = [
        *born(3, name="a-very-long-name-of-a-pet#"),
        *killed(9.0, "a-very-long-name-of-a-pet#1", "instance-1", "b", 4.0),
    ]
    return {
        "growing": (born(5, 2.0), 9.0),
        "born at once": (born(5, 0.00001), 9.0),
        "grown at once": (
            [*born(3), event("committed", 6.0, size=4), event("provisioned", 6.001, "more", "3")],
            9.0,
        ),
        "whole": (born(5), 33.0),
        "storm": ([*born(5), *storm], 19.5),
        "silent": ([*born(5), event("fault", 7.0, "instance-4", "4", code="silent")], 12.0),
        "sick": (
            [*born(2), verdict, event("destroyed", 11.0, "instance-1", "1")],
            12.0,
        ),
        "rolling": ([*born(6), *rolled(6)], 20.0),
        "scaled": (
            [*born(3), event("committed", 6.0, size=9), event("provisioned", 9.0, "more", "5")],
            12.0,
        ),
        "pets": (pets, 20.0),
        "many pets": (born(14, name="WWWWWWWWWW#"), 9.0),
        "two columns": (
            [*born(30), *killed(8.0, "21", "instance-21", "new", 6.0), *rolled(30)],
            29.0,
        ),
        "tiles": ([*born(140), *killed(8.0, "21", "instance-21", "new", 30.0)], 12.0),
        "many tiles": ([*born(1200, 0.0001), *killed(8.0, "21", "instance-21", "new", 30.0)], 12.0),
    }


@pytest.fixture(scope="module")
def page(window: Window) -> Iterator[Page]:
    page = window.new_tab(700, 900)
    yield page
    page.context.close()


@pytest.mark.parametrize("name", scenes())
def test_no_label_covers_a_line_or_another_label(page: Page, name: str) -> None:
    events, now = scenes()[name]
    story = GroupHistory(GROUP)
    story.read(events)
    for sign in (DIFFERENT, DESTROYING):
        page.set_content(draw(story.model_at(now), sign))
        assert page.evaluate(COVERED) == []


@pytest.mark.parametrize("name", scenes())
def test_growing_is_drawn_without_a_stroke_that_falls(page: Page, name: str) -> None:
    """Only what was filled can fall: where nothing was lost, every stroke of the curve goes up."""
    events, now = scenes()[name]
    lost = any(event.kind in ("fault", "destroyed", "health") for event in events)
    story = GroupHistory(GROUP)
    story.read(events)
    page.set_content(draw(story.model_at(now), DIFFERENT))
    steps = page.evaluate(
        "() => [...document.querySelectorAll('path.curve')].map((one) => one.getAttribute('d'))"
    )
    falls = [
        (before, after) for path in steps for before, after in _strokes(path) if after > before
    ]
    assert bool(falls) == lost


def _strokes(path: str) -> list[tuple[float, float]]:
    """Return the heights before and after each stroke; those further down are larger."""
    heights = [
        float(path.split("H")[0].split()[1]),
        *(float(part.split("H")[0]) for part in path.split("V")[1:]),
    ]
    return list(pairwise(heights))
