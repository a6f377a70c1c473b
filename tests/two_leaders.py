"""Two group plugins over one instance plugin, each committed by a leader of its own; and a look at
what the instance plugin really did, and for whom.
"""

from __future__ import annotations

import signal
from typing import Any

from asking import Refused, ask, until
from desk import Desk

DONE_BY_A_CALL = ("provisioned", "destroyed")


class TwoLeaders:
    """The group plugins ``old`` and ``new``, which keep nothing across restarts, and an instance
    plugin ``instances`` whose instances have ``properties``.
    """

    def __init__(self, desk: Desk, program: str, flags: tuple[str, ...], **properties: Any) -> None:
        self.desk, self._program, self._properties = desk, (program, *flags), properties
        self.start()
        desk.start("infrakit-flavor-vanilla", "flavor-vanilla")
        for name in ("old", "new"):
            desk.start("infrakit-group-default", name, "--poll-interval", "50ms", "--store", "none")
        self._cursor: dict[str, Any] = {}

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
        spec = {
            "ID": "web",
            "Properties": {
                "Allocation": {"Size": size},
                "Instance": {"Plugin": "instances", "Properties": self._properties},
                "Flavor": {"Plugin": "flavor-vanilla", "Properties": {}},
            },
        }
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
        assert f"fenced: epoch {epoch} is over, {begun} has begun" in fenced["Text"]
        try:
            self.commit(leader, 1, epoch)
        except Refused as refused:
            assert str(refused) == f"fenced: epoch {epoch} is over, {begun} has begun"
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
