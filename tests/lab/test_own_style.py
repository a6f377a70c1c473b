"""No setting of matplotlib reaches our figures, wherever it was made: the same record gives the
same bytes, and settings stay.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.style
import pytest

from ikdemo.lab import Experiment, Simulated, availability, crash_loops, overcreation
from ikdemo.lab.show.images import Drawable, faces, svg_text
from ikdemo.lab.show.recovery_report import Recovery
from ikdemo.lab.show.rollout import Rollout
from ikdemo.spi.documents import SHA_TAG
from ikdemo.spi.events import Event

LEARNERS_OWN: dict[str, dict[str, Any] | str] = {
    "dark": "dark_background",
    "poster": "seaborn-v0_8-poster",
    "no paper": {"savefig.transparent": True, "savefig.dpi": 300},
    "TeX": {"text.usetex": True},
    "pictures of letters": {"svg.fonttype": "path", "svg.hashsalt": None},
    "a grid of their own": {
        "axes.grid": True,
        "lines.linewidth": 9,
        "font.size": 30,
        "hatch.linewidth": 5,
        "figure.dpi": 50,
    },
}
IN_A_COMMAND = """
from ikdemo.lab.show.recovery_report import Recovery
from ikdemo.spi.events import Event
told = [Event("committed", 0.0, group="g", size=1)]
told += [Event("provisioned", 0.1, group="g", instance="i", slot="0")]
told += [Event("lost", 1.0, group="g", instance="i")]
told += [Event("provisioned", 1.1, group="g", instance="j", slot="0")]
Recovery("g", told, 2.0).save("recovery.png")
import matplotlib
print(matplotlib.rcParams["backend"])
"""


def fallen() -> Recovery:
    told = [
        Event("committed", 0.0, group="g", size=1),
        Event("provisioned", 0.1, group="g", instance="i", slot="0"),
    ]
    told += [
        Event("lost", 1.0, group="g", instance="i"),
        Event("provisioned", 1.1, group="g", instance="j", slot="0"),
    ]
    return Recovery("g", told, 2.0)


def rolled() -> Rollout:
    told = [
        Event("committed", 0.0, group="g", size=1, tags={SHA_TAG: "a"}),
        Event("provisioned", 0.1, group="g", instance="i"),
    ]
    told += [
        Event("committed", 1.0, group="g", size=1, tags={SHA_TAG: "b"}),
        Event("planned", 1.1, group="g"),
    ]
    return Rollout(
        "g",
        [
            *told,
            Event("destroyed", 1.2, group="g", instance="i"),
            Event("converged", 1.3, group="g"),
        ],
        2.0,
    )


FIGURES: dict[str, Callable[[], Drawable]] = {
    "recovery": fallen,
    "rollout": rolled,
    "experiment": lambda: Experiment(
        Simulated(poll=1, provision=0.1), kills=9, rate=0.1, seed=1
    ).run(),
    "sweep": lambda: availability(polls=[1], rates=[0.01, 0.1], kills=5),
    "over-creation": lambda: overcreation(runs=2),
    "crash loops": lambda: crash_loops(seconds=20, life=1),
}


def drawn_alike(drawn: Drawable, styles: Sequence[str]) -> None:
    """Draw without a setting, then with these, the later over the earlier: the bytes are equal."""
    svg, shown = svg_text(drawn), faces(drawn)
    with mpl.rc_context():
        for name in styles:
            matplotlib.style.use(LEARNERS_OWN[name])
        before = dict(mpl.rcParams)
        assert svg_text(drawn) == svg, styles
        assert faces(drawn) == shown, styles
        assert dict(mpl.rcParams) == before, styles


@pytest.mark.parametrize("name", FIGURES)
def test_whatever_a_learner_has_set_the_figure_is_the_same(name: str) -> None:
    """All at once: what each of them sets is set then, or set to something as odd."""
    drawn_alike(FIGURES[name](), list(LEARNERS_OWN))


@pytest.mark.parametrize("style", LEARNERS_OWN)
def test_each_setting_alone_changes_nothing(style: str) -> None:
    drawn_alike(rolled(), [style])


def test_a_figure_that_is_only_asked_for_is_drawn_like_the_others() -> None:
    with mpl.rc_context():
        matplotlib.style.use("dark_background")
        figure = fallen().figure()
    assert mpl.colors.to_hex(figure.get_facecolor()) == "#ffffff"
    assert mpl.colors.to_hex(figure.axes[0].title.get_color()) == "#000000"


@pytest.mark.parametrize(
    ("backend", "known"),
    [("widget", False), ("module://nowhere.at_all", True), ("svg", True), ("", False)],
)
def test_a_backend_that_the_environment_names_keeps_no_figure_from_being_drawn(
    backend: str, known: bool, tmp_path: Path
) -> None:
    """As in ``!ikdemo demo`` of a notebook: the kernel's Python has the backend, the command's may
    lack it.
    """
    environment = {**os.environ, "MPLBACKEND": backend}
    done = subprocess.run(
        [sys.executable, "-c", IN_A_COMMAND],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "recovery.png").read_bytes().startswith(b"\x89PNG")
    assert (done.stdout.strip() == backend) is known, (
        "where there is one of that name, the learner's own figures still use it"
    )
