"""``ikdemo events``: what several plugins say, in one order, in which a cause is read before its
effect.
"""

from __future__ import annotations

import itertools
import os
import re
import signal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ikdemo.cli.event_merge import HOLD, MOST, EventMerge
from ikdemo.spi.events import Event

LINE = re.compile(r"(\d\d:\d\d:\d\d\.\d{3})  (\S+) +(\S+) +(.*)")
LATE = "(told late)"
KILLS = 10


def event(time: float, kind: str = "lost") -> Event:
    return Event(kind, time)


def times(merge: EventMerge, now: float) -> list[float]:
    return [told.event.time for told in merge.due(now)]


def test_a_cause_that_arrives_after_its_effect_is_told_before_it() -> None:
    merge = EventMerge()
    merge.add("group", [event(5.2), event(5.3)], now=100.0)
    assert times(merge, 100.0 + HOLD / 2) == []
    merge.add("instance-file", [event(5.1)], now=100.0 + HOLD / 2)
    assert times(merge, 100.0 + HOLD) == [5.1, 5.2, 5.3]
    assert merge.next_due() is not None
    assert times(merge, 200.0) == []
    assert merge.next_due() is None


def test_what_arrives_too_late_is_told_at_once_and_said_to_be_late() -> None:
    merge = EventMerge()
    merge.add("group", [event(5.2)], now=0.0)
    assert [told.late for told in merge.due(1.0)] == [False]
    merge.add("instance-file", [event(5.1), event(5.3)], now=2.0)
    assert [(told.event.time, told.late) for told in merge.due(2.0)] == [(5.1, True)]
    assert [(told.event.time, told.late) for told in merge.due(2.0 + HOLD)] == [(5.3, False)]


def test_one_plugin_keeps_its_order_also_when_its_clock_is_set_back() -> None:
    merge = EventMerge()
    merge.add(
        "group", [event(9.0, "planned"), event(3.0, "acted"), event(3.1, "converged")], now=0.0
    )
    assert [told.event.kind for told in merge.due(1.0)] == ["planned", "acted", "converged"]


def test_no_more_is_held_back_than_there_is_room_for() -> None:
    merge = EventMerge()
    merge.add("group", (event(number) for number in range(MOST + 10)), now=0.0)
    assert times(merge, 0.0) == list(range(10))


@given(st.lists(st.tuples(st.integers(0, 3), st.floats(0, 10), st.floats(0, 0.19)), max_size=40))
def test_what_arrives_in_time_is_told_once_and_in_order(
    said: list[tuple[int, float, float]],
) -> None:
    """Plugins that each tell in the order of time, whose events travel for less than the moment
    they are held back.
    """
    merge, told = EventMerge(), []
    arrivals = sorted(
        ((at + travel, at, plugin) for plugin, at, travel in said), key=lambda row: row[0]
    )
    latest: dict[int, float] = {}
    for came, at, plugin in arrivals:
        told += list(merge.due(came))
        at = latest[plugin] = max(at, latest.get(plugin, at))
        merge.add(str(plugin), [event(at)], came)
    told += list(merge.due(11.0))
    assert sorted(one.event.time for one in told) == [one.event.time for one in told]
    assert len(told) == len(said)
    assert not any(one.late for one in told)


@pytest.mark.parametrize("program", ["infrakit-instance-file", "ikdemo-instance-process"])
def test_a_loss_is_read_before_the_plan_and_the_plan_before_the_replacement(
    desk, program: str
) -> None:
    files = program == "infrakit-instance-file"
    desk.start(
        program, "instance-file", *(("--dir", str(desk.instances)) if files else ("--grace", "0s"))
    )
    desk.start("infrakit-flavor-vanilla", "flavor-vanilla")
    desk.start("infrakit-group-default", "group", "--poll-interval", "1h")
    stream = desk.popen("ikdemo events --group web")
    assert stream.stderr is not None and stream.stdout is not None
    for _ in range(3):
        assert "Following" in stream.stderr.readline()
    desk.put_spec("web.json", size=KILLS, **({} if files else {"Command": ["sleep", "1000"]}))
    desk.run("infrakit group commit web.json")
    lines: list[str] = []

    def read(words: str) -> str:
        """Read on to a line with these words."""
        assert stream.stdout is not None
        for line in stream.stdout:
            lines.append(line)
            if words in line:
                return line
        raise AssertionError(lines)

    read("converged")
    living = re.findall(
        r"provisioned +web slot (\d+) (instance-\d+)(?:: pid (\d+))?", "".join(lines)
    )
    for slot, instance, pid in living:
        if files:
            (desk.instances / instance).unlink()
        else:
            os.kill(int(pid), signal.SIGKILL)
        began = len(lines)
        read("converged")
        kinds = [(found[3], found[4]) for line in lines[began:] if (found := LINE.match(line))]
        order = [
            kind for kind, what in kinds if kind in ("lost", "planned", "provisioned", "converged")
        ]
        # a machine may be too slow, and then it is said
        late = any(LATE in line for line in lines[began:])
        assert late or order == ["lost", "planned", "provisioned", "converged"], (
            slot,
            lines[began:],
        )
    desk.run("infrakit group destroy web")
    stream.send_signal(signal.SIGINT)
    rest, errors = stream.communicate(timeout=100)
    assert (stream.returncode, errors) == (130, "")
    told = [line for line in [*lines, *rest.splitlines()] if LATE not in line]
    stamps = [found[1] for line in told if (found := LINE.match(line))]
    assert all(a <= b for a, b in itertools.pairwise(stamps))
    assert "destroying" in rest
