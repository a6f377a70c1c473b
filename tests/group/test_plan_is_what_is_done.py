"""The plan that is shown is the plan that is carried out, and showing it changes nothing."""

from __future__ import annotations

from typing import Any

from asking import ask, until
from desk import Desk

SPEC = {
    "ID": "web",
    "Properties": {
        "Allocation": {"Size": 5},
        "Instance": {"Plugin": "instance-file", "Properties": {}},
        "Flavor": {"Plugin": "flavor-vanilla", "Properties": {}},
    },
}


def test_a_step_carries_out_the_plan_that_was_shown(desk: Desk) -> None:
    desk.start_three()

    def call(method: str, **params: object) -> Any:
        return ask(desk.plugins / "group", method, params)

    call("Group.CommitGroup", Spec=SPEC)
    until(lambda: call("Group.DescribeGroup", ID="web")["Description"]["Converged"])
    assert call("Reconcile.Plan", ID="web")["Plan"]["Actions"] == []
    call("Reconcile.Pause", ID="web")
    for name in desk.living()[:2]:
        (desk.instances / name).unlink()
    left = desk.living()
    shown = [call("Reconcile.Plan", ID="web")["Plan"]["Actions"] for _ in range(3)]
    assert len(shown[0]) == 2
    assert shown[0] == shown[1] == shown[2]
    assert desk.living() == left
    step = call("Reconcile.Step", ID="web")
    assert step["Plan"]["Actions"] == shown[0]
    assert [outcome["Action"] for outcome in step["Outcomes"]] == shown[0]
    assert len(desk.living()) == 5
