"""Two group plugins over one instance plugin, each committed by a leader of its own; and a look at
what the instance plugin really did, and for whom.
"""

from __future__ import annotations

import signal
from typing import Any

from asking import Refused, ask, until
from desk import Desk

DONE_BY_A_CALL = ("provisioned", "destroyed")


def refusal(epoch: int, begun: int) -> str:
    """Return what an older leader is told."""
    return f"fenced: epoch {epoch} is over, {begun} has begun"


def web(size: int, properties: dict[str, Any]) -> dict[str, Any]:
    """Return the spec of the group ``web``, in the one configuration that there is."""
    return {
        "ID": "web",
        "Properties": {
            "Allocation": {"Size": size},
            "Instance": {"Plugin": "instances", "Properties": properties},
            "Flavor": {"Plugin": "flavor-vanilla", "Properties": {}},
        },
    }


class TwoLeaders:
    """The group plugins ``old`` and ``new``, which keep nothing across restarts, and an instance
    plugin ``instances`` whose instances have ``properties``.
    """

    def __init__(self, desk: Desk, program: str, flags: tuple[str, ...], **properties: Any) -> None:
        self.desk, self._program, self.properties = desk, (program, *flags), properties
        self.start()
        desk.start("infrakit-flavor-vanilla", "flavor-vanilla")
        self._cursor: dict[str, Any] = {}
        self.start_leaders()

    def start_leaders(self) -> None:
        """Start both group plugins."""
        flags = ("--poll-interval", "50ms", "--store", "none")
        for name in ("old", "new"):
            self.desk.start("infrakit-group-default", name, *flags)

    def start(self) -> None:
        """Start the instance plugin, for the first time or again."""
        program, *flags = self._program
        self.desk.start(program, "instances", *flags)

    def kill(self) -> None:
        """Kill the instance plugin."""
        self.desk.stop("instances", signal.SIGKILL)

    def signal(self, name: str, number: signal.Signals) -> None:
        self.desk.processes[name].send_signal(number)

    def ask(self, plugin: str, method: str, **params: Any) -> Any:
        return ask(self.desk.plugins / plugin, method, params)

    def commit(self, leader: str, size: int, epoch: int) -> None:
        """Have a leader commit the group ``web``, in the one configuration that there is."""
        spec = web(size, self.properties)
        self.ask(leader, "Group.CommitGroup", Spec=spec, Pretend=False, Epoch=epoch)

    def slots(self) -> dict[str, str]:
        """Return the instance in each slot; two in one would be an error."""
        tags = {"infrakit.group": "web"}
        found = self.ask("instances", "Instance.DescribeInstances", Tags=tags, Slots=True)
        described = found["Descriptions"] or []
        slots = {one["Slot"]: one["ID"] for one in described}
        assert len(slots) == len(described), described
        return slots

    def whole(self, leader: str, size: int) -> dict[str, str]:
        """Wait until a leader's group is as it wants it, and return the instances."""

        def is_whole() -> bool:
            said = self.ask(leader, "Group.DescribeGroup", ID="web")["Description"]
            return bool(said["Converged"]) and len(said["Instances"]) == size

        until(is_whole, say=lambda: self.ask(leader, "Reconcile.Why", ID="web"))
        return self.slots()

    def codes(self, leader: str) -> list[str]:
        return [one["Code"] for one in self.ask(leader, "Reconcile.Why", ID="web")["Reasons"]]

    def until_fenced(self, leader: str, epoch: int, begun: int) -> None:
        """Wait until a leader's group plugin says that it does nothing any longer, and why."""
        until(lambda: "fenced" in self.codes(leader), say=lambda: self.codes(leader))
        (fenced,) = [
            one
            for one in self.ask(leader, "Reconcile.Why", ID="web")["Reasons"]
            if one["Code"] == "fenced"
        ]
        assert refusal(epoch, begun) in fenced["Text"]
        try:
            self.commit(leader, 1, epoch)
        except Refused as refused:
            assert str(refused) == refusal(epoch, begun)
        else:
            raise AssertionError("an older leader could commit")

    def mark(self) -> None:
        """Remember what the instance plugin has told so far."""
        batch = self._watch("instances", {})
        self._cursor = {"Stream": batch["Stream"], "Next": batch["Next"]}

    def done_since_mark(self) -> set[tuple[str, str]]:
        """Return what the instance plugin was asked to do since then, and did: which instances were
        provisioned and destroyed.
        """
        batch = self._watch("instances", self._cursor)
        assert batch["Stream"] == self._cursor["Stream"], "it was restarted since"
        return {
            (event["Kind"], event["Instance"])
            for event in batch["Events"]
            if event["Kind"] in DONE_BY_A_CALL
        }

    def done_by(self, leader: str) -> set[tuple[str, str]]:
        """Return what a leader's group plugin says that it did."""
        done = set()
        for event in self._watch(leader, {})["Events"]:
            verb = event["Text"].partition(" ")[0]
            if event["Kind"] == "acted" and verb in DONE_BY_A_CALL:
                done.add((verb, event["Instance"]))
        return done

    def do_not_fight(self, *slots: str) -> None:
        """Have the leaders want 6 and then 4 instances, and lose the one in each of these slots:
        all that is done then is done for the later one.
        """
        self.commit("old", 6, 7)
        self.whole("old", 6)
        self.commit("new", 4, 9)
        self.whole("new", 4)
        self.mark()
        self.until_fenced("old", 7, 9)
        for slot in slots:
            # a person, who has no epoch, may still destroy an instance; only the later leader
            # heals it
            lost = self.slots()[slot]
            self.ask("instances", "Instance.Destroy", Instance=lost)
            until(lambda slot=slot, lost=lost: self.slots().get(slot, lost) != lost)
            assert self.ask("old", "Reconcile.Step", ID="web")["Outcomes"] == []
        assert sorted(self.whole("new", 4)) == ["0", "1", "2", "3"]
        done = self.done_since_mark()
        assert len(done) == 2 * len(slots)
        by_hand = {one for one in done if one[0] == "destroyed"}
        assert done - by_hand <= self.done_by("new")
        assert not done & self.done_by("old")

    def wakes_up(self, before: dict[str, str], epoch: int, begun: int) -> None:
        """Continue the old leader, and see that it is refused and that nothing is done for it."""
        self.mark()
        self.signal("old", signal.SIGCONT)
        self.until_fenced("old", epoch, begun)
        assert self.slots() == before
        assert self.done_since_mark() == set()

    def _watch(self, plugin: str, since: dict[str, Any]) -> Any:
        """Return all events since a cursor at once."""
        batch = self.ask(plugin, "Events.Watch", Since=since, Timeout=0)
        while more := self._after(plugin, batch):
            batch = {**more, "Events": batch["Events"] + more["Events"]}
        return batch

    def _after(self, plugin: str, batch: dict[str, Any]) -> dict[str, Any] | None:
        since = {"Stream": batch["Stream"], "Next": batch["Next"]}
        more: dict[str, Any] = self.ask(plugin, "Events.Watch", Since=since, Timeout=0)
        return more if more["Events"] else None
