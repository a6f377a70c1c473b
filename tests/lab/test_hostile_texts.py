"""Nothing that plugins and instances say moves a cursor, turns a line around, forges one, or
becomes markup.
"""

from __future__ import annotations

import logging
import unicodedata
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ikdemo.cli import columns
from ikdemo.cli.logs import GoForm
from ikdemo.lab.dashboard.group_history import GroupHistory
from ikdemo.lab.dashboard.view import _log, _reason
from ikdemo.lab.dashboard.view_drawing import draw, words
from ikdemo.lab.dashboard.web_page import PageAnswer, Visit
from ikdemo.lab.host.timeline import Timeline
from ikdemo.lab.show.recovery_report import Recovery
from ikdemo.lab.show.rollout import Rollout
from ikdemo.lab.show.step_view import StepView, reasons
from ikdemo.lab.show.tables import Table, Words
from ikdemo.lab.show.theme import DIFFERENT
from ikdemo.lab.teaching.check import Check, Point
from ikdemo.spi.documents import SHA_TAG, Description
from ikdemo.spi.errors import IkdemoError
from ikdemo.spi.events import Event
from ikdemo.spi.plans import Action, ObservedInstance, Outcome, Plan, Reason, Step

UNSEEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
BAD = "\x1b]0;owned\x07\r\x9b2J\u202egnp\u2028\ud800\x00<img src=x onerror='a()'>\"&amp;$\\frac{"
TEXTS = st.text(min_size=1) | st.lists(
    st.sampled_from([*BAD, "<b>", "-->", "'", "`", "\n"]), min_size=1
).map("".join)
MILD = "mild"


def hostile(test: Any) -> Any:
    return settings(max_examples=300, deadline=None)(example(BAD)(given(TEXTS)(test)))


def shows_itself(text: str) -> None:
    """Hold that a text has lines of its own making only, and nothing else that cannot be seen."""
    assert (
        not {unicodedata.category(char) for char in text.replace("\n", "").replace("\t", "")}
        & UNSEEN
    ), ascii(text)
    text.encode()


class Tags(HTMLParser):
    """Collects the elements of a page, each with the names of its attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, tuple[str, ...]]] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag != "wbr":  # where a long value may break
            self.found.append((tag, tuple(name for name, _ in attrs)))


def step(text: str) -> Step:
    action = Action("destroy", "surplus", text, text)
    plan = Plan((action,), (Reason("missing", text, text, text, 1.0, text, text),))
    return Step((ObservedInstance(text, text, text, text),), plan, (Outcome(action, text, text),))


def lines(text: str) -> Iterator[tuple[str, int]]:
    """Yield every text for a terminal, and how many lines it has."""
    event = Event("acted", 1.0, text, text, text, text, "missing", text)
    yield columns.event_row(event), 1
    yield columns.event_row(Event(text, 1.0, text), 0.5), 1
    yield columns.instance_rows([Description(text, text, {text: text})], quiet=False), 2
    yield columns.plugin_rows([(text, text)], quiet=True), 1
    yield columns.reason_rows(step(text).plan.reasons, 2.0), 2
    yield columns.step_rows(step(text)), 2
    yield repr(Table([text], [[text]])), 2
    yield repr(Table([text], [], empty=text)), 1
    yield repr(Check([Point(False, text, text)])), 2
    yield repr(reasons(step(text).plan.reasons)), 2
    record = Timeline()
    record.add(
        [
            event,
            Event("lost", 2.0, text, text, text, text, "missing", text),
            Event(text, 3.0, text, text, text, text),
        ]
    )
    yield repr(record.table()), 4
    yield (
        repr(
            Visit(
                text,
                2,
                [
                    PageAnswer(text, text, text, text, text, "", 0.1),
                    PageAnswer(text, text, "", "", "", text, 0.1),
                ],
            )
        ),
        1,
    )
    yield repr(Visit(text, 2, [PageAnswer(text, text, text, text, text, "", 0.1)]).table), 2
    yield repr(Recovery(text, story(text), 9.0)), 1
    yield repr(Rollout(text, story(text), 9.0)), 1


def pages(text: str) -> Iterator[str]:
    """Yield everything that becomes HTML."""
    yield Table([text], [[text]])._repr_html_()
    yield Table([text], [], empty=text)._repr_html_()
    yield Check([Point(False, text, text)])._repr_html_()
    yield reasons(step(text).plan.reasons)._repr_html_()
    yield StepView(step(text))._repr_html_()
    yield _reason(text)
    yield _log([(1.0, text, text)])
    yield Visit(
        text, 1, [PageAnswer(text, text, text, text, text, text, 0.1, text)]
    )._repr_mimebundle_()["text/html"]


def story(text: str) -> list[Event]:
    """Return the life of a group whose one instance is lost, comes back, and is rolled."""
    told = [
        ("committed", "a"),
        ("provisioned", "a"),
        ("fault", ""),
        ("lost", "a"),
        ("drifted", ""),
        ("provisioned", "b"),
    ]
    told += [("committed", "b"), ("planned", ""), ("converged", "")]
    names = {"a": text, "b": text + "b", "": text}
    return [
        Event(
            kind,
            1.0 + at,
            text,
            text,
            names[sha],
            text,
            text=text,
            size=1,
            tags={SHA_TAG: sha + text},
        )
        for at, (kind, sha) in enumerate(told)
    ]


@hostile
def test_every_line_shows_itself_and_is_one_line(text: str) -> None:
    for said, count in lines(text):
        shows_itself(said)
        assert said.count("\n") + 1 == count, said


@hostile
def test_what_has_several_lines_shows_itself(text: str) -> None:
    shows_itself(repr(Words(text)))
    shows_itself(repr(StepView(step(text))))
    shows_itself("\n".join(IkdemoError(text)._render_traceback_()))


@hostile
def test_a_log_line_shows_itself(text: str) -> None:
    record = logging.LogRecord("ikdemo", logging.ERROR, "", 1, "%s", (text,), None)
    said = GoForm(terminal=False).format(record)
    shows_itself(said)
    assert "\n" not in said
    shows_itself(GoForm(terminal=True).format(record).replace("\x1b[31mERRO\x1b[0m", "", 1))


@hostile
def test_no_text_becomes_markup_in_a_page(text: str) -> None:
    for said, mild in zip(pages(text), pages(MILD), strict=True):
        shows_itself(said)
        assert Tags(said).found == Tags(mild).found, said


@hostile
def test_no_text_becomes_markup_in_a_moving_picture(text: str) -> None:
    for at in (1.5, 3.5, 4.5, 9.5):
        drawn = []
        for name in (text, MILD):
            tale = GroupHistory(name)
            tale.read([event for event in story(name) if event.time <= at])
            scene = tale.model_at(at)
            drawn.append(draw(scene, DIFFERENT))
            shows_itself(drawn[-1])
            if not any(unicodedata.category(char) in UNSEEN for char in name):
                assert ElementTree.fromstring(drawn[-1]).get("aria-label") == words(
                    scene, DIFFERENT
                )
        names = [sorted({node.tag for node in ElementTree.fromstring(svg).iter()}) for svg in drawn]
        assert names[0] == names[1]


@pytest.mark.filterwarnings("ignore:Glyph")  # a font without the letter is no matter of this test
@settings(max_examples=5, deadline=None)
@example(BAD)
@given(TEXTS)
def test_no_text_becomes_markup_or_mathematics_in_a_figure(text: str) -> None:
    for found in (Recovery(text, story(text), 9.0), Rollout(text, story(text), 9.0)):
        svg = found.svg()
        shows_itself(svg)
        assert {node.tag.rpartition("}")[2] for node in ElementTree.fromstring(svg).iter()} >= {
            "title",
            "desc",
            "text",
        }
        assert "img" not in {
            node.tag.rpartition("}")[2] for node in ElementTree.fromstring(svg).iter()
        }
        for page in found._repr_mimebundle_().values():
            shows_itself(page)
