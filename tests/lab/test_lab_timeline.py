"""The merged record: time order across streams, agreement with the world after a gap, waiting,
words.
"""

from __future__ import annotations

import threading

from ikdemo.lab.host.timeline import Timeline
from ikdemo.spi.documents import GROUP_TAG, Description
from ikdemo.spi.events import Event


def test_streams_that_arrive_late_are_put_into_time_order() -> None:
    record = Timeline()
    record.add([Event("drifted", 2.0, "group", "g"), Event("converged", 3.0, "group", "g")])
    record.add([Event("lost", 1.0, "files", "g", "i-1")])
    assert [event.kind for event in record.events("g")] == ["lost", "drifted", "converged"]
    assert record.events("other") == []


def test_after_a_gap_the_record_agrees_with_what_is_there() -> None:
    record = Timeline()
    record.add(
        [
            Event("provisioned", 1.0, "files", "g", "gone", "0"),
            Event("provisioned", 1.0, "other", "g", "kept", "1"),
        ]
    )
    record.agree("files", [Description("new", tags={GROUP_TAG: "g"}, slot="0")], since=5.0)
    assert record.living(plugin="files").keys() == {"new"}
    assert record.living(group="g").keys() == {"new", "kept"}
    assert [(e.kind, e.instance, e.time) for e in record.events("g")[-2:]] == [
        ("lost", "gone", 5.0),
        ("found", "new", 5.0),
    ]


def test_what_was_made_after_the_look_began_is_not_called_lost() -> None:
    record = Timeline()
    record.add([Event("provisioned", 6.0, "files", "g", "late", "0")])
    record.agree("files", [], since=5.0)
    assert record.living(plugin="files").keys() == {"late"}


def test_agreeing_about_one_group_leaves_the_others_alone() -> None:
    record = Timeline()
    record.add(
        [
            Event("provisioned", 1.0, "files", "a", "i-a"),
            Event("provisioned", 1.0, "files", "b", "i-b"),
        ]
    )
    record.agree("files", [], since=5.0, group="a")
    assert record.living(plugin="files").keys() == {"i-b"}


def test_waiting_ends_with_the_event_or_with_the_time() -> None:
    record = Timeline()
    writer = threading.Timer(0.05, record.add, [[Event("converged", 1.0)]])
    writer.start()
    assert record.wait_for(lambda: len(record) == 1, timeout=100)
    assert not record.wait_for(lambda: len(record) == 2, timeout=0.01)
    writer.join()


def test_the_table_counts_seconds_from_the_first_event() -> None:
    record = Timeline()
    record.add(
        [
            Event("fault", 10.0, "lab", "g", "i-1", "0", text="removed the file of"),
            Event("lost", 10.25, "files", "g", "i-1", "0"),
        ]
    )
    assert record.table("g").rows == [
        ["   0.0000", "lab", "FAULT: removed the file of i-1 in slot 0"],
        ["   0.2500", "files", "i-1 in slot 0 is gone"],
    ]
    assert len(record.table(last=1)) == 1
