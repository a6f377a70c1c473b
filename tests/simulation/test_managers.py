"""P9 behind managers: however commands, changes of leadership, answers and restarts overlap, some
order explains every answer and whatever is stored or committed; nothing is done without leadership.

Looked for are stories that break it, and made smaller; what is printed then repeats it.
"""

from __future__ import annotations

from collections import Counter
from typing import TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from profiles import DEPTH, PATIENCE, searched
from simulation.managed import Fault, spec_of
from simulation.managers import COMMANDS, EVENTS, GROUPS, Item, Story, Told, tell
from simulation.model import Record

from ikdemo.manager.global_spec import GlobalSpec

T = TypeVar("T")

pytestmark = pytest.mark.timeout(PATIENCE)

GAPS = (0.0, 0.0, 0.0, 0.01, 0.02, 2.0, 16.0)
SECONDS = (0.0, 0.02, 0.3, 12.0, 31.0)

commands = st.builds(
    Item,
    st.sampled_from(GAPS),
    st.sampled_from(COMMANDS),
    st.sampled_from((2, 2, 2, 0, 1)),
    st.sampled_from(("a", *GROUPS)),
    st.integers(0, 3),
)
events = st.builds(Item, st.sampled_from(GAPS), st.sampled_from(EVENTS), st.integers(0, 2))
faults = st.builds(
    Fault,
    st.integers(0, 20),
    st.sampled_from(("slow", "refused", "lost", "late", "gone")),
    st.sampled_from(SECONDS),
)
FIRST = Item(0.0, "commit", size=2)


def up_to(most: int, what: st.SearchStrategy[T]) -> st.SearchStrategy[list[T]]:
    """Draw lists of which long ones are as frequent as short ones."""
    return st.integers(0, most).flatmap(lambda size: st.lists(what, min_size=size, max_size=size))


stories = st.builds(
    Story,
    up_to(16, st.one_of(commands, commands, events)).map(lambda more: [FIRST, *more]),
    up_to(16, faults),
)


@settings(searched, max_examples=DEPTH.schedules)
@given(stories)
def test_some_order_explains_whatever_managers_answer_and_store(story: Story) -> None:
    told = tell(story)
    assert not told.wrong, f"tell({story})\n{told.wrong}\n" + "\n".join(told.trace)


@pytest.mark.parametrize("seconds", SECONDS)
def test_a_commit_that_arrives_behind_the_next_one_does_not_stay(seconds: float) -> None:
    """The next one was acknowledged meanwhile."""
    story = Story([FIRST, Item(0.0, "commit", size=1)], [Fault(8, "late", seconds)])
    told = Told(story, with_broken=False).run()
    assert "commit Record(note='v1'" in " ".join(told.trace), "the fault is the first commit's"
    assert not told.wrong, "\n".join(told.trace)


def test_the_checker_sees_what_was_never_asked_for() -> None:
    def change(told: Told) -> None:
        record = Record("never", 7)
        told.world.put(told.world.spec.with_group(spec_of("a", record), "behind"))

    told = Told(Story([Item(0.0, "commit", size=3)], []))
    told.world.loop.call_later(10.0, change, told)
    assert "a is stored as Record(note='never', size=7" in told.run().wrong[0]


def test_the_checker_sees_that_a_group_comes_back() -> None:
    told = Told(Story([Item(0.0, "commit"), Item(9.0, "destroy"), Item(9.0, "restart", 1)], []))
    kept: list[GlobalSpec] = []
    told.world.loop.call_later(5.0, lambda: kept.append(told.world.spec))
    told.world.loop.call_later(16.0, lambda: told.world.put(kept[0]))
    told.run()
    assert "which no order explains" in told.wrong[0]


def test_the_stories_are_eventful() -> None:
    """Leadership changes, and most commands are answered, in every way."""
    answers, epochs = Counter[str](), []

    @settings(searched, max_examples=100, database=None, derandomize=True)
    @given(stories)
    def count(story: Story) -> None:
        told = tell(story)
        answers.update(told.answers)
        epochs.append(told.world.epoch)

    count()
    assert sum(epochs) > len(epochs), epochs
    assert answers["ok"] > 20, answers
    assert min(answers[kind] for kind in ("nothing", "unknown group", "not known")) > 0, answers
