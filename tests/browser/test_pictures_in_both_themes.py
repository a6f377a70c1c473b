"""Pictures in JupyterLab's two themes: on a dark page no figure, tile or live picture stands on
white paper.
"""

from __future__ import annotations

import io
import json
from base64 import b64encode

from PIL import Image, ImageStat
from screen import Screen
from served_lab import ServedLab

from ikdemo.lab.show.images import shown_image

FIRST = """
from ikdemo.lab import Recovery
from ikdemo.lab.dashboard.view_drawing import draw
from ikdemo.lab.dashboard.group_history import GroupHistory
from ikdemo.lab.dashboard.view import html_widget
from ikdemo.lab.show.theme import DIFFERENT
from ikdemo.lab.dashboard.web_page import PageAnswer, Visit
from ikdemo.spi.events import Event

def told(kind, time, slot="", instance="", code=""):
    size = {"size": 5} if kind == "committed" else {}
    name = instance or f"instance-{slot}"
    return Event(kind, 1000.0 + time, "p", "web", name, slot, code, **size)

events = [told("committed", -9), *(told("provisioned", -8, str(n)) for n in range(5))]
events += [told("converged", -7), told("fault", 0, "4", code="silent")]
events += [told("fault", 0, "2", code="gone"), told("lost", 0.1, "2"), told("drifted", 0.2)]
events += [told("planned", 0.2), told("provisioned", 0.5, "2", "instance-7")]
events += [told("health", 1.4, "4", code="unhealthy"), told("destroyed", 1.5, "4")]
events += [told("provisioned", 1.8, "4", "instance-8"), told("converged", 1.9)]
Recovery("web", events, 1004.0)
"""
TILES = """
answers = [PageAnswer("0", "a", "2000", "7", "a in slot 0", "", 0.001)]
Visit("web", 3, [*answers, PageAnswer("1", "b", "2001", "8", "", "is silent", 0.3)])
"""
LIVE = """
story = GroupHistory("web")
story.read(events)
shown = html_widget("ik-picture")
shown.value = draw(story.model_at(1003.0), DIFFERENT)
shown
"""
SHOWN = ".jp-OutputArea-output img, .jp-OutputArea-output svg[role=img]"


def test_no_picture_glares_in_the_dark_theme(screen: Screen, served_lab: ServedLab) -> None:
    served_lab.write("notebooks/pictures.ipynb", [FIRST, TILES, LIVE])
    screen.open("notebooks/pictures.ipynb")
    screen.run_all(90)
    brightness = {}
    for theme in ("Light", "Dark"):
        screen.theme(theme)
        screen.unroll(900)
        screen.shoot(f"pictures-{theme.lower()}")
        pictures = screen.page.locator(SHOWN).all()
        brightness[theme] = [
            _brightness(picture.screenshot(animations="disabled")) for picture in pictures
        ]
    assert screen.problems() == []
    assert len(brightness["Light"]) == len(brightness["Dark"]) == 3
    assert min(brightness["Light"]) > 0.7
    assert max(brightness["Dark"]) < 0.35


def test_a_picture_in_a_notebook_that_nobody_trusts_yet_does_not_glare_either(
    screen: Screen, served_lab: ServedLab
) -> None:
    """Of such outputs JupyterLab takes no styles: those of our extension hold."""
    white = io.BytesIO()
    Image.new("RGB", (400, 200), "white").save(white, "png")
    shown = shown_image(
        f"data:image/png;base64,{b64encode(white.getvalue()).decode()}", "a white picture"
    )
    served_lab.write("notebooks/strange.ipynb", ["1"])
    path = served_lab.desk / "notebooks/strange.ipynb"
    document = json.loads(path.read_text())
    document["cells"][0]["outputs"] = [
        {"output_type": "display_data", "metadata": {}, "data": {"text/html": shown}}
    ]
    path.write_text(json.dumps(document))
    screen.open("notebooks/strange.ipynb")
    picture = screen.page.locator(".jp-OutputArea-output img")
    assert _brightness(picture.screenshot()) > 0.9
    screen.theme("Dark")
    assert _brightness(picture.screenshot()) < 0.2


def _brightness(png: bytes) -> float:
    """Return the mean of all pixels, from 0 for black to 1 for white."""
    return float(ImageStat.Stat(Image.open(io.BytesIO(png)).convert("L")).mean[0]) / 255
