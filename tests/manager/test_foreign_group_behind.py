"""A manager before a group plugin without extensions, such as InfraKit's own."""

from __future__ import annotations

import asking
import pytest
from asking import Refused
from desk import Desk
from plain_plugin import plain

SPEC = {"ID": "g", "Properties": {"Allocation": {"Size": 2}}}


class PlainGroups:
    """What it was asked, in order; it keeps the group g after a commit."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.keeps = False

    def __call__(self, method: str) -> object:
        self.asked.append(method.removeprefix("Group."))
        if method == "Group.InspectGroups":
            return {"Groups": [SPEC] if self.keeps else None}
        if method == "Group.CommitGroup":
            self.keeps = True
            return {"Details": "Managing 2 instances"}
        if method == "Group.FreeGroup":
            self.keeps = False
        return {"OK": True}


def test_it_is_told_what_infrakits_manager_would_tell_it(desk: Desk) -> None:
    leader, store = desk.root / "leader", desk.root / "store"
    leader.write_text("m")
    store.mkdir()
    desk.plugins.mkdir(mode=0o700)
    socket, behind = desk.plugins / "m", desk.plugins / "old"
    groups = PlainGroups()
    with plain(behind, "Group", groups):
        files = ("--leader-file", str(leader), "--store-dir", str(store), "--poll-interval=100ms")
        desk.start("infrakit-manager", "m", "--proxy-for-group", "old", "os", *files)
        asking.until(lambda: asking.ask(socket, "Manager.Leader", {})["Leads"])
        asked = {"Spec": SPEC, "Pretend": False}
        said = asking.ask(socket, "Group.CommitGroup", asked)
        assert said == {"Details": "Managing 2 instances"}
        assert groups.asked.count("CommitGroup") == 2  # pretended first
        names = [api["Name"] for api in asking.ask(socket, "Plugin.Implements", {})["APIs"]]
        assert names == ["Group", "Batch", "Events", "Manager"]
        with pytest.raises(Refused, match="can't find service"):
            asking.ask(socket, "Reconcile.Scale", {"ID": "g", "Size": 3})
        leader.write_text("other")
        asking.until(lambda: "FreeGroup" in groups.asked)
        leader.write_text("m")
        asking.until(lambda: groups.asked.count("CommitGroup") == 3)
    behind.unlink()
    again = PlainGroups()
    with plain(behind, "Group", again):
        asking.until(lambda: again.asked.count("CommitGroup") == 1)
        assert desk.stop("m") == 0
    assert "FreeGroup" not in again.asked
    assert desk.log("m").count("does not offer the extension Fence") == 1
