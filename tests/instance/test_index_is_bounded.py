"""What an index keeps for its answers is bounded by what is there, whoever asks about whatever."""

from __future__ import annotations

import tracemalloc

from ikdemo.instance.file.index import Entry, Index
from ikdemo.spi.documents import GROUP_TAG, Description
from ikdemo.spi.plans import digest


def test_questions_about_groups_that_are_not_there_leave_nothing_behind() -> None:
    index = Index()
    index.put(
        Entry("instance-1", (1, 1, 1), Description("instance-1", None, {GROUP_TAG: "g"}, "0"))
    )

    def ask(turn: str) -> None:
        for number in range(2000):
            nobody = f"{turn}{number}"
            assert list(index.of_group(nobody)) == [] and index.digest(nobody) == digest(
                ()
            ) != index.digest("g")

    ask("before")
    tracemalloc.start()
    ask("then")
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 50_000


def test_a_group_whose_last_instance_went_is_as_one_that_never_was() -> None:
    index = Index()
    index.put(
        Entry("instance-1", (1, 1, 1), Description("instance-1", None, {GROUP_TAG: "g"}, "0"))
    )
    assert [entry.name for entry in index.of_group("g")] == ["instance-1"] and index.digest(
        "g"
    ) != digest(())
    index.drop("instance-1")
    assert list(index.of_group("g")) == [] and index.digest("g") == digest(())
