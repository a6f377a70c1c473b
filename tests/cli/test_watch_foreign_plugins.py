"""``ikdemo watch`` with plugins that have none of our extensions, such as InfraKit's own: it asks
what it is not told.
"""

from __future__ import annotations

from typing import Any

from desk import Desk
from plain_plugin import plain
from terminal import Terminal

GROUP = "infrakit.group"


def test_it_asks_where_nobody_tells(desk: Desk) -> None:
    desk.plugins.mkdir(mode=0o700)
    living = ["instance-100001", "instance-100002"]
    properties = {
        "Allocation": {"Size": 2},
        "Instance": {"Plugin": "instances", "Properties": {}},
        "Flavor": {"Plugin": "flavor", "Properties": {}},
    }

    def describe(_: str) -> Any:
        return {
            "Descriptions": [
                {"ID": one, "LogicalID": None, "Tags": {GROUP: "web"}} for one in living
            ]
        }

    def inspect(_: str) -> Any:
        return {"Groups": [{"ID": "web", "Properties": properties}]}

    environment = {**desk.environment, "TERM": "xterm-256color"}
    with (
        plain(desk.plugins / "group", "Group", inspect),
        plain(desk.plugins / "instances", "Instance", describe),
    ):
        terminal = Terminal([*desk.program("ikdemo"), "watch"], environment, desk.cwd)
        try:
            terminal.sees("● as wanted", "2 of 2 slots filled", "…100001")
            living.pop(0)
            terminal.sees("▲ not as wanted", "1 of 2 slots filled", "It fell to 1 of 2")
            living.append("instance-100003")
            terminal.sees("● as wanted", "whole again", "…100003")
            terminal.type("p")
            terminal.sees("the group plugin group cannot do this: it does not")
            terminal.type("q")
            assert terminal.ends() == 0
        finally:
            terminal.close()
